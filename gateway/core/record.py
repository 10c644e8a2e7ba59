"""What is known of one request: its response headers while it runs, its decision record at the end.

The record's schema is docs/decision-record.schema.json. It holds no text of the conversation and no
secret; what is unknown is absent, never zero.
"""

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime

from gateway.core.accounting import cost_usd
from gateway.core.chat import Usage
from gateway.core.decide import Decision
from gateway.core.http import HeaderPairs
from gateway.core.outcomes import Attempt, Outcome
from gateway.core.policy import LEVELS, Policy, Target
from gateway.core.rules import Facts

SCHEMA = 1
MAX_NAME = 80  # characters of a client's name of a member
MAX_DROPPED = 20  # names that are listed in full; a long conversation may mark each message


@dataclass(frozen=True, slots=True)
class ClassifierCall:
    """The one request to the classifier model."""

    target: str
    outcome: Outcome
    ms: float
    status: int | None
    usage: Usage | None


@dataclass(slots=True)
class Record:
    """Filled step by step. `time` is seconds since 1970; `started` is monotonic; `vcpu_started`
    is what the instance had used by then, where the host says. `facts`: what rules could ask,
    where something was to be decided. `judged`: the embedded model's probability of each level."""

    request_id: str
    time: float
    started: float
    vcpu_started: int | None = None
    endpoint: str = "unknown"
    policy: Policy | None = None
    is_stream: bool = False
    decision: Decision | None = None
    facts: Facts | None = None
    judged: tuple[float, ...] | None = None
    classifier: ClassifierCall | None = None
    attempts: list[Attempt] = field(default_factory=list)
    answered_by: Target | None = None
    served_tier: str | None = None
    dropped: tuple[str, ...] = ()
    usage: Usage | None = None
    error: str | None = None
    timings: dict[str, float] = field(default_factory=dict)
    first_content_ms: float | None = None
    total_ms: float = 0.0
    vcpu_ms: int | None = None

    def answered(self, tier: str | None, target: Target, dropped: tuple[str, ...]) -> None:
        """This target's answer is the client's."""
        self.served_tier, self.answered_by, self.dropped = tier, target, dropped

    @property
    def has_asked(self) -> bool:
        """Whether any provider was asked."""
        return any(attempt.outcome is not Outcome.REFUSED for attempt in self.attempts)

    @property
    def tier(self) -> str | None:
        """The tier that answered; before one did, the one that was decided."""
        return self.served_tier or (self.decision.tier if self.decision else None)

    @property
    def tier_from(self) -> str | None:
        """The tier that was decided, where a higher one answered."""
        decided = self.decision.tier if self.decision else None
        return decided if self.served_tier not in {None, decided} else None

    @property
    def cost_usd(self) -> float | None:
        if self.policy is None or self.answered_by is None:
            return None
        return cost_usd(self.usage, self.policy.prices.get(self.answered_by.id))

    def headers(self, total_ms: float) -> HeaderPairs:
        """The `x-tiergate-*` response headers of what is known when the head is sent."""
        pairs: HeaderPairs = [
            ("x-tiergate-schema", str(SCHEMA)),
            ("x-tiergate-request-id", self.request_id),
        ]
        if self.policy:
            pairs.append(("x-tiergate-policy", self.policy.label))
        if decision := self.decision:
            if self.tier:
                pairs.append(("x-tiergate-tier", self.tier))
            if self.tier_from:
                pairs.append(("x-tiergate-tier-from", self.tier_from))
            pairs.append(("x-tiergate-decision", decision.by))
            if decision.confidence is not None:
                pairs.append(("x-tiergate-confidence", f"{decision.confidence:.3f}"))
        if self.answered_by:
            pairs.append(("x-tiergate-provider", self.answered_by.provider))
            pairs.append(("x-tiergate-model", self.answered_by.model))
        if self.attempts:
            pairs.append(("x-tiergate-attempts", str(len(self.attempts))))
            failed = [
                f"{attempt.target};{attempt.outcome}"
                for attempt in self.attempts
                if attempt.outcome not in {Outcome.ANSWERED, Outcome.REJECTED}
            ]
            if failed:
                pairs.append(("x-tiergate-fallback", ", ".join(failed)))
        if self.dropped:
            pairs.append(("x-tiergate-dropped", ", ".join(self._dropped())))
        if not self.is_stream and (cost := self.cost_usd) is not None:
            pairs.append(("x-tiergate-cost-usd", _plain(cost)))
        timings = [f"{name};dur={ms:.2f}" for name, ms in self.timings.items()]
        pairs.append(("server-timing", ", ".join([*timings, f"total;dur={total_ms:.2f}"])))
        return pairs

    def line(self, status: int) -> str:
        """The decision record: one line of JSON."""
        values: dict[str, object] = {
            "event": "request",
            "schema": SCHEMA,
            "time": utc(self.time),
            "request_id": self.request_id,
            "endpoint": self.endpoint,
            "status": status,
            "stream": self.is_stream,
        }
        if self.policy:
            values["policy"] = self.policy.label
        if decision := self.decision:
            values |= _present(
                tier=self.tier,
                tier_from=self.tier_from,
                decision=decision.by,
                reason=decision.reason,
                confidence=decision.confidence,
            )
        if facts := self.facts:
            values["facts"] = _present(
                images=facts.images,
                tools=facts.tools,
                json_schema=facts.json_schema,
                tokens=facts.tokens,
                language=facts.language,
            )
        if self.judged:
            shares = [round(share, 4) for share in self.judged]
            values["judged"] = dict(zip(LEVELS, shares, strict=True))
        if self.classifier:
            values["classifier"] = self._classifier(self.classifier)
        if self.answered_by:
            values["provider"] = self.answered_by.provider
            values["model"] = self.answered_by.model
        values["attempts"] = [
            _present(
                target=attempt.target,
                outcome=attempt.outcome,
                ms=round(attempt.ms, 1),
                status=attempt.status,
                key=attempt.key,
            )
            for attempt in self.attempts
        ]
        if self.dropped:
            values["dropped"] = self._dropped()
        if self.usage:
            values["usage"] = _usage(self.usage)
        if (cost := self.cost_usd) is not None:
            values["cost_usd"] = cost
        if self.error:
            values["error"] = self.error
        if self.first_content_ms is not None:
            values["first_content_ms"] = round(self.first_content_ms, 1)
        values["total_ms"] = round(self.total_ms, 1)
        if self.vcpu_ms is not None:
            values["vcpu_ms"] = self.vcpu_ms
        return json.dumps(values)

    def _dropped(self) -> list[str]:
        """The names as they may stand in a header and a log: a client can write any."""
        names = [_shown(name) for name in self.dropped[:MAX_DROPPED]]
        rest = len(self.dropped) - len(names)
        return [*names, f"+{rest}"] if rest else names

    def _classifier(self, call: ClassifierCall) -> dict[str, object]:
        price = self.policy.prices.get(call.target) if self.policy else None
        return _present(
            target=call.target,
            outcome=call.outcome,
            ms=round(call.ms, 1),
            status=call.status,
            usage=_usage(call.usage) if call.usage else None,
            cost_usd=cost_usd(call.usage, price),
        )


def utc(seconds: float) -> str:
    """A moment, in seconds since 1970, as records and views write it."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")


def _present(**values: object) -> dict[str, object]:
    return {name: value for name, value in values.items() if value is not None}


def _usage(usage: Usage) -> dict[str, object]:
    return _present(
        input=usage.input,
        output=usage.output,
        cached_input=usage.cached_input,
        reasoning=usage.reasoning,
        cache_written=usage.cache_written,
    )


def _plain(cost: float) -> str:
    """Without an exponent, which not every reader of a header takes for a number."""
    return f"{cost:.10f}".rstrip("0").rstrip(".") if cost else "0"


def _shown(name: str) -> str:
    return "".join([c if "!" <= c <= "~" and c != "," else "?" for c in name[:MAX_NAME]])
