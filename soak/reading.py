"""What a client understands of an answer's bytes, in each dialect: read strictly."""

import json
from dataclasses import dataclass, field
from typing import Any

from soak.script import CHAT, GEMINI, MESSAGES, RESPONSES

type Json = dict[str, Any]


class Unreadable(Exception):
    """Bytes that are no answer of the dialect; the message says why."""


@dataclass(slots=True)
class Said:
    """`text`: all of it, or the argument of the call. `has_ended`: the dialect's own end was there.
    `error`: the error that it ends with."""

    text: str = ""
    arguments: str = ""
    has_ended: bool = False
    error: Json | None = None
    after_end: list[Json] = field(default_factory=list)

    def found(self) -> str:
        """The text, or what the tool was called with. Raises Unreadable."""
        if not self.arguments:
            return self.text
        try:
            value = json.loads(self.arguments)
        except ValueError:
            raise Unreadable(f"arguments that are no JSON: {self.arguments[-200:]!r}") from None
        return str(value.get("found"))


def read_whole(dialect: str, body: bytes) -> Said:
    """A whole answer, or the error that stands for it. Raises Unreadable."""
    value = _parsed(body)
    if value.get("error"):
        return Said(error=_error(value["error"]))
    said = Said(has_ended=True)
    try:
        if dialect == CHAT:
            message = value["choices"][0]["message"]
            said.text = message.get("content") or ""
            for call in message.get("tool_calls") or []:
                said.arguments += call["function"]["arguments"]
        elif dialect == MESSAGES:
            for block in value["content"]:
                said.text += block.get("text", "")
                said.arguments += json.dumps(block["input"]) if "input" in block else ""
        elif dialect == RESPONSES:
            for item in value["output"]:
                said.arguments += item.get("arguments", "")
                said.text += "".join(part["text"] for part in item.get("content") or [])
        else:
            _add_candidate(said, value)
    except (KeyError, IndexError, TypeError) as error:
        raise Unreadable(f"{type(error).__name__} {error} in {body[:300]!r}") from None
    return said


def read_stream(dialect: str, body: bytes) -> Said:
    """A stream as far as it came. Raises Unreadable."""
    said = Said()
    if body and not body.endswith(b"\n\n"):
        raise Unreadable(f"half an event at its end: {body[-200:]!r}")
    for block in body.split(b"\n\n"):
        lines = [line[5:].strip() for line in block.split(b"\n") if line.startswith(b"data:")]
        if not lines:
            continue
        data = b"\n".join(lines)
        value = {"done": True} if data == b"[DONE]" else _parsed(data)
        # Gemini's streams end with their connection: an error may still follow what looks like it.
        may_fail = dialect == GEMINI and said.error is None and bool(value.get("error"))
        if (said.has_ended or said.error is not None) and not may_fail:
            said.after_end.append(value)
            continue
        try:
            _ADDED[dialect](said, value)
        except (KeyError, IndexError, TypeError) as error:
            raise Unreadable(f"{type(error).__name__} {error} in {data[:300]!r}") from None
    return said


def _add_chat(said: Said, value: Json) -> None:
    if value.get("done"):
        said.has_ended = True
    elif value.get("error"):
        said.error = _error(value["error"])
    else:
        for choice in value["choices"]:
            said.text += choice["delta"].get("content") or ""
            for call in choice["delta"].get("tool_calls") or []:
                said.arguments += call["function"].get("arguments") or ""


def _add_messages(said: Said, value: Json) -> None:
    match value["type"]:
        case "error":
            said.error = _error(value["error"])
        case "message_stop":
            said.has_ended = True
        case "content_block_delta":
            said.text += value["delta"].get("text", "")
            said.arguments += value["delta"].get("partial_json", "")
        case _:
            pass


def _add_responses(said: Said, value: Json) -> None:
    match value["type"]:
        case "error":
            said.error = _error(value)
        case "response.failed":
            said.error = _error(value["response"]["error"])
        case "response.completed":
            said.has_ended = True
            whole = read_whole(RESPONSES, json.dumps(value["response"]).encode())
            if (whole.text, whole.arguments) != (said.text, said.arguments):
                raise Unreadable("the response at the end is not what was streamed")
        case "response.output_text.delta":
            said.text += value["delta"]
        case "response.function_call_arguments.delta":
            said.arguments += value["delta"]
        case _:
            pass


def _add_gemini(said: Said, value: Json) -> None:
    if value.get("error"):
        said.error = _error(value["error"])
        return
    _add_candidate(said, value)
    if any(candidate.get("finishReason") for candidate in value.get("candidates") or []):
        said.has_ended = True


def _add_candidate(said: Said, value: Json) -> None:
    for candidate in value.get("candidates") or []:
        for part in (candidate.get("content") or {}).get("parts") or []:
            said.text += part.get("text", "")
            if "functionCall" in part:
                said.arguments += json.dumps(part["functionCall"]["args"])


_ADDED = {CHAT: _add_chat, MESSAGES: _add_messages, RESPONSES: _add_responses, GEMINI: _add_gemini}


def _error(value: object) -> Json:
    if not isinstance(value, dict) or not isinstance(value.get("message"), str):
        raise Unreadable(f"an error without a message: {value!r}")
    return value


def _parsed(data: bytes) -> Json:
    try:
        value = json.loads(data)
    except ValueError:
        raise Unreadable(f"no JSON: {data[:300]!r}") from None
    if not isinstance(value, dict):
        raise Unreadable(f"no object: {data[:300]!r}")
    return value
