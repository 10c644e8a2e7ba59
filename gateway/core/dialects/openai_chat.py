"""OpenAI Chat Completions: requests from clients, answers and streams from providers, errors.

Facts: https://platform.openai.com/docs/api-reference/chat. A stream is SSE whose data is a JSON
`chat.completion.chunk` or an error object, ended by `[DONE]`; with `stream_options.include_usage`
one more chunk with empty `choices` carries the usage before it. Unknown members are kept: whoever
reads them is the provider.
"""

import json

from gateway.core import jsontext, sse
from gateway.core.chat import ChatRequest, Message, StreamEvent, Usage
from gateway.core.errors import BadRequest, TiergateError
from gateway.core.jsontext import JsonError
from gateway.core.outcomes import Outcome

PATH = "/chat/completions"
DONE = b"data: [DONE]\n\n"

_ROLES = ("system", "developer", "user", "assistant", "tool", "function")
_NUMBER = (int, float)
# What a wrong type here means is the same for every provider; the rest is theirs to judge.
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


def parse_request(body: bytes) -> ChatRequest:
    """The request in a client's body. Raises BadRequest naming the member at fault."""
    try:
        source = jsontext.parse_object(body)
    except JsonError as error:
        raise BadRequest(
            f"The request body is not valid JSON: {error}.", code="invalid_json"
        ) from None
    values = source.values
    for name, value in values.items():
        if value is not None and (expected := _TYPES.get(name)):
            kinds, words = expected
            if not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds):
                raise _wrong_type(name, words)
    messages = values.get("messages")
    if messages is None:
        raise _missing("messages")
    if not isinstance(messages, list):
        raise _wrong_type("messages", "an array")
    if not messages:
        raise BadRequest(
            "'messages' is empty: send at least one message.",
            code="empty_array",
            param="messages",
        )
    options = values.get("stream_options")
    wants_usage = options.get("include_usage") if isinstance(options, dict) else None
    if wants_usage is not None and not isinstance(wants_usage, bool):
        raise _wrong_type("stream_options.include_usage", "true or false")
    model, answers = values.get("model"), values.get("n")
    return ChatRequest(
        source=source,
        model=model if isinstance(model, str) else None,
        messages=tuple([_message(item, index) for index, item in enumerate(messages)]),
        answers=answers if isinstance(answers, int) else 1,
        is_stream=values.get("stream") is True,
        wants_usage=wants_usage is True,
        has_tools=bool(values.get("tools") or values.get("functions")),
    )


def encode_request(chat: ChatRequest, model: str, *, ask_usage: bool) -> bytes:
    """The body for a provider of this same dialect: the client's own text, the model replaced.

    `ask_usage` adds `stream_options.include_usage` to a stream whose client did not ask for it.
    """
    members: dict[str, object] = {"model": model}
    if ask_usage:
        options = chat.source.values.get("stream_options")
        members["stream_options"] = {
            **(options if isinstance(options, dict) else {}),
            "include_usage": True,
        }
    return chat.source.replaced(members)


def read_answer(body: bytes) -> tuple[Outcome, Usage | None]:
    """What a provider's whole answer under status 200 is, and its usage if it has it.

    Some providers send an error object under status 200: that is no answer.
    """
    try:
        answer = jsontext.parse(body)
    except JsonError:
        return Outcome.MALFORMED, None
    if isinstance(answer, dict) and answer.get("error"):
        return Outcome.SERVER_ERROR, None
    match answer:
        case {"choices": [dict(), *_], **rest}:
            return Outcome.ANSWERED, _usage(rest.get("usage"))
    return Outcome.MALFORMED, None


def answer_text(body: bytes) -> str | None:
    """The text of the first choice of a whole answer, or None where there is none."""
    try:
        match jsontext.parse(body):
            case {"choices": [{"message": {"content": str(text)}}, *_]}:
                return text
    except JsonError:
        pass
    return None


def read_event(event: sse.SseEvent) -> StreamEvent | None:
    """What one event of a provider's stream says; None if its data is not of this dialect."""
    data = event.data
    if not data:
        return StreamEvent(event.raw)
    if data == b"[DONE]":
        return StreamEvent(event.raw, is_done=True)
    try:
        chunk = jsontext.parse(data)
    except JsonError:
        return None
    if not isinstance(chunk, dict):
        return None
    if error := chunk.get("error"):
        return StreamEvent(event.raw, error=_error_message(error))
    choices = chunk.get("choices")
    if not isinstance(choices, list):
        return None
    has_content = False
    seen: list[int] = []
    finished: list[int] = []
    for choice in choices:
        index = choice.get("index", 0) if isinstance(choice, dict) else None
        if not isinstance(index, int):
            return None
        seen.append(index)
        if choice.get("finish_reason") is not None:
            finished.append(index)
        delta = choice.get("delta")
        if isinstance(delta, dict):
            has_content = has_content or any(
                value for name, value in delta.items() if name != "role"
            )
        has_content = has_content or bool(choice.get("text"))
    usage = _usage(chunk.get("usage"))
    return StreamEvent(
        event.raw,
        has_content=has_content,
        choices=tuple(seen),
        finished=tuple(finished),
        is_usage_only=usage is not None and not choices,
        usage=usage,
    )


