"""Policies in a Fastly KV Store, over its API.

https://www.fastly.com/documentation/reference/api/services/resources/kv-store-item/

Rules: a value is one request, so it is stored whole or not at all; when it was written stands in
its metadata. What was read or written here is not read again: a store lives as long as a command.

Facts: lists are asked for as strongly consistent, which is documented for lists only. A value that
was just written may take some seconds to be everywhere, in a later command here too. Values may
have 25 MB, which no policy comes near. Writing a key too often is answered 429, which `api` tries
again; how often that is, is not documented, and one a second is what to reckon with.
"""

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

import httpx
from pydantic import TypeAdapter

from gateway.operator.fastly.account import Store, kv_stores
from gateway.operator.fastly.api import FastlyApi, Page, path_of
from gateway.operator.policystore import StoreError, check_key

_KEYS = TypeAdapter(Page[str])


@dataclass(frozen=True, slots=True)
class _Item:
    value: bytes
    written: datetime | None


class FastlyStore:
    """A KV Store as a PolicyStore."""

    is_public = True  # A Compute service has a public address.

    def __init__(self, api: FastlyApi, store: Store) -> None:
        self._api = api
        self._store = store
        self._known: dict[str, _Item | None] = {}

    def __str__(self) -> str:
        return f"fastly:{self._store.name}"

    def read(self, key: str) -> bytes | None:
        item = self._item(key)
        return item.value if item else None

    def write(self, key: str, value: bytes) -> None:
        now = datetime.now(UTC)
        self._api.send(
            "PUT",
            self._path(key),
            f"write {key} to {self}",
            headers={
                "content-type": "application/octet-stream",
                "metadata": now.isoformat(timespec="seconds"),
            },
            content=value,
            absent=(),
        )
        self._known[key] = _Item(value, now)

    def delete(self, key: str) -> None:
        self._api.send("DELETE", self._path(key), f"delete {key} from {self}")
        self._known[key] = None

    def keys(self, prefix: str) -> list[str]:
        path = path_of("resources", "stores", "kv", self._store.id, "keys")
        query = {"prefix": prefix, "consistency": "strong"}
        return sorted(self._api.pages(_KEYS, path, f"the keys of {self}", query))

    def written(self, key: str) -> datetime | None:
        item = self._item(key)
        return item.written if item else None

    def _item(self, key: str) -> _Item | None:
        if key not in self._known:
            answer = self._api.send("GET", self._path(key), f"read {key} from {self}")
            self._known[key] = None if answer is None else _stored(answer)
        return self._known[key]

    def _path(self, key: str) -> str:
        check_key(key)
        return path_of("resources", "stores", "kv", self._store.id, "keys", key)


def open_fastly(name: str, environment: Mapping[str, str]) -> FastlyStore:
    """The KV Store of that name or ID. Raises StoreError."""
    # https://js-compute-reference-docs.edgecompute.app/docs/fastly:kv-store/KVStore/
    if not name.isprintable() or len(name) > 255:
        raise StoreError("fastly: takes the name of a KV Store, or its ID: fastly kv-store list")
    api = FastlyApi.of(environment)
    stores = kv_stores(api)
    by_name = {store.name: store for store in stores}
    by_id = {store.id: store for store in stores}
    if store := by_name.get(name) or by_id.get(name):
        return FastlyStore(api, store)
    there_are = ", ".join(sorted(by_name)) or "none"
    raise StoreError(
        f"there is no KV Store {name!r} in this account (there are: {there_are}). To make it:"
        f" fastly kv-store create --name {shlex.quote(name)}"
    )


def _stored(answer: httpx.Response) -> _Item:
    """The value, and when we wrote it: None where another program has left its own metadata."""
    try:
        written = datetime.fromisoformat(answer.headers.get("metadata", ""))
    except ValueError:
        written = None
    return _Item(answer.content, written if written and written.tzinfo else None)
