"""A client's request, read as far as every request is: what the gateway decides by.

Facts: https://platform.openai.com/docs/api-reference/responses/create. `input` is a string or
items; an item without `type` is a message if it has a role and a reference if it has only an id. It
may be left out where the rest is kept at the provider (`kept.ANSWERS`).
"""

from gateway.core.chat import ChatRequest, Message
from gateway.core.conversation import Json
from gateway.core.dialects import fields
from gateway.core.dialects.fields import missing, wrong_type, wrong_value
from gateway.core.dialects.kept import first_of
from gateway.core.dialects.openai_responses.kept import ANSWERS
from gateway.core.errors import BadRequest

ROLES = ("system", "developer", "user", "assistant")
TEXTS = frozenset({"input_text", "output_text"})
_NUMBER = (int, float)
# What a wrong type here means is the same for every provider; the rest is theirs to judge.
_TYPES: dict[str, tuple[tuple[type, ...], str]] = {
    "model": ((str,), "a string"),
    "input": ((str, list), "a string or an array"),
    "instructions": ((str,), "a string"),
    "stream": ((bool,), "true or false"),
    "stream_options": ((dict,), "an object"),
    "tools": ((list,), "an array"),
    "tool_choice": ((str, dict), "a string or an object"),
    "parallel_tool_calls": ((bool,), "true or false"),
    "text": ((dict,), "an object"),
    "reasoning": ((dict,), "an object"),
    "include": ((list,), "an array"),
    "metadata": ((dict,), "an object"),
    "user": ((str,), "a string"),
    "safety_identifier": ((str,), "a string"),
    "max_output_tokens": ((int,), "a whole number"),
    "top_logprobs": ((int,), "a whole number"),
    "temperature": (_NUMBER, "a number"),
    "top_p": (_NUMBER, "a number"),
    "store": ((bool,), "true or false"),
    "background": ((bool,), "true or false"),
    "previous_response_id": ((str,), "a string"),
    "conversation": ((str, dict), "a string or an object"),
    "prompt": ((dict,), "an object"),
    "truncation": ((str,), "a string"),
    "service_tier": ((str,), "a string"),
}


def parse_request(
    body: bytes,
    model: str | None = None,
    is_stream: bool | None = None,  # noqa: FBT001 - every dialect is called alike
) -> ChatRequest:
    """The request in a client's body. Raises BadRequest naming the member at fault."""
    source = fields.body_object(body, _TYPES)
    values = source.values
    named = values.get("model")
    return ChatRequest(
        source=source,
        model=model or (named if isinstance(named, str) else None),
        messages=tuple(_messages(values)),
        answers=1,
        is_stream=values.get("stream") is True if is_stream is None else is_stream,
        wants_usage=False,  # every stream ends with it, unasked
        has_tools=bool(values.get("tools")),
        wants_schema=_wants_schema(values.get("text")),
    )


def _wants_schema(text: object) -> bool:
    output = text.get("format") if isinstance(text, dict) else None
    return isinstance(output, dict) and output.get("type") == "json_schema"


def kind_of(item: Json, path: str) -> str:
    """An item's type, also where it is left out."""
    kind = item.get("type")
    if isinstance(kind, str):
        return kind
    if kind is not None:
        raise wrong_type(f"{path}.type", "a string")
    if "role" in item:
        return "message"
    if "id" in item:
        return "item_reference"
    raise missing(f"{path}.type")


def _messages(values: Json) -> list[Message]:
    messages: list[Message] = []
    instructions, given = values.get("instructions"), values.get("input")
    if isinstance(instructions, str):
        messages.append(Message("system", instructions))
    if isinstance(given, str):
        messages.append(Message("user", given))
    elif isinstance(given, list):
        if not given and not _is_kept_there(values):
            raise BadRequest(
                "'input' is empty: send at least one item.", code="empty_array", param="input"
            )
        for number, item in enumerate(given):
            if message := _message(item, f"input[{number}]"):
                messages.append(message)
    elif not _is_kept_there(values):
        raise missing("input")
    return messages


def _is_kept_there(values: Json) -> bool:
    return first_of(values, ANSWERS) is not None


def _message(item: object, path: str) -> Message | None:
    """What an item says, if it is one of those in which somebody says something."""
    if not isinstance(item, dict):
        raise wrong_type(path, "an object")
    kind = kind_of(item, path)
    if kind == "message":
        role = item.get("role")
        if not isinstance(role, str):
            raise wrong_type(f"{path}.role", "a string")
        if role not in ROLES:
            raise wrong_value(f"{path}.role", f"is not a known role: use one of {', '.join(ROLES)}")
        return _content(role, item.get("content"), f"{path}.content")
    if kind == "function_call_output":
        return _content("tool", item.get("output"), f"{path}.output")
    return None


def _content(role: str, content: object, path: str) -> Message:
    if isinstance(content, str):
        return Message(role, content)
    if content is None:
        raise missing(path)
    if not isinstance(content, list):
        raise wrong_type(path, "a string or an array of parts")
    texts: list[str] = []
    has_image = False
    for number, part in enumerate(content):
        at = f"{path}[{number}]"
        if not isinstance(part, dict):
            raise wrong_type(at, "an object")
        kind = part.get("type")
        if not isinstance(kind, str):
            raise wrong_type(f"{at}.type", "a string")
        if kind in TEXTS:
            text = part.get("text")
            if not isinstance(text, str):
                raise wrong_type(f"{at}.text", "a string")
            texts.append(text)
        elif kind == "input_image":
            has_image = True
    return Message(role, "\n\n".join(texts), has_image)
