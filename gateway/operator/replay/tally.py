"""What two policies do with the same requests, counted: pure, and no larger for more of them."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from gateway.core.accounting import cost_usd
from gateway.core.decide import Decision
from gateway.core.policy import LEVELS, Policy, Price, Target, Tier
from gateway.operator.replay.records import Seen
from gateway.operator.replay.verdicts import (
    ASKED_FOR,
    Denied,
    Side,
    Unknown,
    Verdict,
    WhyUnknown,
    is_same,
)

Change = Literal["unchanged", "up", "down", "aside", "refused", "unknown"]
CHANGES: tuple[Change, ...] = ("unchanged", "up", "down", "aside", "refused", "unknown")

UNKNOWN = "unknown"
REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Moved:
    """A request that the other policy sends elsewhere. `before`, `after`: a tier's name or
    provider/model; None where it is refused. `why`: who decides before and after."""

    request_id: str
    before: str | None
    after: str | None
    change: Change
    why: str


class Costs:
    """What answers of the recorded sizes cost under both, in USD, where all of it is known."""

    def __init__(self) -> None:
        self.requests = self.no_usage = self.no_price = self.no_target = 0
        self.before = self.after = 0.0

    def add(self, seen: Seen, before: "_Payer | None", after: "_Payer | None") -> None:
        if before is None or after is None:
            self.no_target += 1
        elif seen.usage is None:
            self.no_usage += 1
        else:
            one, other = cost_usd(seen.usage, before.price), cost_usd(seen.usage, after.price)
            if one is None or other is None:
                self.no_price += 1
            else:
                self.requests += 1
                self.before += one
                self.after += other


@dataclass(frozen=True, slots=True)
class _Payer:
    price: Price | None


class Tally:
    """Adds one request after the other. `a`: the policy as it is; `b`: as it might be."""

    def __init__(self, a: Side, b: Side) -> None:
        self.a, self.b = a, b
        self.requests = 0
        self.as_asked = 0  # of the unchanged ones: by header or by name
        self.of_a = self.of_b = 0  # whose records they are
        self.otherwise = 0  # records of A that say another tier than A gives here
        self.changes: Counter[Change] = Counter()
        self.unknown: Counter[WhyUnknown] = Counter()
        self.places: Counter[tuple[str, str]] = Counter()
        self.caught: Counter[str] = Counter()
        self.could: Counter[str] = Counter()
        self.costs = Costs()
        self._directions: dict[tuple[str, str], Change] = {}
        self._payers = [_payers(side.policy) for side in (a, b)]

    def add(self, seen: Seen) -> Moved | None:
        """Counts a request; what became of it, if it moved."""
        self.requests += 1
        self.of_a += seen.policy == self.a.policy.label
        self.of_b += seen.policy == self.b.policy.label
        before, _ = self.a.decide(seen)
        after, could = self.b.decide(seen)
        for rule in could:
            self.could[rule.name] += 1
        if isinstance(after, Decision) and after.by == "rule" and after.reason:
            self.caught[after.reason] += 1
        if seen.policy == self.a.policy.label and isinstance(before, Decision):
            self.otherwise += before.tier != seen.tier
        change: Change = "unchanged"
        if is_same(before, after):
            before = self.b.settled(self.a.settled(before, seen), seen)
            after = before if isinstance(after, Unknown) else after
        else:
            before, after = self.a.settled(before, seen), self.b.settled(after, seen)
            change = self._change(before, after)
        self.changes[change] += 1
        if change == "unchanged":
            self.as_asked += seen.by in ASKED_FOR
        elif change == "unknown":
            self.unknown.update([each.why for each in _first_unknown(after, before)])
        one, other = _name(before), _name(after)
        self.places[one, other] += 1
        self.costs.add(seen, self._payer(0, before), self._payer(1, after))
        if change in {"unchanged", "unknown"}:
            return None
        why = f"{_why(before)} -> {_why(after)}"
        return Moved(
            seen.request_id,
            None if isinstance(before, Denied) else one,
            None if isinstance(after, Denied) else other,
            change,
            why,
        )

    def _change(self, before: Verdict, after: Verdict) -> Change:
        if isinstance(before, Unknown) or isinstance(after, Unknown):
            return "unknown"
        if isinstance(after, Denied):
            return "refused"
        if isinstance(before, Denied):
            return "aside"
        if is_same(before, after):  # by what was decided in fact
            return "unchanged"
        key = _name(before), _name(after)
        if key not in self._directions:
            policies = self.a.policy, self.b.policy
            self._directions[key] = _direction(before, after, *policies)
        return self._directions[key]

    def _payer(self, side: int, verdict: Verdict) -> _Payer | None:
        """Whose price a decision has: its tier's first target's, or its one target's."""
        if not isinstance(verdict, Decision):
            return None
        payers = self._payers[side]
        if verdict.target:
            policy = (self.a, self.b)[side].policy
            return _Payer(policy.prices.get(verdict.target.id))
        return payers.get(verdict.tier or "")


