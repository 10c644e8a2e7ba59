"""Requests to providers over wasi:http 0.3, and what both sides of the WASI host share.

Rules of the platform that shape this module:
- A body that was cut looks ended: only the trailers future tells. Where the content-length says how
  much there is, its last byte is the verified end and the future need not be asked.
- The value `sent` of `Request.new` must be kept until the response is read: dropped, the host
  aborts the connection.
- There are no timers to cancel: deadlines are the request's own timeouts. Where those are too
  coarse, for the classifier call and between the chunks of a stream, a spawned clock that ends by
  itself looks (`wasi_pump.py`).
"""

import asyncio

import wit_world
from componentize_py_async_support import spawn
from componentize_py_async_support.futures import FutureReader
from componentize_py_async_support.streams import ByteStreamWriter
from componentize_py_types import Err, Ok, Result
from wit_world.imports import client
from wit_world.imports import wasi_http_types as wasi

from gateway.core.http import HeaderPairs, Headers, Outgoing
from gateway.hosts.common import content_length
from gateway.hosts.wasi_pump import NANOSECONDS, Pump, expire
from gateway.ports import AttemptTimeouts, Cut, Silent, Stalled, TransportError, Unreachable

READ_SIZE = 64 * 1024

_Trailers = FutureReader[Result[wasi.Fields | None, wasi.ErrorCode]]
_Sent = FutureReader[Result[None, wasi.ErrorCode]]


class SpareTrailers:
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


class _Upstream:
    """A provider's response under wasi:http."""

    def __init__(self, response: wasi.Response, sent: _Sent, spare: SpareTrailers) -> None:
        self.status = response.get_status_code()
        with response.get_headers() as fields:
            self.headers = Headers(decoded(fields))
        self._spare = spare
        self._rest = content_length(self.headers)
        # `sent` must live until the body is read; the host takes it as what we say of the body.
        self._rx, self._trailers = wasi.Response.consume_body(response, sent)
        self._pump: Pump | None = None

    async def read(self, within_ms: int | None = None) -> bytes:
        if within_ms is None:
            return await self._read()
        if self._pump is None:
            self._pump = Pump(self._read, self._drop)
        return await self._pump.next(within_ms)

    async def close(self) -> None:
        if self._pump is not None:
            self._pump.close()
        else:
            self._drop()

    def _drop(self) -> None:
        self._rx.__exit__(None, None, None)

    async def _read(self) -> bytes:
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


class WasiHttp:
    """HttpClient over wasi:http/client."""

    def __init__(self, spare: SpareTrailers) -> None:
        self._spare = spare

    async def open(self, request: Outgoing, timeouts: AttemptTimeouts) -> _Upstream:
        if request.scheme != "https":
            return await self._open(request, timeouts)
        # No timeout of the request covers TLS's handshake: a host may take the connection and be
        # silent for ever.
        result: asyncio.Future[_Upstream | TransportError] = (
            asyncio.get_running_loop().create_future()
        )
        spawn(self._opened(request, timeouts, result))
        spawn(expire(max(timeouts.connect_ms, timeouts.first_byte_ms), result))
        found = await result
        if isinstance(found, TransportError):
            raise found
        return found

    async def _opened(
        self,
        request: Outgoing,
        timeouts: AttemptTimeouts,
        result: asyncio.Future[_Upstream | TransportError],
    ) -> None:
        found: _Upstream | TransportError
        try:
            found = await self._open(request, timeouts)
        except TransportError as error:
            found = error
        except Exception:  # it would trap the instance: this task is nobody's but its own
            found = Unreachable()
        if not result.done():
            result.set_result(found)
        elif not isinstance(found, TransportError):
            await found.close()

    async def _open(self, request: Outgoing, timeouts: AttemptTimeouts) -> _Upstream:
        headers = encoded(request.headers)
        headers.append(("content-length", str(len(request.body)).encode()))
        tx, contents = wit_world.byte_stream()
        is_tls = request.scheme == "https"
        try:
            outgoing, sent = wasi.Request.new(
                wasi.Fields.from_list(headers), contents, self._spare.take(), _options(timeouts)
            )
            outgoing.set_method(wasi.Method_Post())
            outgoing.set_scheme(wasi.Scheme_Https() if is_tls else wasi.Scheme_Http())
            outgoing.set_authority(request.authority)
            outgoing.set_path_with_query(request.path)
            spawn(write_body(tx, request.body))
            response = await client.send(outgoing)
        except Err as error:  # also what the host lets into no request: it cannot be asked
            if isinstance(error.value, _NO_HEAD_IN_TIME):
                raise Silent from None
            raise Unreachable from None
        return _Upstream(response, sent, self._spare)

    async def fetch(self, request: Outgoing, timeout_ms: int, limit: int) -> tuple[int, bytes]:
        result: asyncio.Future[tuple[int, bytes] | TransportError] = (
            asyncio.get_running_loop().create_future()
        )
        spawn(self._fetch(request, timeout_ms, limit, result))
        spawn(expire(timeout_ms, result))
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
            upstream = await self._open(request, timeouts)
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
        except Exception:  # it would trap the instance: this task is nobody's but its own
            answer = Unreachable()
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


async def write_body(tx: ByteStreamWriter, data: bytes) -> None:
    with tx:
        await tx.write_all(data)


def decoded(fields: wasi.Fields) -> HeaderPairs:
    return [(name, value.decode("latin-1")) for name, value in fields.copy_all()]


def encoded(pairs: HeaderPairs) -> list[tuple[str, bytes]]:
    return [(name, value.encode("latin-1", "replace")) for name, value in pairs]


def _no_trailers() -> Result[wasi.Fields | None, wasi.ErrorCode]:
    return Ok(None)


_NO_HEAD_IN_TIME = (
    wasi.ErrorCode_ConnectionReadTimeout,
    wasi.ErrorCode_HttpResponseTimeout,
)
