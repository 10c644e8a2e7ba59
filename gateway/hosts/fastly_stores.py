"""Fastly's stores: policies and health in the KV Store, keys in the Secret Store.

KV Store is eventually consistent, and takes about one write a second for a key.
"""

from componentize_py_types import Err
from wit_world.imports import http_body, kv_store, secret_store
from wit_world.imports.async_io import Pollable

from gateway.hosts.common import secret_value
from gateway.hosts.fastly_bodies import READ_SIZE, drop, is_ready, write_all
from gateway.ports import UNCHANGED, Entry, KvUnavailable, Stamp, Unchanged

KV_TIMEOUT_MS = 2000  # a policy that is read for the first time comes from afar
MAX_SECRET = 64 * 1024  # bytes; what a Secret Store takes


class FastlyKv:
    """KvStore over the KV Store of that name. A stamp is the value's generation."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._store: kv_store.Store | None = None

    async def get(self, key: str, unless: Stamp | None = None) -> Entry | Unchanged | None:
        try:
            pending = self._opened().lookup_async(key)
            _wait(pending)
            found = kv_store.await_lookup(pending)
            if found is None:
                return None
            with found:
                stamp = found.generation()
                body = found.take_body()
            if stamp == unless or body is None:
                return UNCHANGED if body else None
            with body:
                return Entry(_read(body), stamp)
        except Err:
            raise KvUnavailable from None

    async def put(self, key: str, value: bytes) -> None:
        try:
            body = http_body.new()
            write_all(body, value)
            pending = self._opened().insert_async(key, body, _OVERWRITE)
            _wait(pending)
            kv_store.await_insert(pending)
        except Err:
            raise KvUnavailable from None

    async def delete(self, key: str) -> None:
        try:
            pending = self._opened().delete_async(key)
            _wait(pending)
            kv_store.await_delete(pending)
        except Err:
            raise KvUnavailable from None

    def _opened(self) -> kv_store.Store:
        if self._store is None:
            self._store = kv_store.Store.open(self._name)
        return self._store


class FastlySecrets:
    """Secrets of the Secret Store of that name.

    One that is set is read once a sandbox, since a request may read five; one that is not is looked
    for again. https://www.fastly.com/documentation/guides/compute/edge-data-storage/working-with-secret-stores/
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._known: dict[str, str] = {}

    def get(self, name: str) -> str | None:
        if name not in self._known and (value := self._read(name)) is not None:
            self._known[name] = value
        return self._known.get(name)

    def _read(self, name: str) -> str | None:
        try:
            with secret_store.Store.open(self._name) as store:
                secret = store.get(name)
            if secret is None:
                return None
            with secret:
                return secret_value(secret.plaintext(MAX_SECRET).decode(errors="replace"))
        except Err:  # no such store, or no more reads
            return None


def _wait(pending: Pollable) -> None:
    if not is_ready(pending, KV_TIMEOUT_MS):
        drop(pending)
        raise KvUnavailable


def _read(body: Pollable) -> bytes:
    parts: list[bytes] = []
    while is_ready(body, KV_TIMEOUT_MS):
        if not (chunk := http_body.read(body, READ_SIZE)):
            return b"".join(parts)
        parts.append(chunk)
    raise KvUnavailable


_OVERWRITE = kv_store.InsertOptions(
    background_fetch=False,
    if_generation_match=None,
    metadata=None,
    time_to_live_sec=None,
    mode=kv_store.InsertMode.OVERWRITE,
    extra=None,
)
