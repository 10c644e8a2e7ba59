"""One exchange in each dialect: the same question, the same text and tool call for an answer.

Facts: the pages that each dialect's package cites.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from gateway.core.sse import SseDecoder
from tests.flow.world import PROMPT

type Json = dict[str, Any]

TEXT = "Let me look. ☔"
TOOL = "get_weather"
ARGUMENTS = {"city": "Köln"}
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}}

# By dialect: the paths of a whole answer and of a stream.
PATHS = {
    "openai-chat": ("/v1/chat/completions",) * 2,
    "openai-responses": ("/v1/responses",) * 2,
    "anthropic-messages": ("/v1/messages",) * 2,
    "gemini": (
        "/v1beta/models/{model}:generateContent",
        "/v1beta/models/{model}:streamGenerateContent?alt=sse",
    ),
}

REQUESTS: dict[str, Json] = {
    "openai-chat": {
        "model": "auto",
        "messages": [{"role": "user", "content": PROMPT}],
        "tools": [{"type": "function", "function": {"name": TOOL, "parameters": SCHEMA}}],
    },
    "openai-responses": {
        "model": "auto",
        "input": PROMPT,
        "tools": [{"type": "function", "name": TOOL, "parameters": SCHEMA, "strict": False}],
    },
    "anthropic-messages": {
        "model": "auto",
        "max_tokens": 100,
        "messages": [{"role": "user", "content": PROMPT}],
        "tools": [{"name": TOOL, "input_schema": SCHEMA}],
    },
    "gemini": {
        "contents": [{"role": "user", "parts": [{"text": PROMPT}]}],
        "tools": [{"functionDeclarations": [{"name": TOOL, "parametersJsonSchema": SCHEMA}]}],
    },
}

_CALL = {
    "id": "call_1",
    "type": "function",
    "function": {"name": TOOL, "arguments": json.dumps(ARGUMENTS)},
}
_MESSAGE_ITEM = {
    "id": "msg_1",
    "type": "message",
    "status": "completed",
    "role": "assistant",
    "content": [{"type": "output_text", "text": TEXT, "annotations": [], "logprobs": []}],
}
_CALL_ITEM = {
    "id": "fc_1",
    "type": "function_call",
    "status": "completed",
    "call_id": "call_1",
    "name": TOOL,
    "arguments": json.dumps(ARGUMENTS),
}
_RESPONSE = {
    "id": "resp_1",
    "object": "response",
    "created_at": 1_700_000_000,
    "status": "completed",
    "model": "m-1",
    "error": None,
    "incomplete_details": None,
    "output": [_MESSAGE_ITEM, _CALL_ITEM],
    "usage": {
        "input_tokens": 11,
        "input_tokens_details": {"cached_tokens": 0},
        "output_tokens": 7,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": 18,
    },
}
_GEMINI_USAGE = {"promptTokenCount": 11, "candidatesTokenCount": 7, "totalTokenCount": 18}

ANSWERS: dict[str, Json] = {
    "openai-chat": {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1_700_000_000,
        "model": "m-1",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": TEXT, "tool_calls": [_CALL]},
                "finish_reason": "tool_calls",
            }
        ],
        "usage": {"prompt_tokens": 11, "completion_tokens": 7, "total_tokens": 18},
    },
    "openai-responses": _RESPONSE,
    "anthropic-messages": {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "m-1",
        "content": [
            {"type": "text", "text": TEXT},
            {"type": "tool_use", "id": "toolu_1", "name": TOOL, "input": ARGUMENTS},
        ],
        "stop_reason": "tool_use",
        "stop_sequence": None,
        "usage": {"input_tokens": 11, "output_tokens": 7},
    },
    "gemini": {
        "candidates": [
            {
                "content": {
                    "role": "model",
                    "parts": [{"text": TEXT}, {"functionCall": {"name": TOOL, "args": ARGUMENTS}}],
                },
                "finishReason": "STOP",
                "index": 0,
            }
        ],
        "usageMetadata": _GEMINI_USAGE,
        "modelVersion": "m-1",
        "responseId": "r-1",
    },
}


def data(value: object) -> bytes:
    return b"data: " + json.dumps(value, ensure_ascii=False).encode() + b"\n\n"


def named(value: Json) -> bytes:
    return f"event: {value['type']}\n".encode() + data(value)


def _chunk(delta: Json, finish: str | None = None) -> bytes:
    head = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "m-1"}
    return data({**head, "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]})


def _fragment(text: str, **more: str) -> bytes:
    function = {"arguments": text, **({"name": TOOL} if more else {})}
    return _chunk({"tool_calls": [{"index": 0, **more, "function": function}]})


def _block(index: int, delta: Json) -> bytes:
    return named({"type": "content_block_delta", "index": index, "delta": delta})


def _candidate(part: Json, **more: object) -> bytes:
    candidate = {"content": {"role": "model", "parts": [part]}, "index": 0, **more}
    about = {"modelVersion": "m-1", "responseId": "r-1", "usageMetadata": _GEMINI_USAGE}
    return data({"candidates": [candidate], **about})


_HALF, _REST = TEXT[:7], TEXT[7:]
_JSON = json.dumps(ARGUMENTS, ensure_ascii=False)
_AT: Json = {"item_id": "msg_1", "output_index": 0, "content_index": 0}
_PART: Json = {"type": "output_text", "text": "", "annotations": [], "logprobs": []}
_CALL_AT: Json = {"item_id": "fc_1", "output_index": 1}
_BEGUN = {**_RESPONSE, "status": "in_progress", "output": [], "usage": None}

_RESPONSE_EVENTS: list[Json] = [
    {"type": "response.created", "response": _BEGUN},
    {"type": "response.in_progress", "response": _BEGUN},
    {
        "type": "response.output_item.added",
        "output_index": 0,
        "item": {**_MESSAGE_ITEM, "status": "in_progress", "content": []},
    },
    {"type": "response.content_part.added", **_AT, "part": _PART},
    {"type": "response.output_text.delta", **_AT, "delta": _HALF, "logprobs": []},
    {"type": "response.output_text.delta", **_AT, "delta": _REST, "logprobs": []},
    {"type": "response.output_text.done", **_AT, "text": TEXT, "logprobs": []},
    {"type": "response.content_part.done", **_AT, "part": {**_PART, "text": TEXT}},
    {"type": "response.output_item.done", "output_index": 0, "item": _MESSAGE_ITEM},
    {
        "type": "response.output_item.added",
        "output_index": 1,
        "item": {**_CALL_ITEM, "status": "in_progress", "arguments": ""},
    },
    {
        "type": "response.function_call_arguments.delta",
        **_CALL_AT,
        "delta": _JSON[:5],
    },
    {
        "type": "response.function_call_arguments.delta",
        **_CALL_AT,
        "delta": _JSON[5:],
    },
    {
        "type": "response.function_call_arguments.done",
        **_CALL_AT,
        "arguments": _JSON,
    },
    {"type": "response.output_item.done", "output_index": 1, "item": _CALL_ITEM},
    {"type": "response.completed", "response": _RESPONSE},
]

STREAMS: dict[str, list[bytes]] = {
    "openai-chat": [
        _chunk({"role": "assistant", "content": ""}),
        _chunk({"content": _HALF}),
        _chunk({"content": _REST}),
        _fragment("", id="call_1", type="function"),
        _fragment(_JSON[:5]),
        _fragment(_JSON[5:]),
        _chunk({}, "tool_calls"),
        data({"choices": [], "usage": ANSWERS["openai-chat"]["usage"]}),
        b"data: [DONE]\n\n",
    ],
    "openai-responses": [
        named({"sequence_number": number, **event}) for number, event in enumerate(_RESPONSE_EVENTS)
    ],
    "anthropic-messages": [
        named(
            {
                "type": "message_start",
                "message": {
                    **ANSWERS["anthropic-messages"],
                    "content": [],
                    "stop_reason": None,
                    "usage": {"input_tokens": 11, "output_tokens": 1},
                },
            }
        ),
        named(
            {
                "type": "content_block_start",
                "index": 0,
                "content_block": {"type": "text", "text": ""},
            }
        ),
        named({"type": "ping"}),
        _block(0, {"type": "text_delta", "text": _HALF}),
        _block(0, {"type": "text_delta", "text": _REST}),
        named({"type": "content_block_stop", "index": 0}),
        named(
            {
                "type": "content_block_start",
                "index": 1,
                "content_block": {"type": "tool_use", "id": "toolu_1", "name": TOOL, "input": {}},
            }
        ),
        _block(1, {"type": "input_json_delta", "partial_json": ""}),
        _block(1, {"type": "input_json_delta", "partial_json": _JSON[:5]}),
        _block(1, {"type": "input_json_delta", "partial_json": _JSON[5:]}),
        named({"type": "content_block_stop", "index": 1}),
        named(
            {
                "type": "message_delta",
                "delta": {"stop_reason": "tool_use", "stop_sequence": None},
                "usage": {"output_tokens": 7},
            }
        ),
        named({"type": "message_stop"}),
    ],
    "gemini": [
        _candidate({"text": _HALF}),
        _candidate({"text": _REST}),
        _candidate({"functionCall": {"name": TOOL, "args": ARGUMENTS}}),
        _candidate({"text": ""}, finishReason="STOP"),
    ],
}


def words(name: str, answer: Json) -> tuple[str, list[tuple[str, object]]]:
    """The text and the tool calls of an answer in this dialect."""
    match name:
        case "openai-chat":
            message = answer["choices"][0]["message"]
            calls = [call["function"] for call in message["tool_calls"]]
            return message["content"], [(c["name"], json.loads(c["arguments"])) for c in calls]
        case "openai-responses":
            said = [item for item in answer["output"] if item["type"] == "message"]
            called = [item for item in answer["output"] if item["type"] == "function_call"]
            text = "".join(part["text"] for item in said for part in item["content"])
            return text, [(item["name"], json.loads(item["arguments"])) for item in called]
        case "anthropic-messages":
            blocks = answer["content"]
            text = "".join(block.get("text", "") for block in blocks)
            return text, [(b["name"], b["input"]) for b in blocks if b["type"] == "tool_use"]
        case _:
            parts = answer["candidates"][0]["content"]["parts"]
            found = [part["functionCall"] for part in parts if "functionCall" in part]
            text = "".join(part.get("text", "") for part in parts)
            return text, [(call["name"], call["args"]) for call in found]


# --- streams, put together as their clients do -----------------------------------


def _events(body: bytes) -> list[Json]:
    found = SseDecoder().feed(body)
    return [json.loads(event.data) for event in found if event.data not in {b"", b"[DONE]"}]


def _gather_chat(body: bytes) -> Json:
    text = ""
    calls: dict[int, Json] = {}
    for event in _events(body):
        for choice in event["choices"]:
            delta = choice["delta"]
            text += delta.get("content") or ""
            for call in delta.get("tool_calls", []):
                kept = calls.setdefault(call["index"], {"name": "", "arguments": ""})
                kept["name"] += call["function"].get("name") or ""
                kept["arguments"] += call["function"].get("arguments") or ""
    called = [{"function": call} for call in calls.values()]
    return {"choices": [{"message": {"content": text, "tool_calls": called}}]}


def _gather_responses(body: bytes) -> Json:
    found: Json = _events(body)[-1]["response"]
    return found


def _gather_messages(body: bytes) -> Json:
    blocks: dict[int, Json] = {}
    for event in _events(body):
        if event["type"] == "content_block_start":
            blocks[event["index"]] = {**event["content_block"], "json": ""}
        elif event["type"] == "content_block_delta":
            block, delta = blocks[event["index"]], event["delta"]
            if delta["type"] == "text_delta":
                block["text"] += delta["text"]
            elif delta["type"] == "input_json_delta":
                block["json"] += delta["partial_json"]
    for block in blocks.values():
        if block["type"] == "tool_use":
            block["input"] = json.loads(block["json"] or "{}")
    return {"content": list(blocks.values())}


def _gather_gemini(body: bytes) -> Json:
    parts = [
        part
        for event in _events(body)
        for candidate in event["candidates"]
        for part in candidate["content"].get("parts", [])
    ]
    return {"candidates": [{"content": {"parts": parts}}]}


@dataclass(frozen=True)
class End:
    """How a dialect's streams end and fail. `frames`: events of `STREAMS` before any content;
    `content`: events after which content has been said, and no end."""

    gathered: Callable[[bytes], Json]
    is_clean: Callable[[bytes], bool]
    is_error: Callable[[Json], bool]
    frames: int
    content: int


def _last(body: bytes) -> Json:
    return _events(body)[-1]


ENDS = {
    "openai-chat": End(
        _gather_chat,
        lambda body: body.endswith(b"data: [DONE]\n\n"),
        lambda value: set(value["error"]) == {"message", "type", "param", "code"},
        frames=1,
        content=5,
    ),
    "openai-responses": End(
        _gather_responses,
        lambda body: _last(body)["type"] == "response.completed",
        lambda value: set(value["error"]) == {"message", "type", "param", "code"},
        frames=4,
        content=11,
    ),
    "anthropic-messages": End(
        _gather_messages,
        lambda body: _last(body)["type"] == "message_stop",
        lambda value: value["type"] == "error" and "type" in value["error"],
        frames=3,
        content=9,
    ),
    "gemini": End(
        _gather_gemini,
        lambda body: "candidates" in _last(body) and "finishReason" in _last(body)["candidates"][0],
        lambda value: {"code", "status"} <= set(value["error"]),
        frames=0,
        content=2,
    ),
}
