"""An answer on its way out, or broken off: what a fault does to bytes and connections.

ASGI has no message for hanging up. `HangUpProtocol` hands each request its connection's
`close` in `scope["extensions"]`: what was written still goes out, then the connection ends
without the last chunk or the promised length.
"""

import asyncio
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from gateway.operator.mock.faults import Fault

# Longer than the ten minutes the OpenAI SDK waits by default.
STALL_SECONDS = 900.0

HANG_UP = "tiergate.hang_up"

DONE = b"data: [DONE]\n\n"
BROKEN_EVENT = b'data: {"id": "chatcmpl-mock", "choices": [{"ind\n\n'
BROKEN_BODY = b'{"id": "chatcmpl-mock", "choices": [{"ind'


class HangUpProtocol(H11Protocol):
    """uvicorn's HTTP/1.1, with requests that can close their connection."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Put `transport.close` into the scope of every request of this connection."""
        super().connection_made(transport)
        app: Any = self.app

        async def with_hang_up(scope: Any, receive: Any, send: Any) -> None:  # noqa: ANN401
            scope["extensions"] = {HANG_UP: {"close": transport.close}}
            await app(scope, receive, send)

        self.app = with_hang_up

    def shutdown(self) -> None:
        """The server stops: a stalled answer must not hold it up."""
        super().shutdown()
        self.transport.close()


def to_bytes(value: object) -> bytes:
    """JSON in UTF-8; half a surrogate pair, which UTF-8 has no bytes for, becomes `?`."""
    return json.dumps(value, ensure_ascii=False).encode("utf-8", "replace")


def error_body(
    status: int, message: str, *, param: str | None = None, code: str | None = None
) -> dict[str, Any]:
    """An error as OpenAI writes it."""
    kind = "server_error" if status >= 500 else "invalid_request_error"
    if status == 429:
        kind, code = "requests", "rate_limit_exceeded"
    return {"error": {"message": message, "type": kind, "param": param, "code": code}}


@dataclass(frozen=True, slots=True)
class Reply:
    """An ASGI response that does what its fault says. `pieces`: events, or one whole body."""

    status: int
    content_type: str
    headers: tuple[tuple[str, str], ...]
    pieces: Iterable[bytes]
    length: int | None
    fault: Fault

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Returns early when the client goes."""
        fault = self.fault
        if fault.delay_ms and await _is_gone_within(receive, fault.delay_ms / 1000):
            return
        if fault.refuse:
            await _hang_up(scope, receive)
            return
        await send(
            {
                "type": "http.response.start",
                "status": self.status,
                "headers": [(n.encode(), v.encode("utf-8", "replace")) for n, v in self._head()],
            }
        )
        sent = 0
        # A whole body is one piece, already as short as it shall be.
        for piece in islice(self.pieces, fault.stops_after):
            if sent and fault.chunk_ms and await _is_gone_within(receive, fault.chunk_ms / 1000):
                return
            await send({"type": "http.response.body", "body": piece, "more_body": True})
            sent += 1
        if fault.stops_after is not None and (
            # A stream broken off after its last event still lacks the end of the body.
            sent == fault.stops_after if self.length is None else fault.stops_after < self.length
        ):
            if fault.stops_after != fault.cut:
                await _is_gone_within(receive, STALL_SECONDS)
            await _hang_up(scope, receive)
            return
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    def _head(self) -> Iterator[tuple[str, str]]:
        yield "content-type", self.content_type
        yield from self.headers
        if self.fault.retry_after is not None:
            yield "retry-after", str(self.fault.retry_after)
        if self.length is not None:
            yield "content-length", str(self.length)


def whole(
    value: object,
    *,
    status: int = 200,
    headers: tuple[tuple[str, str], ...] = (),
    fault: Fault | None = None,
) -> Reply:
    """A JSON answer."""
    fault = fault or Fault()
    body = BROKEN_BODY if fault.malformed else to_bytes(value)
    body = b"" if fault.empty else body
    return Reply(status, "application/json", headers, [body[: fault.stops_after]], len(body), fault)


def streamed(
    chunks: Iterator[dict[str, Any]], headers: tuple[tuple[str, str], ...], fault: Fault
) -> Reply:
    """A stream of server-sent events."""
    kind = "text/event-stream; charset=utf-8"
    headers = (("cache-control", "no-cache"), *headers)
    return Reply(200, kind, headers, _events(chunks, fault), None, fault)


def _events(chunks: Iterator[dict[str, Any]], fault: Fault) -> Iterator[bytes]:
    if fault.empty:
        return
    for sent, chunk in enumerate(chunks):
        if sent == fault.error_event:
            break
        yield BROKEN_EVENT if fault.malformed and sent == 1 else _event(chunk)
    else:
        if fault.error_event is None and not fault.no_done:
            yield DONE
    if fault.error_event is not None:
        yield _event(error_body(500, "The mock provider was told to fail here."))


def _event(value: object) -> bytes:
    return b"data: " + to_bytes(value) + b"\n\n"


async def _is_gone_within(receive: Receive, seconds: float) -> bool:
    """Wait so long, or until the client has gone."""
    try:
        async with asyncio.timeout(seconds):
            while (await receive())["type"] != "http.disconnect":
                pass
    except TimeoutError:
        return False
    return True


async def _hang_up(scope: Scope, receive: Receive) -> None:
    extension = scope.get("extensions", {}).get(HANG_UP)
    if extension is None:
        raise RuntimeError("only a server from create_server can hang up")
    extension["close"]()
    # Until uvicorn has noticed, it would take our return for an answer left unfinished.
    await _is_gone_within(receive, STALL_SECONDS)
