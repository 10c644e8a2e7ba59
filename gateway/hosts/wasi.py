"""The WASI 0.3 host: wasmtime, wasmCloud, Spin. `Handler` is what the component exports.

Rules of the platform that shape this module:
- An exception that leaves `handle`, or a task that is not `spawn`ed and still pending when its work
  is over, traps the instance and with it every request that is in it.
"""

import gc
import os
from collections.abc import Callable
from dataclasses import dataclass

import wit_world
from componentize_py_async_support import spawn
from componentize_py_async_support.streams import ByteStreamReader, ByteStreamWriter
from componentize_py_types import Err, Ok, Result
from wit_world import exports
from wit_world.imports import environment, monotonic_clock
from wit_world.imports import wasi_http_types as wasi

from gateway.core.http import BodyStream, Headers, Request, Response
from gateway.flow import respond
from gateway.hosts.common import (
    HOST_FAILURE,
    WEIGHTS,
    SystemChance,
    SystemClock,
    content_length,
    defect_line,
    secret_value,
)
from gateway.hosts.directory import DirectoryKv
from gateway.hosts.wasi_http import (
    READ_SIZE,
    SpareTrailers,
    WasiHttp,
    decoded,
    encoded,
    write_body,
)
from gateway.hosts.wasi_pump import NANOSECONDS
from gateway.ports import Chance, Clock, KvStore, Log, Ports, Remembered, Secrets

# A request with a dozen inline images; nginx's default is 1 MiB, Envoy's AI gateway allows 50.
MAX_BODY = 32 * 1024 * 1024
# What is read of a body over the limit, so that a client that sends it gets to read its 413.
MAX_DRAIN = 64 * 1024 * 1024
# Bodies that an instance holds at once. Read and parsed, one may take twelve times its size (an
# emoji makes each character of a text four bytes), and a guest has 4 GiB.
MAX_HELD = 96 * 1024 * 1024
KV_ROOT = "/kv"
EXPOSED = "TIERGATE_EXPOSED"  # set by `tiergate serve` where other machines reach it


class Handler(exports.Handler):
    """wasi:http/handler."""

    async def handle(self, request: wasi.Request) -> wasi.Response:
        spare = SpareTrailers()
        held = _Held()
        try:
            client_request = await _read_request(request, spare, held)
            response = await respond(client_request, _ports(spare))
            return _to_wasi(response, spare)
        except Exception as error:  # `respond` never raises: this is the host's own code
            _log_defect(error)
            return _to_wasi(HOST_FAILURE, SpareTrailers())
        finally:
            held.release()


class _Held:
    """The bytes of one request's body, counted against those of the whole instance."""

    total = 0

    def __init__(self) -> None:
        self._size = 0

    def take(self, size: int) -> bool:
        """Counts them in, if there is room."""
        if _Held.total + size > MAX_HELD:
            return False
        _Held.total += size
        self._size += size
        return True

    def release(self) -> None:
        _Held.total -= self._size
        self._size = 0


async def _read_request(request: wasi.Request, spare: SpareTrailers, held: _Held) -> Request:
    method = _METHODS.get(type(request.get_method()), "OTHER")
    path, _, query = (request.get_path_with_query() or "/").partition("?")
    with request.get_headers() as fields:
        headers = Headers(decoded(fields))
    if method != "POST":
        return Request(method, path, headers, query=query)
    length = content_length(headers)
    rx, trailers = wasi.Request.consume_body(
        request, wit_world.result_unit_wasi_http_types_error_code_future(_consumed)[1]
    )
    parts: list[bytes] = []
    size = 0
    is_unread = False
    with rx:
        while size != length and not rx.writer_dropped and size < MAX_DRAIN:
            chunk = await rx.read(READ_SIZE)
            size += len(chunk)
            is_unread = is_unread or not held.take(len(chunk))
            if size > MAX_BODY or is_unread:
                parts.clear()
                held.release()
            else:
                parts.append(chunk)
    if size > MAX_BODY:
        return Request(method, path, headers, over_limit=MAX_BODY, query=query)
    if is_unread:
        return Request(method, path, headers, is_unread=True, query=query)
    if length is None:
        is_broken = isinstance(await trailers.read(), Err)
    else:
        is_broken = size != length
        if not is_broken:  # else they say that it was cut, which would cut our answer too
            spare.put(trailers)
    body = parts[0] if len(parts) == 1 else b"".join(parts)
    return Request(method, path, headers, body, is_broken=is_broken, query=query)


