"""The weights that a command judges with: a file's, or those that the gateway has built in."""

from pathlib import Path

from gateway.core.classifier.model import Weights, WeightsError, read_weights
from gateway.hosts.memory import memory_ports
from gateway.operator.console import Refused


def weights_from(file: Path | None) -> Weights:
    """Of this file, or the embedded ones. Raises Refused, and OSError when it cannot be read."""
    if file is None:
        return memory_ports().weights
    try:
        return read_weights(file.read_bytes())
    except WeightsError as error:
        raise Refused(f"cannot use {file}: {error}") from None