def read_error(status: int, body: bytes) -> tuple[str, str, str | None, str | None]:
    """A provider's error as (message, type, code, param), as long as it wrote them.

    OpenAI nests it under `error`; Mistral and vLLM put the members at the top; some send a string.
    """
    try:
        found = jsontext.parse(body)
    except JsonError:
        found = None
    if isinstance(found, list) and len(found) == 1:
        found = found[0]
    if isinstance(found, dict):
        found = found.get("error") or found
    members = found if isinstance(found, dict) else {"message": found}
    message = members.get("message") or members.get("detail")
    if isinstance(message, (dict, list)):
        message = json.dumps(message)
    if not isinstance(message, str) or not message:
        message = f"The provider refused the request with status {status}."
    type_ = members.get("type")
    code = members.get("code")
    param = members.get("param")
    return (
        message,
        type_ if isinstance(type_, str) and type_ else "invalid_request_error",
        str(code) if isinstance(code, (str, int)) and not isinstance(code, bool) else None,
        param if isinstance(param, str) else None,
    )


def error_body(error: TiergateError) -> bytes:
    """An error in the shape an OpenAI client reads."""
    return json.dumps(
        {
            "error": {
                "message": error.message,
                "type": error.type,
                "param": error.param,
                "code": error.code,
            }
        }
    ).encode()


def error_event(error: TiergateError) -> bytes:
    """An error in a stream that has begun: OpenAI's SDKs raise on it, and no `[DONE]` follows."""
    return sse.encode(error_body(error))


_MAX_COUNT = 2**53  # tokens; the largest whole number that every JSON reader holds exactly


def _message(item: object, index: int) -> Message:
    path = f"messages[{index}]"
    if not isinstance(item, dict):
        raise _wrong_type(path, "an object")
    role = item.get("role")
    if not isinstance(role, str):
        raise _wrong_type(f"{path}.role", "a string")
    if role not in _ROLES:
        raise BadRequest(
            f"'{path}.role' is not a known role: use one of {', '.join(_ROLES)}.",
            code="invalid_value",
            param=f"{path}.role",
        )
    content = item.get("content")
    if isinstance(content, str):
        return Message(role, content)
    if content is None:
        # An assistant's turn may be nothing but tool calls, a refusal or audio.
        if role in {"assistant", "function"}:
            return Message(role, "")
        raise _missing(f"{path}.content")
    if not isinstance(content, list):
        raise _wrong_type(f"{path}.content", "a string or an array of parts")
    texts: list[str] = []
    has_image = False
    for number, part in enumerate(content):
        if not isinstance(part, dict):
            raise _wrong_type(f"{path}.content[{number}]", "an object")
        kind = part.get("type")
        if not isinstance(kind, str):
            raise _wrong_type(f"{path}.content[{number}].type", "a string")
        if kind == "text":
            text = part.get("text")
            if not isinstance(text, str):
                raise _wrong_type(f"{path}.content[{number}].text", "a string")
            texts.append(text)
        elif kind == "image_url":
            has_image = True
    return Message(role, "\n\n".join(texts), has_image)


def _missing(param: str) -> BadRequest:
    return BadRequest(f"'{param}' is missing.", code="missing_required_parameter", param=param)


def _wrong_type(param: str, expected: str) -> BadRequest:
    return BadRequest(f"'{param}' must be {expected}.", code="invalid_type", param=param)


def _usage(value: object) -> Usage | None:
    """Usage from any of the shapes seen in the wild; None unless both counts are there."""
    if not isinstance(value, dict):
        return None
    sent, received = _count(value.get("prompt_tokens")), _count(value.get("completion_tokens"))
    if sent is None or received is None:
        return None
    details = value.get("prompt_tokens_details")
    cached = _count(details.get("cached_tokens")) if isinstance(details, dict) else None
    if cached is None:
        cached = _count(value.get("prompt_cache_hit_tokens"))  # DeepSeek
    details = value.get("completion_tokens_details")
    reasoning = _count(details.get("reasoning_tokens")) if isinstance(details, dict) else None
    return Usage(sent, received, cached, reasoning)


def _count(value: object) -> int | None:
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _MAX_COUNT:
        return value
    return None


def _error_message(error: object) -> str:
    message = error.get("message") if isinstance(error, dict) else error
    return message if isinstance(message, str) and message else "the provider reported an error"
