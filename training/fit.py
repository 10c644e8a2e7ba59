"""The fit: a linear model over hashed features, its rows in a byte each, its scale calibrated.

Rules: the same rows give the same file, byte for byte, on the same machine: no chance, one thread.
What the guest computes from the file is what is scored here: `gateway.core.classifier.model`.
"""

from collections.abc import Sequence
from typing import cast

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.sparse import csr_matrix, diags
from sklearn.cluster import KMeans
from sklearn.linear_model import LogisticRegression

from gateway.core.classifier.features import features_of
from gateway.core.classifier.model import CODES, ZERO, choose, write_weights
from gateway.core.policy import LEVELS
from training.rows import Row
from training.score import FIRST_HARD

ROWS = 2**20  # with fewer, features share rows: at 2**16 that costs five points of macro-F1
LEAST = 3  # requests that a feature must be in: of the others most say nothing, and fill the rows
INVERSE_PENALTY = 2.0
SOURCE_WEIGHT = 0.3  # of a public dataset's row, beside 1 of one written to the rubric
SEED = 1
# What share of the hard requests may go to a cheap tier.
MAX_UNDER = 0.06
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
    """Coefficients (levels x ROWS) and biases, of the requests that weigh anything.

    The penalty is less for rarer features, by their inverse document frequency: the guest sees
    nothing of it, since it is in the coefficients.
    """
    counted = weights > 0
    x, y, weights = x[counted], y[counted], weights[counted]
    seen = requests_of(x)
    kept = np.flatnonzero(seen >= LEAST)
    rarity = np.log((x.shape[0] + 1) / (seen[kept] + 1)) + 1
    model = LogisticRegression(C=INVERSE_PENALTY, max_iter=400, tol=1e-4)
    model.fit(csr_matrix(x[:, kept] @ diags(rarity)), y, sample_weight=weights)
    coefficients = np.zeros((len(LEVELS), ROWS))
    coefficients[:, kept] = model.coef_ * rarity
    return coefficients, model.intercept_


def requests_of(x: csr_matrix) -> NDArray[np.int64]:
    """In how many requests each feature is."""
    return np.asarray((x > 0).sum(axis=0)).ravel()


def coded(coefficients: Floats, seen: NDArray[np.int64]) -> tuple[NDArray[np.uint8], Floats]:
    """A code for each row, and what each code stands for (codes x levels): those that are nearest
    to what there is, a row counting as often as it is seen. Code 0 is nothing."""
    used = np.flatnonzero(coefficients.any(axis=0))
    centred = coefficients[:, used].T
    centred = centred - centred.mean(axis=1, keepdims=True)  # what all levels share says nothing
    clusters = KMeans(CODES - 1, n_init=1, max_iter=30, random_state=SEED)
    clusters.fit(centred, sample_weight=seen[used])
    rows = np.zeros(ROWS, dtype=np.uint8)
    rows[used] = clusters.labels_ + 1
    return rows, np.vstack([np.zeros(len(LEVELS)), clusters.cluster_centers_])


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


def tilt_of(shares: Floats, y: NDArray[np.int64]) -> float:
    """The least with which few enough hard requests go to cheap tiers, given the probability of
    each level."""
    hard = shares[y >= FIRST_HARD].tolist()
    for tilt in np.arange(0, 3, 0.05):
        under = sum(choose(each, tilt, 0.0) < FIRST_HARD for each in hard)
        if under <= MAX_UNDER * len(hard):
            return float(round(tilt, 2))
    return 3.0


def train(rows: Sequence[Row]) -> tuple[bytes, dict[str, object]]:
    """The weights file, and what is to be known of it."""
    x = matrix(rows)
    y = np.array([row.level for row in rows])
    weights = weights_of_rows(rows)
    logits = left_out_logits(rows, x, y, weights)
    counted = np.array([row.kind != "source" for row in rows])
    heat = temperature(logits[counted], y[counted])
    tilt = tilt_of(softmax(logits[counted] / heat), y[counted])
    coefficients, bias = fit(x, y, weights)
    codes, meant = coded(coefficients, requests_of(x))
    size = float(np.abs(meant).max()) / 127
    tables = (np.round(meant / size).astype(np.int64) + ZERO).astype(np.uint8)
    about: dict[str, object] = {"trained_on": len(rows)}
    data = write_weights(
        codes.tobytes(),
        [table.tobytes() for table in tables.T],
        scale=round(size / heat, 9),
        bias=tuple(round(float(each) / heat, 6) for each in bias),
        tilt=tilt,
        about=about,
    )
    return data, {**about, "temperature": heat, "tilt": tilt, "bytes": len(data)}
