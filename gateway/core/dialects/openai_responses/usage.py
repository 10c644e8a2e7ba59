"""Usage, both ways. `input_tokens` includes what was read from the cache and written to it;
`output_tokens` includes reasoning (https://platform.openai.com/docs/api-reference/responses/object).
"""

from gateway.core.chat import Usage
from gateway.core.conversation import Json
from gateway.core.dialects import shapes


def read_usage(value: object) -> Usage | None:
    """None unless both counts are there; a detail that is no count is one that was not said."""
    match value:
        case {"input_tokens": sent, "output_tokens": received, **rest}:
            counts = shapes.count(sent), shapes.count(received)
        case _:
            return None
    if counts[0] is None or counts[1] is None:
        return None
    return Usage(
        counts[0],
        counts[1],
        _detail(rest.get("input_tokens_details"), "cached_tokens"),
        _detail(rest.get("output_tokens_details"), "reasoning_tokens"),
        _detail(rest.get("input_tokens_details"), "cache_write_tokens"),
    )


def write_usage(usage: Usage | None) -> Json | None:
    """The SDKs' shape demands a number of every detail: it has no word for what was not said."""
    if usage is None:
        return None
    return {
        "input_tokens": usage.input,
        "input_tokens_details": {
            "cached_tokens": usage.cached_input or 0,
            "cache_write_tokens": usage.cache_written or 0,
        },
        "output_tokens": usage.output,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning or 0},
        "total_tokens": usage.input + usage.output,
    }


def _detail(details: object, name: str) -> int | None:
    return shapes.count(details.get(name)) if isinstance(details, dict) else None
