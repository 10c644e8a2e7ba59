"""One request on its way: what all its attempts share."""

from dataclasses import dataclass

from gateway.core.answers import Started
from gateway.core.asked import Asked
from gateway.core.chat import Usage
from gateway.core.dialect import Dialect
from gateway.core.http import BodyStream, HeaderPairs, Headers
from gateway.core.outcomes import Outcome
from gateway.core.policy import Policy, StreamGuard, Target, Timeouts
from gateway.core.providers import Provider
from gateway.core.record import Record
from gateway.ports import Ports


@dataclass(frozen=True, slots=True)
class Answer:
    """What the client gets from a target."""

    headers: HeaderPairs
    body: bytes | BodyStream


class AttemptFailed(Exception):
    """This attempt is over; the outcome says how. `spare`: an answer that says nothing, which is
    better than none, and its usage."""

    def __init__(
        self, outcome: Outcome, spare: bytes | None = None, usage: Usage | None = None
    ) -> None:
        super().__init__(outcome)
        self.outcome = outcome
        self.spare = spare
        self.usage = usage


@dataclass(frozen=True, slots=True)
class Exchange:
    """`dialect` is the client's, `headers` its request's. `timeouts` are those of the tier that was
    decided. `deadline` is in monotonic seconds."""

    policy: Policy
    timeouts: Timeouts
    asked: Asked
    dialect: Dialect
    headers: Headers
    guard: StreamGuard
    deadline: float
    record: Record
    ports: Ports

    def remaining_ms(self) -> int:
        return int((self.deadline - self.ports.clock.monotonic()) * 1000)

    def may_try(self) -> bool:
        """Whether there is time, and an attempt left, for another target."""
        asked = [each for each in self.record.attempts if each.outcome is not Outcome.REFUSED]
        return len(asked) < self.policy.max_attempts and self.remaining_ms() > 0

    def provider_of(self, target: Target) -> Provider:
        return self.policy.providers[target.provider]

    def about(self, target: Target) -> Started:
        """What is known of an answer whose provider says nothing of it."""
        id_ = f"{self.dialect.id_prefix}{self.record.request_id}"
        return Started(id_, target.model, int(self.record.time))


def write_record(record: Record, ports: Ports, status: int) -> None:
    """Logs the decision record of a request that has ended."""
    record.total_ms = (ports.clock.monotonic() - record.started) * 1000
    vcpu_ms = ports.clock.vcpu_ms()
    if vcpu_ms is not None and record.vcpu_started is not None:
        record.vcpu_ms = vcpu_ms - record.vcpu_started
    ports.log.write(record.line(status))
