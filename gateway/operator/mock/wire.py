"""An answer on its way out, or broken off: what a fault does to bytes and connections.

ASGI has no message for hanging up. `HangUpProtocol` hands each request its connection's transport
in `scope["extensions"]`: what was written still goes out, then the connection ends without the last
chunk or the promised length.
"""

import asyncio
import socket
import struct
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from email.utils import formatdate
from typing import Any

from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from gateway.operator.mock import bodies
from gateway.operator.mock.faults import Fault
from gateway.operator.mock.journal import Entry

# Longer than the ten minutes the OpenAI SDK waits by default.
STALL_SECONDS = 900.0
# Until what was written has left, since a reset throws away what has not.
FLUSH_SECONDS = 0.05

HANG_UP = "tiergate.hang_up"


class HangUpProtocol(H11Protocol):
    """uvicorn's HTTP/1.1, with requests that can close their connection."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Put the transport into the scope of every request of this connection."""
        super().connection_made(transport)
        app: Any = self.app

        async def with_hang_up(scope: Any, receive: Any, send: Any) -> None:  # noqa: ANN401
            scope["extensions"] = {HANG_UP: {"transport": transport}}
            await app(scope, receive, send)

        self.app = with_hang_up

    def shutdown(self) -> None:
        """The server stops: a stalled answer must not hold it up."""
        super().shutdown()
        self.transport.close()


@dataclass(frozen=True, slots=True)
class Reply:
    """An ASGI response that does what its fault says. `pieces`: events, or one whole body; `entry`:
    where to note how it ended."""

    status: int
    content_type: str
    headers: tuple[tuple[str, str], ...]
    pieces: Iterable[bytes]
    length: int | None
    is_stream: bool = False
    fault: Fault = field(default_factory=Fault)
    entry: Entry | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Returns early when the client goes."""
        ended = await self._send(scope, receive, send)
        if self.entry is not None:
            self.entry.ended = ended

    async def _send(self, scope: Scope, receive: Receive, send: Send) -> str:
        fault = self.fault
        if fault.delay_ms and await _is_gone_within(receive, fault.delay_ms / 1000):
            return "client gone"
        if fault.garbage:
            _transport(scope).write(bodies.GARBAGE)
        at_once = fault.reset and fault.stops_after is None
        if fault.refuse or fault.garbage or at_once:
            return await self._hang_up(scope, receive)
        await send(
            {
                "type": "http.response.start",
                "status": self.status,
                "headers": [(n.encode(), v.encode("utf-8", "replace")) for n, v in self._head()],
            }
        )
        sent = 0
        # A whole body is one piece, already as short as it shall be.
        for piece in self.pieces:
            if sent == fault.stops_after:
                break
            if await self._pauses(sent, receive, send):
                return "client gone"
            await send({"type": "http.response.body", "body": piece, "more_body": True})
            sent += 1
        if fault.stops_after is not None and (
            # A stream broken off after its last event still lacks the end of the body.
            sent == fault.stops_after if self.is_stream else fault.stops_after < (self.length or 0)
        ):
            if fault.stops_after != fault.cut and await self._silence(STALL_SECONDS, receive, send):
                return "client gone"
            return await self._hang_up(scope, receive)
        if fault.lingers and await self._silence(STALL_SECONDS, receive, send):
            return "client gone"
        await send({"type": "http.response.body", "body": b"", "more_body": False})
        return "answered"

    async def _pauses(self, sent: int, receive: Receive, send: Send) -> bool:
        """What is waited before the next piece; whether the client has gone."""
        fault = self.fault
        pause = fault.chunk_ms or 0 if sent else 0
        if sent == (1 if self.is_stream else 0):  # before it, a stream has said its role
            pause += fault.content_ms or 0
        return bool(pause) and await self._silence(pause / 1000, receive, send)

    async def _silence(self, seconds: float, receive: Receive, send: Send) -> bool:
        """Sends nothing but pings; whether the client has gone."""
        ping = self.fault.ping_ms
        if not (self.is_stream and ping):
            return await _is_gone_within(receive, seconds)
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            if await _is_gone_within(receive, min(left, ping / 1000)):
                return True
            await send({"type": "http.response.body", "body": bodies.PING, "more_body": True})
        return False

    async def _hang_up(self, scope: Scope, receive: Receive) -> str:
        transport = _transport(scope)
        if self.fault.reset:
            await asyncio.sleep(FLUSH_SECONDS)
            linger = struct.pack("ii", 1, 0)
            transport.get_extra_info("socket").setsockopt(
                socket.SOL_SOCKET, socket.SO_LINGER, linger
            )
            transport.abort()
        else:
            transport.close()
        # Until uvicorn has noticed, it would take our return for an answer left unfinished.
        await _is_gone_within(receive, STALL_SECONDS)
        return "broken off"

    def _head(self) -> Iterator[tuple[str, str]]:
        fault = self.fault
        yield "content-type", self.content_type
        yield from self.headers
        if fault.retry_after is not None:
            yield "retry-after", str(fault.retry_after)
        if fault.retry_after_date is not None:
            yield "retry-after", formatdate(time.time() + fault.retry_after_date, usegmt=True)
        if fault.retry_after_ms is not None:
            yield "retry-after-ms", str(fault.retry_after_ms)
        if self.length is not None and not fault.chunked:
            yield "content-length", str(self.length)


def whole(
    value: object,
    *,
    status: int = 200,
    headers: tuple[tuple[str, str], ...] = (),
    fault: Fault | None = None,
    entry: Entry | None = None,
) -> Reply:
    """An answer at once."""
    fault = fault or Fault()
    body = bodies.whole_body(value, fault)
    kind = "text/html" if fault.page else "application/json"
    pieces = [body[: fault.stops_after]]
    return Reply(status, kind, headers, pieces, len(body), fault=fault, entry=entry)


def streamed(
    chunks: Iterable[dict[str, Any]],
    headers: tuple[tuple[str, str], ...],
    fault: Fault,
    entry: Entry | None = None,
) -> Reply:
    """A stream of server-sent events."""
    kind = "text/html" if fault.page else "text/event-stream; charset=utf-8"
    pieces: Iterable[bytes] = bodies.events(chunks, fault)
    length = None
    if fault.sized:
        pieces = list(pieces)
        length = sum(map(len, pieces))
    headers = (("cache-control", "no-cache"), *headers)
    return Reply(200, kind, headers, pieces, length, is_stream=True, fault=fault, entry=entry)


def _transport(scope: Scope) -> asyncio.Transport:
    extension = scope.get("extensions", {}).get(HANG_UP)
    if extension is None:
        raise RuntimeError("only a server from create_server can hang up")
    found: asyncio.Transport = extension["transport"]
    return found


async def _is_gone_within(receive: Receive, seconds: float) -> bool:
    """Wait so long, or until the client has gone."""
    try:
        async with asyncio.timeout(seconds):
            while (await receive())["type"] != "http.disconnect":
                pass
    except TimeoutError:
        return False
    return True
