"""The response object: the frame of a whole answer, and of a stream's first and last events.

Facts: https://platform.openai.com/docs/api-reference/responses/object. It repeats the request's
settings; the SDKs' shapes demand some of them, and what a client left out is the API's default.
Nothing of a translated answer is stored anywhere, whatever the client's default.
"""

from gateway.core.answers import Finish
from gateway.core.chat import ChatRequest, Usage
from gateway.core.conversation import Json
from gateway.core.dialect import Malformed
from gateway.core.dialects import shapes
from gateway.core.dialects.openai_responses.marks import response_id
from gateway.core.dialects.openai_responses.usage import write_usage

# What a response repeats of its request, with the API's defaults; null where those are the model's.
# What only OpenAI can do (`background`, `conversation` ...) was not done, and is not repeated.
_REPEATED: dict[str, object] = {
    "instructions": None,
    "max_output_tokens": None,
    "metadata": {},
    "parallel_tool_calls": True,
    "prompt_cache_key": None,
    "reasoning": {"effort": None, "summary": None},
    "safety_identifier": None,
    "temperature": None,
    "text": {"format": {"type": "text"}},
    "tool_choice": "auto",
    "tools": [],
    "top_logprobs": 0,
    "top_p": None,
    "user": None,
}
_FIXED: Json = {
    "background": False,
    "max_tool_calls": None,
    "previous_response_id": None,
    "store": False,
    "truncation": "disabled",
}
# Why an answer ended before its end. A turn that its provider would go on with has no word.
_INCOMPLETE: dict[Finish, Json] = {
    "length": {"reason": "max_output_tokens"},
    "content_filter": {"reason": "content_filter"},
    "refusal": {"reason": "content_filter"},
    "pause": {},
}
# `steered`, or a reason still unknown: it stopped where it can go on.
_REASONS: dict[object, Finish] = {
    "max_output_tokens": "length",
    "max_tokens": "length",  # some servers' word
    "max_messages": "length",
    "max_tool_calls": "length",
    "content_filter": "content_filter",
}


class Frame:
    """What all of an answer's response objects have in common."""

    def __init__(
        self, id: str | None, model: str | None, created: int | None, chat: ChatRequest | None
    ) -> None:
        asked = chat.source.values if chat else {}
        self.id = response_id(id)
        self._model = model or (chat and chat.model) or ""
        # The shape demands a time; a provider that says none (Anthropic) is not asked again.
        self._created = created or 0
        self._settings = _FIXED | {
            name: default if asked.get(name) is None else asked[name]
            for name, default in _REPEATED.items()
        }

    def response(
        self,
        status: str,
        output: list[Json],
        usage: Usage | None = None,
        incomplete: Json | None = None,
    ) -> Json:
        return {
            "id": self.id,
            "object": "response",
            "created_at": self._created,
            "status": status,
            "error": None,
            "incomplete_details": incomplete,
            "model": self._model,
            "output": output,
            "usage": write_usage(usage),
            **self._settings,
        }


def incomplete(finish: Finish | None, *, is_refused: bool) -> Json | None:
    """`incomplete_details`; None for an answer that is complete, as a refusal in words is."""
    if finish is None or (finish == "refusal" and is_refused):
        return None
    return _INCOMPLETE.get(finish)


def read_finish(response: Json, *, has_calls: bool, is_refused: bool) -> Finish:
    """Why an answer ended. Raises Malformed for one that has not, or failed."""
    status = shapes.string(response, "status")
    if status == "incomplete":
        details = shapes.members(response, "incomplete_details") or {}
        return _REASONS.get(shapes.string(details, "reason"), "pause")
    if status not in {None, "completed"}:
        raise Malformed(f"its status is {status}")
    if has_calls:
        return "tool_calls"
    return "refusal" if is_refused else "stop"
