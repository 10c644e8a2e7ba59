"""What the gateway says of itself: models, readiness, and the route of a request."""

import json

from gateway.core.decide import Decision
from gateway.core.dialect import Dialect
from gateway.core.dialects import ANTHROPIC_MESSAGES, GEMINI
from gateway.core.errors import NotFound
from gateway.core.plan import Plan
from gateway.core.policy import Policy
from gateway.core.record import Record, utc
from gateway.ports import Ports


def models(policy: Policy, dialect: Dialect, name: str | None = None) -> bytes:
    """The names a client may send as `model`, in the shape that its SDK lists them in; with a name
    that one alone. Raises NotFound."""
    owners = {"auto": "tiergate"}
    owners |= {f"tiergate/{tier}": "tiergate" for tier in policy.tiers}
    owners |= {target.id: target.provider for target in policy.listed.values()}
    owners |= {target.id: target.provider for target in policy.embeddings}
    if name is not None:
        if name not in owners:
            raise NotFound(
                "The model is not one of this gateway's: GET the list of models names them all.",
                code="model_not_found",
                param="model",
            )
        return _json(_model(dialect, name, owners[name]))
    shown = [_model(dialect, each, owner) for each, owner in owners.items()]
    if dialect is GEMINI:
        return _json({"models": shown})
    if dialect is ANTHROPIC_MESSAGES:
        first, last = next(iter(owners)), next(reversed(owners))
        return _json({"data": shown, "has_more": False, "first_id": first, "last_id": last})
    return _json({"object": "list", "data": shown})


# SDKs demand the moment a model was made; a policy does not know it.
_UNKNOWN_TIME = "1970-01-01T00:00:00Z"


def _model(dialect: Dialect, name: str, owner: str) -> dict[str, object]:
    if dialect is GEMINI:
        return {
            "name": f"models/{name}",
            "displayName": name,
            "supportedGenerationMethods": ["generateContent"],
        }
    if dialect is ANTHROPIC_MESSAGES:
        return {
            "type": "model",
            "id": name,
            "display_name": name,
            "created_at": _UNKNOWN_TIME,
            "lifecycle": "active",  # which its SDK demands as well: it can be asked for
        }
    return {"id": name, "object": "model", "created": 0, "owned_by": owner}


def readiness(policy: Policy, ports: Ports, resting: dict[str, float], *, is_client: bool) -> bytes:
    """Ready, and for those who may know: by which policy, what is missing, and which targets are
    not asked for a while."""
    values: dict[str, object] = {"status": "ready"}
    if is_client:
        missing = [name for name in policy.secret_names() if not ports.has_secret(name)]
        without = {row.name for row in policy.providers.values() if row.key in missing}
        values["policy"] = {"name": policy.name, "version": policy.version}
        values["problem"] = ports.remembered.policy_problem
        values["missing_secrets"] = missing
        values["unusable_targets"] = [
            target.id for target in policy.listed.values() if target.provider in without
        ]
        values["open_targets"] = [
            {"target": id_, "open_until": utc(until)} for id_, until in resting.items()
        ]
    return _json(values)


def route(
    policy: Policy,
    decision: Decision,
    plans: list[Plan],
    resting: dict[str, float],
    record: Record,
) -> bytes:
    """The decision and the plan for a chat request that was not forwarded. `resting`: targets that
    are not asked for a while, and until when in seconds since 1970."""
    call = record.classifier
    return _json(
        {
            "policy": {"name": policy.name, "version": policy.version},
            "decision": {
                "tier": decision.tier,
                "by": decision.by,
                "confidence": decision.confidence,
                "reason": decision.reason,
            },
            "classifier": call
            and {"target": call.target, "outcome": call.outcome, "ms": round(call.ms, 1)},
            "plan": [
                {
                    "target": item.id,
                    "provider": item.provider,
                    "model": item.model,
                    "tier": plan.tier,
                    "open_until": utc(resting[item.id]) if item.id in resting else None,
                }
                for plan in plans
                for item in plan.attempts
            ],
            "left_out": [
                {"target": item.target.id, "reason": item.reason}
                for plan in plans
                for item in plan.left_out
            ],
        }
    )


def _json(value: object) -> bytes:
    return json.dumps(value).encode()
