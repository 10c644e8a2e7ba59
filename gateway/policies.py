"""Which policy serves: the store's active one, or the last that loaded.

Rules: a change in the store is used by the next request; what does not load never replaces what
works; a store that cannot be read changes nothing. `policy/good` is for instances that were born
after `policy/active` went bad: it is written before it, with the same bytes.
"""

import json

from gateway.core.compiled import load
from gateway.core.errors import NotReady, PolicyError
from gateway.core.policy import Policy
from gateway.ports import Entry, KvUnavailable, Ports, Unchanged

ACTIVE = "policy/active"
GOOD = "policy/good"


async def current_policy(ports: Ports) -> Policy:
    """The policy to serve by. Raises NotReady if there is none that loads."""
    memory = ports.remembered
    try:
        found = await ports.kv.get(ACTIVE, memory.policy_stamp)
    except KvUnavailable:
        if memory.policy is None:
            raise NotReady(
                "The policy store cannot be read.", code="policy_store_unavailable"
            ) from None
        return memory.policy
    if isinstance(found, Unchanged) and memory.policy is not None:
        return memory.policy
    if isinstance(found, Entry):
        memory.policy_stamp = found.stamp
        try:
            memory.policy = load(found.value)
            memory.policy_problem = None
        except PolicyError as error:
            await _fall_back(ports, f"{ACTIVE} does not load: {error.message}")
    else:
        memory.policy_stamp = None
        # Deleted: what this instance remembers of it is no longer the operator's will.
        memory.policy = None
        await _fall_back(ports, f"{ACTIVE} is not in the store")
    if memory.policy is None:
        memory.policy_stamp = None  # so that the next request reads the store again
        raise _none_loads(memory.policy_problem)
    return memory.policy


async def _fall_back(ports: Ports, problem: str) -> None:
    """Serve by `policy/good`, or by what worked until now, and say so once per change."""
    memory = ports.remembered
    try:
        good = await ports.kv.get(GOOD)
        if isinstance(good, Entry):
            memory.policy = load(good.value)
    except (KvUnavailable, PolicyError) as error:
        problem += f"; nor does {GOOD}: {error}"
    if problem != memory.policy_problem:
        memory.policy_problem = problem
        serving = memory.policy.label if memory.policy else None
        event = {"event": "policy_not_loaded", "problem": problem, "serving": serving}
        ports.log.write(json.dumps(event))


def _none_loads(problem: str | None) -> NotReady:
    return NotReady(
        f"There is no policy to serve by: {problem}. Publish one with `tiergate policy publish`.",
        code="no_policy",
    )
