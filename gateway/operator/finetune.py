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
from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random

from gateway.core.classifier.excerpt import Excerpt
from gateway.core.classifier.features import features_of
from gateway.core.classifier.model import CODES, ZERO, Weights, write_weights
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

_LEVELS = range(len(LEVELS))

type Meant = tuple[tuple[int, ...], int]  # what a code stands for, a byte a level; and the code


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
    columns, numbers = _columns(labels, len(weights.rows) - 1)
    lanes = [
        [weights.scale * (table[weights.rows[number]] - ZERO) for number in numbers]
        for table in weights.tables
    ]
    bias = list(weights.bias)
    _fit(lanes, bias, columns, labels, on_pass)
    rows = bytearray(weights.rows)
    wanted = [[ZERO + each / weights.scale for each in moved] for moved in zip(*lanes, strict=True)]
    for number, code in zip(numbers, coded(wanted, columns, weights.tables), strict=True):
        rows[number] = code
    return write_weights(
        bytes(rows),
        weights.tables,
        scale=weights.scale,
        bias=tuple([round(each, 6) for each in bias]),
        tilt=weights.tilt,
        about={"tuned_from": weights.label, "tuned_on": len(labels)},
    )


def coded(
    wanted: Sequence[Sequence[float]], columns: Sequence["array[int]"], tables: Sequence[bytes]
) -> list[int]:
    """For each row the code that means nearly what is wanted of it, so that the sum of each label's
    rows is nearly what it should be: what a code falls short of is owed to the labels that have the
    row, and paid by their next. Those that most labels have come first, and so those that one alone
    has pay the rest. Each rounded to the nearest, the small moves of many rows would be nothing.

    Other requests that have these rows are moved by some tenths of log-odds besides."""
    labels_of: list[list[int]] = [[] for _ in wanted]
    for number, column in enumerate(columns):
        for place in column:
            labels_of[place].append(number)
    meant = sorted(zip(zip(*tables, strict=True), range(CODES), strict=True))
    owed = [[0.0] * len(tables) for _ in columns]
    codes = [0] * len(wanted)
    for place in sorted(range(len(wanted)), key=lambda place: -len(labels_of[place])):
        debts = [owed[number] for number in labels_of[place]]
        means = [sum(debt) / len(debts) for debt in zip(*debts, strict=True)]
        due = [each + mean for each, mean in zip(wanted[place], means, strict=True)]
        got, codes[place] = _nearest(meant, due)
        for debt in debts:
            for level, each in enumerate(wanted[place]):
                debt[level] += each - got[level]
    return codes


def _nearest(meant: Sequence[Meant], due: Sequence[float]) -> Meant:
    """The nearest of these, sorted by what they mean for the first level: looked for from there
    outwards, since most are farther in that alone than the nearest is in all."""
    start = bisect_left(meant, due[0], key=lambda each: each[0][0])
    best, least = meant[0], math.inf
    for side in (range(start, len(meant)), range(start - 1, -1, -1)):
        for place in side:
            if abs(meant[place][0][0] - due[0]) > least:
                break
            if (far := math.dist(meant[place][0], due)) < least:
                best, least = meant[place], far
    return best


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
