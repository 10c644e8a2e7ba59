"""Which tier serves a request, and why: what the client asked for, as far as the policy lets it.

In this order: a tier by header, a tier or a model named in the body, bypass, a rule of the policy,
else judged. Text inside the conversation has no say here.
"""

from dataclasses import dataclass
from typing import Literal

from gateway.core.chat import ChatRequest
from gateway.core.errors import BadRequest, Forbidden, NotFound
from gateway.core.http import Headers
from gateway.core.policy import Permission, Policy, StreamGuard, Target
from gateway.core.rules import Facts, first_that_holds

DecidedBy = Literal["forced", "bypass", "direct", "rule", "session", "local", "model", "default"]

AUTO = frozenset({"auto", "tiergate/auto"})
OWN_PREFIX = "tiergate/"


@dataclass(frozen=True, slots=True)
class Controls:
    """What the request's own headers ask of the gateway, the policy's permissions applied."""

    tier: str | None
    is_bypass: bool
    timeout_ms: int | None
    stream_guard: StreamGuard | None


@dataclass(frozen=True, slots=True)
class Decision:
    """A tier and who decided it. `target` instead of a tier: exactly that model was asked for.

    `reason` says why it is the default, or which rule it was; `confidence` is 0-1, None where the
    judge has none.
    """

    tier: str | None
    by: DecidedBy
    target: Target | None = None
    reason: str | None = None
    confidence: float | None = None


def read_controls(headers: Headers, policy: Policy) -> Controls:
    """The `x-tiergate-*` request headers. Raises BadRequest and Forbidden naming the header."""
    allowed = policy.permissions
    tier = _permitted(headers, "x-tiergate-tier", allowed.tier)
    bypass = _permitted(headers, "x-tiergate-bypass", allowed.bypass)
    guard = _permitted(headers, "x-tiergate-stream-guard", allowed.stream_guard)
    timeout = headers.get("x-tiergate-timeout-ms")
    if tier is not None and tier not in policy.tiers:
        raise BadRequest(
            f"x-tiergate-tier names no tier of this gateway: use one of {_names(policy)}.",
            code="unknown_tier",
            param="x-tiergate-tier",
        )
    if bypass not in {None, "true", "false"}:
        raise _bad_header("x-tiergate-bypass", "true or false")
    if guard not in {None, "content", "full"}:
        raise _bad_header("x-tiergate-stream-guard", "content or full")
    timeout_ms = None
    if timeout is not None:
        if not (timeout.isascii() and timeout.isdigit() and 0 < len(timeout) < 10 and int(timeout)):
            raise _bad_header("x-tiergate-timeout-ms", "a whole number of milliseconds above 0")
        timeout_ms = int(timeout)
    wanted: StreamGuard | None = None if guard is None else "full" if guard == "full" else "content"
    return Controls(tier, bypass == "true", timeout_ms, wanted)


def decide(policy: Policy, chat: ChatRequest, controls: Controls) -> Decision | None:
    """The decision that needs no judge, or None. Raises Forbidden and NotFound naming the model."""
    if controls.tier:
        return Decision(controls.tier, "forced")
    name = chat.model
    if name is None or name in AUTO:
        return Decision(policy.default_tier, "bypass") if controls.is_bypass else None
    if name.startswith(OWN_PREFIX):
        return _own_model(policy, name, controls)
    if target := policy.listed.get(name):
        if policy.permissions.direct == "reject":
            raise Forbidden(
                "This gateway does not let clients name a model: send model 'auto'.",
                code="direct_not_allowed",
                param="model",
            )
        if policy.permissions.direct == "allow":
            return Decision(None, "bypass" if controls.is_bypass else "direct", target)
        return Decision(policy.default_tier, "bypass") if controls.is_bypass else None
    if controls.is_bypass:
        return Decision(policy.default_tier, "bypass")
    if policy.unknown_model == "reject":
        raise NotFound(
            f"The model {_shown(name)} is not one of this gateway's: GET /v1/models lists them, "
            "and 'auto' lets it choose.",
            code="model_not_found",
            param="model",
        )
    return None


def by_rule(policy: Policy, facts: Facts, headers: Headers) -> Decision | None:
    """The decision of the first rule that holds, or None."""
    rule = first_that_holds(policy, facts, headers)
    return Decision(rule.tier, "rule", rule.target, reason=rule.name) if rule else None


def check_kept(decision: Decision | None, param: str | None) -> None:
    """Raises BadRequest where a request refers to what one provider keeps (`param`), and any of
    several might get it."""
    if param is not None and (decision is None or decision.target is None):
        raise BadRequest(
            f"'{param}' refers to something that one provider keeps: name the model that it was"
            " made with, as provider/model, or send it in full.",
            code="needs_a_model",
            param=param,
        )


def default(policy: Policy, reason: str) -> Decision:
    """The default tier, because nothing could be judged."""
    return Decision(policy.default_tier, "default", reason=reason)


def _own_model(policy: Policy, name: str, controls: Controls) -> Decision | None:
    tier = name.removeprefix(OWN_PREFIX)
    if policy.permissions.tier == "reject":
        raise Forbidden(
            "This gateway does not let clients choose the tier: send model 'auto'.",
            code="tier_not_allowed",
            param="model",
        )
    if tier not in policy.tiers:
        raise NotFound(
            f"The model {_shown(name)} names no tier of this gateway: use one of {_names(policy)}.",
            code="model_not_found",
            param="model",
        )
    if policy.permissions.tier == "allow":
        return Decision(tier, "forced")
    return Decision(policy.default_tier, "bypass") if controls.is_bypass else None


def _permitted(headers: Headers, name: str, permission: Permission) -> str | None:
    value = headers.get(name)
    if value is None or permission == "ignore":
        return None
    if permission == "reject":
        raise Forbidden(
            f"This gateway does not accept the header {name}.",
            code="header_not_allowed",
            param=name,
        )
    return value.strip()


def _bad_header(name: str, expected: str) -> BadRequest:
    return BadRequest(f"The header {name} must be {expected}.", code="invalid_header", param=name)


def _names(policy: Policy) -> str:
    return ", ".join(policy.tiers)


def _shown(name: str) -> str:
    return repr(name if len(name) <= 100 else name[:100] + "...")
