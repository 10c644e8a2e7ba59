"""What the fake provider says, in each of the four dialects; what the clients ask, likewise."""

import json
from dataclasses import dataclass
from random import Random
from typing import Any

from soak.script import CHAT, GEMINI, MESSAGES, MODEL, RESPONSES, Asked

TOOL = "look_up"
_PARAMETERS = {
    "type": "object",
    "properties": {"found": {"type": "string"}},
    "required": ["found"],
}
_CHAT_USAGE = {"prompt_tokens": 7, "completion_tokens": 9, "total_tokens": 16}
_MESSAGES_USAGE = {"input_tokens": 7, "output_tokens": 9}
_RESPONSES_USAGE = {"input_tokens": 7, "output_tokens": 9, "total_tokens": 16}
_GEMINI_USAGE = {"promptTokenCount": 7, "candidatesTokenCount": 9, "totalTokenCount": 16}

type Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Stream:
    """A stream's events: before its content, its content, and what makes it whole."""

    start: list[bytes]
    content: list[bytes]
    end: list[bytes]


def path_and_body(asked: Asked, text: str) -> tuple[str, bytes]:
    """The client's request."""
    model = f"{asked.direct}/{MODEL}" if asked.direct else "auto"
    said = {"role": "user", "content": text}
    body: Json
    match asked.dialect:
        case "openai-chat":
            path, body = "/v1/chat/completions", {"model": model, "messages": [said]}
            tool: Json = {"type": "function", "function": _tool("parameters")}
        case "anthropic-messages":
            path, body = "/v1/messages", {"model": model, "max_tokens": 64_000, "messages": [said]}
            tool = _tool("input_schema")
        case "openai-responses":
            path, body = "/v1/responses", {"model": model, "input": [said], "store": False}
            tool = {"type": "function", "strict": False, **_tool("parameters")}
        case _:
            verb = "streamGenerateContent?alt=sse" if asked.is_stream else "generateContent"
            path = f"/v1beta/models/auto:{verb}"
            body = {"contents": [{"role": "user", "parts": [{"text": text}]}]}
            tool = {"functionDeclarations": [_tool("parameters")]}
    if asked.is_stream and asked.dialect != GEMINI:
        body["stream"] = True
    if asked.has_tools:
        body["tools"] = [tool]
    return path, json.dumps(body, ensure_ascii=False).encode()


def _tool(schema: str) -> Json:
    return {"name": TOOL, "description": "Looks it up", schema: _PARAMETERS}


def whole(dialect: str, text: str, *, is_call: bool) -> bytes:
    """A whole answer: the text, or a call of the tool with it; with neither if it is empty."""
    is_call = is_call and bool(text)
    arguments = {"found": text}
    if dialect == CHAT:
        message: Json = {"role": "assistant", "content": text}
        if is_call:
            called = {"name": TOOL, "arguments": json.dumps(arguments)}
            call = {"id": "call_1", "type": "function", "function": called}
            message = {"role": "assistant", "content": None, "tool_calls": [call]}
        reason = "tool_calls" if is_call else "stop"
        choice = {"index": 0, "message": message, "finish_reason": reason}
        answer: Json = {
            "id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": MODEL,
            "choices": [choice], "usage": _CHAT_USAGE,
        }  # fmt: skip
    elif dialect == MESSAGES:
        block: Json = {"type": "text", "text": text}
        if is_call:
            block = {"type": "tool_use", "id": "toolu_1", "name": TOOL, "input": arguments}
        answer = {
            "id": "msg_1", "type": "message", "role": "assistant", "model": MODEL,
            "content": [block] if text else [],
            "stop_reason": "tool_use" if is_call else "end_turn",
            "stop_sequence": None, "usage": _MESSAGES_USAGE,
        }  # fmt: skip
    elif dialect == RESPONSES:
        answer = _response("completed", [_item(text, is_call=is_call)] if text else [])
    else:
        part: Json = {"text": text}
        if is_call:
            part = {"functionCall": {"name": TOOL, "args": arguments}}
        answer = _candidate([part] if text else [], ends=True)
    return json.dumps(answer, ensure_ascii=bool(len(text) % 2)).encode()


