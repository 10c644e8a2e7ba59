"""The WASI 0.3 host: wasmtime, wasmCloud, Spin. `Handler` is what the component exports.

Rules of the platform that shape this module:
- An exception that leaves `handle`, or a task that is not `spawn`ed and still pending when its work
  is over, traps the instance and with it every request that is in it.
- A body that was cut looks ended: only the trailers future tells. Where the content-length says how
  much there is, its last byte is the verified end and the future need not be asked.
- The value `sent` of `Request.new` must be kept until the response is read: dropped, the host
  aborts the connection.
- There are no timers to cancel: deadlines are the request's own timeouts; the one hard deadline, of
  the classifier call, races against a spawned clock that ends by itself.
"""

import asyncio
import gc
import json
import os
import time
from collections.abc import AsyncGenerator
from dataclasses import dataclass

import wit_world
from componentize_py_async_support import spawn
from componentize_py_async_support.futures import FutureReader
from componentize_py_async_support.streams import ByteStreamReader, ByteStreamWriter
from componentize_py_types import Err, Ok, Result
from wit_world import exports
from wit_world.imports import client, environment, monotonic_clock
from wit_world.imports import wasi_http_types as wasi

from gateway.core.http import HeaderPairs, Headers, Outgoing, Request, Response
from gateway.flow import respond
from gateway.ports import (
    UNCHANGED,
    AttemptTimeouts,
    Chance,
    Clock,
    Cut,
    Entry,
    KvStore,
    KvUnavailable,
    Log,
    Ports,
    Remembered,
    Secrets,
    Silent,
    Stalled,
    Stamp,
    TransportError,
    Unchanged,
    Unreachable,
)

# A request with a dozen inline images; nginx's default is 1 MiB, Envoy's AI gateway allows 50.
MAX_BODY = 32 * 1024 * 1024
# What is read of a body over the limit, so that a client that sends it gets to read its 413.
MAX_DRAIN = 64 * 1024 * 1024
READ_SIZE = 64 * 1024
KV_ROOT = "/kv"
NANOSECONDS = 1_000_000  # in a millisecond

_Trailers = FutureReader[Result[wasi.Fields | None, wasi.ErrorCode]]
_Sent = FutureReader[Result[None, wasi.ErrorCode]]

_HOST_FAILURE = Response(
    500,
    [("content-type", "application/json"), ("x-tiergate-schema", "1")],
    b'{"error": {"message": "The gateway failed; this is a defect of its own.", '
    b'"type": "server_error", "param": null, "code": "internal_error"}}',
)


class Handler(exports.Handler):
    """wasi:http/handler."""

    async def handle(self, request: wasi.Request) -> wasi.Response:
        spare = _SpareTrailers()
        try:
            client_request = await _read_request(request, spare)
            response = await respond(client_request, _ports(spare))
            return _to_wasi(response, spare)
        except Exception as error:  # `respond` never raises: this is the host's own code
            _log_defect(error)
            return _to_wasi(_HOST_FAILURE, _SpareTrailers())


class _SpareTrailers:
    """Trailers futures of bodies that were read to their known length, to be handed on.

    Every message needs one. A future of our own costs as much as a tenth of a whole request (it is
    made, watched, written by a task of its own); one that came from the host costs nothing.
    """

    def __init__(self) -> None:
        self._futures: list[_Trailers] = []

    def put(self, trailers: _Trailers) -> None:
        self._futures.append(trailers)

    def take(self) -> _Trailers:
        if self._futures:
            return self._futures.pop()
        return wit_world.result_option_wasi_http_types_fields_wasi_http_types_error_code_future(
            _no_trailers
        )[1]


async def _read_request(request: wasi.Request, spare: _SpareTrailers) -> Request:
    method = _METHODS.get(type(request.get_method()), "OTHER")
    path = (request.get_path_with_query() or "/").partition("?")[0]
    with request.get_headers() as fields:
        headers = Headers(_decoded(fields))
    if method != "POST":
        return Request(method, path, headers)
    length = _content_length(headers)
    rx, trailers = wasi.Request.consume_body(
        request, wit_world.result_unit_wasi_http_types_error_code_future(_consumed)[1]
    )
    parts: list[bytes] = []
    size = 0
    with rx:
        while size != length and not rx.writer_dropped and size < MAX_DRAIN:
            chunk = await rx.read(READ_SIZE)
            size += len(chunk)
            if size <= MAX_BODY:
                parts.append(chunk)
            else:
                parts.clear()
    if size > MAX_BODY:
        return Request(method, path, headers, over_limit=MAX_BODY)
    if length is None:
        is_broken = isinstance(await trailers.read(), Err)
    else:
        is_broken = size != length
        spare.put(trailers)
    body = parts[0] if len(parts) == 1 else b"".join(parts)
    return Request(method, path, headers, body, is_broken=is_broken)


