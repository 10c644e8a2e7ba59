"""Publishing is whole, on record, and can be taken back."""

import threading
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from gateway.core.errors import PolicyError
from gateway.core.policy import LEVELS
from gateway.operator.compile import Compiled, compile_text
from gateway.operator.stores import (
    HISTORY,
    KEPT,
    DirectoryStore,
    StoreError,
    history,
    open_store,
    publish,
    rollback,
)
from gateway.policies import ACTIVE, GOOD
from gateway.weights import stored
from tests.operator.policies import SMALL, changed
from tests.weights import leaning


def policy(name: str) -> bytes:
    return compile_text(changed(SMALL, '"small"', f'"{name}"'), "p.toml").data


@pytest.fixture
def store(tmp_path: Path) -> DirectoryStore:
    return DirectoryStore(tmp_path / "kv")


class Recording(DirectoryStore):
    """A directory store that remembers the order of writes, and can fail at a key."""

    def __init__(self, root: Path, fails_at: str = "") -> None:
        super().__init__(root)
        self.order: list[str] = []
        self.fails_at = fails_at

    def write(self, key: str, value: bytes) -> None:
        if key == self.fails_at:
            raise StoreError("full")
        self.order.append(key)
        super().write(key, value)


def test_a_key_is_a_file_of_that_name(tmp_path: Path) -> None:
    """`dir:PATH` keeps policy/active in PATH/policy/active, where the gateway reads it."""
    store = open_store(f"dir:{tmp_path}/kv")
    store.write(ACTIVE, b"x")
    assert (tmp_path / "kv/policy/active").read_bytes() == b"x"
    assert store.read(ACTIVE) == b"x"
    store.delete(ACTIVE)
    assert store.read(ACTIVE) is None


def test_an_unknown_store_names_those_there_are() -> None:
    """A scheme of a later version, or a bare path, is answered with what exists."""
    with pytest.raises(StoreError, match="there is dir:PATH"):
        open_store("redis://127.0.0.1")
    with pytest.raises(StoreError, match="write dir:some/path"):
        open_store("some/path")


@pytest.mark.parametrize("key", ["", "../x", "policy/../../x", "/etc/passwd", "policy//x"])
def test_no_key_leaves_the_folder(store: DirectoryStore, key: str) -> None:
    """A key cannot name a file outside of the store."""
    with pytest.raises(StoreError):
        store.write(key, b"x")


def test_a_reader_sees_one_whole_value_or_the_other(store: DirectoryStore) -> None:
    """While a value is replaced again and again, no read gives a mixture or nothing."""
    values = {b"a" * 200_000, b"b" * 200_000}
    store.write(ACTIVE, b"a" * 200_000)
    is_done = threading.Event()
    seen: list[bytes | None] = []

    def read() -> None:
        while not is_done.is_set():
            seen.append(store.read(ACTIVE))

    reader = threading.Thread(target=read)
    reader.start()
    for value in [*values] * 30:
        store.write(ACTIVE, value)
    is_done.set()
    reader.join()
    assert len(seen) > 5
    assert set(seen) <= values


def test_writing_leaves_nothing_else_behind(store: DirectoryStore) -> None:
    """Neither a write nor a failed one leaves a temporary file, and `keys` shows none."""
    store.write(ACTIVE, b"x")
    (store.root / "policy/folder").mkdir()
    with pytest.raises(StoreError):
        store.write("policy/folder", b"y")
    assert [path.name for path in (store.root / "policy").iterdir() if path.is_file()] == ["active"]
    assert store.keys("policy/") == [ACTIVE]


def test_history_is_written_first_and_active_last(tmp_path: Path) -> None:
    """Whatever is active is on record, and `good` is never behind it."""
    store = Recording(tmp_path)
    publish(store, policy("a"))
    assert store.order == [f"{HISTORY}000001", GOOD, ACTIVE]
    assert store.read(GOOD) == store.read(ACTIVE) == policy("a")


def test_publishing_the_active_policy_again_changes_nothing(tmp_path: Path) -> None:
    """The second publish of the same policy writes nothing and says so."""
    store = Recording(tmp_path)
    assert publish(store, policy("a")).changed
    store.order.clear()
    again = publish(store, policy("a"))
    assert (again.changed, again.n, store.order) == (False, 1, [])


@pytest.mark.parametrize("key", [ACTIVE, GOOD])
def test_publishing_repairs_a_store_whose_copies_differ(store: DirectoryStore, key: str) -> None:
    """If active or good was changed behind our back, publishing the same policy puts it right."""
    publish(store, policy("a"))
    store.write(key, b"torn")
    assert publish(store, policy("a")).changed
    assert store.read(ACTIVE) == store.read(GOOD) == policy("a")
    assert len(history(store)) == 1


