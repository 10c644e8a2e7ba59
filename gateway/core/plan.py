"""Which targets are tried, in which order.

Weights are stateless: an instance at the edge shares no counter with others, so each request draws.
A target that cannot serve the request is left out, and the plan says why.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from gateway.core.asked import Asked
from gateway.core.decide import Decision
from gateway.core.errors import BadRequest, NotReady, TiergateError
from gateway.core.policy import ModelFacts, Policy, Step, Target


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A target that is not tried. `is_asked`: for what the client asks; `param` is its member."""

    target: Target
    reason: str
    param: str | None = None
    is_asked: bool = False


@dataclass(frozen=True, slots=True)
class Plan:
    """Targets of one tier to try, first to last, and those left out. `dropped`: by a target's id,
    the parameters that it will not be told, where the policy allows it."""

    tier: str | None
    attempts: tuple[Target, ...]
    left_out: tuple[LeftOut, ...]
    dropped: dict[str, tuple[str, ...]] = field(default_factory=dict)


def steps_of(policy: Policy, decision: Decision) -> Iterator[Step]:
    """Who could serve a decision: its tier, and where the policy lets it go up, each higher one."""
    if decision.target:
        yield None, (decision.target,)
        return
    decided = decision.tier or policy.default_tier
    is_reached = False
    seen: set[str] = set()
    for name, tier in policy.tiers.items():
        is_reached = is_reached or name == decided
        if is_reached:
            yield name, tuple([target for target in tier.targets if target.id not in seen])
            if not policy.escalate:
                return
            seen |= tier.ids


def make_plans(
    policy: Policy,
    steps: Iterable[Step],
    asked: Asked,
    has_secret: Callable[[str], bool],
    draw: Callable[[], float],
) -> Iterator[Plan]:
    """A plan for each step, made when it is wanted: a higher tier seldom is."""
    for tier, candidates in steps:
        yield make_plan(policy, tier, candidates, asked, has_secret, draw)


def make_plan(
    policy: Policy,
    tier: str | None,
    candidates: Iterable[Target],
    asked: Asked,
    has_secret: Callable[[str], bool],
    draw: Callable[[], float],
) -> Plan:
    """The plan for what is asked. `draw` gives numbers in [0, 1); it is asked once per choice."""
    usable: list[Target] = []
    left_out: list[LeftOut] = []
    dropped: dict[str, tuple[str, ...]] = {}
    for target in candidates:
        if found := _why_not(policy, target, asked, has_secret, dropped):
            left_out.append(found)
        else:
            usable.append(target)
    return Plan(tier, tuple(_weighted(usable, draw)), tuple(left_out), dropped)


def no_target(plans: Iterable[Plan]) -> TiergateError:
    """The error for plans without attempts: the client's if each target lacks what it asks for."""
    left_out = [item for plan in plans for item in plan.left_out]
    reasons = "; ".join(f"{item.target.id}: {item.reason}" for item in left_out)
    message = f"No target can serve this request: {reasons}."
    if all(item.is_asked for item in left_out):
        params = [item.param for item in left_out if item.param]
        param = params[0] if params else None
        return BadRequest(message, code="unsupported_by_targets", param=param)
    return NotReady(message, code="no_usable_target")


_TAKES_ALL = ModelFacts()


def _why_not(
    policy: Policy,
    target: Target,
    asked: Asked,
    has_secret: Callable[[str], bool],
    dropped: dict[str, tuple[str, ...]],
) -> LeftOut | None:
    """Why a target is left out; what it would not be told goes into `dropped`."""
    provider = policy.providers[target.provider]
    if provider.key and not has_secret(provider.key):
        return LeftOut(target, f"the secret {provider.key} is not set")
    for name in provider.refuses:
        if name in asked.source.values:
            reason = f"'{name}' is not sent to {provider.name}"
            return LeftOut(target, reason, name, is_asked=True)
    if gap := asked.gap(provider, policy.models.get(target.id, _TAKES_ALL)):
        return LeftOut(target, *gap, is_asked=True)
    try:
        lacking = asked.lacking(provider)
    except BadRequest as error:  # of what a provider of the client's own dialect might have taken
        return LeftOut(target, error.message.removesuffix("."), error.param, is_asked=True)
    missing = lacking.content
    if policy.on_unsupported == "reject":
        missing += lacking.parameters
    elif lacking.parameters:
        dropped[target.id] = lacking.parameters
    if missing:
        names = ", ".join(f"'{name}'" for name in missing)
        reason = f"its dialect {provider.dialect} cannot say {names}"
        return LeftOut(target, reason, missing[0], is_asked=True)
    return None


def _weighted(targets: list[Target], draw: Callable[[], float]) -> list[Target]:
    """Drawn one after the other by weight; those of weight 0 follow as given."""
    rest = [target for target in targets if target.weight]
    total = sum([target.weight for target in rest])
    ordered: list[Target] = []
    while len(rest) > 1:
        point = draw() * total
        index = 0
        while (point := point - rest[index].weight) >= 0 and index < len(rest) - 1:
            index += 1
        drawn = rest.pop(index)
        total -= drawn.weight
        ordered.append(drawn)
    return [*ordered, *rest, *(target for target in targets if not target.weight)]
