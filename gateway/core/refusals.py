"""A provider's refusal that is not the client's fault, or that another model might not make.

Facts: a code of OpenAI's (https://platform.openai.com/docs/guides/error-codes), Groq's, Azure's and
others'; Anthropic says "prompt is too long: N tokens > M maximum", Gemini "The input token count
(N) exceeds the maximum number of tokens allowed (M)", vLLM and others "maximum context length".
Google and xAI refuse a wrong key with status 400, Anthropic an empty account: the gateway's own.
"""

import re

from gateway.core.errors import Rejected
from gateway.core.outcomes import Outcome

_CODES = frozenset({"context_length_exceeded", "context_window_exceeded"})
_WORDS = re.compile(
    r"prompt is too long|context[ _-]?(?:length|window)|input token count"
    r"|too many (?:input )?tokens|maximum (?:prompt|input) length",
    re.IGNORECASE,
)
_OF_OUR_KEY = "authentication_error"  # as the provider's dialect reads it, whatever its status
_KEY_WORDS = re.compile(
    r"\A(?:api key not valid|incorrect api key|invalid api key|your credit balance is too low)",
    re.IGNORECASE,
)
_STATUSES = frozenset({400, 413, 422})
MAX_READ = 1_000  # characters of a message


def outcome_of(error: Rejected) -> Outcome:
    """What a refused request is: its own fault, unless more is known."""
    message = error.message[:MAX_READ]
    if error.status in _STATUSES and (error.code in _CODES or _WORDS.search(message)):
        return Outcome.CONTEXT_EXCEEDED
    if error.status == 404:  # models are retired, and the client did not choose this one
        return Outcome.NOT_FOUND
    if error.type == _OF_OUR_KEY or (error.status == 400 and _KEY_WORDS.search(message)):
        return Outcome.UNAUTHORIZED
    return Outcome.REJECTED
