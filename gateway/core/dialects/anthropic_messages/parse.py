"""A client's request, read lightly: what the gateway must know of every one of them.

What a wrong type means here is the same for every provider; the rest is theirs to judge, or that of
`requests_in.py` where the request is translated. The body of a request that only counts tokens is
the same but for its limit of them.
"""

from gateway.core.chat import ChatRequest, Message
from gateway.core.dialects import fields
from gateway.core.dialects.fields import missing, wrong_type, wrong_value

# `system` in its place among the messages:
# https://platform.claude.com/docs/en/build-with-claude/mid-conversation-system-messages
ROLES = ("user", "assistant", "system")

_NUMBER = (int, float)
_TYPES: dict[str, tuple[tuple[type, ...], str]] = {
    "model": ((str,), "a string"),
    "system": ((str, list), "a string or an array of text blocks"),
    "stream": ((bool,), "true or false"),
    "max_tokens": ((int,), "a whole number"),
    "metadata": ((dict,), "an object"),
    "stop_sequences": ((list,), "an array"),
    "temperature": (_NUMBER, "a number"),
    "top_p": (_NUMBER, "a number"),
    "top_k": ((int,), "a whole number"),
    "tools": ((list,), "an array"),
    "tool_choice": ((dict,), "an object"),
    "thinking": ((dict,), "an object"),
    "output_config": ((dict,), "an object"),
}


def parse_request(
    body: bytes,
    model: str | None = None,
    is_stream: bool | None = None,  # noqa: FBT001 - as Dialect says
) -> ChatRequest:
    """The request in a client's body. Raises BadRequest naming the member at fault.

    `model` and `is_stream` are None: this dialect's path says neither. Its streams always say the
    usage.
    """
    source = fields.body_object(body, _TYPES)
    values = source.values
    items = fields.filled(values, "messages")
    messages: list[Message] = []
    if (system := values.get("system")) is not None:
        messages += _said("system", system, "system")
    for index, item in enumerate(items):
        messages += _message(item, f"messages[{index}]")
    own_model = values.get("model")
    return ChatRequest(
        source=source,
        model=model or (own_model if isinstance(own_model, str) else None),
        messages=tuple(messages),
        answers=1,
        is_stream=values.get("stream") is True if is_stream is None else is_stream,
        wants_usage=True,
        has_tools=bool(values.get("tools")),
        wants_schema=bool(values.get("output_format") or _format(values.get("output_config"))),
    )


def _format(config: object) -> object:
    """Where Anthropic has put the schema since it left its beta."""
    return config.get("format") if isinstance(config, dict) else None


def _message(item: object, path: str) -> list[Message]:
    if not isinstance(item, dict):
        raise wrong_type(path, "an object")
    role = item.get("role")
    if not isinstance(role, str):
        raise wrong_type(f"{path}.role", "a string")
    if role not in ROLES:
        raise wrong_value(f"{path}.role", f"is not a known role: use one of {', '.join(ROLES)}")
    content = item.get("content")
    if content is None:
        raise missing(f"{path}.content")
    return _said(role, content, f"{path}.content")


def _said(role: str, content: object, path: str) -> list[Message]:
    """A message; the tool results among its blocks come first, each as its own."""
    if isinstance(content, str):
        return [Message(role, content)]
    if not isinstance(content, list):
        raise wrong_type(path, "a string or an array of blocks")
    results: list[Message] = []
    texts: list[str] = []
    has_image = False
    for number, block in enumerate(content):
        at = f"{path}[{number}]"
        if not isinstance(block, dict):
            raise wrong_type(at, "an object")
        kind = block.get("type")
        if not isinstance(kind, str):
            raise wrong_type(f"{at}.type", "a string")
        if kind == "text":
            text = block.get("text")
            if not isinstance(text, str):
                raise wrong_type(f"{at}.text", "a string")
            texts.append(text)
        elif kind == "image":
            has_image = True
        elif kind == "tool_result":
            results += _said("tool", block.get("content") or "", f"{at}.content")
    if len(results) == len(content) and results:
        return results
    return [*results, Message(role, "\n\n".join(texts), has_image)]
