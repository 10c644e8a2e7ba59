"""What the gateway says of itself: models, readiness, and the route of a request."""

import json

from gateway.core.decide import Decision
from gateway.core.plan import Plan
from gateway.core.policy import Policy
from gateway.core.record import Record
from gateway.ports import Ports


def models(policy: Policy) -> bytes:
    """The names a client may send as `model`, in OpenAI's list shape."""
    names = [("auto", "tiergate")]
    names += [(f"tiergate/{tier}", "tiergate") for tier in policy.tiers]
    names += [(target.id, target.provider) for target in policy.listed.values()]
    return _json(
        {
            "object": "list",
            "data": [
                # The API's `created` is required by SDKs; a policy does not know it.
                {"id": name, "object": "model", "created": 0, "owned_by": owner}
                for name, owner in names
            ],
        }
    )


def readiness(policy: Policy, ports: Ports, *, is_client: bool) -> bytes:
    """Ready, and for those who may know: by which policy, and what is missing."""
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
    return _json(values)


def route(policy: Policy, decision: Decision, plan: Plan, record: Record) -> bytes:
    """The decision and the plan for a chat request that was not forwarded."""
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
                {"target": item.id, "provider": item.provider, "model": item.model}
                for item in plan.attempts
            ],
            "left_out": [
                {"target": item.target.id, "reason": item.reason} for item in plan.left_out
            ],
        }
    )


def _json(value: object) -> bytes:
    return json.dumps(value).encode()