def _to_wasi(response: Response, spare: _SpareTrailers) -> wasi.Response:
    body = response.body
    headers = _encoded(response.headers)
    contents: ByteStreamReader | None = None
    if isinstance(body, bytes):
        if response.status != 204:
            headers.append(("content-length", str(len(body)).encode()))
        if body:
            tx, contents = wit_world.byte_stream()
            spawn(_write(tx, body))
    else:
        tx, contents = wit_world.byte_stream()
        spawn(_pump(tx, body))
    answer, _ = wasi.Response.new(wasi.Fields.from_list(headers), contents, spare.take())
    if response.status != 200:  # what a new response has; every call of the host counts
        answer.set_status_code(response.status)
    return answer


async def _write(tx: ByteStreamWriter, data: bytes) -> None:
    with tx:
        await tx.write_all(data)


async def _pump(tx: ByteStreamWriter, body: AsyncGenerator[bytes]) -> None:
    """Relays a stream. A client that has gone is noticed at a write: the generator is closed."""
    try:
        with tx:
            async for chunk in body:
                await tx.write_all(chunk)
                if tx.reader_dropped:
                    break
    except Exception as error:
        _log_defect(error)
    finally:
        await body.aclose()


class _Upstream:
    """A provider's response under wasi:http."""

    def __init__(self, response: wasi.Response, sent: _Sent, spare: _SpareTrailers) -> None:
        self.status = response.get_status_code()
        with response.get_headers() as fields:
            self.headers = Headers(_decoded(fields))
        self._spare = spare
        self._rest = _content_length(self.headers)
        # `sent` must live until the body is read; the host takes it as what we say of the body.
        self._rx, self._trailers = wasi.Response.consume_body(response, sent)

    async def read(self) -> bytes:
        if self._rest == 0:
            return b""
        while not self._rx.writer_dropped:
            chunk = await self._rx.read(READ_SIZE)
            if chunk:
                if self._rest is not None:
                    self._rest -= len(chunk)
                    if self._rest == 0:
                        self._spare.put(self._trailers)
                return chunk
        self._rest = 0
        end = await self._trailers.read()
        if isinstance(end, Err):
            stalled = isinstance(end.value, wasi.ErrorCode_ConnectionReadTimeout)
            raise Stalled if stalled else Cut
        return b""

    async def close(self) -> None:
        self._rx.__exit__(None, None, None)


class _Http:
    """HttpClient over wasi:http/client."""

    def __init__(self, spare: _SpareTrailers) -> None:
        self._spare = spare

    async def open(self, request: Outgoing, timeouts: AttemptTimeouts) -> _Upstream:
        headers = _encoded(request.headers)
        headers.append(("content-length", str(len(request.body)).encode()))
        tx, contents = wit_world.byte_stream()
        outgoing, sent = wasi.Request.new(
            wasi.Fields.from_list(headers), contents, self._spare.take(), _options(timeouts)
        )
        outgoing.set_method(wasi.Method_Post())
        is_tls = request.scheme == "https"
        outgoing.set_scheme(wasi.Scheme_Https() if is_tls else wasi.Scheme_Http())
        outgoing.set_authority(request.authority)
        outgoing.set_path_with_query(request.path)
        spawn(_write(tx, request.body))
        try:
            response = await client.send(outgoing)
        except Err as error:
            if isinstance(error.value, _NO_HEAD_IN_TIME):
                raise Silent from None
            raise Unreachable from None
        return _Upstream(response, sent, self._spare)

    async def fetch(self, request: Outgoing, timeout_ms: int, limit: int) -> tuple[int, bytes]:
        result: asyncio.Future[tuple[int, bytes] | TransportError] = (
            asyncio.get_running_loop().create_future()
        )
        spawn(self._fetch(request, timeout_ms, limit, result))
        spawn(_expire(timeout_ms, result))
        answer = await result
        if isinstance(answer, TransportError):
            raise answer
        return answer

    async def _fetch(
        self,
        request: Outgoing,
        timeout_ms: int,
        limit: int,
        result: asyncio.Future[tuple[int, bytes] | TransportError],
    ) -> None:
        answer: tuple[int, bytes] | TransportError
        try:
            timeouts = AttemptTimeouts(timeout_ms, timeout_ms, timeout_ms)
            upstream = await self.open(request, timeouts)
            body = b""
            try:
                while not result.done() and (chunk := await upstream.read()):
                    body += chunk
                    if len(body) > limit:
                        raise Cut
            finally:
                await upstream.close()
            answer = (upstream.status, body)
        except TransportError as error:
            answer = error
        if not result.done():
            result.set_result(answer)


_last_options: tuple[AttemptTimeouts, wasi.RequestOptions] | None = None


