"""The clients: raw HTTP over sockets, so that nothing is mended on the way.

Rule: an answer is whole only if its framing says so; everything else is how it did not end.
"""

import asyncio
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Literal

from soak import script, writing
from soak.script import Asked

GIVE_UP_SECONDS = 10.0  # after its deadline, when a client waits for its request no longer
PAUSE_SECONDS = 1.0  # after a connection error, before the next request
STALE_SECONDS = 0.5  # within which a kept connection shows that it was not kept
SLOW_SECONDS = 1.0  # for which a slow reader does not read
SMALL, LARGE = 1 << 14, 1 << 20  # bytes that a client takes in ahead of its reading
LOOK_SECONDS = 0.05  # between two looks at how late the machine is

type How = Literal["whole", "cut", "no connection", "left", "overdue", "no HTTP"]


@dataclass(slots=True)
class Seen:
    """What a client saw of one request. Times in monotonic seconds. `deadline`: seconds that it
    had. `late`: those for which the machine kept clients or gateway waiting. `body`: as far as it
    came."""

    asked: Asked
    started: float
    deadline: float
    late: float = 0.0
    ended: float = 0.0
    how: How = "cut"
    status: int | None = None
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""

    @property
    def seconds(self) -> float:
        return self.ended - self.started

    @property
    def request_id(self) -> str | None:
        return self.headers.get("x-tiergate-request-id")


class _NoHttp(Exception):
    """The answer is not framed as HTTP is."""


