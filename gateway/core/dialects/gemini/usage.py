"""Tokens as this dialect counts them.

Facts: https://ai.google.dev/api/generate-content#UsageMetadata. Thoughts are counted beside the
candidates, not in them; what built-in tools gave the model is counted beside the prompt; the cached
tokens are part of the prompt. Protobuf leaves out a zero. Some servers count the thoughts in the
candidates all the same: their total tells.
"""

from gateway.core.chat import Usage
from gateway.core.conversation import Json

_MAX_COUNT = 2**53  # tokens; the largest whole number that every JSON reader holds exactly


def read_usage(value: object) -> Usage | None:
    """None where the prompt is not counted."""
    if not isinstance(value, dict):
        return None
    prompt = _count(value.get("promptTokenCount"))
    answer = _count(value.get("candidatesTokenCount"))
    thoughts = _count(value.get("thoughtsTokenCount"))
    total = _count(value.get("totalTokenCount"))
    if prompt is None:
        return None
    sent = prompt + (_count(value.get("toolUsePromptTokenCount")) or 0)
    if answer is None:
        received = thoughts or 0 if total is None else max(total - sent, thoughts or 0)
    elif thoughts and total == sent + answer:
        received = answer
    else:
        received = answer + (thoughts or 0)
    return Usage(sent, received, _count(value.get("cachedContentTokenCount")), thoughts)


def write_usage(usage: Usage) -> Json:
    """Tokens put into a cache have no member of their own: they are in the prompt."""
    counts: Json = {
        "promptTokenCount": usage.input,
        "candidatesTokenCount": max(usage.output - (usage.reasoning or 0), 0),
        "totalTokenCount": usage.input + usage.output,
    }
    if usage.cached_input is not None:
        counts["cachedContentTokenCount"] = usage.cached_input
    if usage.reasoning is not None:
        counts["thoughtsTokenCount"] = usage.reasoning
    return counts


def _count(value: object) -> int | None:
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _MAX_COUNT:
        return value
    return None
