"""One set of figures for every judge: what is asked of it, and how it is shown. Pure Python, so
that the tests of the committed weights need no more than the gateway does."""

from collections.abc import Sequence
from dataclasses import dataclass

from gateway.core.policy import LEVELS

BINS = 10
FIRST_HARD = LEVELS.index("quality")


@dataclass(frozen=True, slots=True)
class Score:
    """Shares from 0 to 1. `macro_f1`: over the levels that there are. `auc`: of hard work (the two
    upper levels) against easy. `under`: of all requests, hard ones sent to a cheap tier;
    `under_of_hard`: of the hard ones. `over` likewise. `calibration`: the expected calibration
    error. None where a judge gives no probabilities, or the requests are all of one side."""

    rows: int
    macro_f1: float
    accuracy: float
    under: float
    under_of_hard: float | None
    over: float
    over_of_easy: float | None
    auc: float | None = None
    calibration: float | None = None


def score(
    truth: Sequence[int], chosen: Sequence[int], shares: Sequence[Sequence[float]] | None = None
) -> Score:
    """`truth` and `chosen` are levels; `shares` the probability of each."""
    pairs = list(zip(truth, chosen, strict=True))
    hard = [level >= FIRST_HARD for level in truth]
    under = sum(true >= FIRST_HARD > found for true, found in pairs)
    over = sum(true < FIRST_HARD <= found for true, found in pairs)
    easy = len(pairs) - sum(hard)
    levels = [f1 for level, f1 in enumerate(f1_of_levels(truth, chosen)) if level in set(truth)]
    return Score(
        rows=len(pairs),
        macro_f1=sum(levels) / len(levels),
        accuracy=sum(true == found for true, found in pairs) / len(pairs),
        under=under / len(pairs),
        under_of_hard=under / sum(hard) if any(hard) else None,
        over=over / len(pairs),
        over_of_easy=over / easy if easy else None,
        auc=auc(hard, [sum(each[FIRST_HARD:]) for each in shares]) if shares is not None else None,
        calibration=_calibration(pairs, shares) if shares is not None else None,
    )


def f1_of_levels(truth: Sequence[int], chosen: Sequence[int]) -> list[float]:
    found: list[float] = []
    for level in range(len(LEVELS)):
        both = sum(a == b == level for a, b in zip(truth, chosen, strict=True))
        either = sum(a == level for a in truth) + sum(b == level for b in chosen)
        found.append(2 * both / either if either else 0.0)
    return found


def auc(hard: Sequence[bool], hardness: Sequence[float]) -> float | None:
    """How often a hard request has more of it than an easy one; a tie counts half."""
    ranks: dict[float, float] = {}
    place = 0
    ordered = sorted(hardness)
    while place < len(ordered):
        end = place
        while end < len(ordered) and ordered[end] == ordered[place]:
            end += 1
        ranks[ordered[place]] = (place + end + 1) / 2
        place = end
    n_hard = sum(hard)
    n_easy = len(hard) - n_hard
    if not n_hard or not n_easy:
        return None
    total = sum(ranks[each] for is_hard, each in zip(hard, hardness, strict=True) if is_hard)
    return (total - n_hard * (n_hard + 1) / 2) / (n_hard * n_easy)


def _calibration(pairs: Sequence[tuple[int, int]], shares: Sequence[Sequence[float]]) -> float:
    bins: list[list[tuple[float, bool]]] = [[] for _ in range(BINS)]
    for (true, found), each in zip(pairs, shares, strict=True):
        confidence = each[found]
        bins[min(BINS - 1, int(confidence * BINS))].append((confidence, true == found))
    error = 0.0
    for inside in bins:
        if inside:
            sure = sum(confidence for confidence, _ in inside)
            right = sum(is_right for _, is_right in inside)
            error += abs(sure - right) / len(pairs)
    return error


def table(rows: Sequence[tuple[str, Score]]) -> str:
    """As text, a line each."""
    heads = {
        "macro-F1": "macro_f1",
        "accuracy": "accuracy",
        "AUC": "auc",
        "under": "under",
        "of hard": "under_of_hard",
        "over": "over",
        "of easy": "over_of_easy",
        "calibration": "calibration",
    }
    lines = [f"{'':34}{'rows':>9}" + "".join(f"{head:>12}" for head in heads)]
    for name, each in rows:
        values = [getattr(each, field) for field in heads.values()]
        shown = "".join(f"{'-' if value is None else f'{value:.3f}':>12}" for value in values)
        lines.append(f"{name:34}{each.rows:>9,}{shown}")
    return "\n".join(lines)
