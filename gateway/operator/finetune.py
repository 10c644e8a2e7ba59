"""Fine-tuning: the weights that judge, moved as far as a user's own labels are worth.

Rules: the same labels and weights give the same bytes. What the labels do not speak of stays as it
was. What is fitted is what `gateway.core.classifier.model.score` computes: each feature counts by
one over the square root of their number; the tilt is kept, since it says what an error costs.

The fit is a softmax regression with a penalty on the distance from the weights it began with. Its
dual is ascended, a label at a time, in an order drawn anew for each pass: each label has a share
for each level that is the residual once all is done, and the weights are those that it began with
plus the features times the shares. So no rate has to be chosen, and it ends.
"""

import math
from array import array
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random
from zlib import crc32

from gateway.core.classifier.excerpt import Excerpt
from gateway.core.classifier.features import features_of
from gateway.core.classifier.model import Weights, write_weights
from gateway.core.policy import LEVELS

# The penalty on a weight's way, beside a label's loss; and the value of the feature that every
# request has, which moves a level as a whole. With these twenty labels that contradict the model
# leave its judgement of other requests as good as it was, and some hundred turn it. With a greater
# penalty it takes more labels, and with a greater bias twenty of one level move everything.
PULL = 0.1
BIAS = 0.1
PASSES = 30
ENOUGH = 1e-3  # no share moved by more in a pass: it is done
SEED = 1

_ZERO = 128  # what a weight of nothing is in the file
_MOST = 127
_LEVELS = range(len(LEVELS))


@dataclass(frozen=True, slots=True)
class Label:
    """A request and its level, as a number from 0."""

    excerpt: Excerpt
    level: int


def finetune(
    weights: Weights,
    labels: Sequence[Label],
    on_pass: Callable[[], None] = lambda: None,
) -> bytes:
    """A weights file. `on_pass` is called after each of at most `PASSES` passes."""
    bodies = [bytes(weights.rows)[level * 2 :: 8] for level in _LEVELS]
    columns, rows = _columns(labels, len(weights.rows) - 1)
    lanes = [[weights.scale * (body[row] - _ZERO) for row in rows] for body in bodies]
    bias = list(weights.bias)
    _fit(lanes, bias, columns, labels, on_pass)
    body = bytearray(len(weights.rows) * len(LEVELS))
    for level, (before, lane) in enumerate(zip(bodies, lanes, strict=True)):
        after = bytearray(before)
        for row, value in zip(rows, lane, strict=True):
            after[row] = _byte(before[row], value / weights.scale, row, level)
        body[level :: len(LEVELS)] = after
    return write_weights(
        bytes(body),
        scale=weights.scale,
        bias=tuple([round(each, 6) for each in bias]),
        tilt=weights.tilt,
        about={"tuned_from": weights.label, "tuned_on": len(labels)},
    )


def _columns(labels: Sequence[Label], mask: int) -> tuple[list["array[int]"], list[int]]:
    """For each label the places of its features' rows in the list of rows that is the second."""
    places: dict[int, int] = {}
    columns = [
        array("I", [places.setdefault(each & mask, len(places)) for each in found])
        for found in (sorted(features_of(label.excerpt)) for label in labels)
    ]
    return columns, list(places)


def _fit(
    lanes: list[list[float]],
    bias: list[float],
    columns: Sequence["array[int]"],
    labels: Sequence[Label],
    on_pass: Callable[[], None],
) -> None:
    """Moves `lanes` (for each level the weight of each row) and `bias` to the optimum."""
    # The step that no curvature of the loss overshoots: that of a softmax is at most a half.
    step = 1 / (1 + (1 + BIAS**2) / (2 * PULL))
    shares = [[0.0] * len(LEVELS) for _ in labels]
    order, chance = list(range(len(labels))), Random(SEED)  # noqa: S311 - an order, no secret
    for _ in range(PASSES):
        chance.shuffle(order)
        furthest = 0.0
        for number in order:
            column, share, truth = columns[number], shares[number], labels[number].level
            factor = 1 / math.sqrt(len(column) or 1)
            logits = [
                base + factor * sum(map(lane.__getitem__, column))
                for base, lane in zip(bias, lanes, strict=True)
            ]
            top = max(logits)
            odds = [math.exp(logit - top) for logit in logits]
            total = sum(odds)
            for level in _LEVELS:
                residual = (level == truth) - odds[level] / total
                move = step * (residual - share[level])
                share[level] += move
                furthest = max(furthest, abs(move))
                bias[level] += move * BIAS**2 / PULL
                lane, by = lanes[level], move * factor / PULL
                for place in column:
                    lane[place] += by
        on_pass()
        if furthest < ENOUGH:
            return


def _byte(before: int, value: float, row: int, level: int) -> int:
    """The byte of a weight. What moved is rounded up as often as it is near the next byte, by a
    draw that is always the same: rounded to the nearest, all small moves would be lost."""
    moved = value - (before - _ZERO)
    if abs(moved) < 1e-6:  # it was not touched; the rest is rounding
        return before
    draw = crc32(b"%d %d" % (row, level)) / 2**32
    rounded = before - _ZERO + math.floor(moved + draw)
    return _ZERO + max(-_MOST, min(_MOST, rounded))