def stream(dialect: str, text: str, chance: Random, *, is_call: bool) -> Stream:
    """The same as events."""
    is_call = is_call and bool(text)
    arguments = json.dumps({"found": text}) if is_call else text
    pieces = _sliced(arguments, chance) if text else []
    if dialect == CHAT:
        return _chat(pieces, is_call=is_call)
    if dialect == MESSAGES:
        return _messages(pieces, is_call=is_call)
    if dialect == RESPONSES:
        return _responses(pieces, text, is_call=is_call)
    parts: list[Json] = [{"text": piece} for piece in pieces]
    if is_call:
        parts = [{"functionCall": {"name": TOOL, "args": {"found": text}}}]
    content = [_event(_candidate([part], ends=False)) for part in parts]
    return Stream([], content, [_event(_candidate([], ends=True))])


def error_event(dialect: str) -> bytes:
    """An error that comes in the middle of a stream."""
    message = "soak: it broke"
    if dialect == MESSAGES:
        error = {"type": "overloaded_error", "message": message}
        return _named({"type": "error", "error": error})
    if dialect == RESPONSES:
        error = {"code": "server_error", "message": message}
        failed = {**_response("failed"), "error": error}
        return _named({"type": "response.failed", "response": failed})
    if dialect == GEMINI:
        return _event({"error": {"code": 503, "message": message, "status": "UNAVAILABLE"}})
    return _event({"error": {"message": message, "type": "server_error"}})


def error_body(dialect: str, number: int) -> bytes:
    """An error as a whole answer. The number tells whose it is."""
    said = f"soak:{number}: no"
    error = {"message": said, "type": "api_error", "code": None, "status": "UNKNOWN"}
    kind = {"type": "error"} if dialect == MESSAGES else {}
    return json.dumps({**kind, "error": error}).encode()


def _chat(pieces: list[str], *, is_call: bool) -> Stream:
    def chunk(delta: Json, reason: str | None = None) -> bytes:
        choice = {"index": 0, "delta": delta, "finish_reason": reason}
        return _event({**common, "choices": [choice]})

    common: Json = {"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": MODEL}
    content = []
    for number, piece in enumerate(pieces):
        delta: Json = {"content": piece}
        if is_call:
            call: Json = {"index": 0, "function": {"arguments": piece}}
            if number == 0:
                call |= {"id": "call_1", "type": "function"}
                call["function"]["name"] = TOOL
            delta = {"tool_calls": [call]}
        content.append(chunk(delta))
    return Stream(
        [chunk({"role": "assistant", "content": ""})],
        content,
        [
            chunk({}, "tool_calls" if is_call else "stop"),
            _event({**common, "choices": [], "usage": _CHAT_USAGE}),
            b"data: [DONE]\n\n",
        ],
    )


def _messages(pieces: list[str], *, is_call: bool) -> Stream:
    message = json.loads(whole(MESSAGES, "", is_call=False))
    start = [_named({"type": "message_start", "message": {**message, "stop_reason": None}})]
    block: Json = {"type": "text", "text": ""}
    if is_call:
        block = {"type": "tool_use", "id": "toolu_1", "name": TOOL, "input": {}}
    content, end = [], []
    if pieces:
        begin = {"type": "content_block_start", "index": 0, "content_block": block}
        content.append(_named(begin))
        end.append(_named({"type": "content_block_stop", "index": 0}))
    for piece in pieces:
        delta = {"type": "text_delta", "text": piece}
        if is_call:
            delta = {"type": "input_json_delta", "partial_json": piece}
        content.append(_named({"type": "content_block_delta", "index": 0, "delta": delta}))
    stopped = {"stop_reason": "tool_use" if is_call else "end_turn", "stop_sequence": None}
    end.append(_named({"type": "message_delta", "delta": stopped, "usage": {"output_tokens": 9}}))
    return Stream(start, content, [*end, _named({"type": "message_stop"})])


