"""A client's request, read lightly: what the gateway must know of every one of them.

What a wrong type means here is the same for every provider; the rest is theirs to judge, or that of
`requests_in.py` where the request is translated.
"""

from gateway.core.chat import ChatRequest, Message
from gateway.core.dialects import fields
from gateway.core.dialects.fields import missing, wrong_type, wrong_value

ROLES = ("system", "developer", "user", "assistant", "tool", "function")

_NUMBER = (int, float)
_TYPES: dict[str, tuple[tuple[type, ...], str]] = {
    "model": ((str,), "a string"),
    "stream": ((bool,), "true or false"),
    "stream_options": ((dict,), "an object"),
    "tools": ((list,), "an array"),
    "functions": ((list,), "an array"),
    "tool_choice": ((str, dict), "a string or an object"),
    "response_format": ((dict,), "an object"),
    "stop": ((str, list), "a string or an array"),
    "metadata": ((dict,), "an object"),
    "user": ((str,), "a string"),
    "max_tokens": ((int,), "a whole number"),
    "max_completion_tokens": ((int,), "a whole number"),
    "n": ((int,), "a whole number"),
    "seed": ((int,), "a whole number"),
    "temperature": (_NUMBER, "a number"),
    "top_p": (_NUMBER, "a number"),
    "presence_penalty": (_NUMBER, "a number"),
    "frequency_penalty": (_NUMBER, "a number"),
}


def parse_request(
    body: bytes,
    model: str | None = None,
    is_stream: bool | None = None,  # noqa: FBT001 - as Dialect
) -> ChatRequest:
    """The request in a client's body. Raises BadRequest naming the member at fault.

    `model` and `is_stream` are None: this dialect's path says neither.
    """
    source = fields.body_object(body, _TYPES)
    values = source.values
    messages = fields.filled(values, "messages")
    options = values.get("stream_options")
    wants_usage = options.get("include_usage") if isinstance(options, dict) else None
    if wants_usage is not None and not isinstance(wants_usage, bool):
        raise wrong_type("stream_options.include_usage", "true or false")
    own_model, answers = values.get("model"), values.get("n")
    return ChatRequest(
        source=source,
        model=model or (own_model if isinstance(own_model, str) else None),
        messages=tuple(
            [read_turn(item, f"messages[{index}]") for index, item in enumerate(messages)]
        ),
        answers=answers if isinstance(answers, int) else 1,
        is_stream=values.get("stream") is True if is_stream is None else is_stream,
        wants_usage=wants_usage is True,
        has_tools=bool(values.get("tools") or values.get("functions")),
        wants_schema=_wants_schema(values.get("response_format")),
    )


def _wants_schema(output: object) -> bool:
    return isinstance(output, dict) and output.get("type") == "json_schema"


def read_turn(item: object, path: str) -> Message:
    """One message, as far as the gateway must know it. Raises BadRequest naming its path."""
    if not isinstance(item, dict):
        raise wrong_type(path, "an object")
    role = item.get("role")
    if not isinstance(role, str):
        raise wrong_type(f"{path}.role", "a string")
    if role not in ROLES:
        raise wrong_value(f"{path}.role", f"is not a known role: use one of {', '.join(ROLES)}")
    content = item.get("content")
    if isinstance(content, str):
        return Message(role, content)
    if content is None:
        # An assistant's turn may be nothing but tool calls, a refusal or audio.
        if role in {"assistant", "function"}:
            return Message(role, "")
        raise missing(f"{path}.content")
    if not isinstance(content, list):
        raise wrong_type(f"{path}.content", "a string or an array of parts")
    texts: list[str] = []
    has_image = False
    for number, part in enumerate(content):
        if not isinstance(part, dict):
            raise wrong_type(f"{path}.content[{number}]", "an object")
        kind = part.get("type")
        if not isinstance(kind, str):
            raise wrong_type(f"{path}.content[{number}].type", "a string")
        if kind == "text":
            text = part.get("text")
            if not isinstance(text, str):
                raise wrong_type(f"{path}.content[{number}].text", "a string")
            texts.append(text)
        elif kind == "image_url":
            has_image = True
    return Message(role, "\n\n".join(texts), has_image)
