"""What the dialect is called, and its words for how an answer ends.

Facts: https://platform.openai.com/docs/api-reference/chat/object for OpenAI's own four. Others send
more: Mistral `model_length` and `error` (https://docs.mistral.ai/api), DeepSeek
`insufficient_system_resource` (https://api-docs.deepseek.com/api/create-chat-completion),
OpenRouter `error` (https://openrouter.ai/docs/api-reference/errors), Zhipu `sensitive` and
`network_error`.
"""

from gateway.core.answers import Finish

NAME = "openai-chat"
PATH = "/chat/completions"

_READ: dict[str, Finish] = {
    "stop": "stop",
    "length": "length",
    "model_length": "length",
    "max_tokens": "length",
    "tool_calls": "tool_calls",
    "function_call": "tool_calls",
    "tool_use": "tool_calls",
    "content_filter": "content_filter",
    "sensitive": "content_filter",
    "safety": "content_filter",
    "recitation": "content_filter",
}
# The provider gave up: what there is of the answer is not one.
FAILURES = frozenset({"error", "insufficient_system_resource", "network_error", "abort"})

_WRITTEN: dict[Finish, str] = {
    "stop": "stop",
    "length": "length",
    "tool_calls": "tool_calls",
    "content_filter": "content_filter",
    "refusal": "content_filter",
    "pause": "length",  # the turn is not over: the one word that says so
}


def read_finish(word: str, *, has_calls: bool, has_refusal: bool) -> Finish:
    """What ended an answer. An unknown word still says that it ended, on its own.

    OpenAI says `stop` where `tool_choice` named the function that it calls, Google's endpoint and
    Ollama with any call: an answer with calls waits for their results all the same.
    """
    found = _READ.get(word.lower(), "stop")
    if found != "stop":
        return found
    return "tool_calls" if has_calls else "refusal" if has_refusal else "stop"


def write_finish(finish: Finish, *, is_legacy: bool, has_refusal: bool) -> str:
    """OpenAI's model refuses in words of its own and stops; without them, a safeguard ended it."""
    if finish == "refusal" and has_refusal:
        return "stop"
    word = _WRITTEN[finish]
    return "function_call" if is_legacy and word == "tool_calls" else word
