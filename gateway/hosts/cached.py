"""A store that is asked for the same key once in a while only, where asking is slow or costs."""

from gateway.ports import UNCHANGED, Clock, Entry, KvStore, Stamp, Unchanged


class CachedKv:
    """KvStore over another. A key is read again `seconds` after it was last read or written.

    Absence is remembered too. What was written here is what is read here until then, since a store
    of many places shows a write late. A failure is not remembered.
    """

    def __init__(self, store: KvStore, clock: Clock, seconds: float) -> None:
        self._store = store
        self._clock = clock
        self._seconds = seconds
        self._known: dict[str, tuple[float, Entry | None]] = {}

    async def get(self, key: str, unless: Stamp | None = None) -> Entry | Unchanged | None:
        until, entry = self._known.get(key, (0.0, None))
        if self._clock.monotonic() >= until:
            found = await self._store.get(key, entry.stamp if entry else None)
            entry = entry if isinstance(found, Unchanged) else found
            self._remember(key, entry)
        return UNCHANGED if entry and entry.stamp == unless else entry

    async def put(self, key: str, value: bytes) -> None:
        await self._store.put(key, value)
        self._remember(key, Entry(value, object()))  # its real stamp is not known

    async def delete(self, key: str) -> None:
        await self._store.delete(key)
        self._remember(key, None)

    def _remember(self, key: str, entry: Entry | None) -> None:
        self._known[key] = (self._clock.monotonic() + self._seconds, entry)
