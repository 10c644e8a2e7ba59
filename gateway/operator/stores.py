"""Where published policies are kept, and what publishing means.

Rules: a value is stored whole or not at all; `policy/history/<n>` is written first, then
`policy/good`, then `policy/active`, so that what is active is always on record and `good` is never
behind; nothing is published that does not load. Two operators at once: the last one wins.

Keys are those that the gateway reads; n counts up, six digits, so that names sort by age.
"""

import os
import re
import shlex
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from gateway.core.compiled import load
from gateway.core.errors import PolicyError
from gateway.core.policy import Policy
from gateway.operator.files import write_whole
from gateway.operator.policystore import PolicyStore, StoreError, check_key
from gateway.policies import ACTIVE, GOOD
from gateway.weights import PREFIX as WEIGHTS_PREFIX
from gateway.weights import stored

__all__ = [
    "DEFAULT_STORE",
    "HISTORY",
    "KEPT",
    "Before",
    "DirectoryStore",
    "HistoryEntry",
    "PolicyStore",
    "Published",
    "StoreError",
    "history",
    "open_store",
    "publish",
    "rollback",
]

HISTORY = "policy/history/"
KEPT = 50  # Versions to roll back to; a policy is a few KB.
DEFAULT_STORE = "dir:.tiergate/kv"


class DirectoryStore:
    """A folder: the key `policy/active` is the file `policy/active` in it."""

    is_public = False

    def __init__(self, root: Path) -> None:
        self.root = root

    def __str__(self) -> str:
        return f"dir:{self.root.absolute()}"

    def read(self, key: str) -> bytes | None:
        try:
            return self._path(key).read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise _cannot("read", error) from None

    def write(self, key: str, value: bytes) -> None:
        path = self._path(key)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            write_whole(path, value)
        except OSError as error:
            raise _cannot("write", error) from None

    def delete(self, key: str) -> None:
        try:
            self._path(key).unlink(missing_ok=True)
        except OSError as error:
            raise _cannot("delete", error) from None

    def keys(self, prefix: str) -> list[str]:
        try:
            files = [path for path in self.root.rglob("*") if path.is_file()]
        except OSError as error:
            raise _cannot("list", error) from None
        names = [path.relative_to(self.root).as_posix() for path in files]
        return sorted(name for name in names if name.startswith(prefix) and "/." not in f"/{name}")

    def written(self, key: str) -> datetime | None:
        try:
            return datetime.fromtimestamp(self._path(key).stat().st_mtime, UTC)
        except OSError:
            return None

    def _path(self, key: str) -> Path:
        check_key(key)
        return self.root / key


def _cannot(verb: str, error: OSError) -> StoreError:
    return StoreError(f"cannot {verb} {error.filename}: {error.strerror}")


def open_store(where: str) -> PolicyStore:
    """The store at an address like `dir:.tiergate/kv` or `fastly:tiergate`. Raises StoreError."""
    scheme, colon, rest = where.partition(":")
    if scheme == "dir" and rest:
        return DirectoryStore(Path(rest))
    if scheme == "fastly" and rest:
        # An HTTP client, which a folder should not wait for.
        from gateway.operator.fastly.store import open_fastly  # noqa: PLC0415

        return open_fastly(rest, os.environ)
    hint = f"; for a folder write dir:{where}" if not colon and where != "fastly" else ""
    known = "there is dir:PATH, and fastly:STORE for a KV Store"
    raise StoreError(f"{where!r} is no store this version knows: {known}{hint}")


@dataclass(frozen=True, slots=True)
class Published:
    """What publishing did. `changed`: False if it was active already. `n`: its history entry.
    `before`: what was active until then, if anything. `was`: the entry it was rolled back to."""

    policy: Policy
    changed: bool
    n: int
    before: "Before | None" = None
    was: int | None = None


@dataclass(frozen=True, slots=True)
class Before:
    """The policy that was active, and since when if that is known."""

    label: str
    since: datetime | None


@dataclass(frozen=True, slots=True)
class HistoryEntry:
    """A policy that was published. `policy` is None where it does not load: `problem` says why."""

    n: int
    published: datetime | None
    is_active: bool
    policy: Policy | None
    problem: str | None


