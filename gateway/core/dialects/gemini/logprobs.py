"""Log probabilities: `logprobsResult` here, one object a token in OpenAI's shape elsewhere.

Facts: https://ai.google.dev/api/generate-content#LogprobsResult. Protobuf's JSON writes an infinite
number as a string; OpenAI's word for a token next to impossible is -9999.0
(https://platform.openai.com/docs/api-reference/chat/object).
"""

import math

from gateway.core.conversation import Json
from gateway.core.dialect import Malformed
from gateway.core.dialects.gemini.shapes import items, object_of, text_of

_IMPOSSIBLE = -9999.0


def read_logprobs(value: object) -> tuple[Json, ...]:
    """Raises Malformed."""
    if value is None:
        return ()
    result = object_of(value)
    alternatives = items(result.get("topCandidates"))
    found: list[Json] = []
    for index, chosen in enumerate(items(result.get("chosenCandidates"))):
        top = object_of(alternatives[index]) if index < len(alternatives) else {}
        others = [_token(item) for item in items(top.get("candidates"))]
        found.append({**_token(chosen), "top_logprobs": others})
    return tuple(found)


def write_logprobs(tokens: tuple[Json, ...]) -> Json:
    """A provider's token of a wrong shape is left out of the alternatives."""
    chosen: list[Json] = []
    top: list[Json] = []
    for token in tokens:
        chosen.append(_candidate(token))
        alternatives = token.get("top_logprobs")
        given = alternatives if isinstance(alternatives, list) else []
        top.append({"candidates": [_candidate(item) for item in given if isinstance(item, dict)]})
    result: Json = {"chosenCandidates": chosen}
    if any(item["candidates"] for item in top):
        result["topCandidates"] = top
    return result


def _token(value: object) -> Json:
    candidate = object_of(value)
    token = text_of(candidate.get("token")) or ""
    return {"token": token, "logprob": _number(candidate.get("logProbability")), "bytes": None}


def _number(value: object) -> float:
    if value is None:  # protobuf leaves out a zero: this token was certain
        return 0.0
    if isinstance(value, str):
        return _IMPOSSIBLE
    if isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value):
        return value
    raise Malformed("not a number")


def _candidate(token: Json) -> Json:
    return {"token": token.get("token"), "logProbability": token.get("logprob")}
