"""The embedded model: a weights file, and what it makes of a request.

It is linear. A feature's lowest bits are the number of its row, a row is a code of one byte, and a
code stands for four small weights, one a level: 256 of them are enough. Most rows have the code of
nothing: training keeps few of the features it sees, so that seldom two share a row, or a feature
that it has not kept comes upon another's. The levels' sums, scaled, are log-odds; their softmax is
calibrated by training, so that `confidence` is how often such a judgement is right.

A weights file: the line `tiergate-weights 2`, a line of JSON (`Weights` says what), for each level
the byte of each code (weight + 128), the rows' codes by zlib, and the SHA-256 of all before it.
"""

import json
import math
import re
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256

from gateway.core import jsontext
from gateway.core.classifier import features
from gateway.core.classifier.excerpt import Excerpt
from gateway.core.policy import LEVELS, Level

MAX_FILE = 512 * 1024

CODES = 256
MAX_ROWS = 2**20  # of which each is a byte in memory
ZERO = 128  # what a weight of nothing is in the file

_MAGIC = b"tiergate-weights 2\n"
_DIGEST = 32
_FIRST_HARD = LEVELS.index("quality")
MOST = 100.0  # of a scale, a bias, a tilt: with more nothing could be told from it, or computed
LEAN = 2.0  # log-odds for hard work against easy, and for the upper of two, at the scale's ends

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
    """`label`: the first digits of the file's checksum. `rows`: a code each, a power of two of
    them. `tables`: for each level the byte of each code. `scale` and `bias` make log-odds of sums;
    `tilt` is added to those of hard work against easy, so that fewer hard requests go to cheap
    models than the other way round."""

    label: str
    rows: bytes
    tables: tuple[bytes, ...]
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
    """Which of LEVELS serves, by its place, given the probability of each: first whether it is hard
    work or easy, then which of the two. A higher `tilt` or `lean` never chooses a lower one; `lean`
    moves by one level at most."""
    middle = _likeliest(probabilities, tilt, 0.0)
    if not lean:
        return middle
    return min(max(_likeliest(probabilities, tilt, lean * LEAN), middle - 1), middle + 1)


def _likeliest(probabilities: Sequence[float], tilt: float, push: float) -> int:
    """`push`: log-odds for the upper one of each pair."""
    easy, hard = sum(probabilities[:_FIRST_HARD]), sum(probabilities[_FIRST_HARD:])
    lower = _FIRST_HARD if hard * math.exp(tilt + push) > easy else 0
    is_upper = probabilities[lower + 1] * math.exp(push) > probabilities[lower]
    return lower + is_upper


def score(weights: Weights, found: set[int]) -> list[float]:
    """The log-odds of each level, of a request with these features."""
    rows, mask = weights.rows, len(weights.rows) - 1
    codes = bytes([rows[each & mask] for each in found])
    zero = ZERO * len(codes)
    factor = weights.scale / math.sqrt(len(codes) or 1)
    return [
        bias + factor * (sum(codes.translate(table)) - zero)
        for bias, table in zip(weights.bias, weights.tables, strict=True)
    ]


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
        } if (
            0 < scale <= MOST
            and max(map(abs, [*bias, tilt])) <= MOST
            and _is_power_of_two(count)
            and count <= MAX_ROWS
        ):
            rows = _unpacked(body[len(LEVELS) * CODES :], count)
            tables = [body[start : start + CODES] for start in range(0, len(LEVELS) * CODES, CODES)]
            return Weights(digest.hexdigest()[:12], rows, tuple(tables), scale, tuple(bias), tilt)
    raise WeightsError("it was made for other features than this gateway's: train it again")


def write_weights(
    rows: bytes,
    tables: Sequence[bytes],
    *,
    scale: float,
    bias: Sequence[float],
    tilt: float,
    about: dict[str, object],
) -> bytes:
    """The file. `rows`, `tables`: as in `Weights`; `about` is for readers."""
    head = {
        "features": features.VERSION,
        "rows": len(rows),
        "scale": float(scale),
        "bias": [float(each) for each in bias],
        "tilt": float(tilt),
        **about,
    }
    body = b"".join([*tables, zlib.compress(rows, 9)])
    data = _MAGIC + json.dumps(head).encode() + b"\n" + body
    return data + sha256(data).digest()


def _is_power_of_two(count: int) -> bool:
    return count > 0 and count & (count - 1) == 0


def _unpacked(packed: bytes, count: int) -> bytes:
    """Exactly so many bytes. Raises WeightsError."""
    unpacker = zlib.decompressobj()
    try:
        rows = unpacker.decompress(packed, count + 1)
    except zlib.error:
        rows = b""
    if len(rows) != count or not unpacker.eof or unpacker.unused_data:
        raise WeightsError("its rows are not as many as it says")
    return rows
