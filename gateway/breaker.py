"""A breaker that many instances share through the store: after a failure nobody asks for a while.

Open is a key with what is not asked and until when; closed is no key. It is written on opening and
closing only. When its time is over, the first to come takes the probe by opening it once more for
as long as the probe may last. A store that cannot be read or written, or holds nonsense, is
neutral: what this instance remembers then counts alone.
"""

import json
from typing import Literal

from gateway.core import jsontext
from gateway.ports import Entry, KvUnavailable, OpenBreaker, Ports, Unchanged

State = Literal["closed", "open", "probe"]


async def enter(ports: Ports, name: str, target: str, cooldown_ms: int, probe_ms: int) -> State:
    """Whether to ask: not when open; "probe" is an ask whose success must be told to `close`."""
    memory = ports.remembered
    now = ports.clock.now()
    await _refresh(ports, name)
    opened = memory.breakers.get(name)
    if opened is None or opened.target != target:  # what was open is not what is asked now
        return "closed"
    # A time further away than any cooldown is a broken clock or an edited key, not a state.
    if now < opened.until <= now + 2 * max(cooldown_ms, probe_ms) / 1000:
        return "open"
    await open_for(ports, name, target, probe_ms)
    return "probe"


async def open_for(ports: Ports, name: str, target: str, cooldown_ms: int) -> None:
    """Open it from now on for `cooldown_ms`. `target` is what is not to be asked."""
    memory = ports.remembered
    until = ports.clock.now() + cooldown_ms / 1000
    memory.breakers[name] = OpenBreaker(target, until)
    try:
        value = json.dumps({"open_until": until, "target": target})
        await ports.kv.put(f"health/{name}", value.encode())
    except KvUnavailable:
        return
    memory.health_stamps[name] = object()  # of a value not read yet: its deletion will be seen


async def close(ports: Ports, name: str) -> None:
    """Close it: what it guards has answered."""
    ports.remembered.breakers.pop(name, None)
    try:
        await ports.kv.delete(f"health/{name}")
    except KvUnavailable:
        return


async def _refresh(ports: Ports, name: str) -> None:
    memory = ports.remembered
    try:
        found = await ports.kv.get(f"health/{name}", memory.health_stamps.get(name))
    except KvUnavailable:
        return
    if isinstance(found, Unchanged):
        return
    if isinstance(found, Entry):
        memory.health_stamps[name] = found.stamp
        try:
            match jsontext.parse_strictly(found.value):
                case {"open_until": float() | int() as until, "target": str(target)}:
                    memory.breakers[name] = OpenBreaker(target, float(until))
        except jsontext.JsonError:
            return
    elif memory.health_stamps.pop(name, None) is not None:
        memory.breakers.pop(name, None)  # another instance closed it
