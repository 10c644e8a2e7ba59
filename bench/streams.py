"""Streams: the upstream that sends them (`python -m bench.streams PORT`), the client that times.

Every event holds the moment it was sent, by the clock that all processes of a machine share; the
client compares it with the moment the event's bytes are there.
"""

import asyncio
import json
import re
import sys
import time
from collections.abc import Mapping
from contextlib import suppress

from bench.payloads import ADDRESSES, chat_request

EVENTS = 100
APART_S = 0.020
SECONDS = EVENTS * APART_S

_HEAD = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n"
    b"cache-control: no-cache\r\ntransfer-encoding: chunked\r\n\r\n"
)
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_SENT_AT = re.compile(rb'"content": "t(\d+)"')
_DONE = b"data: [DONE]"


class StreamError(Exception):
    """A stream that is not as it was sent."""


async def timed_streams(
    port: int, path: str, headers: Mapping[str, str], count: int
) -> list[float]:
    """The delays of all events of `count` streams at once, in milliseconds. Raises StreamError."""
    # Spread over the time between two events, as streams of different users are.
    streams = [
        _timed_stream(port, path, headers, APART_S * number / count) for number in range(count)
    ]
    return [delay for delays in await asyncio.gather(*streams) for delay in delays]


async def _timed_stream(
    port: int, path: str, headers: Mapping[str, str], after: float
) -> list[float]:
    await asyncio.sleep(after)
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    body = chat_request(stream=True)
    fields = {
        "host": f"127.0.0.1:{port}",
        "content-type": "application/json",
        "content-length": str(len(body)),
        "connection": "close",
        **headers,
    }
    head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    writer.write(f"POST {path} HTTP/1.1\r\n{head}\r\n".encode() + body)
    delays: list[float] = []
    seen, position = b"", 0
    try:
        while _DONE not in seen[position:]:
            chunk = await reader.read(65536)
            now = time.monotonic_ns()
            if not chunk:
                break
            seen += chunk
            for match in _SENT_AT.finditer(seen, position):
                delays.append((now - int(match[1])) / 1e6)
                position = match.end()
    except OSError as error:
        raise StreamError(f"port {port}: the stream broke: {error}") from None
    finally:
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()
    if len(delays) != EVENTS or _DONE not in seen[position:]:
        begin = seen[:300].decode(errors="replace")
        raise StreamError(f"port {port}: {len(delays)} events instead of {EVENTS}: {begin}")
    return delays


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
            writer.write(_HEAD)
            await _send_events(writer)
    writer.close()


async def _send_events(writer: asyncio.StreamWriter) -> None:
    begin = time.monotonic()
    for number in range(EVENTS):
        await asyncio.sleep(begin + number * APART_S - time.monotonic())
        writer.write(_event({"content": f"t{time.monotonic_ns()}"}))
        await writer.drain()
    last = _event({}, "stop") + _chunk(_DONE + b"\n\n")
    writer.write(last + b"0\r\n\r\n")
    await writer.drain()


def _event(delta: dict[str, str], finish_reason: str | None = None) -> bytes:
    choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}
    event = {
        "id": "chatcmpl-B9MHDbslfkBeAs8l4bebGdFOJ6PeG",
        "object": "chat.completion.chunk",
        "created": 1741570283,
        "model": "some-model-2025-04-14",
        "system_fingerprint": "fp_44709d6fcb",
        "choices": [choice],
    }
    return _chunk(b"data: " + json.dumps(event).encode() + b"\n\n")


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        asyncio.run(serve(int(sys.argv[1])))
