"""Deadlines under a host that cannot cancel what has begun: of a head, of each chunk of a stream.

Rules of the platform that shape this module:
- A read that has begun ends when the host says so: by bytes, by the end, by the request's own
  timeout. So it is made by a task of its own, and whoever waits for it may stop waiting.
- A task keeps its instance until it ends. The clock looks once a second at most, so it ends soon
  after the stream; a read that nobody waits for any more ends with the request's timeout.
"""

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable

from componentize_py_async_support import spawn
from wit_world.imports import monotonic_clock

from gateway.ports import Silent, Stalled, TransportError

NANOSECONDS = 1_000_000  # in a millisecond
MAX_AHEAD = (
    4  # chunks that are read before they are wanted, so that a slow client slows its provider
)
SHORTEST_LOOK_MS, LONGEST_LOOK_MS = 20, 1_000


async def expire[T](within_ms: int, result: "asyncio.Future[T | TransportError]") -> None:
    """Ends what is waited for, if it takes longer."""
    deadline = time.monotonic() + within_ms / 1000
    while not result.done():
        left_ms = (deadline - time.monotonic()) * 1000
        if left_ms <= 0:
            result.set_result(Silent())
            return
        await monotonic_clock.wait_for(int(min(left_ms + 1, LONGEST_LOOK_MS)) * NANOSECONDS)


class Pump:
    """Reads ahead with `read`; `drop` is called once nothing is read any more."""

    def __init__(self, read: Callable[[], Awaitable[bytes]], drop: Callable[[], None]) -> None:
        self._read = read
        self._drop = drop
        self._chunks: deque[bytes | Exception] = deque()
        self._waiting: asyncio.Future[None] | None = None  # for a chunk
        self._room: asyncio.Future[None] | None = None  # for a place to put one
        self._deadline: float | None = None  # of the chunk that is waited for
        self._is_closed = False
        spawn(self._run())

    async def next(self, within_ms: int) -> bytes:
        """The next chunk; b"" at the end. Raises Stalled, and what reading raises."""
        if not self._chunks:
            starts_clock = self._deadline is None
            self._deadline = time.monotonic() + within_ms / 1000
            self._waiting = asyncio.get_running_loop().create_future()
            if starts_clock:
                spawn(self._watch(within_ms))
            await self._waiting
            self._waiting = None
        chunk = self._chunks.popleft()
        if self._room is not None and not self._room.done():
            self._room.set_result(None)
        if isinstance(chunk, Exception):
            raise chunk
        return chunk

    def close(self) -> None:
        """Nobody waits any more."""
        self._is_closed = True
        if self._room is not None and not self._room.done():
            self._room.set_result(None)

    async def _run(self) -> None:
        while not self._is_closed:
            try:
                chunk: bytes | Exception = await self._read()
            except TransportError as error:
                chunk = error
            except Exception:  # it would trap the instance: this task is nobody's but its own
                chunk = Stalled()
            self._put(chunk)
            if chunk == b"" or isinstance(chunk, Exception):
                break
            if len(self._chunks) >= MAX_AHEAD and not self._is_closed:
                self._room = asyncio.get_running_loop().create_future()
                await self._room
                self._room = None
        self._drop()

    def _put(self, chunk: bytes | Exception) -> None:
        self._chunks.append(chunk)
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(None)

    async def _watch(self, within_ms: int) -> None:
        """Ends the wait that is over its deadline."""
        look_ms = max(SHORTEST_LOOK_MS, min(within_ms // 4, LONGEST_LOOK_MS))
        while not self._is_closed:
            await monotonic_clock.wait_for(look_ms * NANOSECONDS)
            is_waiting = self._waiting is not None and not self._waiting.done()
            if is_waiting and self._deadline is not None and time.monotonic() >= self._deadline:
                self._put(Stalled())
                return
