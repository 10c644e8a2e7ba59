"""Tool calls, both ways.

Facts: https://platform.openai.com/docs/guides/function-calling. Google's endpoint signs them in
`extra_content.google.thought_signature` and refuses the next turn without it
(https://ai.google.dev/gemini-api/docs/thought-signatures). Some servers give no ids, and some give
arguments as an object (llama.cpp's older ones, Ollama's own API).
"""

import json
import re

from gateway.core.conversation import Json, ToolCall
from gateway.core.dialects.fields import members, required, string, wrong_type
from gateway.core.dialects.openai_chat.words import NAME
from gateway.core.dialects.signatures import seal, unseal

_NOT_OF_AN_ID = re.compile(r"[^A-Za-z0-9_-]")
_MAX_ID = 24  # of the seed: OpenAI takes 40 characters in all


def made_id(seed: str, number: int) -> str:
    """An id for a call that has none. `seed` tells its message from others: an answer's id, or its
    place in the request."""
    return f"call_{_NOT_OF_AN_ID.sub('', seed)[-_MAX_ID:]}_{number}"


def read_call(item: Json, path: str, spare_id: str | None = None) -> ToolCall | None:
    """A call of a message; None if it is no function's. Raises BadRequest."""
    function = members(item.get("function"), f"{path}.function")
    if function is None:
        if item.get("type") in (None, "function"):
            required(function, f"{path}.function")
        return None
    id_ = string(item.get("id"), f"{path}.id") or spare_id
    signature, origin = read_signature(item, path)
    return ToolCall(
        required(id_, f"{path}.id"),
        required(string(function.get("name"), f"{path}.function.name"), f"{path}.function.name"),
        read_arguments(function.get("arguments"), f"{path}.function.arguments"),
        signature,
        origin,
    )


def read_arguments(value: object, path: str) -> str:
    if isinstance(value, dict):
        return json.dumps(value)
    if value is None or isinstance(value, str):
        return value or ""
    raise wrong_type(path, "a string")


def read_signature(item: Json, path: str) -> tuple[str | None, str | None]:
    """The signature of a call, and the dialect that it is from."""
    extra = members(item.get("extra_content"), f"{path}.extra_content") or {}
    google = members(extra.get("google"), f"{path}.extra_content.google") or {}
    at = f"{path}.extra_content.google.thought_signature"
    text = string(google.get("thought_signature"), at)
    return unseal(text, NAME) if text else (None, None)


def write_call(call: ToolCall, *, is_answer: bool) -> Json:
    """A call without arguments has an empty object: who reads them expects JSON."""
    written: Json = {
        "id": call.id,
        "type": "function",
        "function": {"name": call.name, "arguments": call.arguments or "{}"},
    }
    if call.signature and (is_answer or call.origin == NAME):
        written |= write_signature(call.signature, call.origin)
    return written


def write_signature(signature: str, origin: str | None) -> Json:
    return {"extra_content": {"google": {"thought_signature": seal(signature, origin, NAME)}}}
