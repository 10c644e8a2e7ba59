"""Tokens as this dialect counts them.

Facts: https://ai.google.dev/api/generate-content#UsageMetadata. Thoughts are counted beside the
candidates, not in them; what built-in tools gave the model is counted beside the prompt; the cached
tokens are part of the prompt. Protobuf leaves out a zero. Some servers count the thoughts in the
candidates all the same: their total tells.
"""

from gateway.core.chat import Usage
from gateway.core.conversation import Json
from gateway.core.dialects import shapes


def read_usage(value: object) -> Usage | None:
    """None where the prompt is not counted."""
    if not isinstance(value, dict):
        return None
    prompt = shapes.count(value.get("promptTokenCount"))
    answer = shapes.count(value.get("candidatesTokenCount"))
    thoughts = shapes.count(value.get("thoughtsTokenCount"))
    total = shapes.count(value.get("totalTokenCount"))
    if prompt is None:
        return None
    sent = prompt + (shapes.count(value.get("toolUsePromptTokenCount")) or 0)
    if answer is None:
        received = thoughts or 0 if total is None else max(total - sent, thoughts or 0)
    elif thoughts and total == sent + answer:
        received = answer
    else:
        received = answer + (thoughts or 0)
    return Usage(sent, received, shapes.count(value.get("cachedContentTokenCount")), thoughts)


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
