"""What the mock provider says: a chat request read, and its answer, whole or in chunks.

The same request always gets the same answer but for `id` and `created`. Of its parameters
only these have an effect: model, messages, stream, stream_options.include_usage, n (1 alone),
tools with a tool_choice that forces one, response_format. Tokens are words.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NoReturn

from gateway.operator.mock.faults import Fault
from gateway.operator.mock.samples import sample
from gateway.operator.mock.tiers import names_asked_for, pick, text_to_judge

type Json = Mapping[str, Any]

ECHO = 60

# Longer texts, which only `big` makes, are streamed in pieces of this many characters.
PIECE = 4096

FILLER = "All work and no play makes a mock a dull model. "


class BadRequest(ValueError):
    """The request is wrong at `param`."""

    def __init__(self, message: str, param: str | None = None) -> None:
        super().__init__(message)
        self.param = param


@dataclass(frozen=True, slots=True)
class Ask:
    """A chat request, as far as it is read."""

    model: str
    messages: list[Json]
    streamed: bool
    wants_usage: bool
    tool: Json | None
    """The `function` of the tool that must be called."""
    format: Json
    """response_format: type text, json_object or json_schema."""


@dataclass(frozen=True, slots=True)
class Answer:
    """Text, or else arguments (JSON) for the asked tool."""

    text: str
    tool_name: str | None = None
    finish_reason: str | None = field(default=None, kw_only=True)


def read(body: bytes) -> Ask:
    """Raises BadRequest."""
    try:
        asked = json.loads(body, parse_constant=_not_json)
    except (ValueError, RecursionError) as error:
        raise BadRequest("the body is not JSON") from error
    if not isinstance(asked, dict):
        raise BadRequest("the body is not a JSON object")
    model, messages = asked.get("model"), asked.get("messages")
    if not isinstance(model, str) or not model:
        raise BadRequest("model is a name", "model")
    if not isinstance(messages, list) or not messages:
        raise BadRequest("messages is a list of at least one message", "messages")
    if not all(isinstance(message, dict) for message in messages):
        raise BadRequest("a message is an object", "messages")
    if asked.get("n", 1) not in (None, 1):
        raise BadRequest("the mock provider gives one answer: n is 1", "n")
    if asked.get("stream") not in (None, True, False):
        raise BadRequest("stream is true or false", "stream")
    options, form = asked.get("stream_options"), asked.get("response_format")
    return Ask(
        model=model,
        messages=messages,
        streamed=bool(asked.get("stream")),
        wants_usage=isinstance(options, dict) and options.get("include_usage") is True,
        tool=_forced_tool(asked.get("tool_choice"), asked.get("tools")),
        format=form if isinstance(form, dict) else {"type": "text"},
    )


def _not_json(constant: str) -> NoReturn:
    raise ValueError(constant)


def _forced_tool(choice: object, tools: object) -> Json | None:
    wanted: str | None = None
    match choice:
        case {"type": "function", "function": {"name": str(name)}}:
            wanted = name
        case "required":
            pass
        case _:
            return None
    for tool in tools if isinstance(tools, list) else []:
        function = tool.get("function") if isinstance(tool, dict) else None
        found = function.get("name") if isinstance(function, dict) else None
        if isinstance(found, str) and wanted in {None, found}:
            return function
    raise BadRequest("tool_choice asks for a function that tools does not have", "tool_choice")


def answer(ask: Ask, fault: Fault) -> Answer:
    """What is said to it. Raises BadRequest for a schema that is beyond it."""
    finishes, big = not fault.no_finish, 0 if fault.blank else fault.big
    stop = "stop" if finishes else None
    if big is not None:
        return Answer((FILLER * (big // len(FILLER) + 1))[:big], finish_reason=stop)
    try:
        if ask.tool is not None:
            return Answer(
                _dumps(sample(ask.tool.get("parameters") or {"type": "object"})),
                str(ask.tool["name"]),
                finish_reason="tool_calls" if finishes else None,
            )
        return Answer(_text(ask), finish_reason=stop)
    except ValueError as error:
        raise BadRequest(str(error), "tools" if ask.tool else "response_format") from error


def _text(ask: Ask) -> str:
    said = " ".join(last_user_text(ask.messages).split())
    echo = f"“{said[:ECHO]}{'…' if len(said) > ECHO else ''}”" if said else "nothing"
    model = ask.model.partition("!")[0]
    sentence = f"Hello from {model}, a mock model happy to help: you said {echo}."
    match ask.format:
        case {"type": "json_object"}:
            return _dumps({"answer": sentence})
        case {"type": "json_schema", "json_schema": {"schema": Mapping() as schema}}:
            value = sample(schema)
            names = names_asked_for(schema)
            if names and isinstance(value, dict):
                value["tier"] = pick(names, text_to_judge(last_user_text(ask.messages)))
            return _dumps(value)
        case {"type": "json_schema"}:
            raise BadRequest("json_schema has no schema", "response_format")
        case _:
            return sentence


def last_user_text(messages: list[Json]) -> str:
    """The text of the last message whose role is user; empty when there is none."""
    for message in reversed(messages):
        if message.get("role") == "user":
            return _message_text(message)
    return ""


def _message_text(message: Json) -> str:
    content = message.get("content")
    if isinstance(content, list):
        texts = (part.get("text") for part in content if isinstance(part, dict))
        return " ".join(text for text in texts if isinstance(text, str))
    return content if isinstance(content, str) else ""


def usage(ask: Ask, said: Answer) -> dict[str, Any]:
    """Words of the messages and of the answer, as OpenAI reports tokens."""
    prompt = sum(len(_message_text(message).split()) for message in ask.messages)
    completion = len(said.text.split())
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
        "prompt_tokens_details": {"cached_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": 0},
    }


def whole(ask: Ask, said: Answer, ident: str, created: int) -> dict[str, Any]:
    """A `chat.completion`."""
    message: dict[str, Any] = {"role": "assistant", "content": said.text, "refusal": None}
    if said.tool_name is not None:
        message["content"] = None
        message["tool_calls"] = [_call(ask, said.tool_name, said.text)]
    return {
        "id": ident,
        "object": "chat.completion",
        "created": created,
        "model": ask.model,
        "choices": [
            {
                "index": 0,
                "message": message,
                "logprobs": None,
                "finish_reason": said.finish_reason,
            }
        ],
        "usage": usage(ask, said),
        "system_fingerprint": "fp_mock",
    }


def chunks(ask: Ask, said: Answer, ident: str, created: int) -> Iterator[dict[str, Any]]:
    """The `chat.completion.chunk`s, in order."""
    frame = {
        "id": ident,
        "object": "chat.completion.chunk",
        "created": created,
        "model": ask.model,
        "system_fingerprint": "fp_mock",
    }
    pending = {"usage": None} if ask.wants_usage else {}

    def chunk(delta: dict[str, Any], finish_reason: str | None = None) -> dict[str, Any]:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}
        return {**frame, "choices": [choice], **pending}

    if said.tool_name is None:
        yield chunk({"role": "assistant", "content": "", "refusal": None})
        for piece in _pieces(said.text):
            yield chunk({"content": piece})
    else:
        call = {"index": 0, **_call(ask, said.tool_name, "")}
        yield chunk({"role": "assistant", "content": None, "tool_calls": [call]})
        for piece in _pieces(said.text):
            yield chunk({"tool_calls": [{"index": 0, "function": {"arguments": piece}}]})
    if said.finish_reason is not None:
        yield chunk({}, said.finish_reason)
    if ask.wants_usage:
        yield {**frame, "choices": [], "usage": usage(ask, said)}


def _call(ask: Ask, name: str, arguments: str) -> dict[str, Any]:
    # The number of messages keeps ids apart within a conversation.
    return {
        "id": f"call_mock_{len(ask.messages)}",
        "type": "function",
        "function": {"name": name, "arguments": arguments},
    }


def _pieces(text: str) -> Iterator[str]:
    """Word by word, each with the space before it."""
    if len(text) > PIECE:
        return (text[at : at + PIECE] for at in range(0, len(text), PIECE))
    return (found[0] for found in re.finditer(r"\s*\S+|\s+$", text))


def _dumps(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False)