def publish(store: PolicyStore, data: bytes, weights: bytes | None = None) -> Published:
    """Makes a compiled policy the active one. `weights`: the file that its classifier names, if it
    names one; it is written first. Raises PolicyError if it does not load.

    Raises StoreError too where anyone could call: a public store takes no policy without keys.
    """
    policy = load(data)
    if store.is_public and policy.client_keys is None:
        raise StoreError(
            f"anyone can reach the gateways that read {store}, and the policy {policy.label} lets"
            ' anyone call. Add to the policy file:\n\n  [client]\n  keys = ["TIERGATE_KEY"]\n\n'
            "and store the key that clients must send as the secret TIERGATE_KEY"
        )
    if weights is not None:
        _keep_weights(store, policy, weights)
    entries = _entries(store)
    before = _before(store)
    if store.read(ACTIVE) == data == store.read(GOOD) and (key := _newest_with(store, data)):
        return Published(policy, changed=False, n=_number(key), before=before)
    # The last entry already is this one where an earlier publish was cut short.
    if not entries or store.read(entries[-1]) != data:
        entries.append(f"{HISTORY}{_number(entries[-1]) + 1 if entries else 1:06d}")
        store.write(entries[-1], data)
    store.write(GOOD, data)
    store.write(ACTIVE, data)
    _forget(store, entries[:-KEPT], entries[-KEPT:])
    return Published(policy, changed=True, n=_number(entries[-1]), before=before)


def _forget(store: PolicyStore, old: list[str], kept: list[str]) -> None:
    """Deletes old entries, and the weights that only they name."""
    if not old:
        return
    needed = {_weights_named(store, entry) for entry in kept}
    for entry in old:
        weights = _weights_named(store, entry)
        store.delete(entry)
        if weights is not None and weights not in needed:
            store.delete(weights)


def _weights_named(store: PolicyStore, entry: str) -> str | None:
    try:
        policy = load(store.read(entry) or b"")
    except PolicyError:
        return None
    return _weights_key(policy) if policy.classifier.weights else None


def _keep_weights(store: PolicyStore, policy: Policy, weights: bytes) -> None:
    key, value = _weights_key(policy), stored(weights)
    if store.read(key) != value:
        store.write(key, value)


def _weights_key(policy: Policy) -> str:
    return f"{WEIGHTS_PREFIX}{policy.classifier.weights}"


def rollback(store: PolicyStore, version: str | None = None) -> Published:
    """Publishes an earlier policy again: that version (a prefix will do), or the one before.

    Raises StoreError if there is none, PolicyError if it does not load any more.
    """
    active = store.read(ACTIVE)
    candidates = [(entry, store.read(_key(entry))) for entry in reversed(history(store))]
    if version is None:
        for entry, data in candidates:
            if data is not None and data != active:
                return replace(publish(store, data), was=entry.n)
        raise StoreError("there is no earlier policy to go back to")
    matching = {
        entry.policy.version: (entry, data)
        for entry, data in reversed(candidates)  # The newest entry of a version stays.
        if entry.policy and data and entry.policy.version.startswith(version)
    }
    if len(matching) > 1:
        raise StoreError(f"several versions begin with {version}: {', '.join(sorted(matching))}")
    for entry, data in matching.values():
        return replace(publish(store, data), was=entry.n)
    listing = f"tiergate policy history --from {shlex.quote(str(store))}"
    raise StoreError(f"no version {version} in the history: `{listing}` lists them")


def history(store: PolicyStore) -> list[HistoryEntry]:
    """What was published, oldest first; the newest entry of what is active is marked."""
    active = store.read(ACTIVE)
    newest = _newest_with(store, active) if active is not None else None
    return [_entry(store, key, is_active=key == newest) for key in _entries(store)]


def _before(store: PolicyStore) -> Before | None:
    data = store.read(ACTIVE)
    if data is None:
        return None
    try:
        label = load(data).label
    except PolicyError:
        label = "a policy that does not load"
    return Before(label, store.written(ACTIVE))


def _entries(store: PolicyStore) -> list[str]:
    keys = [key for key in store.keys(HISTORY) if re.fullmatch(rf"{HISTORY}\d{{6,}}", key)]
    return sorted(keys, key=_number)


def _newest_with(store: PolicyStore, data: bytes) -> str | None:
    return next((key for key in reversed(_entries(store)) if store.read(key) == data), None)


def _entry(store: PolicyStore, key: str, *, is_active: bool) -> HistoryEntry:
    published = store.written(key)
    try:
        policy = load(store.read(key) or b"")
    except PolicyError as error:
        return HistoryEntry(_number(key), published, is_active, None, error.message)
    return HistoryEntry(_number(key), published, is_active, policy, None)


def _number(key: str) -> int:
    return int(key.removeprefix(HISTORY))


def _key(entry: HistoryEntry) -> str:
    return f"{HISTORY}{entry.n:06d}"
