"""A store that is asked for the same key once in a while only, where asking is slow or costs."""

from collections.abc import Awaitable, Callable
from functools import partial

from gateway.ports import UNCHANGED, Clock, Entry, KvStore, KvUnavailable, Stamp, Unchanged

SLOW_SECONDS = 0.5  # that a failure takes where the store hangs


class CachedKv:
    """KvStore over another. A key is read again `seconds` after it was last read or written.

    Absence is remembered too. What was written here is what is read here until then, since a store
    of many places shows a write late. A failure is not remembered, unless it was slow: a store that
    hangs is left alone for as long, so that one request waits for it and not each of them.
    """

    def __init__(self, store: KvStore, clock: Clock, seconds: float) -> None:
        self._store = store
        self._clock = clock
        self._seconds = seconds
        self._known: dict[str, tuple[float, Entry | None]] = {}
        self._hangs_until = 0.0

    async def get(self, key: str, unless: Stamp | None = None) -> Entry | Unchanged | None:
        until, entry = self._known.get(key, (0.0, None))
        if self._clock.monotonic() >= until:
            found = await self._ask(partial(self._store.get, key, entry.stamp if entry else None))
            entry = entry if isinstance(found, Unchanged) else found
            self._remember(key, entry)
        return UNCHANGED if entry and entry.stamp == unless else entry

    async def put(self, key: str, value: bytes) -> None:
        await self._ask(partial(self._store.put, key, value))
        self._remember(key, Entry(value, object()))  # its real stamp is not known

    async def delete(self, key: str) -> None:
        await self._ask(partial(self._store.delete, key))
        self._remember(key, None)

    async def _ask[T](self, call: Callable[[], Awaitable[T]]) -> T:
        """What the store says, unless it hangs. Raises KvUnavailable."""
        asked = self._clock.monotonic()
        if asked < self._hangs_until:
            raise KvUnavailable
        try:
            return await call()
        except KvUnavailable:
            failed = self._clock.monotonic()
            if failed - asked >= SLOW_SECONDS:
                self._hangs_until = failed + self._seconds
            raise

    def _remember(self, key: str, entry: Entry | None) -> None:
        self._known[key] = (self._clock.monotonic() + self._seconds, entry)
