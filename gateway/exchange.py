"""One request on its way: what all its attempts share."""

from dataclasses import dataclass

from gateway.core.chat import ChatRequest
from gateway.core.decide import StreamGuard
from gateway.core.http import Headers
from gateway.core.outcomes import Outcome
from gateway.core.policy import Policy, Target
from gateway.core.record import Record
from gateway.ports import Ports


class AttemptFailed(Exception):
    """This attempt is over; the outcome says how."""

    def __init__(self, outcome: Outcome) -> None:
        super().__init__(outcome)
        self.outcome = outcome


@dataclass(frozen=True, slots=True)
class Exchange:
    """`deadline` is in monotonic seconds."""

    policy: Policy
    chat: ChatRequest
    headers: Headers
    guard: StreamGuard
    deadline: float
    record: Record
    ports: Ports

    def remaining_ms(self) -> int:
        return int((self.deadline - self.ports.clock.monotonic()) * 1000)

    def elapsed_ms(self) -> float:
        return (self.ports.clock.monotonic() - self.record.started) * 1000

    def hides_usage(self, target: Target) -> bool:
        """Whether we ask for usage in the stream on our own, and so hide the chunk with it."""
        provider = self.policy.providers[target.provider]
        return self.chat.is_stream and not self.chat.wants_usage and provider.sends_usage_on_request


def write_record(record: Record, ports: Ports, status: int) -> None:
    """Logs the decision record of a request that has ended."""
    record.total_ms = (ports.clock.monotonic() - record.started) * 1000
    vcpu_ms = ports.clock.vcpu_ms()
    if vcpu_ms is not None and record.vcpu_started is not None:
        record.vcpu_ms = vcpu_ms - record.vcpu_started
    ports.log.write(record.line(status))
