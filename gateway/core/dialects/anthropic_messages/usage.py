"""Usage, both ways.

Facts: https://platform.claude.com/docs/en/build-with-claude/prompt-caching: `input_tokens` counts
only what was neither read from the cache nor written into it, so that the whole input is the sum of
three; `output_tokens` includes thinking. In a stream `message_start` has the counts so far and each
`message_delta` totals that replace them, without those that do not change. Servers that only speak
this dialect send zeros first and all of it last (https://github.com/zai-org/GLM-5/issues/139).
"""

from gateway.core.chat import Usage
from gateway.core.conversation import Json
from gateway.core.dialects import shapes

_INPUT, _OUTPUT = "input_tokens", "output_tokens"
_WRITTEN, _CACHED = "cache_creation_input_tokens", "cache_read_input_tokens"
_DETAILS, _THINKING = "output_tokens_details", "thinking_tokens"

NONE_YET: Json = {_INPUT: 0, _OUTPUT: 0}


class Counts:
    """Counts so far. What is no count is as good as not said."""

    def __init__(self) -> None:
        self._counts: dict[str, int] = {}

    def add(self, value: object) -> Usage | None:
        """What is known with these; None unless both counts are there."""
        if not isinstance(value, dict):
            return None
        details = value.get(_DETAILS)
        thinking = details.get(_THINKING) if isinstance(details, dict) else None
        for name in (_INPUT, _WRITTEN, _CACHED, _OUTPUT):
            self._keep(name, value.get(name))
        self._keep(_THINKING, thinking)
        sent, received = self._counts.get(_INPUT), self._counts.get(_OUTPUT)
        if sent is None or received is None:
            return None
        cached, written = self._counts.get(_CACHED), self._counts.get(_WRITTEN)
        total = sent + (cached or 0) + (written or 0)
        return Usage(total, received, cached, self._counts.get(_THINKING), written)

    def _keep(self, name: str, value: object) -> None:
        if (count := shapes.count(value)) is not None:
            self._counts[name] = count


def read_usage(value: object) -> Usage | None:
    return Counts().add(value)


def write_usage(usage: Usage | None) -> Json:
    """Usage as a client expects it; its two counts are null where nobody counted."""
    if usage is None:
        return {_INPUT: None, _OUTPUT: None}
    cached, written = usage.cached_input, usage.cache_written
    counts: Json = {_INPUT: max(0, usage.input - (cached or 0) - (written or 0))}
    if written is not None:
        counts[_WRITTEN] = written
    if cached is not None:
        counts[_CACHED] = cached
    counts[_OUTPUT] = usage.output
    if usage.reasoning is not None:
        counts[_DETAILS] = {_THINKING: usage.reasoning}
    return counts
