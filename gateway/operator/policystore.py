"""What a store of policies is, from the operator's side; `stores` has those there are."""

from datetime import datetime
from typing import Protocol


class StoreError(Exception):
    """The store cannot do it; the message says what and why."""


class PolicyStore(Protocol):
    """A key-value store, from the operator's side. Every method raises StoreError.

    `is_public`: anyone can reach the gateways that read it.
    """

    @property
    def is_public(self) -> bool: ...

    def read(self, key: str) -> bytes | None:
        """The value, or None if there is none."""
        ...

    def write(self, key: str, value: bytes) -> None:
        """Stores the value, whole or not at all."""
        ...

    def delete(self, key: str) -> None:
        """Removes the key if it is there."""
        ...

    def keys(self, prefix: str) -> list[str]:
        """The keys that begin with `prefix`, sorted."""
        ...

    def written(self, key: str) -> datetime | None:
        """When the value was stored, or None if that is not known."""
        ...


def check_key(key: str) -> None:
    """Raises StoreError for what would be another place: a parent folder, another address."""
    if not key or any(part in {"", ".", ".."} for part in key.split("/")):
        raise StoreError(f"{key!r} is not a key")
