"""Which targets are tried, in which order.

Weights are stateless: an instance at the edge shares no counter with others, so each request draws.
A target that cannot serve the request is left out, and the plan says why.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from gateway.core.asked import Asked
from gateway.core.decide import Decision
from gateway.core.errors import BadRequest, NotReady, TiergateError
from gateway.core.policy import ModelFacts, Policy, Target


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A target that is not tried. `is_asked`: for what the client asks; `param` is its member."""

    target: Target
    reason: str
    param: str | None = None
    is_asked: bool = False


@dataclass(frozen=True, slots=True)
class Plan:
    """Targets to try, first to last, and those left out. `dropped`: by a target's id, the
    parameters that it will not be told, where the policy allows it."""

    attempts: tuple[Target, ...]
    left_out: tuple[LeftOut, ...]
    dropped: dict[str, tuple[str, ...]] = field(default_factory=dict)


def candidates_of(policy: Policy, decision: Decision) -> tuple[Target, ...]:
    """Who could serve a decision."""
    if decision.target:
        return (decision.target,)
    return policy.tiers[decision.tier or policy.default_tier].targets


def make_plan(
    policy: Policy,
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
    return Plan(tuple(_weighted(usable, policy.max_attempts, draw)), tuple(left_out), dropped)


def no_target(plan: Plan) -> TiergateError:
    """The error for a plan without attempts: the client's if each target lacks what it asks for."""
    reasons = "; ".join(f"{item.target.id}: {item.reason}" for item in plan.left_out)
    message = f"No target can serve this request: {reasons}."
    if all(item.is_asked for item in plan.left_out):
        params = [item.param for item in plan.left_out if item.param]
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


def _weighted(targets: list[Target], most: int, draw: Callable[[], float]) -> list[Target]:
    """At most `most`, drawn one after the other by weight; those of weight 0 follow as given."""
    rest = [target for target in targets if target.weight]
    total = sum([target.weight for target in rest])
    ordered: list[Target] = []
    while len(rest) > 1 and len(ordered) < most:
        point = draw() * total
        index = 0
        while (point := point - rest[index].weight) >= 0 and index < len(rest) - 1:
            index += 1
        drawn = rest.pop(index)
        total -= drawn.weight
        ordered.append(drawn)
    return [*ordered, *rest, *(target for target in targets if not target.weight)][:most]
