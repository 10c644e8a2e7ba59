"""The classifier's part, played by a toy: a few words are looked for, nothing is understood.

Good enough to see a demo choose between tiers without a key. It says nothing about how well
real prompts are told apart. Tiers are known by their place in the list alone, cheapest first.
"""

import json
import re
from collections.abc import Iterator, Mapping

HARDEST = re.compile(
    r"\b(prove|proof|derive|derivation|theorem|puzzle|riddle|paradox|optimal strategy)\b",
    re.IGNORECASE,
)
SKILLED = re.compile(
    r"\b(code|function|refactor|debug|bug|traceback|contract|clause|architecture|migration|sql"
    r"|algorithm|legal|diagnosis)\b",
    re.IGNORECASE,
)
EASY = re.compile(
    r"\s*(hi|hey|hello|thanks|thank you|good (morning|evening)|who (is|was)|when (is|was|did)"
    r"|where (is|was)|what (is|was|time|day)|what's|how (many|much|old|tall)|define|translate"
    r"|spell|capital of)\b",
    re.IGNORECASE,
)

# Longer than this, a question that begins like a lookup seldom is one.
EASY_WORDS = 12


def names_asked_for(schema: object) -> list[str]:
    """The tiers' names, when this is the schema of a classifier call; else none."""
    match schema:
        case {"properties": {"tier": {"enum": [*names]}}}:
            return [name for name in names if isinstance(name, str)]
        case _:
            return []


def pick(names: list[str], text: str) -> str:
    """One of `names` (at least one, cheapest first) for this text."""
    if HARDEST.search(text):
        place = len(names) - 1
    elif SKILLED.search(text):
        place = 2
    elif EASY.match(text) and len(text.split()) <= EASY_WORDS:
        place = 0
    else:
        place = 1
    return names[min(place, len(names) - 1)]


def text_to_judge(content: str) -> str:
    """What stands under `last_user_turn` in the classifier's JSON document, else all of it."""
    try:
        document = json.loads(content)
    except (ValueError, RecursionError):
        return content
    found = next(_under("last_user_turn", document, levels=5), None)
    return content if found is None else " ".join(_strings(found, levels=5))


def _under(name: str, value: object, levels: int) -> Iterator[object]:
    if isinstance(value, Mapping):
        if name in value:
            yield value[name]
        value = list(value.values())
    if isinstance(value, list) and levels:
        for inner in value:
            yield from _under(name, inner, levels - 1)


def _strings(value: object, levels: int) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping | list) and levels:
        for inner in value.values() if isinstance(value, Mapping) else value:
            yield from _strings(inner, levels - 1)
