"""A host that lives in memory: for tests, `explain` and replay. Time and chance are what you say.

ports = memory_ports(policy=compiled, upstreams=[Canned(200, {}, [b"..."])])
response = run(respond(request, ports))
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from gateway.core.http import Headers, Outgoing
from gateway.hosts.common import WEIGHTS, secret_value
from gateway.hosts.common import run as run  # noqa: PLC0414 - for those who drive this host
from gateway.policies import ACTIVE, GOOD
from gateway.ports import (
    UNCHANGED,
    AttemptTimeouts,
    Cut,
    Entry,
    KvUnavailable,
    Ports,
    Remembered,
    Silent,
    Stalled,
    Stamp,
    TransportError,
    Unchanged,
    Unreachable,
)


@dataclass
class MemoryKv:
    """A store in a dict. `is_broken` makes every call fail."""

    values: dict[str, bytes] = field(default_factory=dict)
    is_broken: bool = False
    writes: list[str] = field(default_factory=list)

    async def get(self, key: str, unless: Stamp | None = None) -> Entry | Unchanged | None:
        self._check()
        value = self.values.get(key)
        if value is None:
            return None
        return UNCHANGED if value == unless else Entry(value, value)

    async def put(self, key: str, value: bytes) -> None:
        self._check()
        self.writes.append(key)
        self.values[key] = value

    async def delete(self, key: str) -> None:
        self._check()
        self.writes.append(key)
        self.values.pop(key, None)

    def _check(self) -> None:
        if self.is_broken:
            raise KvUnavailable


@dataclass(frozen=True)
class Canned:
    """A provider's response: its body in chunks; `failure` is raised after the last of them."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    chunks: Sequence[bytes] = ()
    failure: TransportError | None = None


Script = Canned | TransportError | Callable[[Outgoing], Canned]


@dataclass
class MemoryUpstream:
    """A canned response while it is read."""

    canned: Canned
    is_closed: bool = False
    waits: list[int | None] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.status = self.canned.status
        self.headers = Headers(self.canned.headers.items())
        self._rest = list(self.canned.chunks)

    async def read(self, within_ms: int | None = None) -> bytes:
        self.waits.append(within_ms)
        if self._rest:
            return self._rest.pop(0)
        if self.canned.failure:
            raise self.canned.failure
        return b""

    async def close(self) -> None:
        self.is_closed = True


@dataclass
class MemoryHttp:
    """Answers with the scripted responses in order, then is unreachable; keeps what was asked."""

    upstreams: list[Script] = field(default_factory=list)
    requests: list[Outgoing] = field(default_factory=list)
    timeouts: list[AttemptTimeouts] = field(default_factory=list)
    opened: list[MemoryUpstream] = field(default_factory=list)

    async def open(self, request: Outgoing, timeouts: AttemptTimeouts) -> MemoryUpstream:
        self.timeouts.append(timeouts)
        upstream = MemoryUpstream(self._next(request))
        self.opened.append(upstream)
        return upstream

    async def fetch(self, request: Outgoing, timeout_ms: int, limit: int) -> tuple[int, bytes]:
        canned = self._next(request)
        body = b"".join(canned.chunks)
        if canned.failure:
            raise Silent if isinstance(canned.failure, Stalled) else canned.failure
        if len(body) > limit:
            raise Cut
        return canned.status, body

    def _next(self, request: Outgoing) -> Canned:
        self.requests.append(request)
        script = self.upstreams.pop(0) if self.upstreams else Unreachable()
        if isinstance(script, TransportError):
            raise script
        return script if isinstance(script, Canned) else script(request)


@dataclass
class MemoryClock:
    """Stands still unless told otherwise, or asked to sleep. Seconds; `vcpu` in milliseconds."""

    time: float = 1_700_000_000.0
    vcpu: int | None = None
    slept: list[int] = field(default_factory=list)

    async def sleep(self, ms: int) -> None:
        self.slept.append(ms)
        self.time += ms / 1000

    def now(self) -> float:
        return self.time

    def monotonic(self) -> float:
        return self.time

    def vcpu_ms(self) -> int | None:
        return self.vcpu


@dataclass
class MemorySecrets:
    values: Mapping[str, str] = field(default_factory=dict)

    def get(self, name: str) -> str | None:
        return secret_value(self.values.get(name, ""))


@dataclass
class MemoryLog:
    lines: list[str] = field(default_factory=list)

    def write(self, line: str) -> None:
        self.lines.append(line)


@dataclass
class MemoryChance:
    """Draws the given numbers in turn, then 0 for ever."""

    draws: list[float] = field(default_factory=list)

    def draw(self) -> float:
        return self.draws.pop(0) if self.draws else 0.0

    def token(self) -> str:
        return "0" * 32


def memory_ports(
    policy: bytes | None = None,
    upstreams: Iterable[Script] = (),
    secrets: Mapping[str, str] | None = None,
    draws: Iterable[float] = (),
) -> Ports:
    """A whole host. `policy` is compiled JSON, as published."""
    kv = MemoryKv({ACTIVE: policy, GOOD: policy} if policy is not None else {})
    return Ports(
        kv=kv,
        http=MemoryHttp(list(upstreams)),
        clock=MemoryClock(),
        secrets=MemorySecrets(secrets or {}),
        log=MemoryLog(),
        chance=MemoryChance(list(draws)),
        remembered=Remembered(),
        weights=WEIGHTS,
    )
