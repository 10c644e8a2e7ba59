"""The weights that judge: those that the policy names, from the store, or those that are built in.

A file that is not there or cannot be used is no reason not to judge: the built-in one does, and the
log says so once.
"""

import json

from gateway.core.classifier.model import Weights, WeightsError, read_weights
from gateway.core.policy import Policy
from gateway.ports import Entry, KvUnavailable, Ports

PREFIX = "classifier/"  # of their keys in the store; the label follows


async def weights_of(policy: Policy, ports: Ports) -> Weights:
    """Of this policy's classifier. Read once by an instance, since a label is never used again."""
    label, memory = policy.classifier.weights, ports.remembered
    if label is None:
        return ports.weights
    if memory.weights is None or memory.weights_label != label:
        memory.weights = await _read(label, ports) or ports.weights
        memory.weights_label = label
    return memory.weights


async def _read(label: str, ports: Ports) -> Weights | None:
    problem = "is not in the store"
    try:
        found = await ports.kv.get(PREFIX + label, None)
        if isinstance(found, Entry):
            weights = read_weights(found.value)
            if weights.label == label:
                return weights
            problem = f"holds {weights.label}"
    except KvUnavailable:
        problem = "cannot be read"
    except WeightsError as error:
        problem = f"cannot be used: {error}"
    event = {"event": "weights_not_loaded", "problem": f"{PREFIX}{label} {problem}"}
    ports.log.write(json.dumps(event))
    return None