def test_a_publish_cut_short_is_finished_by_the_next(tmp_path: Path) -> None:
    """A failure between the writes leaves the old policy active; trying again makes no twin."""
    publish(DirectoryStore(tmp_path), policy("a"))
    with pytest.raises(StoreError):
        publish(Recording(tmp_path, fails_at=ACTIVE), policy("b"))
    store = DirectoryStore(tmp_path)
    assert store.read(ACTIVE) == policy("a")
    assert publish(store, policy("b")).n == 2
    assert [entry.n for entry in history(store)] == [1, 2]


def test_nothing_is_published_that_does_not_load(store: DirectoryStore) -> None:
    """Bytes that the gateway would refuse never reach the store."""
    publish(store, policy("a"))
    with pytest.raises(PolicyError):
        publish(store, policy("b").replace(b'"b"', b'"c"'))
    assert store.read(ACTIVE) == policy("a")
    assert len(history(store)) == 1


def test_history_keeps_the_last_entries_and_counts_on(store: DirectoryStore) -> None:
    """Old entries go, numbers are never used twice, the active one stays."""
    for number in range(KEPT + 3):
        publish(store, policy(f"p{number}"))
    entries = history(store)
    assert [entry.n for entry in entries] == list(range(4, KEPT + 4))
    assert [entry.n for entry in entries if entry.is_active] == [KEPT + 3]
    assert all(entry.published and entry.policy for entry in entries)


# --- weights of a policy's own ---------------------------------------------------


def judging(name: str, bias: float) -> Compiled:
    """A policy that names weights of its own."""
    weights = leaning(**dict.fromkeys(LEVELS, bias))
    with TemporaryDirectory() as folder:
        (Path(folder) / "ours.weights").write_bytes(weights)
        text = changed(SMALL, '"small"', f'"{name}"')
        text += '[classifier]\nmode = "local"\nweights = "ours.weights"\n'
        text = changed(text, 'name = "all"', 'name = "all"\nlevel = "balanced"')
        return compile_text(text, "p.toml", folder=Path(folder))


def key_of(compiled: Compiled) -> str:
    return f"classifier/{compiled.policy.classifier.weights}"


def test_weights_are_there_before_the_policy_that_names_them(tmp_path: Path) -> None:
    """No gateway reads a policy whose weights are still missing."""
    store = Recording(tmp_path)
    compiled = judging("a", 1.0)
    publish(store, compiled.data, compiled.weights)
    assert store.order == [key_of(compiled), f"{HISTORY}000001", GOOD, ACTIVE]
    assert store.read(key_of(compiled)) == stored(compiled.weights or b"")
    store.order.clear()
    publish(store, judging("b", 1.0).data, compiled.weights)
    assert store.order == [f"{HISTORY}000002", GOOD, ACTIVE]


def test_weights_go_with_the_last_policy_that_names_them(store: DirectoryStore) -> None:
    """As long as one can go back to a policy its weights are kept."""
    first, second = judging("a", 1.0), judging("b", 2.0)
    publish(store, first.data, first.weights)
    for number in range(KEPT - 1):
        publish(store, policy(f"p{number}"))
    assert store.read(key_of(first)) is not None
    publish(store, second.data, second.weights)
    assert store.read(key_of(first)) is None
    assert store.read(key_of(second)) is not None


def test_rollback_goes_to_the_one_before(store: DirectoryStore) -> None:
    """Without a version it is the newest policy that differs from the active one."""
    publish(store, policy("a"))
    publish(store, policy("b"))
    result = rollback(store)
    assert (result.policy.name, result.n) == ("a", 3)
    assert store.read(ACTIVE) == store.read(GOOD) == policy("a")


def test_rollback_takes_a_version_or_its_beginning(store: DirectoryStore) -> None:
    """Any version in the history can be named, whole or in part."""
    versions = [publish(store, policy(name)).policy.version for name in "abc"]
    assert rollback(store, versions[0]).policy.name == "a"
    assert rollback(store, versions[1][:6]).policy.name == "b"


def test_rollback_refuses_what_it_cannot_do(store: DirectoryStore) -> None:
    """No earlier policy, an unknown version and an ambiguous one are each said plainly."""
    publish(store, policy("a"))
    with pytest.raises(StoreError, match="no earlier policy"):
        rollback(store)
    with pytest.raises(StoreError, match="no version 000"):
        rollback(store, "000")
    publish(store, policy("b"))
    with pytest.raises(StoreError, match="several versions"):
        rollback(store, "")


def test_rollback_after_active_was_lost(store: DirectoryStore) -> None:
    """With active deleted, rolling back brings back what was published last."""
    publish(store, policy("a"))
    publish(store, policy("b"))
    store.delete(ACTIVE)
    assert rollback(store).policy.name == "b"


def test_an_entry_that_does_not_load_is_shown_but_not_published(store: DirectoryStore) -> None:
    """A torn history entry says what is wrong with it, and rollback does not make it active."""
    publish(store, policy("a"))
    publish(store, policy("b"))
    store.write(f"{HISTORY}000001", b"torn")
    assert history(store)[0].problem
    with pytest.raises(PolicyError):
        rollback(store)
    assert store.read(ACTIVE) == policy("b")
