"""The Fastly Compute host. `HttpIncoming` is what the component exports.

Rules of the platform that shape this module:
- Every call blocks, so a coroutine of the flow runs to its end at one `send`.
- A sandbox serves one request at a time, then waits for the next. It may end at any time, and what
  it remembers with it. The handles of a request must be gone before the next is asked for.
- A streamed body that is dropped and not closed is cut, as its client will notice.
"""

import gc
import time
from contextlib import suppress
from urllib.parse import urlsplit

from componentize_py_types import Err
from wit_world import exports
from wit_world.imports import compute_runtime, http_body, http_downstream, http_resp
from wit_world.imports.async_io import Pollable
from wit_world.imports.http_req import Request as WitRequest
from wit_world.imports.log import Endpoint

from gateway.core.http import BodyStream, Headers, Request, Response
from gateway.flow import respond
from gateway.hosts.cached import CachedKv
from gateway.hosts.common import HOST_FAILURE, SystemChance, SystemClock, defect_line, run
from gateway.hosts.fastly_http import READ_SIZE, FastlyHttp, header_pairs, write_all
from gateway.hosts.fastly_stores import FastlyKv, FastlySecrets
from gateway.ports import Limits, Ports, Remembered

NAME = "tiergate"  # of the KV Store and the log endpoint, as the service links them

# Read and parsed, a body may take twelve times its size, and a sandbox has 128 MiB.
MAX_BODY = 8 * 1024 * 1024
MAX_ANSWER = 8 * 1024 * 1024
# What is read of a body over the limit, so that a client that sends it gets to read its 413.
MAX_DRAIN = 64 * 1024 * 1024
# A policy that was published is used after so many seconds, and what the platform takes itself.
REREAD_SECONDS = 5.0

# The platform ends an execution after two minutes, 50 ms of CPU, 32 requests to backends or 128 MiB
# (https://docs.fastly.com/products/compute-resource-limits). Whether a sandbox that is used again
# is one execution or many is not documented: it counts as one here. So a request has what is left
# of two minutes, and a sandbox that has used so much of the rest takes no other.
MAX_RUN_SECONDS = 118.0
MAX_TOTAL_MS = 108_000
MAX_AGE_SECONDS = 10.0
MAX_VCPU_MS = 25
MAX_SENDS = 24
MAX_HEAP_MIB = 96


class HttpIncoming(exports.HttpIncoming):
    """fastly:compute/http-incoming. Called once a sandbox."""

    def handle(self, request: WitRequest, body: Pollable) -> None:
        sandbox = Sandbox()
        sandbox.serve(request, body)
        while sandbox.has_strength() and (following := sandbox.next_request()):
            sandbox.serve(*following)


class Sandbox:
    """What serves one request after the other, and remembers."""

    def __init__(self) -> None:
        born = time.monotonic()
        clock, log = _Clock(), _Log()
        self._retires = born + MAX_AGE_SECONDS
        self._http = FastlyHttp(clock, log, born + MAX_RUN_SECONDS)
        self._ports = Ports(
            CachedKv(FastlyKv(NAME), clock, REREAD_SECONDS),
            self._http,
            clock,
            FastlySecrets(f"{NAME}-secrets"),
            log,
            SystemChance(),
            Remembered(),
            is_exposed=compute_runtime.get_hostname() != "localhost",  # what Viceroy says
            limits=Limits(answer=MAX_ANSWER, total_ms=MAX_TOTAL_MS),
        )

    def serve(self, request: WitRequest, body: Pollable) -> None:
        """Answers one request. Never raises."""
        try:
            with request, body:
                client_request = _read_request(request, body)
            _send(run(respond(client_request, self._ports)))
        except Exception as error:  # `respond` never raises: this is the host's own code
            self._ports.log.write(defect_line(error))
            with suppress(Err):  # an answer may have begun
                _send(HOST_FAILURE)

    def has_strength(self) -> bool:
        """Whether it has enough left of what the platform allows for another request."""
        return (
            compute_runtime.get_vcpu_ms() < MAX_VCPU_MS
            and self._http.sends < MAX_SENDS
            and compute_runtime.get_heap_mib() < MAX_HEAP_MIB
        )

    def next_request(self) -> tuple[WitRequest, Pollable] | None:
        """The next request, or None if none comes in time."""
        left_ms = int((self._retires - time.monotonic()) * 1000)
        if left_ms <= 0:
            return None
        options = http_downstream.NextRequestOptions(timeout_ms=left_ms, extra=None)
        try:
            return http_downstream.await_request(http_downstream.next_request(options))
        except Err:
            return None


def _read_request(request: WitRequest, body: Pollable) -> Request:
    method = request.get_method(64)
    path = urlsplit(request.get_uri(64 * 1024)).path or "/"
    headers = Headers(header_pairs(request))
    if method != "POST":
        return Request(method, path, headers)
    parts: list[bytes] = []
    size = 0
    try:
        while size < MAX_DRAIN and (chunk := http_body.read(body, READ_SIZE)):
            size += len(chunk)
            if size > MAX_BODY:
                parts.clear()
            else:
                parts.append(chunk)
    except Err:
        return Request(method, path, headers, is_broken=True)
    if size > MAX_BODY:
        return Request(method, path, headers, over_limit=MAX_BODY)
    return Request(method, path, headers, b"".join(parts))


def _send(response: Response) -> None:
    answer = http_resp.Response.new()
    answer.set_status(response.status)
    for name, value in response.headers:
        answer.append_header(name, value.encode("latin-1", "replace"))
    body = http_body.new()
    if isinstance(response.body, bytes):
        write_all(body, response.body)
        http_resp.send_downstream(answer, body)
        if response.after:
            response.after()
    else:
        http_resp.send_downstream_streaming(answer, body)
        run(_pump(response.body, body))


async def _pump(chunks: BodyStream, body: Pollable) -> None:
    """Relays a stream. A client that has gone is noticed at a write."""
    try:
        async for chunk in chunks:
            write_all(body, chunk)
        http_body.close(body)
    except Err:
        body.__exit__(None, None, None)
    finally:
        await chunks.aclose()


class _Clock(SystemClock):
    def vcpu_ms(self) -> int | None:
        return compute_runtime.get_vcpu_ms()


class _Log:
    def __init__(self) -> None:
        self._endpoint = Endpoint.open(NAME)

    def write(self, line: str) -> None:
        self._endpoint.write(line.encode(errors="replace"))


# The heap is snapshotted after this line: see hosts/wasi.py.
gc.collect()
gc.freeze()
gc.set_threshold(20_000)
