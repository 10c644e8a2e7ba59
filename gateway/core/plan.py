"""Which targets are tried, in which order.

Weights are stateless: an instance at the edge shares no counter with others, so each request draws.
A target that cannot serve the request is left out, and the plan says why.
"""

from collections.abc import Callable
from dataclasses import dataclass

from gateway.core.chat import ChatRequest
from gateway.core.decide import Decision
from gateway.core.errors import BadRequest, NotReady, TiergateError
from gateway.core.policy import Policy, Target


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A target that is not tried. `param`: the member of the request that it cannot serve."""

    target: Target
    reason: str
    param: str | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """Targets to try, first to last, and those left out."""

    attempts: tuple[Target, ...]
    left_out: tuple[LeftOut, ...]


def make_plan(
    policy: Policy,
    decision: Decision,
    chat: ChatRequest,
    has_secret: Callable[[str], bool],
    draw: Callable[[], float],
) -> Plan:
    """The plan for a decision. `draw` gives numbers in [0, 1); it is asked once per choice."""
    if decision.target:
        candidates: tuple[Target, ...] = (decision.target,)
    else:
        candidates = policy.tiers[decision.tier or policy.default_tier].targets
    usable: list[Target] = []
    left_out: list[LeftOut] = []
    for target in candidates:
        if found := _why_not(policy, target, chat, has_secret):
            left_out.append(found)
        else:
            usable.append(target)
    return Plan(tuple(_weighted(usable, policy.max_attempts, draw)), tuple(left_out))


def no_target(plan: Plan) -> TiergateError:
    """The error for a plan without attempts: the client's if each target lacks what it asks for."""
    reasons = "; ".join(f"{item.target.id}: {item.reason}" for item in plan.left_out)
    message = f"No target can serve this request: {reasons}."
    params = [item.param for item in plan.left_out]
    if all(params):
        return BadRequest(message, code="unsupported_by_targets", param=params[0])
    return NotReady(message, code="no_usable_target")


def _why_not(
    policy: Policy, target: Target, chat: ChatRequest, has_secret: Callable[[str], bool]
) -> LeftOut | None:
    provider = policy.providers[target.provider]
    if provider.key and not has_secret(provider.key):
        return LeftOut(target, f"the secret {provider.key} is not set")
    for name in provider.refuses:
        if name in chat.source.values:
            return LeftOut(target, f"'{name}' is not sent to {provider.name}", name)
    if chat.wants_usage and not provider.sends_usage_on_request:
        return LeftOut(target, f"{provider.name} takes no 'stream_options'", "stream_options")
    facts = policy.models.get(target.id)
    if facts and not facts.images and chat.has_images:
        return LeftOut(target, "it takes no images", "messages")
    if facts and not facts.tools and chat.has_tools:
        return LeftOut(target, "it takes no tools", "tools")
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
