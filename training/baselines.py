"""Other judges, on the same requests: chance, length, and what other projects ship.

LiteLLM's complexity router and UncommonRoute are their own released packages, called as they are,
with their defaults; each judges the newest user turn's text. Where one is not installed its line is
left out, and that is said.
"""

import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from training.rows import Row

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Judged:
    """The levels, and where the judge has one a number that is larger for harder requests."""

    levels: Ints
    hardness: Floats | None = None


def all_of(train: Sequence[Row], test: Sequence[Row]) -> dict[str, Judged]:
    """By name. The first two learn from `train`."""
    found = {"majority": _majority(train, test), "length": _length(train, test)}
    for name, judge in (("LiteLLM complexity router", _litellm), ("UncommonRoute", _uncommon)):
        try:
            found[name] = judge(test)
        except ImportError as error:
            print(f"evaluate: without {name}: {error}", file=sys.stderr)
    return found


def _majority(train: Sequence[Row], test: Sequence[Row]) -> Judged:
    most = int(np.bincount([row.level for row in train]).argmax())
    return Judged(np.full(len(test), most))


def _length(train: Sequence[Row], test: Sequence[Row]) -> Judged:
    """Longer is harder: the thresholds that give each level its share of the training rows."""
    lengths = np.sort([len(row.excerpt.turn) for row in train])
    shares = np.cumsum(np.bincount([row.level for row in train], minlength=4))[:-1]
    bounds = lengths[np.minimum(shares, len(lengths) - 1)]
    asked = np.array([len(row.excerpt.turn) for row in test])
    return Judged(np.searchsorted(bounds, asked), asked.astype(np.float64))


def _litellm(test: Sequence[Row]) -> Judged:
    os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"  # else it fetches prices at its import
    from litellm.router_strategy.complexity_router.complexity_router import (  # noqa: PLC0415
        ComplexityRouter,
    )

    names = ("SIMPLE", "MEDIUM", "COMPLEX", "REASONING")
    config = {"tiers": {name: name.lower() for name in names}}
    router = ComplexityRouter("auto", None, config, "medium", derive_savings_baseline=False)
    found = [router.classify(row.excerpt.turn) for row in test]
    return _judged(found, lambda each: names.index(each[0].value), lambda each: each[1])


def _uncommon(test: Sequence[Row]) -> Judged:
    from uncommon_route.router.classifier import classify  # noqa: PLC0415

    names = ("SIMPLE", "MEDIUM", "COMPLEX", "REASONING")
    found = [classify(row.excerpt.turn) for row in test]
    return _judged(found, lambda each: names.index(each.tier.value), lambda each: each.complexity)


def _judged[T](
    found: Sequence[T], level: Callable[[T], int], hardness: Callable[[T], float]
) -> Judged:
    return Judged(np.array([level(each) for each in found]), np.array([*map(hardness, found)]))
