"""Why the embedded model judged as it did: which parts of the text pulled towards which level.

A part's pull is how far the log-odds of the level that was chosen, against the one that would have
been next, fall when the part is left out. The text's outer form (its length, code, a question mark
at its end) is a part of its own, and stays as it was while words are left out: else each word of a
short text would seem to weigh what the length does.

Pulls do not add up: words that stand together count as a pair too, and both miss it.
"""

import re
from dataclasses import dataclass, replace

from gateway.core.classifier.excerpt import Excerpt
from gateway.core.classifier.features import (
    features_of,
    form_of,
    seen_of,
    window_of,
    words_of,
)
from gateway.core.classifier.model import Judgement, Weights, score
from gateway.core.policy import LEVELS, Level

MAX_WORDS = 40  # of a text that is looked at word by word; a longer one is by sentences and lines
FEWEST_SENTENCES = 4  # fewer would say nothing: it is looked at word by word after all
SHOWN = 5  # parts on each side
LEAST = 0.01  # log-odds; less is no reason

# A piece of a script without spaces, a word with what joins it, or a single sign.
_WORD = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u9fff\uac00-\ud7af]{1,4}"
    r"|\w+(?:['\u2019.-]\w+)*|[^\w\s]"
)
_END = re.compile("(?<=[.!?])\\s+|(?<=[\u3002\uff01\uff1f])|\\s*\n\\s*")

type Span = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Pull:
    """A part of the text, the level that it speaks for, and by how much, in log-odds. `text` is
    None for the outer form."""

    text: str | None
    toward: Level
    by: float


@dataclass(frozen=True, slots=True)
class Reasons:
    """`rival`: the likeliest other level. `pulls`: the strongest for the chosen level, then the
    strongest for the rival."""

    rival: Level
    pulls: tuple[Pull, ...]
    form: Pull


def reasons_of(weights: Weights, excerpt: Excerpt, judged: Judgement) -> Reasons:
    """What spoke for and against a judgement of this excerpt."""
    found = features_of(excerpt)
    form = _form(excerpt)
    logits = score(weights, found)
    chosen = LEVELS.index(judged.level)
    others = [place for place in range(len(LEVELS)) if place != chosen]
    rival = max(others, key=lambda place: logits[place])

    def pull(text: str | None, left: set[int]) -> Pull:
        without = score(weights, left)
        by = (logits[chosen] - logits[rival]) - (without[chosen] - without[rival])
        return Pull(text, LEVELS[chosen if by >= 0 else rival], abs(by))

    pulls: list[Pull] = []
    for text, spans in _parts(excerpt.turn).items():
        shorter = replace(excerpt, turn=_without(excerpt.turn, spans))
        pulls.append(pull(text, features_of(shorter) - _form(shorter) | form))
    pulls = sorted((each for each in pulls if each.by >= LEAST), key=lambda each: -each.by)
    sides = [[each for each in pulls if each.toward == LEVELS[side]] for side in (chosen, rival)]
    return Reasons(
        LEVELS[rival], tuple(sides[0][:SHOWN] + sides[1][:SHOWN]), pull(None, found - form)
    )


def _form(excerpt: Excerpt) -> set[int]:
    words, _ = words_of(seen_of(excerpt.turn))
    return set(form_of(excerpt, len(words)))


def _parts(turn: str) -> dict[str, list[Span]]:
    """The parts of what is looked at of a turn, each with the places where it stands: without one
    of two equal words the model sees the same."""
    words = [(found.start(), found.end()) for found in _WORD.finditer(turn)]
    spans = words if len(words) <= MAX_WORDS else _sentences(turn)
    if len(spans) < FEWEST_SENTENCES:
        spans = words
    head, tail = window_of(turn)
    if len(turn) > head + tail:
        spans = [span for span in spans if span[0] < head or span[1] > len(turn) - tail]
    parts: dict[str, list[Span]] = {}
    names: dict[str, str] = {}
    for start, end in spans:
        text = turn[start:end]
        parts.setdefault(names.setdefault(text.lower(), text), []).append((start, end))
    return parts


def _sentences(turn: str) -> list[Span]:
    ends = [(found.start(), found.end()) for found in _END.finditer(turn)]
    starts = [0, *(end for _, end in ends)]
    stops = [*(start for start, _ in ends), len(turn)]
    return [(start, stop) for start, stop in zip(starts, stops, strict=True) if start < stop]


def _without(turn: str, spans: list[Span]) -> str:
    kept: list[str] = []
    place = 0
    for start, end in spans:
        kept.append(turn[place:start])
        place = end
    return "".join([*kept, turn[place:]])
