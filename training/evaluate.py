"""`python -m training evaluate`: one table of what the committed weights, and others, are worth.

Two kinds of figures. The test split: rows that no training saw, though their authors' other rows
it did. Left out: each group of rows (an author, a dataset) judged by a model that has seen nothing
of it, which is what a new user's requests are. Only the second needs training, eight times.
"""

import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gateway.core.classifier.model import Weights, choose, read_weights
from gateway.core.policy import LEVELS
from training import baselines, fit
from training.apgr import mmlu_apgr
from training.judged import judged
from training.rows import Row, natural, sources, split
from training.score import FIRST_HARD, Score, auc, f1_of_levels, score, table

LEAST = 20  # rows of a language that are worth a line
LEANS = (-1.0, -0.5, 0.5, 1.0)
FIGURES = Path(__file__).parent / "figures.json"  # of the committed weights; docs/tiers.md shows it


def run(weights_file: Path, *, is_quick: bool, as_json: bool, record: bool) -> int:
    """`record`: the figures are kept beside the data, for the tests and the documentation."""
    weights = read_weights(weights_file.read_bytes())
    written = natural()
    figures = _test_figures(weights, written)
    if not is_quick:
        figures |= _left_out_figures(written)
    values = {name: asdict(each) for name, each in figures.items()}
    routellm = round(mmlu_apgr(weights), 4)
    if record:
        kept = {"weights": weights.label, "mmlu_apgr": routellm, "figures": values}
        FIGURES.write_text(json.dumps(kept, indent=1) + "\n")
    if as_json:
        print(json.dumps(values))
        return 0
    print(f"weights {weights.label}. under: hard requests sent to a cheap tier; over: easy ones")
    print("sent to a dear one; of all requests, and of the hard or easy. AUC: hard against easy.\n")
    print(table(list(figures.items())))
    truth, chosen, _ = judged(weights, split(written)[1])
    of_levels = zip(LEVELS, f1_of_levels(truth, chosen), strict=True)
    shown = ", ".join(f"{name} {f1:.3f}" for name, f1 in of_levels)
    print(f"\nF1 of each level, test split: {shown}")
    print(f"APGR on RouteLLM's MMLU rows: {routellm:.3f} (chance 0.5, RouteLLM's best 0.603)")
    return 0


def _test_figures(weights: Weights, written: Sequence[Row]) -> dict[str, Score]:
    train, test = split(written)
    figures = {"test split": score(*judged(weights, test))}
    for lean in LEANS:
        figures[f"  lean {lean:+}"] = score(*judged(weights, test, lean))
    for name, found in baselines.all_of(train, test).items():
        figures[f"  {name}"] = _of_baseline([row.level for row in test], found)
    for name, rows in _by(test, lambda row: row.lang).items():
        if len(rows) >= LEAST:
            figures[f"  language {name}"] = score(*judged(weights, rows))
    for name, rows in _by(test, lambda row: row.kind).items():
        figures[f"  kind {name}"] = score(*judged(weights, rows))
    figures["datasets by their own labels"] = score(
        *judged(weights, split(sources(by_source=True))[1])
    )
    return figures


def _of_baseline(truth: Sequence[int], found: baselines.Judged) -> Score:
    whole = score(truth, found.levels.tolist())
    if found.hardness is None:
        return whole
    hard = [level >= FIRST_HARD for level in truth]
    return replace(whole, auc=auc(hard, found.hardness.tolist()))


def _left_out_figures(written: Sequence[Row]) -> dict[str, Score]:
    public = sources()
    known = {row.id for row in public}
    # Rows whose dataset's label is not the rubric's are judged too, and never learned from.
    extra = [row for row in sources(by_source=True) if row.id not in known]
    rows = [*written, *public, *extra]
    print(f"evaluate: training {fit.FOLDS} times on {len(rows)} rows", file=sys.stderr)
    y = np.array([row.level for row in rows])
    learn = np.array([1.0] * (len(rows) - len(extra)) + [0.0] * len(extra))
    logits = fit.left_out_logits(rows, fit.seen_of(rows), y, fit.weights_of_rows(rows) * learn)
    is_written = np.array([row.kind != "source" for row in rows])
    heat = fit.temperature(logits[is_written], y[is_written])
    shares = fit.softmax(logits / heat)
    tilt = fit.tilt_of(shares[is_written], y[is_written])
    chosen = np.array([choose(each, tilt, 0.0) for each in shares.tolist()])
    groups = np.array([row.group for row in rows])

    def of(inside: NDArray[np.bool_]) -> Score:
        return score(y[inside].tolist(), chosen[inside].tolist(), shares[inside].tolist())

    is_known = learn > 0
    figures: dict[str, Score] = {"left out: authors": of(is_written)}
    for group in sorted(set(groups[is_written])):
        figures[f"  {group}"] = of(groups == group)
    figures["left out: datasets"] = of(~is_written & is_known)
    figures["left out: datasets by own labels"] = of(~is_written)
    for group in sorted(set(groups[~is_written])):
        figures[f"  {group}, by own labels"] = of(groups == group)
    return figures


def _by(rows: Sequence[Row], key: Callable[[Row], str]) -> dict[str, list[Row]]:
    found: dict[str, list[Row]] = {}
    for row in rows:
        found.setdefault(key(row), []).append(row)
    return dict(sorted(found.items(), key=lambda item: -len(item[1])))
