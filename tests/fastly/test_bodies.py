"""Bodies where the platform does as it may, and Viceroy does not: by a stand-in of its SDK."""

from dataclasses import dataclass, field
from types import ModuleType, SimpleNamespace

import pytest

from gateway.hosts.common import run
from gateway.ports import Cut, KvUnavailable, Stalled
from tests.fastly.conftest import Import


@dataclass
class Body:
    """A body of the platform. To be read, it comes in `pieces`; None is a wait without end."""

    pieces: list[bytes | None] = field(default_factory=list)
    is_cut: bool = False
    written: bytes = b""
    writes: int = 0
    reads: int = 0
    is_dropped: bool = False

    def __exit__(self, *_: object) -> None:
        self.is_dropped = True


@dataclass
class Platform:
    """What the SDK's functions do. `takes`: bytes of a write at once. `store`: what was put."""

    bodies: ModuleType
    stores: ModuleType
    takes: int = 1 << 30
    waits: list[int] = field(default_factory=list)
    store: dict[str, bytes] = field(default_factory=dict)
    is_store_there: bool = True

    def new(self) -> Body:
        return Body()

    def write(self, body: Body, data: bytes) -> int:
        body.writes += 1
        body.written += data[: self.takes]
        return min(len(data), self.takes)

    def read(self, body: Body, size: int) -> bytes:
        body.reads += 1
        piece = body.pieces.pop(0) if body.pieces else b""
        assert piece is not None, "it waited for ever"
        if len(piece) > size:
            body.pieces.insert(0, piece[size:])
        return piece[:size]

    def get_known_length(self, body: Body) -> int | None:
        return None if body.pieces or body.is_cut else 0

    def select_with_timeout(self, handles: list[object], timeout_ms: int) -> int | None:
        (handle,) = handles
        self.waits.append(timeout_ms)
        if isinstance(handle, Body):
            return None if handle.pieces and handle.pieces[0] is None else 0
        return 0 if self.is_store_there else None

    def insert_async(self, key: str, body: Body, _options: object) -> Body | SimpleNamespace:
        self.store[key] = body.written
        return SimpleNamespace(__exit__=lambda *_: None)


@pytest.fixture
def platform(stubbed: Import) -> Platform:
    """The stand-in, in the place of the SDK's stubs."""
    made = Platform(stubbed("gateway.hosts.fastly_bodies"), stubbed("gateway.hosts.fastly_stores"))
    http_body = stubbed("wit_world.imports.http_body")
    for name in ("new", "write", "read", "get_known_length"):
        setattr(http_body, name, getattr(made, name))
    async_io = stubbed("wit_world.imports.async_io")
    async_io.select_with_timeout = made.select_with_timeout  # type: ignore[attr-defined]
    kv_store = stubbed("wit_world.imports.kv_store")
    kv_store.Store = SimpleNamespace(  # type: ignore[attr-defined]
        open=lambda _name: SimpleNamespace(insert_async=made.insert_async)
    )
    kv_store.await_insert = lambda _pending: None  # type: ignore[attr-defined]
    return made


DATA = bytes(range(256)) * 3000


@pytest.mark.parametrize("takes", [1 << 30, 100_000, 65_537, 999])
def test_all_of_it_is_written(platform: Platform, takes: int) -> None:
    """A write that takes less than it was given is followed by another, until all is written."""
    platform.takes = takes
    body = Body()
    platform.bodies.write_all(body, DATA)
    assert body.written == DATA
    stream = Body()
    platform.bodies.write_all(stream, DATA, lambda: 7)
    assert stream.written == DATA
    assert platform.waits == [7] * stream.writes


def test_all_of_a_value_is_stored(platform: Platform) -> None:
    """So it is for a value of the store: half a policy is never put there."""
    platform.takes = 1000
    run(platform.stores.FastlyKv("tiergate").put("key", DATA))
    assert platform.store == {"key": DATA}


def test_a_store_that_hangs_is_given_up(platform: Platform) -> None:
    """A store that does not answer is unavailable after its time."""
    platform.is_store_there = False
    with pytest.raises(KvUnavailable):
        run(platform.stores.FastlyKv("tiergate").put("key", b"x"))
    assert platform.waits == [platform.stores.KV_TIMEOUT_MS]


def test_one_that_does_not_read_is_given_up(platform: Platform) -> None:
    """Writing to a client waits as long as it is told, and no longer."""
    with pytest.raises(Stalled):
        platform.bodies.write_all(Body([None]), b"x", lambda: 50)
    assert platform.waits == [50]


def _upload(platform: Platform, body: Body, length: int | None = None) -> bytes | None:
    found: bytes | None = platform.bodies.read_upload(body, length, 1000, 100, lambda: 9)
    return found


@pytest.mark.parametrize("pieces", [[b"x" * 1000], [b"x" * 400, b"x" * 600], [b"x"] * 1000])
def test_an_upload(platform: Platform, pieces: list[bytes | None]) -> None:
    """A body up to the limit is read to its end, with a length and without."""
    assert _upload(platform, Body(list(pieces)), 1000) == b"x" * 1000
    assert _upload(platform, Body(list(pieces))) == b"x" * 1000
    assert _upload(platform, Body(), 0) == b""
    assert _upload(platform, Body()) == b""


def test_an_upload_that_says_that_it_is_too_large(platform: Platform) -> None:
    """A body whose length is over the limit is refused before a byte of it is read."""
    body = Body([b"x" * 500, None])
    assert _upload(platform, body, 1001) is None
    assert body.reads == 0


def test_an_upload_that_turns_out_too_large(platform: Platform) -> None:
    """Of a body that does not say, a little over the limit is read, so that a client that is
    nearly done reads its refusal; and no more than that."""
    body = Body([b"x" * 1001])
    assert _upload(platform, body) is None
    assert body.reads == 2
    endless = Body([b"x" * 50] * 1000)
    assert _upload(platform, endless) is None
    assert endless.reads * 50 < 1200


@pytest.mark.parametrize("pieces", [[None], [b"x", None]])
def test_an_upload_that_does_not_come(platform: Platform, pieces: list[bytes | None]) -> None:
    """One that stops coming is waited for as long as is left, and not read as if it had ended."""
    with pytest.raises(Stalled):
        _upload(platform, Body(list(pieces)))
    assert set(platform.waits) == {9}


def test_an_upload_that_is_cut(platform: Platform) -> None:
    """One that breaks off is no body, with a length and without."""
    with pytest.raises(Cut):
        _upload(platform, Body([b"x" * 10]), 11)
    with pytest.raises(Cut):
        _upload(platform, Body([b"x" * 10], is_cut=True))
