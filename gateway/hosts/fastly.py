"""The Fastly Compute host. `HttpIncoming` is what the component exports.

Rules of the platform that shape this module:
- Every call blocks, so a coroutine of the flow runs to its end at one `send`.
- A sandbox serves one request at a time, then waits for the next. It may end at any time, and what
  it remembers with it. The handles of a request must be gone before the next is asked for.
- A streamed body that is dropped and not closed is cut, as its client will notice.
"""

import gc
import re
import time
from contextlib import suppress
from dataclasses import replace

from componentize_py_types import Err
from wit_world import exports
from wit_world.imports import compute_runtime, http_body, http_downstream, http_resp
from wit_world.imports.async_io import Pollable
from wit_world.imports.http_req import Request as WitRequest
from wit_world.imports.log import Endpoint

from gateway.core.http import BodyStream, Headers, Request, Response
from gateway.flow import MAX_REQUEST_HEADERS, respond
from gateway.hosts.cached import CachedKv
from gateway.hosts.common import (
    HOST_FAILURE,
    WEIGHTS,
    SystemChance,
    SystemClock,
    content_length,
    defect_line,
    run,
)
from gateway.hosts.fastly_bodies import LeftMs, drop, read_upload, write_all
from gateway.hosts.fastly_http import FastlyHttp, header_pairs
from gateway.hosts.fastly_stores import FastlyKv, FastlySecrets
from gateway.ports import Limits, Ports, Remembered, TransportError

NAME = "tiergate"  # of the KV Store and the log endpoint, as the service links them

# A sandbox has 128 MiB, of which a new one has used 16. One emoji makes each character of a text
# four bytes: so a body or an answer of 8 MiB of such text takes up to 100 while it is read.
MAX_BODY = 8 * 1024 * 1024
MAX_ANSWER = 8 * 1024 * 1024
MIN_ANSWER = 1024 * 1024  # what an answer may have in any case: with the body it is MAX_ANSWER
# What is read of a body over the limit, so that a client that sends it gets to read its 413.
MAX_DRAIN = 1024 * 1024
MAX_METHOD = 64
MAX_URI = 128 * 1024  # more than the platform takes: 8,192 bytes
# A policy that was published is used after so many seconds, and what the platform takes itself.
REREAD_SECONDS = 5.0

# The platform ends an execution after two minutes, 50 ms of CPU, 32 requests to backends or 128 MiB
# (https://docs.fastly.com/products/compute-resource-limits). Whether a sandbox that is used again
# is one execution or many is not documented: it counts as one here. So a request has what is left
# of two minutes, and a sandbox that has used so much of the rest takes no other.
MAX_RUN_SECONDS = 118.0
MAX_TOTAL_MS = 108_000
MAX_UPLOAD_MS = 30_000  # until a request's body is there; half of what nginx bears of silence alone
MAX_AGE_SECONDS = 10.0
MAX_VCPU_MS = 40
# One that has sent so many takes no other: with ten attempts, the most that a policy may ask for,
# and the classifier's call it makes 32.
MAX_SENDS = 21
MAX_HEAP_MIB = 48  # what a large request has used is free, but in pieces: the next may not fit in


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
        self._ends = born + MAX_RUN_SECONDS
        self._http = FastlyHttp(clock, log, self._ends)
        self._ports = Ports(
            CachedKv(FastlyKv(NAME), clock, REREAD_SECONDS),
            self._http,
            clock,
            FastlySecrets(f"{NAME}-secrets"),
            log,
            SystemChance(),
            Remembered(),
            WEIGHTS,
            is_exposed=compute_runtime.get_hostname() != "localhost",  # what Viceroy says
        )

    def serve(self, request: WitRequest, body: Pollable) -> None:
        """Answers one request. Never raises."""
        try:
            with request, body:
                client_request = _read_request(request, body, _left(MAX_UPLOAD_MS))
            limits = Limits(
                answer=max(MIN_ANSWER, MAX_ANSWER - len(client_request.body)),
                total_ms=min(MAX_TOTAL_MS, self._left_ms()),
            )
            response = run(respond(client_request, replace(self._ports, limits=limits)))
            del client_request
            _send(response, self._left_ms)
        except Exception as error:  # `respond` never raises: this is the host's own code
            self._ports.log.write(defect_line(error))
            with suppress(Err):  # an answer may have begun
                _send(HOST_FAILURE, self._left_ms)

    def has_strength(self) -> bool:
        """Whether it has enough left of what the platform allows for another request."""
        return (
            compute_runtime.get_vcpu_ms() < MAX_VCPU_MS
            and self._http.sends <= MAX_SENDS
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

    def _left_ms(self) -> int:
        return max(1, int((self._ends - time.monotonic()) * 1000))


def _left(ms: int) -> LeftMs:
    """What is left of so many milliseconds from now on, at least one."""
    deadline = time.monotonic() + ms / 1000
    return lambda: max(1, int((deadline - time.monotonic()) * 1000))


def _read_request(request: WitRequest, body: Pollable, left_ms: LeftMs) -> Request:
    method = _method(request)
    path, query = _address(request)
    try:
        headers = Headers(header_pairs(request))
    except Err:  # one is too large to be read: so large that it is refused
        headers = Headers([("", " " * (MAX_REQUEST_HEADERS + 1))])
    if method != "POST":
        return Request(method, path, headers, query=query)
    try:
        data = read_upload(body, content_length(headers), MAX_BODY, MAX_DRAIN, left_ms)
    except (Err, TransportError):
        return Request(method, path, headers, is_broken=True, query=query)
    if data is None:
        return Request(method, path, headers, over_limit=MAX_BODY, query=query)
    return Request(method, path, headers, data, query=query)


def _method(request: WitRequest) -> str:
    try:
        return request.get_method(MAX_METHOD)
    except Err:  # longer than any that has a name
        return "OTHER"


# No parser of URLs: they raise at odd hosts.
_ADDRESS = re.compile(r"[a-z]+://[^/?#]*(/[^?#]*)?(?:\?([^#]*))?")


def _address(request: WitRequest) -> tuple[str, str]:
    """Path and query."""
    try:
        found = _ADDRESS.match(request.get_uri(MAX_URI))
    except Err:  # longer than any that means something
        return "", ""
    return (found[1] or "/", found[2] or "") if found else ("/", "")


def _send(response: Response, left_ms: LeftMs) -> None:
    answer = http_resp.Response.new()
    answer.set_status(response.status)
    for name, value in response.headers:
        answer.append_header(name, value.encode("latin-1", "replace"))
    if not isinstance(response.body, bytes):
        run(_pump(answer, response.body, left_ms))
        return
    if response.after:  # before it is sent: a client that has gone may end the sandbox here
        response.after()
    body = http_body.new()
    write_all(body, response.body)
    with suppress(Err):  # it has gone
        http_resp.send_downstream(answer, body)


async def _pump(answer: http_resp.Response, chunks: BodyStream, left_ms: LeftMs) -> None:
    """Relays a stream. A client that has gone is noticed at a write, one that does not read when
    the sandbox's time is up."""
    body = http_body.new()
    is_open = True
    try:
        http_resp.send_downstream_streaming(answer, body)
        async for chunk in chunks:
            write_all(body, chunk, left_ms)
        is_open = False
        http_body.close(body)
    except (Err, TransportError):
        return
    finally:
        if is_open:
            drop(body)
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