def _first_unknown(*verdicts: Verdict) -> list[Unknown]:
    return [verdict for verdict in verdicts if isinstance(verdict, Unknown)][:1]


def first_target(tier: Tier) -> Target:
    """The one of the highest weight; of several, the one that is listed first."""
    return max(tier.targets, key=lambda target: target.weight)


def notes_of(a: Policy, b: Policy) -> Iterator[str]:
    """What no record can tell about the two policies, a sentence each."""
    one, other = a.classifier, b.classifier
    uses_embedded = other.mode in {"local", "hybrid"}
    if uses_embedded and one.weights != other.weights:
        yield (
            f"The policies judge by different weights ({one.weights or 'the built-in ones'};"
            f" {other.weights or 'the built-in ones'}). A record does not say whose probabilities"
            " it has: they are read as if both found the same."
        )
    if other.mode in {"model", "hybrid"}:
        if one.target and other.target and one.target.id != other.target.id:
            yield (
                f"The classifier models differ ({one.target.id}; {other.target.id}): what one"
                " said is taken for what the other would say."
            )
        described = [[(t.name, t.description) for t in each.tiers.values()] for each in (a, b)]
        if described[0] != described[1]:
            yield (
                "The tiers differ in name or description, by which the classifier model chooses:"
                " what it said of the old ones is taken for what it would say of the new ones."
            )
    for rule in b.rules:
        if rule.when.headers or rule.when.metadata:
            yield (
                f"The rule {rule.name} asks for headers or metadata, which no record has: unless"
                " the record says which rule decided, it is taken not to hold."
            )
    if a.unknown_model != b.unknown_model:
        yield (
            "The policies treat models that they do not list differently, and a record does not"
            " say what the client called the model: such requests are taken for `auto`."
        )
    was, is_now = a.permissions, b.permissions
    for name, old, new in (
        ("x-tiergate-tier", was.tier, is_now.tier),
        ("x-tiergate-bypass", was.bypass, is_now.bypass),
        ("a model's name", was.direct, is_now.direct),
    ):
        if old == "ignore" and new != "ignore":
            yield f"Requests with {name} are not ignored any more: a record does not show which."


def _payers(policy: Policy) -> dict[str, _Payer]:
    return {
        tier.name: _Payer(policy.prices.get(first_target(tier).id))
        for tier in policy.tiers.values()
    }


def _direction(before: Decision, after: Decision, a: Policy, b: Policy) -> Change:
    """Whether it is a higher tier, by the order of the new policy, else of the old one, else by
    their levels. Aside: the same tier, or two that nothing compares."""
    one, other = _tier(a, before), _tier(b, after)
    if one is None or other is None or one.name == other.name:
        return "aside"
    orders: list[list[str]] = [list(b.tiers), list(a.tiers)]
    for order in orders:
        if one.name in order and other.name in order:
            return "up" if order.index(other.name) > order.index(one.name) else "down"
    if one.level and other.level and one.level != other.level:
        is_higher = LEVELS.index(other.level) > LEVELS.index(one.level)
        return "up" if is_higher else "down"
    return "aside"


def _tier(policy: Policy, decision: Decision) -> Tier | None:
    if decision.target:
        return policy.tier_of(decision.target)
    return policy.tiers.get(decision.tier or "")


def _name(verdict: Verdict) -> str:
    """Where a request goes: a tier, a model, or neither."""
    match verdict:
        case Decision(target=Target(id=id_)):
            return id_
        case Decision():
            return verdict.tier or UNKNOWN
        case Denied():
            return REFUSED
    return UNKNOWN


def _why(verdict: Verdict) -> str:
    match verdict:
        case Decision(by="local", confidence=float() as confidence):
            return f"local {confidence:.2f}"
        case Decision(by="rule"):
            return f"rule {verdict.reason}"
        case Decision():
            return f"{verdict.by} {verdict.reason}" if verdict.reason else verdict.by
        case Denied():
            return REFUSED
    return UNKNOWN