def _options(timeouts: AttemptTimeouts) -> wasi.RequestOptions:
    """The host's timeouts of a request: one call to copy the last ones, four to make new ones."""
    global _last_options  # noqa: PLW0603 - most requests of an instance have the same timeouts
    if _last_options is None or _last_options[0] != timeouts:
        options = wasi.RequestOptions()
        options.set_connect_timeout(timeouts.connect_ms * NANOSECONDS)
        options.set_first_byte_timeout(timeouts.first_byte_ms * NANOSECONDS)
        options.set_between_bytes_timeout(timeouts.between_bytes_ms * NANOSECONDS)
        _last_options = (timeouts, options)
    return _last_options[1].clone()


async def _expire(
    timeout_ms: int, result: asyncio.Future[tuple[int, bytes] | TransportError]
) -> None:
    await monotonic_clock.wait_for(timeout_ms * NANOSECONDS)
    if not result.done():
        result.set_result(Silent())


class _DirectoryKv:
    """KvStore in a directory that the host lets us see: a key is a file."""

    async def get(self, key: str, unless: Stamp | None = None) -> Entry | Unchanged | None:
        path = f"{KV_ROOT}/{key}"
        try:
            found = os.stat(path)
            stamp = (found.st_mtime_ns, found.st_size, found.st_ino)
            if stamp == unless:
                return UNCHANGED
            with open(path, "rb") as file:
                return Entry(file.read(), stamp)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError:
            raise KvUnavailable from None

    async def put(self, key: str, value: bytes) -> None:
        path = f"{KV_ROOT}/{key}"
        draft = f"{path}.{os.urandom(8).hex()}"
        try:
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(draft, "wb") as file:
                file.write(value)
            os.replace(draft, path)
        except OSError:
            raise KvUnavailable from None

    async def delete(self, key: str) -> None:
        try:
            os.unlink(f"{KV_ROOT}/{key}")
        except FileNotFoundError:
            return
        except OSError:
            raise KvUnavailable from None


class _Clock:
    def now(self) -> float:
        return time.time()

    def monotonic(self) -> float:
        return time.monotonic()


class _Secrets:
    """Environment variables, as the host passes them by name; read once an instance."""

    def __init__(self) -> None:
        self._values = {
            name: value.strip() for name, value in environment.get_environment() if value.strip()
        }

    def get(self, name: str) -> str | None:
        return self._values.get(name)


class _Log:
    def write(self, line: str) -> None:
        _print(line)


class _Chance:
    def draw(self) -> float:
        return int.from_bytes(os.urandom(6)) / (1 << 48)

    def token(self) -> str:
        return os.urandom(16).hex()


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


def _ports(spare: _SpareTrailers) -> Ports:
    """The ports of a request. The instance's part is made by its first: a build has no secrets."""
    global _instance  # noqa: PLW0603 - what an instance remembers lives as long as it does
    if _instance is None:
        _instance = _Instance(_DirectoryKv(), _Clock(), _Secrets(), _Log(), _Chance(), Remembered())
    at = _instance
    return Ports(at.kv, _Http(spare), at.clock, at.secrets, at.log, at.chance, at.remembered)


def _print(line: str) -> None:
    """One write, so that lines of requests running side by side stay whole."""
    try:
        os.write(1, f"{line}\n".encode(errors="replace"))
    except OSError:
        return  # nobody reads the log; the request is not to blame


def _log_defect(error: Exception) -> None:
    _print(json.dumps({"event": "defect", "where": f"{type(error).__name__} in the host"}))


_METHODS = {
    wasi.Method_Get: "GET",
    wasi.Method_Head: "HEAD",
    wasi.Method_Post: "POST",
    wasi.Method_Put: "PUT",
    wasi.Method_Delete: "DELETE",
    wasi.Method_Options: "OPTIONS",
    wasi.Method_Patch: "PATCH",
}
_NO_HEAD_IN_TIME = (
    wasi.ErrorCode_ConnectionReadTimeout,
    wasi.ErrorCode_HttpResponseTimeout,
)


def _content_length(headers: Headers) -> int | None:
    value = headers.get("content-length")
    return int(value) if value is not None and value.isascii() and value.isdigit() else None


def _decoded(fields: wasi.Fields) -> HeaderPairs:
    return [(name, value.decode("latin-1")) for name, value in fields.copy_all()]


def _encoded(pairs: HeaderPairs) -> list[tuple[str, bytes]]:
    return [(name, value.encode("latin-1", "replace")) for name, value in pairs]


def _consumed() -> Result[None, wasi.ErrorCode]:
    return Ok(None)


def _no_trailers() -> Result[wasi.Fields | None, wasi.ErrorCode]:
    return Ok(None)


# The heap is snapshotted after this line: the collector need not look at what never dies, and young
# objects are few and short-lived (a request leaves hardly a cycle behind).
gc.collect()
gc.freeze()
gc.set_threshold(20_000)
