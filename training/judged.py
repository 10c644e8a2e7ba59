"""What a weights file says of rows, by the guest's own code."""

from collections.abc import Sequence

from gateway.core.classifier.model import Weights, judge
from gateway.core.policy import LEVELS
from training.rows import Row

DEFAULT = LEVELS.index("balanced")  # what a request without evidence gets, under most policies


def judged(
    weights: Weights, rows: Sequence[Row], lean: float = 0.0
) -> tuple[list[int], list[int], list[tuple[float, ...]]]:
    """The true level of each, the chosen one, and the probabilities of all."""
    found = [judge(weights, row.excerpt, lean) for row in rows]
    chosen = [LEVELS.index(each.level) if each else DEFAULT for each in found]
    shares = [each.probabilities if each else (0.25,) * len(LEVELS) for each in found]
    return [row.level for row in rows], chosen, shares
