"""Which targets are tried, in which order.

Weights are stateless: an instance at the edge shares no counter with others, so each request draws.
A target that cannot serve the request is left out, and the plan says why.
"""

from collections.abc import Callable, Container
from dataclasses import dataclass

from gateway.core.chat import ChatRequest
from gateway.core.decide import Decision
from gateway.core.errors import NotReady
from gateway.core.policy import ModelFacts, Policy, Target

_NO_FACTS = ModelFacts()


@dataclass(frozen=True, slots=True)
class Plan:
    """Targets to try, first to last, and those left out with the reason."""

    attempts: tuple[Target, ...]
    left_out: tuple[tuple[Target, str], ...]


def make_plan(
    policy: Policy,
    decision: Decision,
    chat: ChatRequest,
    missing_keys: Container[str],
    draw: Callable[[], float],
) -> Plan:
    """The plan for a decision. `draw` gives numbers in [0, 1); it is asked once per choice."""
    if decision.target:
        candidates: tuple[Target, ...] = (decision.target,)
    else:
        candidates = policy.tiers[decision.tier or policy.default_tier].targets
    usable: list[Target] = []
    left_out: list[tuple[Target, str]] = []
    for target in candidates:
        if reason := _why_not(policy, target, chat, missing_keys):
            left_out.append((target, reason))
        else:
            usable.append(target)
    ordered = _weighted(usable, draw) if len(usable) > 1 else usable
    return Plan(tuple(ordered[: policy.max_attempts]), tuple(left_out))


def no_target(plan: Plan) -> NotReady:
    """The error for a plan without attempts."""
    reasons = "; ".join(f"{target.id}: {reason}" for target, reason in plan.left_out)
    return NotReady(f"No target can serve this request: {reasons}.", code="no_usable_target")


def _why_not(
    policy: Policy, target: Target, chat: ChatRequest, missing_keys: Container[str]
) -> str | None:
    key = policy.providers[target.provider].key
    if key and key in missing_keys:
        return f"the secret {key} is not set"
    facts = policy.models.get(target.id, _NO_FACTS)
    if chat.has_images and not facts.images:
        return "it takes no images"
    if chat.has_tools and not facts.tools:
        return "it takes no tools"
    return None


def _weighted(targets: list[Target], draw: Callable[[], float]) -> list[Target]:
    """Drawn one after the other by weight; those of weight 0 follow in the order given."""
    rest = [target for target in targets if target.weight]
    ordered: list[Target] = []
    while len(rest) > 1:
        point = draw() * sum(target.weight for target in rest)
        for target in rest:
            point -= target.weight
            if point < 0:
                break
        ordered.append(target)
        rest.remove(target)
    return [*ordered, *rest, *(target for target in targets if not target.weight)]
