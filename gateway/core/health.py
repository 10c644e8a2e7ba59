"""Whether a target is well, as far as one instance has seen: a window of its last attempts.

Rules: it opens (is not asked for a while) when a share of the attempts of the window failed, of at
least so many, or at once when its key was refused. One request after the cooldown is a probe: it
closes the target, or opens it again. What says nothing of the target counts for nothing.
"""

from collections import deque
from dataclasses import dataclass, field

from gateway.core.outcomes import RULES, Outcome

MAX_SEEN = 100  # attempts of one target that are remembered


@dataclass(frozen=True, slots=True)
class HealthSettings:
    """`failure_share` from 0 to 1; `cooldown_ms` until the probe."""

    min_requests: int
    failure_share: float
    window_ms: int
    cooldown_ms: int


@dataclass(slots=True)
class Window:
    """The last attempts of a target: when, in monotonic seconds, and whether it failed."""

    seen: deque[tuple[float, bool]] = field(default_factory=lambda: deque(maxlen=MAX_SEEN))

    def add(self, outcome: Outcome, now: float, settings: HealthSettings) -> bool:
        """Counts an attempt; whether the target is to be opened now."""
        sign = RULES[outcome].health
        if sign == "no sign":
            return False
        self.seen.append((now, sign != "good"))
        if sign != "bad":  # most are good: they cost no count
            return sign == "broken"
        since = now - settings.window_ms / 1000
        while self.seen[0][0] <= since:
            self.seen.popleft()
        failed = sum([is_failure for _, is_failure in self.seen])
        return len(self.seen) >= settings.min_requests and failed >= settings.failure_share * len(
            self.seen
        )

    def retract(self) -> None:
        """The newest good sign was none: it said that an answer had begun, and it has failed."""
        for place in range(len(self.seen) - 1, -1, -1):
            if not self.seen[place][1]:
                del self.seen[place]
                return

    def clear(self) -> None:
        """The target has closed: what was before counts no more."""
        self.seen.clear()
