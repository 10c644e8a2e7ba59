"""The embedded model: a weights file, and what it makes of a request.

It is linear. Each feature has a row of four small weights, one a level; the feature's lowest bits
are the row's number. A row is one number of 64 bits with a lane of 16 a level, so that one `sum`
adds all levels of many features. The levels' sums, scaled, are log-odds; their softmax is
calibrated by training, so that `confidence` is how often such a judgement is right.

A weights file: the line `tiergate-weights 1`, a line of JSON (`Weights` says what), a byte for each
level of each row (weight + 128), and the SHA-256 of all before it.
"""

import json
import math
import re
from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256

from gateway.core import jsontext
from gateway.core.classifier import features
from gateway.core.classifier.excerpt import Excerpt
from gateway.core.policy import LEVELS, Level

MAX_FILE = 512 * 1024

_MAGIC = b"tiergate-weights 1\n"
_DIGEST = 32
_ZERO = 128  # what a weight of nothing is in the file
_LANE = 16  # bits
_MASK = (1 << _LANE) - 1
_AT_ONCE = _MASK // 255  # rows that a lane can add
LEAN = 2.0  # log-odds a level at the ends of the scale

# Letters of the scripts that the model has learned from, and digits. What has none of them says
# nothing to it.
_READABLE = re.compile(
    "[0-9A-Za-z\u00c0-\u024f\u1e00-\u1eff\u0370-\u03ff\u0400-\u04ff\u0590-\u05ff\u0600-\u06ff"
    "\u0900-\u097f\u3040-\u30ff\u4e00-\u9fff\uac00-\ud7af]"
)


class WeightsError(ValueError):
    """A weights file that cannot be used; the message says why."""


@dataclass(frozen=True, slots=True)
class Weights:
    """`label`: the first digits of the file's checksum. `rows`: a power of two of them. `scale` and
    `bias` make log-odds of sums; `tilt` is added for each level, so that fewer hard requests go to
    cheap models than the other way round."""

    label: str
    rows: "array[int]"
    scale: float
    bias: tuple[float, ...]
    tilt: float


@dataclass(frozen=True, slots=True)
class Judgement:
    """`confidence` is the probability of `level`; `probabilities` are those of all, in order."""

    level: Level
    confidence: float
    probabilities: tuple[float, ...]


def judge(weights: Weights, excerpt: Excerpt, lean: float = 0.0) -> Judgement | None:
    """The level of a request, or None if there is no evidence. `lean` from -1 (cheap) to 1 (safe)
    moves what is chosen, not the probabilities."""
    if not _READABLE.search(features.seen_of(excerpt.turn)):
        return None
    logits = score(weights, features.features_of(excerpt))
    top = max(logits)
    shares = [math.exp(logit - top) for logit in logits]
    total = sum(shares)
    probabilities = tuple([share / total for share in shares])
    chosen = choose(probabilities, weights.tilt, lean)
    return Judgement(LEVELS[chosen], probabilities[chosen], probabilities)


def choose(probabilities: Sequence[float], tilt: float, lean: float) -> int:
    """Which of LEVELS serves, by its place, given the probability of each. A higher `tilt` or
    `lean` never chooses a lower one; `lean` moves by one level at most."""
    odds = [math.log(share) if share > 0 else -math.inf for share in probabilities]
    tilted = [each + tilt * place for place, each in enumerate(odds)]
    middle = tilted.index(max(tilted))
    if not lean:
        return middle
    near = range(max(0, middle - 1), min(len(odds), middle + 2))
    return max(near, key=lambda place: tilted[place] + lean * LEAN * place)


def score(weights: Weights, found: set[int]) -> list[float]:
    """The log-odds of each level, of a request with these features."""
    rows, mask = weights.rows, len(weights.rows) - 1
    picked = list(map(rows.__getitem__, map(mask.__and__, found)))
    sums = [0] * len(LEVELS)
    for start in range(0, len(picked), _AT_ONCE):
        part = picked[start : start + _AT_ONCE]
        total, zero = sum(part), _ZERO * len(part)
        for level in range(len(LEVELS)):
            sums[level] += (total >> level * _LANE & _MASK) - zero
    factor = weights.scale / math.sqrt(len(picked) or 1)
    return [bias + factor * each for bias, each in zip(weights.bias, sums, strict=True)]


def read_weights(data: bytes) -> Weights:
    """Raises WeightsError."""
    if len(data) > MAX_FILE:
        raise WeightsError(f"it is over {MAX_FILE} bytes")
    if not data.startswith(_MAGIC):
        raise WeightsError("it is no weights file of this version")
    digest = sha256(data[:-_DIGEST])
    if digest.digest() != data[-_DIGEST:]:
        raise WeightsError("its checksum is wrong: it is torn or was edited")
    line, _, body = data[len(_MAGIC) : -_DIGEST].partition(b"\n")
    try:
        head = jsontext.parse_strictly(line)
    except jsontext.JsonError:
        raise WeightsError("its second line is no JSON") from None
    match head:
        case {
            "features": features.VERSION,
            "rows": int() as count,
            "scale": float() as scale,
            "bias": [float(), float(), float(), float()] as bias,
            "tilt": float() as tilt,
        } if scale > 0 and _is_power_of_two(count) and len(body) == count * len(LEVELS):
            return Weights(digest.hexdigest()[:12], _rows(body), scale, tuple(bias), tilt)
    raise WeightsError("it was made for other features than this gateway's: train it again")


def write_weights(
    weights: bytes, *, scale: float, bias: tuple[float, ...], tilt: float, about: dict[str, object]
) -> bytes:
    """The file. `weights` is a byte for each level of each row; `about` is for readers."""
    head = {
        "features": features.VERSION,
        "rows": len(weights) // len(LEVELS),
        "scale": float(scale),
        "bias": [float(each) for each in bias],
        "tilt": float(tilt),
        **about,
    }
    data = _MAGIC + json.dumps(head).encode() + b"\n" + weights
    return data + sha256(data).digest()


def _is_power_of_two(count: int) -> bool:
    return count > 0 and count & (count - 1) == 0


def _rows(body: bytes) -> "array[int]":
    """Each byte in a lane, each four lanes a number, the first level in its lowest bits."""
    lanes = bytearray(2 * len(body))
    lanes[::2] = body  # every host that runs this is little-endian
    return array("Q", bytes(lanes))