def _responses(pieces: list[str], text: str, *, is_call: bool) -> Stream:
    events: list[Json] = [{"type": "response.created", "response": _response("in_progress")}]
    item = _item(text, is_call=is_call)
    at: Json = {"item_id": item["id"], "output_index": 0}
    part = {"content_index": 0}
    if pieces and is_call:
        begun: Json = {**item, "arguments": "", "status": "in_progress"}
        events.append({"type": "response.output_item.added", "output_index": 0, "item": begun})
        kind = "response.function_call_arguments"
        deltas = [{"type": f"{kind}.delta", **at, "delta": piece} for piece in pieces]
        ends: list[Json] = [{"type": f"{kind}.done", **at, "arguments": "".join(pieces)}]
    elif pieces:
        begun = {**item, "content": [], "status": "in_progress"}
        events.append({"type": "response.output_item.added", "output_index": 0, "item": begun})
        empty = {"type": "output_text", "text": "", "annotations": []}
        events.append({"type": "response.content_part.added", **at, **part, "part": empty})
        kind = "response.output_text"
        deltas = [{"type": f"{kind}.delta", **at, **part, "delta": piece} for piece in pieces]
        ends = [
            {"type": f"{kind}.done", **at, **part, "text": text},
            {"type": "response.content_part.done", **at, **part, "part": item["content"][0]},
        ]
    else:
        deltas, ends = [], []
    if pieces:
        ends.append({"type": "response.output_item.done", "output_index": 0, "item": item})
    done = _response("completed", [item] if pieces else [])
    ends.append({"type": "response.completed", "response": done})
    numbered = iter(range(1_000_000))

    def written(values: list[Json]) -> list[bytes]:
        return [_named({**value, "sequence_number": next(numbered)}) for value in values]

    return Stream(written(events), written(deltas), written(ends))


def _item(text: str, *, is_call: bool) -> Json:
    if is_call:
        return {
            "type": "function_call", "id": "fc_1", "call_id": "call_1", "name": TOOL,
            "arguments": json.dumps({"found": text}), "status": "completed",
        }  # fmt: skip
    part = {"type": "output_text", "text": text, "annotations": []}
    return {
        "type": "message", "id": "msg_1", "role": "assistant", "status": "completed",
        "content": [part],
    }  # fmt: skip


def _response(status: str, output: list[Json] | None = None) -> Json:
    return {
        "id": "resp_1", "object": "response", "created_at": 1, "status": status, "model": MODEL,
        "output": output or [], "error": None, "incomplete_details": None,
        "usage": _RESPONSES_USAGE if status == "completed" else None,
    }  # fmt: skip


def _candidate(parts: list[Json], *, ends: bool) -> Json:
    candidate: Json = {"index": 0, "content": {"role": "model", "parts": parts}}
    answer: Json = {"candidates": [candidate], "modelVersion": MODEL, "responseId": "r1"}
    if ends:
        candidate["finishReason"] = "STOP"
        answer["usageMetadata"] = _GEMINI_USAGE
    return answer


def _sliced(text: str, chance: Random) -> list[str]:
    """The text in pieces, of some characters each or of some thousand."""
    longest = max(12, len(text) // 40)
    pieces, start = [], 0
    while start < len(text):
        stop = start + chance.randint(1, longest)
        pieces.append(text[start:stop])
        start = stop
    return pieces


def _event(value: Json) -> bytes:
    return b"data: " + json.dumps(value, ensure_ascii=False).encode() + b"\n\n"


def _named(value: Json) -> bytes:
    return f"event: {value['type']}\n".encode() + _event(value)