def _to_wasi(response: Response, spare: SpareTrailers) -> wasi.Response:
    body = response.body
    headers = encoded(response.headers)
    contents: ByteStreamReader | None = None
    if isinstance(body, bytes):
        if response.status != 204:
            headers.append(("content-length", str(len(body)).encode()))
        if body:
            tx, contents = wit_world.byte_stream()
            spawn(_send(tx, body, response.after))
    else:
        tx, contents = wit_world.byte_stream()
        spawn(_pump(tx, body))
    answer, _ = wasi.Response.new(wasi.Fields.from_list(headers), contents, spare.take())
    if response.status != 200:  # what a new response has; every call of the host counts
        answer.set_status_code(response.status)
    return answer


async def _send(tx: ByteStreamWriter, body: bytes, after: Callable[[], None] | None) -> None:
    try:
        await write_body(tx, body)
        if after:
            after()
    except Exception as error:  # it would trap the instance
        _log_defect(error)


async def _pump(tx: ByteStreamWriter, body: BodyStream) -> None:
    """Relays a stream. A client that has gone is noticed at a write."""
    try:
        with tx:
            async for chunk in body:
                await tx.write_all(chunk)
                if tx.reader_dropped:
                    break
        await body.aclose()
    except Exception as error:  # it would trap the instance
        _log_defect(error)


class _Secrets:
    """Environment variables, as the host passes them by name; read once an instance."""

    def __init__(self) -> None:
        pairs = environment.get_environment()
        self._values = {name: secret_value(text) for name, text in pairs}

    def get(self, name: str) -> str | None:
        return self._values.get(name)


class _Clock(SystemClock):
    async def sleep(self, ms: int) -> None:
        await monotonic_clock.wait_for(ms * NANOSECONDS)


class _Log:
    def write(self, line: str) -> None:
        _print(line)


@dataclass(slots=True)
class _Instance:
    """What an instance has one of."""

    kv: KvStore
    clock: Clock
    secrets: Secrets
    log: Log
    chance: Chance
    remembered: Remembered


_instance: _Instance | None = None


def _ports(spare: SpareTrailers) -> Ports:
    """The ports of a request. The instance's part is made by its first: a build has no secrets."""
    global _instance  # noqa: PLW0603 - what an instance remembers lives as long as it does
    if _instance is None:
        _instance = _Instance(
            DirectoryKv(KV_ROOT), _Clock(), _Secrets(), _Log(), SystemChance(), Remembered()
        )
    at = _instance
    return Ports(
        at.kv,
        WasiHttp(spare),
        at.clock,
        at.secrets,
        at.log,
        at.chance,
        at.remembered,
        WEIGHTS,
        is_exposed=at.secrets.get(EXPOSED) is not None,
    )


def _print(line: str) -> None:
    """One write, so that lines of requests running side by side stay whole."""
    try:
        os.write(1, f"{line}\n".encode(errors="replace"))
    except OSError:
        return  # nobody reads the log; the request is not to blame


def _log_defect(error: Exception) -> None:
    _print(defect_line(error))


_METHODS = {
    wasi.Method_Get: "GET",
    wasi.Method_Head: "HEAD",
    wasi.Method_Post: "POST",
    wasi.Method_Put: "PUT",
    wasi.Method_Delete: "DELETE",
    wasi.Method_Options: "OPTIONS",
    wasi.Method_Patch: "PATCH",
}


def _consumed() -> Result[None, wasi.ErrorCode]:
    return Ok(None)


# The heap is snapshotted after this line: the collector need not look at what never dies, and young
# objects are few and short-lived (a request leaves hardly a cycle behind).
gc.collect()
gc.freeze()
gc.set_threshold(20_000)
