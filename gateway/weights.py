"""The weights that judge: those that the policy names, from the store, or those that are built in.

In a store they are Base64, since some stores hold text. A file that is not there or cannot be used
is no reason not to judge: the built-in one does, the log says so, and it is looked for again after
a while, since a store may be away for a moment, or be behind.
"""

import json
from base64 import b64decode, b64encode

from gateway.core.classifier.model import Weights, WeightsError, read_weights
from gateway.ports import Entry, KvUnavailable, Ports

PREFIX = "classifier/"  # of their keys in the store; the label follows
RETRY_SECONDS = 30.0


def stored(weights: bytes) -> bytes:
    """A weights file as it is put into a store."""
    return b64encode(weights)


async def read_stored(label: str, ports: Ports) -> Weights:
    """Those with this label. Read once by an instance: what a label stands for never changes."""
    memory = ports.remembered
    if memory.weights is not None and memory.weights.label == label:
        return memory.weights
    now = ports.clock.monotonic()
    if memory.weights_missing == label and now < memory.weights_retry_at:
        return ports.weights
    found = await _read(label, ports)
    if found is None:
        memory.weights_missing, memory.weights_retry_at = label, now + RETRY_SECONDS
        return ports.weights
    memory.weights = found
    return found


async def _read(label: str, ports: Ports) -> Weights | None:
    problem = "is not in the store"
    try:
        found = await ports.kv.get(PREFIX + label, None)
        if isinstance(found, Entry):
            weights = read_weights(b64decode(found.value))
            if weights.label == label:
                return weights
            problem = f"holds {weights.label}"
    except KvUnavailable:
        problem = "cannot be read"
    except (WeightsError, ValueError) as error:
        problem = f"cannot be used: {error}"
    event = {"event": "weights_not_loaded", "problem": f"{PREFIX}{label} {problem}"}
    ports.log.write(json.dumps(event))
    return None
