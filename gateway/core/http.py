"""HTTP as values: what the hosts read and write, and the flow passes along."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Protocol

HeaderPairs = list[tuple[str, str]]


class Headers:
    """Header fields in order, names in lower case, repeated names kept."""

    __slots__ = ("pairs",)

    def __init__(self, pairs: Iterable[tuple[str, str]] = ()) -> None:
        self.pairs: HeaderPairs = [(name.lower(), value) for name, value in pairs]

    def get(self, name: str) -> str | None:
        """The first value of `name` (lower case), or None."""
        for key, value in self.pairs:
            if key == name:
                return value
        return None

    def __repr__(self) -> str:
        # Names only: a value may be a key, and reprs end in logs.
        return f"Headers({[name for name, _ in self.pairs]})"


@dataclass(frozen=True, slots=True)
class Request:
    """A client's request, its body read to the end.

    `query`: what follows the path's `?`.
    `over_limit`: the host's limit in bytes, if the body was over it; it was drained, not kept.
    `is_broken`: the client stopped sending before the end of its body.
    `is_unread`: the host holds as many bytes of other requests as it may; it was drained, not kept.
    """

    method: str
    path: str
    headers: Headers
    body: bytes = field(default=b"", repr=False)
    over_limit: int | None = None
    is_broken: bool = False
    is_unread: bool = False
    query: str = ""


class BodyStream(Protocol):
    """A body that is read chunk by chunk. Whoever reads it closes it, read to its end or not."""

    def __aiter__(self) -> "BodyStream": ...

    async def __anext__(self) -> bytes: ...

    async def aclose(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Response:
    """The answer. `after` is called by the host once a whole body is sent, or its client gone."""

    status: int
    headers: HeaderPairs
    body: bytes | BodyStream
    after: Callable[[], None] | None = None


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A request to a provider: always POST, body known in full."""

    scheme: str
    authority: str
    path: str
    headers: HeaderPairs = field(repr=False)  # our key is among them, and reprs end in logs
    body: bytes = field(repr=False)
