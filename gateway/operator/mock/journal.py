"""The last requests the mock provider received, for tests and curious users.

Keys are not kept: of a secret header stays its scheme and the beginning of its SHA-256, enough
to tell which of two known keys was sent.
"""

import hashlib
import json
import re
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

MAX_ENTRIES = 256

# Two requests of the largest size the app reads.
MAX_BYTES = 64 * 1024 * 1024

SECRET = re.compile(
    r"auth|(?<!idempotency-)key|token|secret|cookie|password",  # that key is nobody's secret
    re.IGNORECASE,
)


@dataclass(slots=True)
class Entry:
    """One request; its headers are already without secrets. `model`: without its fault, where the
    request could be read. `ended`: how our answer did, None while it is under way: `answered`,
    `broken off` by us, or `client gone`, where that could be noticed."""

    number: int
    method: str
    path: str
    headers: tuple[tuple[str, str], ...]
    body: bytes
    model: str | None = None
    ended: str | None = None


class Journal:
    """Bounded in entries and in bytes; the oldest go first."""

    def __init__(self) -> None:
        self._entries: deque[Entry] = deque()
        self._bytes = 0
        self.received = 0

    def add(self, method: str, path: str, headers: Iterable[tuple[str, str]], body: bytes) -> Entry:
        """`headers` as they came."""
        self.received += 1
        shown = tuple((name, _without_secret(name, value)) for name, value in headers)
        entry = Entry(self.received, method, path, shown, body)
        self._entries.append(entry)
        self._bytes += len(body)
        while len(self._entries) > MAX_ENTRIES or self._bytes > MAX_BYTES:
            self._bytes -= len(self._entries.popleft().body)
        return entry

    def last(self, count: int, model: str | None = None) -> list[dict[str, Any]]:
        """The last `count` requests, of this model if one is named, the newest at the end, as JSON
        shows them."""
        entries = [each for each in self._entries if model in {None, each.model}]
        return [
            {
                "number": entry.number,
                "method": entry.method,
                "path": entry.path,
                "headers": [list(header) for header in entry.headers],
                "body": _readable(entry.body),
                "ended": entry.ended,
            }
            for entry in entries[-count:]
        ]


def _without_secret(name: str, value: str) -> str:
    if not SECRET.search(name):
        return value
    scheme, space, secret = value.partition(" ")
    if not space:
        scheme, secret = "", value
    digest = hashlib.sha256(secret.encode("utf-8", "replace")).hexdigest()[:12]
    return f"{scheme}{space}*** sha256:{digest}"


def _readable(body: bytes) -> object:
    """The JSON, or else the text of a body that is not JSON; None for no body."""
    if not body:
        return None
    try:
        value = json.loads(body)
        # NaN and too many brackets can be read, but not shown.
        json.dumps(value, allow_nan=False)
    except (ValueError, RecursionError):
        return body.decode("utf-8", "replace")
    return value
