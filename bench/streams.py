"""Streams: the upstream that sends them (`python -m bench.streams PORT`), the client that times.

Every event holds the moment it was sent, by the clock that all processes of a machine share; the
client compares it with the moment the event's bytes are there. A rushed stream has no such moments:
its events come as fast as they are taken, each in a write of its own, and are counted.
"""

import asyncio
import re
import sys
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress

from bench.payloads import ADDRESSES, RUSH
from bench.wire import CHAT, MESSAGES, Wire

EVENTS = 100
APART_S = 0.020
SECONDS = EVENTS * APART_S
RUSHED_EVENTS = 2_000

_HEAD = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n"
    b"cache-control: no-cache\r\ntransfer-encoding: chunked\r\n\r\n"
)
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_SENT_AT = re.compile(rb'"t(\d+)"')
_RUSHED = b"some words, "


class StreamError(Exception):
    """A stream that is not as it was sent."""


async def timed_streams(
    port: int, path: str, headers: Mapping[str, str], count: int, wire: Wire = CHAT
) -> list[float]:
    """The delays of all events of `count` streams at once, in milliseconds. Raises StreamError."""
    # Spread over the time between two events, as streams of different users are.
    streams = [
        _timed_stream(port, path, headers, APART_S * number / count, wire)
        for number in range(count)
    ]
    return [delay for delays in await asyncio.gather(*streams) for delay in delays]


async def rushed_streams(port: int, headers: Mapping[str, str], count: int, wire: Wire) -> None:
    """Reads `count` rushed streams at once, each to its end. Raises StreamError."""
    await asyncio.gather(*(_rushed_stream(port, headers, wire) for _ in range(count)))


async def _timed_stream(
    port: int, path: str, headers: Mapping[str, str], after: float, wire: Wire
) -> list[float]:
    await asyncio.sleep(after)
    delays: list[float] = []
    seen, position = b"", 0
    async for chunk in _asked(port, path, headers, wire):
        now = time.monotonic_ns()
        seen += chunk
        for match in _SENT_AT.finditer(seen, position):
            delays.append((now - int(match[1])) / 1e6)
            position = match.end()
        if wire.end in seen[position:]:
            break
    _check(port, len(delays), EVENTS, seen, wire)
    return delays


async def _rushed_stream(port: int, headers: Mapping[str, str], wire: Wire) -> None:
    seen = b""
    async for chunk in _asked(port, wire.path, headers, wire):
        seen += chunk
        if wire.end in seen[-1000:]:
            break
    _check(port, seen.count(_RUSHED), RUSHED_EVENTS, seen, wire)


async def _asked(
    port: int, path: str, headers: Mapping[str, str], wire: Wire
) -> AsyncIterator[bytes]:
    """The chunks of an answer."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    fields = {
        "host": f"127.0.0.1:{port}",
        "content-type": "application/json",
        "content-length": str(len(wire.request)),
        "connection": "close",
        **headers,
    }
    head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    writer.write(f"POST {path} HTTP/1.1\r\n{head}\r\n".encode() + wire.request)
    try:
        while chunk := await reader.read(65536):
            yield chunk
    except OSError as error:
        raise StreamError(f"port {port}: the stream broke: {error}") from None
    finally:
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()


def _check(port: int, found: int, expected: int, seen: bytes, wire: Wire) -> None:
    if found != expected or wire.end not in seen:
        begin = seen[:300].decode(errors="replace")
        raise StreamError(f"port {port}: {found} events instead of {expected}: {begin}")


async def serve(port: int) -> None:
    """The upstream. Connections are kept alive."""
    servers = [await asyncio.start_server(_answer, address, port) for address in ADDRESSES]
    await asyncio.gather(*(server.serve_forever() for server in servers))


async def _answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError, asyncio.IncompleteReadError):
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            length = _LENGTH.search(head)
            await reader.readexactly(int(length[1]) if length else 0)
            wire = MESSAGES if MESSAGES.path.encode() in head else CHAT
            writer.write(_HEAD)
            if wire.begin:
                writer.write(_chunk(wire.begin))
            if RUSH.encode() in head:
                await _rush(writer, wire)
            else:
                await _send_events(writer, wire)
            writer.write(_chunk(wire.finish) + b"0\r\n\r\n")
            await writer.drain()
    writer.close()


async def _send_events(writer: asyncio.StreamWriter, wire: Wire) -> None:
    begin = time.monotonic()
    for number in range(EVENTS):
        await asyncio.sleep(begin + number * APART_S - time.monotonic())
        writer.write(_chunk(wire.event(f"t{time.monotonic_ns()}")))
        await writer.drain()


async def _rush(writer: asyncio.StreamWriter, wire: Wire) -> None:
    event = _chunk(wire.event(_RUSHED.decode()))
    for _ in range(RUSHED_EVENTS):
        writer.write(event)
        await writer.drain()
        await asyncio.sleep(0)  # the other streams' turn


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        asyncio.run(serve(int(sys.argv[1])))
