"""Usage, both ways.

Facts: `completion_tokens` includes the reasoning at OpenAI; at xAI it does not, and the total is
the sum of three (https://docs.x.ai/docs/key-information/consumption-and-rate-limits,
https://github.com/vercel/ai/pull/12425); Google's endpoint has its thoughts, which are paid as
output, nowhere but in the total (https://github.com/mozilla-ai/any-llm/pull/1291). Cached tokens
are `prompt_cache_hit_tokens` at DeepSeek (https://api-docs.deepseek.com/guides/kv_cache) and
`cached_tokens` beside the counts at Moonshot (https://platform.moonshot.ai/docs/api/chat);
everywhere they are among the `prompt_tokens`.
"""

from gateway.core.chat import Usage
from gateway.core.conversation import Json
from gateway.core.dialects import shapes


def read_usage(value: object) -> Usage | None:
    """Usage from any of the shapes seen in the wild; None unless both counts are there."""
    if not isinstance(value, dict):
        return None
    sent, received = (
        shapes.count(value.get("prompt_tokens")),
        shapes.count(value.get("completion_tokens")),
    )
    if sent is None or received is None:
        return None
    details = value.get("prompt_tokens_details")
    inputs = details if isinstance(details, dict) else {}
    cached = shapes.count(inputs.get("cached_tokens"))
    if cached is None:
        cached = shapes.count(value.get("prompt_cache_hit_tokens"))
    if cached is None:
        cached = shapes.count(value.get("cached_tokens"))
    details = value.get("completion_tokens_details")
    reasoning = shapes.count(details.get("reasoning_tokens")) if isinstance(details, dict) else None
    beside = (shapes.count(value.get("total_tokens")) or 0) - sent - received
    if beside > 0 and reasoning in {None, beside}:
        received += beside
    return Usage(sent, received, cached, reasoning, shapes.count(inputs.get("cache_write_tokens")))


def write_usage(usage: Usage) -> Json:
    written: Json = {
        "prompt_tokens": usage.input,
        "completion_tokens": usage.output,
        "total_tokens": usage.input + usage.output,
    }
    details = {"cached_tokens": usage.cached_input, "cache_write_tokens": usage.cache_written}
    if known := {name: count for name, count in details.items() if count is not None}:
        written["prompt_tokens_details"] = known
    if usage.reasoning is not None:
        written["completion_tokens_details"] = {"reasoning_tokens": usage.reasoning}
    return written
