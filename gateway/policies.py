"""Which policy serves: the store's active one, or the last that loaded.

Rules: a change in the store is used by the next request; what does not load never replaces what
works; a store that cannot be read changes nothing. `policy/good` is for instances that were born
after `policy/active` went bad: it is written before it, with the same bytes. What an instance
remembers changes between two awaits only, since others of its requests read it meanwhile.
"""

import json

from gateway.core.compiled import load
from gateway.core.errors import NotReady, PolicyError
from gateway.core.policy import Policy
from gateway.ports import Entry, KvUnavailable, Ports, Stamp, Unchanged

ACTIVE = "policy/active"
GOOD = "policy/good"


async def current_policy(ports: Ports) -> Policy:
    """The policy to serve by. Raises NotReady if there is none that loads."""
    memory = ports.remembered
    served = memory.policy
    try:
        found = await ports.kv.get(ACTIVE, memory.policy_stamp if served else None)
    except KvUnavailable:
        return served or await _fall_back(ports, None, None, f"{ACTIVE} cannot be read")
    if isinstance(found, Unchanged) and served:
        return served
    if not isinstance(found, Entry):
        # Deleted: what this instance remembers of it is no longer the operator's will.
        return await _fall_back(ports, None, None, f"{ACTIVE} is not in the store")
    try:
        policy = _load(found.value, ports)
    except PolicyError as error:
        problem = f"{ACTIVE} does not load: {error.message}"
        return await _fall_back(ports, served, found.stamp, problem)
    memory.policy, memory.policy_stamp, memory.policy_problem = policy, found.stamp, None
    if served and served.version != policy.version:
        ports.log.write(json.dumps({"event": "policy_loaded", "policy": policy.label}))
    return policy


async def _fall_back(
    ports: Ports, served: Policy | None, stamp: Stamp | None, problem: str
) -> Policy:
    """Serve by `policy/good`, or by what worked until now, and say so once per change."""
    memory = ports.remembered
    policy = served
    try:
        found = await ports.kv.get(GOOD, memory.good_stamp)
        if isinstance(found, Entry):
            memory.good, memory.good_stamp = _load(found.value, ports), found.stamp
        elif found is None:
            memory.good, memory.good_stamp = None, None
            problem += f"; {GOOD} is not there either"
        policy = memory.good or served
    except KvUnavailable:
        problem += f"; {GOOD} cannot be read"
    except PolicyError as error:
        problem += f"; {GOOD} does not load: {error.message}"
    memory.policy, memory.policy_stamp = policy, stamp
    if problem != memory.policy_problem:
        memory.policy_problem = problem
        serving = policy.label if policy else None
        event = {"event": "policy_not_loaded", "problem": problem, "serving": serving}
        ports.log.write(json.dumps(event))
    if policy is None:
        raise NotReady(
            f"There is no policy to serve by: {problem}. "
            "Publish one with `tiergate policy publish`.",
            code="no_policy",
        )
    return policy


def _load(data: bytes, ports: Ports) -> Policy:
    policy = load(data)
    if ports.is_exposed and policy.client_keys is None:
        raise PolicyError("client", "has no keys, and other machines reach this gateway")
    return policy
