"""The fake provider of a soak: `python -m soak.provider PORT SEED JOURNAL`.

It listens at one address for each provider of the script, finds out by the tag in the prompt which
request it is asked, and answers as the script says. What it does is in the journal, a line a
request, before it does it.
"""

import asyncio
import json
import os
import re
import socket
import struct
import sys
from collections import Counter
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from random import Random

from soak import script, writing

ADDRESSES = {name: f"127.0.0.{place}" for place, name in enumerate(script.PROVIDERS, 2)}
LONGEST_SECONDS = 60  # for which it is silent; who asked has gone by then
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_JSON = b"content-type: application/json\r\n"
_EVENTS = b"content-type: text/event-stream\r\n"
_CHUNKED = b"transfer-encoding: chunked\r\n"


class Provider:
    """What it remembers: how often it was asked what, until it is killed."""

    def __init__(self, seed: int, journal: Path) -> None:
        self._seed = seed
        self._times: Counter[tuple[int, str]] = Counter()
        self._journal = os.open(journal, os.O_WRONLY | os.O_APPEND | os.O_CREAT)

    async def serve(self, port: int) -> None:
        servers = []
        for name, address in ADDRESSES.items():

            async def answer(
                reader: asyncio.StreamReader, writer: asyncio.StreamWriter, name: str = name
            ) -> None:
                with suppress(OSError, asyncio.IncompleteReadError):
                    await self._answer(name, reader, writer)
                writer.close()

            servers.append(await asyncio.start_server(answer, address, port, backlog=1000))
        await asyncio.gather(*(server.serve_forever() for server in servers))

    async def _answer(
        self, name: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = _LENGTH.search(head)
        body = await reader.readexactly(int(length[1]) if length else 0)
        tag = script.TAG.search(body.decode())
        number = int(tag[1]) if tag else -1
        value = json.loads(body)
        connection = _Connection(reader, writer)
        if value.get("model") == script.JUDGE:
            await self._judge(number, connection)
            return
        is_stream = b"streamGenerateContent" in head or value.get("stream") is True
        time = self._times[number, name]
        self._times[number, name] += 1
        fault = script.fault(self._seed, number, name, time, is_stream=is_stream)
        is_intact = script.prompt(self._seed, number) in _strings(value)
        self._note({"n": number, "provider": name, "fault": fault, "intact": is_intact})
        attempt = _Attempt(self._seed, number, name, time, connection)
        attempt.is_call = bool(value.get("tools"))
        await attempt.answer(fault, is_stream=is_stream)

    async def _judge(self, number: int, connection: "_Connection") -> None:
        tier, fault = script.judgement(self._seed, number)
        self._note({"n": number, "provider": script.JUDGE, "fault": fault, "intact": True})
        said = json.dumps({"tier": {"unknown": "best"}.get(fault, tier)})
        body = writing.whole(script.CHAT, "???" if fault == "nonsense" else said, is_call=False)
        match fault:
            case "500":
                connection.whole(b"{}", 500)
            case "silent":
                await connection.wait_gone()
            case "reset":
                connection.reset()
            case "cut":
                connection.whole(body, cut_at=len(body) // 2)
            case _:
                connection.whole(body)
        await connection.flush()

    def _note(self, line: dict[str, object]) -> None:
        os.write(self._journal, json.dumps(line).encode() + b"\n")


class _Connection:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    def send(self, data: bytes) -> None:
        self._writer.write(data)

    async def flush(self) -> None:
        await self._writer.drain()

    def whole(
        self, body: bytes, status: int = 200, more: bytes = b"", cut_at: int | None = None
    ) -> None:
        head = b"HTTP/1.1 %d X\r\n%bconnection: close\r\n" % (status, _JSON + more)
        self.send(head + b"content-length: %d\r\n\r\n" % len(body) + body[:cut_at])

    def head(self, kind: bytes) -> None:
        self.send(b"HTTP/1.1 200 OK\r\n" + kind + _CHUNKED + b"connection: close\r\n\r\n")

    def chunk(self, data: bytes) -> None:
        if data:
            self.send(b"%x\r\n%b\r\n" % (len(data), data))

    def reset(self) -> None:
        sock: socket.socket = self._writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._writer.transport.abort()

    async def wait_gone(self) -> None:
        with suppress(TimeoutError):
            await asyncio.wait_for(self._reader.read(1), LONGEST_SECONDS)


class _Attempt:
    """One answer, with its fault."""

    is_call = False

    def __init__(
        self, seed: int, number: int, name: str, time: int, connection: _Connection
    ) -> None:
        self._number = number
        self._text = script.right_text(seed, number, name)
        self._dialect = script.PROVIDERS[name]
        self._chance = script.details(seed, number, name, time)
        self._to = connection

    async def answer(self, fault: str, *, is_stream: bool) -> None:
        to = self._to
        if fault == "silent":
            await to.wait_gone()
        elif fault == "reset":
            to.reset()
        elif fault == "garbage":
            to.send(b"\x16\x03\x01 this is no HTTP\r\n\r\n")
        elif fault.isdigit():
            wait = b"retry-after: 1\r\n" if fault == "429" and self._chance.random() < 0.3 else b""
            to.whole(writing.error_body(self._dialect, self._number), int(fault), wait)
        else:
            await asyncio.sleep(self._chance.random() * 0.05)
            if fault == "empty":
                self._text = ""
            await (self._stream(fault) if is_stream else self._whole(fault))
        await to.flush()

    async def _whole(self, fault: str) -> None:
        to, chance = self._to, self._chance
        body = writing.whole(self._dialect, self._text, is_call=self.is_call)
        cut_at = chance.randrange(len(body))
        match fault:
            case "cut":
                to.whole(body, cut_at=cut_at)
            case "malformed":
                to.whole(body[:cut_at])
            case "error":
                to.whole(writing.error_body(self._dialect, self._number))
            case "page":
                to.whole(b"<html>no</html>")
            case "silent body":
                to.head(_JSON)
                await to.wait_gone()
            case "stall":
                to.whole(body, cut_at=cut_at)
                await to.wait_gone()
            case "cut chunked":
                to.head(_JSON)
                to.chunk(body[:cut_at])
            case "drip":
                to.head(_JSON)
                await self._drip(body)
                to.send(b"0\r\n\r\n")
            case _ if chance.random() < 0.5:
                to.whole(body)
            case _:
                to.head(_JSON)
                for data in _cut_anywhere(body, chance, 4):
                    to.chunk(data)
                    await asyncio.sleep(0)
                to.send(b"0\r\n\r\n")

    async def _stream(self, fault: str) -> None:
        to, chance = self._to, self._chance
        made = writing.stream(self._dialect, self._text, chance, is_call=self.is_call)
        until = chance.randint(0, len(made.content))
        before = b"".join([*made.start, *made.content[:until]])
        to.head(_EVENTS)
        match fault:
            case "silent body":
                await to.wait_gone()
            case "stall":
                to.chunk(before)
                await to.wait_gone()
            case "cut" | "reset later":
                await self._slowly(before[: chance.randint(0, len(before))])
                if fault == "reset later":
                    to.reset()
            case "malformed":
                await self._slowly(before + b"data: {oops\n\n")
                to.send(b"0\r\n\r\n")
            case "error":
                await self._slowly(before + writing.error_event(self._dialect))
                to.send(b"0\r\n\r\n")
            case "no end":
                await self._slowly(b"".join([*made.start, *made.content]))
                to.send(b"0\r\n\r\n")
            case _:
                end = made.end
                if fault == "no done" and self._dialect == script.CHAT:
                    end = end[:-1]
                all_of_it = b"".join([*made.start, *made.content, *end])
                await (self._drip if fault == "drip" else self._slowly)(all_of_it)
                to.send(b"0\r\n\r\n")

    async def _slowly(self, data: bytes) -> None:
        """In some chunks that begin and end anywhere, with short pauses."""
        for piece in _cut_anywhere(data, self._chance, self._chance.randint(1, 6)):
            self._to.chunk(piece)
            await self._to.flush()
            await asyncio.sleep(self._chance.random() * 0.03)

    async def _drip(self, data: bytes) -> None:
        """For a second or two, in many small chunks."""
        for piece in _cut_anywhere(data, self._chance, 20):
            self._to.chunk(piece)
            await self._to.flush()
            await asyncio.sleep(self._chance.random() * 0.2)


def _cut_anywhere(data: bytes, chance: Random, count: int) -> list[bytes]:
    places = sorted(chance.randint(0, len(data)) for _ in range(count - 1))
    bounds = [0, *places, len(data)]
    return [data[start:stop] for start, stop in pairwise(bounds)]


def _strings(value: object) -> set[str]:
    if isinstance(value, str):
        return {value}
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else []
    return {text for item in inner for text in _strings(item)}


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        asyncio.run(Provider(int(sys.argv[2]), Path(sys.argv[3])).serve(int(sys.argv[1])))
