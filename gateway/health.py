"""Which targets are not asked for a while, as this instance and the others have seen.

A target is open when `health/<target>` in the store says until when, which is written on opening
and deleted on closing, and read through a cache of a second. What cannot be read or written, or
makes no sense, is neutral: then what this instance knows counts alone. When the time is over, one
request of each instance is a probe; the others wait for what it finds. All of it is said of a base
URL and a key's name: where a policy changes those, the target is new, and asked at once.
"""

import json
from typing import Literal

from gateway.core import jsontext
from gateway.core.outcomes import RULES, Outcome
from gateway.core.policy import Policy, Target
from gateway.core.waiting import MAX_COOLING_MS, MAX_WAIT_MS
from gateway.ports import Entry, KvUnavailable, Place, Ports, TargetHealth, Unchanged

State = Literal["closed", "open", "probe"]

REREAD_SECONDS = 1.0
MAX_TARGETS = 1_000  # more than a policy has; those of older policies are forgotten


async def enter(ports: Ports, policy: Policy, target: Target) -> State:
    """Whether to ask it: not when open. What came of it must be told to `report`."""
    known = await _known(ports, policy, target)
    if known.until is None:
        return "closed"
    if is_open(known, ports.clock.now()) or known.is_probed:
        return "open"
    known.is_probed = True
    return "probe"


async def report(
    ports: Ports,
    policy: Policy,
    target: Target,
    outcome: Outcome,
    wait_ms: int | None = None,
    *,
    has_begun: bool = False,
) -> None:
    """An attempt at it has ended. `wait_ms`: for how long its provider asked to be left alone;
    `has_begun`: it was taken for answered until now."""
    known = ports.remembered.targets.get(target.id)
    if known is None or known.place != _place(policy, target):
        return  # another policy has put another in its place
    if has_begun and RULES[outcome].health != "no sign":
        known.window.retract()
    was_probed, known.is_probed = known.is_probed, False
    is_over = known.window.add(outcome, ports.clock.monotonic(), policy.health)
    sign = RULES[outcome].health
    if sign == "good":
        if known.until is not None and was_probed:
            await _close(ports, target, known)
    elif wait_ms is not None and wait_ms > MAX_WAIT_MS and sign == "bad":
        await _open(ports, target, known, min(wait_ms, MAX_COOLING_MS))
    elif is_over or (was_probed and sign == "bad"):
        await _open(ports, target, known, policy.health.cooldown_ms)


async def open_targets(ports: Ports, policy: Policy) -> dict[str, float]:
    """The targets of a policy that are open, and until when in seconds since 1970."""
    found: dict[str, float] = {}
    for target in policy.listed.values():
        known = await _known(ports, policy, target)
        if known.until is not None and is_open(known, ports.clock.now()):
            found[target.id] = known.until
    return found


def is_open(known: TargetHealth, now: float) -> bool:
    """A time further away than any cooldown is a broken clock or an edited key, not a state."""
    return known.until is not None and now < known.until <= now + 2 * MAX_COOLING_MS / 1000


async def _known(ports: Ports, policy: Policy, target: Target) -> TargetHealth:
    """What is known of it, read again if it was not lately."""
    targets = ports.remembered.targets
    place = _place(policy, target)
    known = targets.get(target.id)
    if known is None or known.place != place:
        if len(targets) >= MAX_TARGETS:
            targets.clear()
        known = targets[target.id] = TargetHealth(place)
    now = ports.clock.monotonic()
    if known.read_at is None or now - known.read_at >= REREAD_SECONDS:
        known.read_at = now
        await _read(ports, target, known)
    return known


async def _read(ports: Ports, target: Target, known: TargetHealth) -> None:
    try:
        found = await ports.kv.get(key_of(target), known.stamp)
    except KvUnavailable:
        return
    if isinstance(found, Unchanged):
        return
    if isinstance(found, Entry):
        known.stamp = found.stamp
        try:
            match jsontext.parse_strictly(found.value):
                case {"open_until": float() | int() as until, "at": [base_url, key]}:
                    if (base_url, key) == known.place:
                        known.until = float(until)
        except jsontext.JsonError:
            return
    elif known.stamp is not None:  # another instance closed it
        known.stamp, known.until = None, None


async def _open(ports: Ports, target: Target, known: TargetHealth, ms: int) -> None:
    known.until = ports.clock.now() + ms / 1000
    value = json.dumps({"open_until": known.until, "at": known.place})
    try:
        await ports.kv.put(key_of(target), value.encode())
    except KvUnavailable:
        return
    known.stamp = object()  # of a value not read yet: its deletion will be seen


async def _close(ports: Ports, target: Target, known: TargetHealth) -> None:
    known.until, known.stamp = None, None
    known.window.clear()
    try:
        await ports.kv.delete(key_of(target))
    except KvUnavailable:
        return


def _place(policy: Policy, target: Target) -> Place:
    provider = policy.providers[target.provider]
    return provider.base_url, provider.key


def key_of(target: Target) -> str:
    """Its key in the store. A model's name may not lead out of `health/` where a key is a path."""
    return f"health/{target.id}".replace("..", "%2E%2E")
