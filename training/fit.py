"""The fit: a linear model over hashed features, its weights in a byte each, its scale calibrated.

Rules: the same rows give the same file, byte for byte, on the same machine: no chance, one thread.
What the guest computes from the file is what is scored here: `gateway.core.classifier.model`.
"""

from collections.abc import Sequence
from typing import cast

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.sparse import csr_matrix, diags
from sklearn.linear_model import LogisticRegression

from gateway.core.classifier.features import features_of
from gateway.core.classifier.model import write_weights
from gateway.core.policy import LEVELS
from training.rows import Row

ROWS = 2**16
INVERSE_PENALTY = 2.0
SOURCE_WEIGHT = 0.3  # of a public dataset's row, beside 1 of one written to the rubric
CLIP = 99.995  # percentile of the weights' sizes that a byte's range covers
# What share of all requests may be hard ones that go to a cheap tier.
MAX_UNDER = 0.05
FOLDS = 8

Floats = NDArray[np.float64]


def matrix(rows: Sequence[Row]) -> csr_matrix:
    """A row each; the square root of their number divides the features that it has."""
    columns: list[int] = []
    ends = [0]
    values: list[Floats] = []
    for row in rows:
        found = features_of(row.excerpt)
        columns += [each % ROWS for each in sorted(found)]
        values.append(np.full(len(found), 1 / np.sqrt(len(found))))
        ends.append(len(columns))
    made = csr_matrix((np.concatenate(values), columns, ends), shape=(len(rows), ROWS))
    made.sum_duplicates()
    return made


def weights_of_rows(rows: Sequence[Row]) -> Floats:
    return np.array([SOURCE_WEIGHT if row.kind == "source" else 1.0 for row in rows])


def fit(x: csr_matrix, y: NDArray[np.int64], weights: Floats) -> tuple[Floats, Floats]:
    """Coefficients (levels x ROWS) and biases.

    The penalty is less for rarer features, by their inverse document frequency: the guest sees
    nothing of it, since it is in the coefficients.
    """
    seen = np.asarray((x > 0).sum(axis=0)).ravel()
    rarity = np.log((x.shape[0] + 1) / (seen + 1)) + 1
    model = LogisticRegression(C=INVERSE_PENALTY, max_iter=400, tol=1e-4)
    model.fit(csr_matrix(x @ diags(rarity)), y, sample_weight=weights)
    return model.coef_ * rarity, model.intercept_


def left_out_logits(
    rows: Sequence[Row], x: csr_matrix, y: NDArray[np.int64], weights: Floats
) -> Floats:
    """For each row the log-odds by a model that has seen nothing of its group."""
    logits = np.zeros((len(rows), len(LEVELS)))
    groups = np.array([row.group for row in rows])
    names = sorted(set(groups))
    for number in range(min(FOLDS, len(names))):
        out = np.isin(groups, names[number::FOLDS])
        coefficients, bias = fit(x[~out], y[~out], weights[~out])
        logits[out] = x[out] @ coefficients.T + bias
    return logits


def softmax(logits: Floats) -> Floats:
    shares = np.exp(logits - logits.max(axis=1, keepdims=True))
    return cast(Floats, shares / shares.sum(axis=1, keepdims=True))


def temperature(logits: Floats, y: NDArray[np.int64]) -> float:
    """What the log-odds are divided by so that probabilities mean what they say."""

    def loss(log_t: float) -> float:
        of_truth = softmax(logits / np.exp(log_t))[np.arange(len(y)), y]
        return float(-np.log(np.maximum(of_truth, 1e-12)).mean())

    return float(np.exp(minimize_scalar(loss, bounds=(-2, 2), method="bounded").x))


def tilt_of(logits: Floats, y: NDArray[np.int64]) -> float:
    """The least that must be added a level so that few hard requests go to cheap tiers."""
    places = np.arange(len(LEVELS))
    for tilt in np.arange(0, 2, 0.05):
        chosen = (logits + tilt * places).argmax(axis=1)
        if ((y >= 2) & (chosen < 2)).mean() <= MAX_UNDER:
            return float(round(tilt, 2))
    return 2.0


def train(rows: Sequence[Row]) -> tuple[bytes, dict[str, object]]:
    """The weights file, and what is to be known of it."""
    x = matrix(rows)
    y = np.array([row.level for row in rows])
    weights = weights_of_rows(rows)
    logits = left_out_logits(rows, x, y, weights)
    counted = np.array([row.kind != "source" for row in rows])
    heat = temperature(logits[counted], y[counted])
    tilt = tilt_of(logits[counted] / heat, y[counted])
    coefficients, bias = fit(x, y, weights)
    size = float(np.percentile(np.abs(coefficients[coefficients != 0]), CLIP)) / 127
    small = np.clip(np.round(coefficients / size), -127, 127).astype(np.int64) + 128
    about: dict[str, object] = {"trained_on": len(rows)}
    data = write_weights(
        small.T.astype(np.uint8).tobytes(),
        scale=round(size / heat, 9),
        bias=tuple(round(float(each) / heat, 6) for each in bias),
        tilt=tilt,
        about=about,
    )
    return data, {**about, "temperature": heat, "tilt": tilt, "bytes": len(data)}
