"""Weights files made for tests."""

from gateway.core.classifier.model import CODES, ZERO, write_weights
from gateway.core.policy import LEVELS


def leaning(**levels: float) -> bytes:
    """A file that says these log-odds of anything."""
    nothing = [bytes([ZERO]) * CODES for _ in LEVELS]
    bias = [levels.get(level, 0.0) for level in LEVELS]
    return write_weights(b"\0", nothing, scale=1.0, bias=bias, tilt=0.0, about={})
