"""A store that is asked once in a while: how late a change may be seen, by a controlled clock."""

import pytest

from gateway.hosts.cached import CachedKv
from gateway.hosts.memory import MemoryClock, MemoryKv, run
from gateway.ports import Entry, KvUnavailable, Stamp, Unchanged

SECONDS = 5.0


HANGING_SECONDS = 2.0  # after which a host gives its store up


class Counting(MemoryKv):
    """A store that counts how often it is asked, and takes its time where it hangs."""

    reads = 0
    asked = 0
    is_hanging = False
    clock: MemoryClock

    async def get(self, key: str, unless: Stamp | None = None) -> Entry | Unchanged | None:
        self.reads += 1
        return await super().get(key, unless)

    def _check(self) -> None:
        self.asked += 1
        if self.is_hanging:
            self.clock.time += HANGING_SECONDS
            raise KvUnavailable
        super()._check()


class World:
    def __init__(self) -> None:
        self.store = Counting({"key": b"one"})
        self.clock = self.store.clock = MemoryClock()
        self.cached = CachedKv(self.store, self.clock, SECONDS)

    def get(self, unless: Stamp | None = None) -> bytes | Unchanged | None:
        found = run(self.cached.get("key", unless))
        return found.value if isinstance(found, Entry) else found

    def stamp(self) -> Stamp:
        found = run(self.cached.get("key"))
        assert isinstance(found, Entry)
        return found.stamp


@pytest.fixture
def world() -> World:
    return World()


@pytest.mark.parametrize("change", [b"two", None], ids=["replaced", "deleted"])
def test_a_change_is_seen_when_its_time_has_come(world: World, change: bytes | None) -> None:
    """What another has changed is read after that time, and not asked for before."""
    assert world.get() == b"one"
    stamp = world.stamp()
    if change is None:
        del world.store.values["key"]
    else:
        world.store.values["key"] = change
    world.clock.time += SECONDS - 0.001
    assert world.get() == b"one"
    assert isinstance(world.get(stamp), Unchanged)
    assert world.store.reads == 1
    world.clock.time += 0.001
    assert world.get(stamp) == change
    assert world.store.reads == 2


def test_absence_is_remembered(world: World) -> None:
    """A key that is not there is not asked for at each request either."""
    world.store.values.clear()
    assert world.get() is None
    world.store.values["key"] = b"new"
    assert world.get() is None
    world.clock.time += SECONDS
    assert world.get() == b"new"


def test_time_passes_from_the_last_read(world: World) -> None:
    """A value that has not changed is remembered for as long again."""
    stamp = world.stamp()
    for expected in (1, 2, 3):
        assert isinstance(world.get(stamp), Unchanged)
        assert world.store.reads == expected
        world.clock.time += SECONDS


def test_own_writes_are_seen_at_once(world: World) -> None:
    """What was written or deleted here is what is read here, though the store shows it late."""
    stamp = world.stamp()
    run(world.cached.put("key", b"mine"))
    world.store.values["key"] = b"one"  # not there yet, where it is read
    assert world.get(stamp) == b"mine"
    run(world.cached.delete("key"))
    world.store.values["key"] = b"one"
    assert world.get() is None
    world.clock.time += SECONDS
    assert world.get() == b"one"


def test_a_quick_failure_is_not_remembered(world: World) -> None:
    """A store that says at once that it cannot be read is asked again by the next request; a write
    that failed is none."""
    world.store.is_broken = True
    with pytest.raises(KvUnavailable):
        world.get()
    with pytest.raises(KvUnavailable):
        run(world.cached.put("key", b"mine"))
    world.store.is_broken = False
    assert world.get() == b"one"


def test_one_request_waits_for_a_store_that_hangs(world: World) -> None:
    """A store that hangs is given up once in a while: what is asked meanwhile fails at once, for
    whatever key, and nothing is written."""
    world.store.is_hanging = True
    began = world.clock.time
    for doing in (
        world.cached.get("key"),
        world.cached.get("another"),
        world.cached.put("third", b"mine"),
        world.cached.delete("key"),
        world.cached.get("key"),
    ):
        with pytest.raises(KvUnavailable):
            run(doing)
    assert world.clock.time == began + HANGING_SECONDS
    assert world.store.asked == 1


def test_a_store_that_hung_is_asked_again(world: World) -> None:
    """It is asked again when a policy would be read again, and its word counts from then on."""
    world.store.is_hanging = True
    with pytest.raises(KvUnavailable):
        world.get()
    world.store.is_hanging = False
    world.clock.time += SECONDS - 0.001
    with pytest.raises(KvUnavailable):
        world.get()
    world.clock.time += 0.001
    assert world.get() == b"one"
    run(world.cached.put("key", b"mine"))
    assert world.get() == b"mine"


def test_what_is_known_is_served_while_a_store_hangs(world: World) -> None:
    """Until its time has come, a value is there without the store."""
    stamp = world.stamp()
    world.store.is_hanging = True
    with pytest.raises(KvUnavailable):
        run(world.cached.get("another"))
    assert isinstance(world.get(stamp), Unchanged)
