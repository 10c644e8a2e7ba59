"""What the flow needs of a host: small protocols whose failures have names.

Absent is None; broken is an exception of this module. A host maps every error of its platform to
one of these, once.
"""

from dataclasses import dataclass, field
from typing import Final, Protocol

from gateway.core.classifier.model import Weights
from gateway.core.health import Window
from gateway.core.http import Headers, Outgoing
from gateway.core.outcomes import Outcome
from gateway.core.policy import Policy

Stamp = object
"""What tells one stored value of a key from the next; compared for equality only."""


class KvUnavailable(Exception):
    """The store cannot be read or written now. Says nothing about whether the key exists."""


class TransportError(Exception):
    """An exchange with a provider that failed without a status of its own."""

    outcome: Outcome = Outcome.UNREACHABLE


class Unreachable(TransportError):
    """No connection: name, network, TLS, or the connection broke before the head."""


class Silent(TransportError):
    """No response head in time."""

    outcome = Outcome.SILENT


class Stalled(TransportError):
    """The body stopped coming."""

    outcome = Outcome.STALLED


class Cut(TransportError):
    """The body ended before its end."""

    outcome = Outcome.CUT


class Unchanged:
    """The answer to a conditional read of a key that still has the value of that stamp."""


UNCHANGED: Final = Unchanged()


@dataclass(frozen=True, slots=True)
class Entry:
    """A stored value and its stamp."""

    value: bytes
    stamp: Stamp


class KvStore(Protocol):
    """The key-value store of policies and health. Keys are like `policy/active`."""

    async def get(self, key: str, unless: Stamp | None = None) -> Entry | Unchanged | None:
        """The value; UNCHANGED if its stamp is still `unless`; None if there is none.

        Raises KvUnavailable.
        """
        ...

    async def put(self, key: str, value: bytes) -> None:
        """Stores the value at once or not at all. Raises KvUnavailable."""
        ...

    async def delete(self, key: str) -> None:
        """Removes the key if it is there. Raises KvUnavailable."""
        ...


@dataclass(frozen=True, slots=True)
class AttemptTimeouts:
    """Milliseconds, each from the end of the step before it."""

    connect_ms: int
    first_byte_ms: int
    between_bytes_ms: int


class Upstream(Protocol):
    """A provider's response whose head has come. Whoever opened it closes it."""

    status: int
    headers: Headers

    async def read(self, within_ms: int | None = None) -> bytes:
        """The next bytes of the body; b"" once it has ended whole. Raises Stalled, also when
        nothing comes within `within_ms`; Cut. After it raised, it is not read again."""
        ...

    async def close(self) -> None:
        """Lets go of it; the provider notices if it was still sending. Never raises."""
        ...


class HttpClient(Protocol):
    """Requests to providers. Follows no redirects, keeps no cookies, asks no proxy."""

    async def open(self, request: Outgoing, timeouts: AttemptTimeouts) -> Upstream:
        """The response, once its head is there. Raises Unreachable, Silent."""
        ...

    async def fetch(self, request: Outgoing, timeout_ms: int, limit: int) -> tuple[int, bytes]:
        """Status and whole body, within `timeout_ms` in all and `limit` bytes.

        Raises Unreachable; Silent once the time is up; Cut, for a body over the limit too.
        """
        ...


class Clock(Protocol):
    def now(self) -> float:
        """Seconds since 1970, UTC."""
        ...

    def monotonic(self) -> float:
        """Seconds since some moment; never goes back."""
        ...

    async def sleep(self, ms: int) -> None:
        """Waits so long."""
        ...

    def vcpu_ms(self) -> int | None:
        """Milliseconds of CPU that this instance has used, or None where the host does not say."""
        ...


class Secrets(Protocol):
    def get(self, name: str) -> str | None:
        """The secret's value without surrounding white space, or None if it is not set."""
        ...


class Log(Protocol):
    def write(self, line: str) -> None:
        """One line of JSON. Never raises."""
        ...


class Chance(Protocol):
    def draw(self) -> float:
        """A number in [0, 1)."""
        ...

    def token(self) -> str:
        """32 hexadecimal digits that nobody can guess."""
        ...


@dataclass(frozen=True, slots=True)
class OpenBreaker:
    """What is not asked, and until when, in seconds since 1970."""

    target: str
    until: float


type Place = tuple[str, str | None]  # a provider's base URL, and the name of its key


@dataclass(slots=True)
class TargetHealth:
    """What an instance knows of a target's health.

    `place`: where that was seen. `until`: not asked before, in seconds since 1970; None: it is
    well. `is_probed`: a request of this instance is trying it. `read_at`: when the store was asked
    last, in monotonic seconds.
    """

    place: Place
    window: Window = field(default_factory=Window)
    until: float | None = None
    is_probed: bool = False
    read_at: float | None = None
    stamp: Stamp | None = None


@dataclass(slots=True)
class Remembered:
    """What an instance keeps between requests. It may be forgotten at any time.

    `policy_stamp`: of the `policy/active` that `policy` comes from, or that did not load.
    `policy_problem` says why `policy/active` is not what is served, None if it is.
    `good`, `good_stamp`: `policy/good`, once it was needed. `breakers`: the open ones, by name.
    `targets`: their health, by id. `tiers`: what was judged lately, by the hash of what was judged.
    `weights`: those that a policy names. `weights_missing`: the label of those that were looked for
    in vain; they are looked for again at `weights_retry_at`, in monotonic seconds.
    """

    policy: Policy | None = None
    policy_stamp: Stamp | None = None
    policy_problem: str | None = None
    good: Policy | None = None
    good_stamp: Stamp | None = None
    breakers: dict[str, OpenBreaker] = field(default_factory=dict)
    health_stamps: dict[str, Stamp] = field(default_factory=dict)
    targets: dict[str, TargetHealth] = field(default_factory=dict)
    tiers: dict[int, str] = field(default_factory=dict)
    weights: Weights | None = None
    weights_missing: str | None = None
    weights_retry_at: float = 0.0


@dataclass(frozen=True, slots=True)
class Limits:
    """What a host bears of one request.

    `answer`: bytes of a provider's answer, whole or held back; by default as many as the largest
    request may have. `total_ms`: until its last byte, or None if the host sets no end.
    """

    answer: int = 32 * 1024 * 1024
    total_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Ports:
    """A host, as the flow sees it.

    `weights`: of the embedded model, as it came.
    `is_exposed`: other machines reach it, so that a policy without client keys is not served.
    """

    kv: KvStore
    http: HttpClient
    clock: Clock
    secrets: Secrets
    log: Log
    chance: Chance
    remembered: Remembered
    weights: Weights
    is_exposed: bool = False
    limits: Limits = Limits()

    def has_secret(self, name: str) -> bool:
        return self.secrets.get(name) is not None