class Client:
    """One connection, kept alive as long as it is well."""

    def __init__(self, port: int, seed: int, total_ms: int, more_seconds: float) -> None:
        self._port, self._seed, self._total_ms = port, seed, total_ms
        self._more_seconds = more_seconds
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def send(self, asked: Asked) -> Seen:
        """One request to its end, or to where its client loses patience."""
        deadline = min(self._total_ms, asked.timeout_ms or self._total_ms) / 1000
        seen = Seen(asked, time.monotonic(), deadline)
        leaves = asked.leaves_after_ms
        patience = deadline + self._more_seconds if leaves is None else leaves / 1000
        try:
            async with asyncio.timeout(patience):
                is_kept = await self._exchange(seen)
            seen.how = "whole"
        except TimeoutError:
            seen.how, is_kept = "overdue" if leaves is None else "left", False
        except _NoHttp:
            seen.how, is_kept = "no HTTP", False
        except (OSError, asyncio.IncompleteReadError):
            seen.how, is_kept = "cut" if seen.status else "no connection", False
        seen.ended = time.monotonic()
        if not is_kept:
            self.close()
        return seen

    def close(self) -> None:
        if self._streams:
            self._streams[1].close()
            self._streams = None

    async def _exchange(self, seen: Seen) -> bool:
        """Reads an answer; whether the connection may be used again."""
        data = self._written(seen.asked)
        if self._streams:
            # Whoever keeps a connection must be ready for the other side's not having kept it.
            with suppress(OSError, asyncio.IncompleteReadError):
                return await self._ask(seen, data, *self._streams)
            if seen.status or time.monotonic() - seen.started > STALE_SECONDS:
                raise ConnectionResetError  # it was under way
            self.close()
        limit = SMALL if seen.asked.reads_slowly else LARGE
        self._streams = await asyncio.open_connection("127.0.0.1", self._port, limit=limit)
        return await self._ask(seen, data, *self._streams)

    async def _ask(
        self, seen: Seen, data: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> bool:
        if seen.asked.sends_half:
            writer.write(data[: len(data) // 2])
            await asyncio.sleep(GIVE_UP_SECONDS)  # it leaves before
        writer.write(data)
        await writer.drain()
        line, *rows = (await reader.readuntil(b"\r\n\r\n"))[:-4].decode("latin-1").split("\r\n")
        version, _, rest = line.partition(" ")
        if not version.startswith("HTTP/1.") or not rest[:3].isdigit():
            raise _NoHttp
        pairs = [row.partition(":") for row in rows]
        seen.headers = {name.lower(): value.strip() for name, _, value in pairs}
        seen.status = int(rest[:3])
        if seen.asked.reads_slowly:
            await asyncio.sleep(SLOW_SECONDS)  # its buffer is small: the rest has to wait
        if seen.headers.get("transfer-encoding") == "chunked":
            await _read_chunks(seen, reader)
        elif "content-length" in seen.headers:
            left = int(seen.headers["content-length"])
            while left:
                piece = await reader.read(min(left, 1 << 16))
                if not piece:
                    raise asyncio.IncompleteReadError(b"", left)
                seen.body += piece
                left -= len(piece)
        else:
            raise _NoHttp
        return seen.headers.get("connection") != "close"

    def _written(self, asked: Asked) -> bytes:
        path, body = writing.path_and_body(asked, script.prompt(self._seed, asked.number))
        fields = {
            "host": "soak",
            "content-type": "application/json",
            "content-length": str(len(body)),
            "x-tiergate-tier": asked.tier,
            "x-tiergate-stream-guard": asked.guard,
            "x-tiergate-timeout-ms": asked.timeout_ms and str(asked.timeout_ms),
        }
        rows = "".join(f"{name}: {value}\r\n" for name, value in fields.items() if value)
        return f"POST {path} HTTP/1.1\r\n{rows}\r\n".encode() + body


async def _read_chunks(seen: Seen, reader: asyncio.StreamReader) -> None:
    pieces = []
    try:
        while True:
            size = (await reader.readuntil(b"\r\n")).strip()
            try:
                length = int(size, 16)
            except ValueError:
                raise _NoHttp from None
            piece = await reader.readexactly(length + 2)
            if piece[-2:] != b"\r\n":
                raise _NoHttp
            if not length:
                return
            pieces.append(piece[:-2])
    finally:
        seen.body = b"".join(pieces)


class Lateness:
    """How late the machine, since it had others to run, let these clients go on, and the gateway:
    as (when, how much), in seconds. That is no delay of the gateway's own.

    `waited`: for how long each of the gateway's threads was ready and not run, in all, by its id.
    """

    def __init__(self, waited: Callable[[], Mapping[str, float]]) -> None:
        self._waited = waited
        self._times: list[tuple[float, float]] = []

    async def watch(self) -> None:
        """Until it is cancelled."""
        before = self._waited()
        while True:
            due = time.monotonic() + LOOK_SECONDS
            await asyncio.sleep(LOOK_SECONDS)
            now, after = time.monotonic(), self._waited()
            of_gateway = sum(after[id_] - before.get(id_, 0.0) for id_ in after)
            self._times.append((now, now - due + of_gateway))
            before = after

    def during(self, start: float, stop: float) -> float:
        return sum(late for at, late in self._times if start <= at <= stop + LOOK_SECONDS)


async def run_clients(
    port: int,
    seed: int,
    numbers: range,
    connections: int,
    total_ms: int,
    take: Callable[[Seen], None],
    more_seconds: float = GIVE_UP_SECONDS,
    waited: Callable[[], Mapping[str, float]] = dict,
) -> None:
    """These requests, so many at a time; each is given to `take` when it has ended."""
    left = iter(numbers)
    lateness = Lateness(waited)

    async def work() -> None:
        client = Client(port, seed, total_ms, more_seconds)
        for number in left:
            seen = await client.send(script.asked(seed, number))
            seen.late = lateness.during(seen.started, seen.ended)
            take(seen)
            if seen.how in {"no connection", "cut"}:
                await asyncio.sleep(PAUSE_SECONDS)
        client.close()

    watch = asyncio.create_task(lateness.watch())
    async with asyncio.TaskGroup() as group:
        for _ in range(connections):
            group.create_task(work())
    watch.cancel()
