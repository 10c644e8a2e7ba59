"""Fake providers in every dialect: what they say is one value, its wire form each dialect's own.

Rules: a provider says its answers in their order, one a request, whole or streamed as it was asked.
Streams come as the real ones do: in pieces, cut inside words, each event in a write of its own.

Facts: https://platform.openai.com/docs/api-reference/chat, .../responses,
https://platform.claude.com/docs/en/api/messages, https://ai.google.dev/api/generate-content.
"""

import json
from base64 import b64encode
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from tests.component.peers import (
    LAST_CHUNK,
    SSE_HEAD,
    Connection,
    Peer,
    Script,
    data,
    dumps,
    framed,
    whole,
)

type Json = dict[str, Any]

CHAT, RESPONSES, MESSAGES, GEMINI = DIALECTS = (
    "openai-chat",
    "openai-responses",
    "anthropic-messages",
    "gemini",
)
# Of the policy's rows the real ones where there are any, for their headers.
NAMES = dict(zip(DIALECTS, ("chatty", "responder", "anthropic", "google"), strict=True))
MODEL = "gemini-3-pro"  # of all of them: Gemini's models from 3 on want signed calls

IN, OUT, THOUGHT, CACHED = 31, 17, 5, 8  # tokens of every answer


@dataclass(frozen=True)
class Call:
    name: str
    arguments: Json
    id: str = "call_1"


@dataclass(frozen=True)
class Said:
    """An answer. `thought`: reasoning that is shown, with its proof. `is_cut`: at its limit of
    tokens."""

    text: str = ""
    calls: tuple[Call, ...] = ()
    thought: str = ""
    is_cut: bool = False


# What each gives with its reasoning and wants back as it was. The plain dialect of chat has no
# proof: there the text itself goes back.
THINKING = "They ask for two cities, so two calls."
PROOFS = {
    CHAT: THINKING,
    RESPONSES: "gAAAAABo-enc_rypted==",
    MESSAGES: "EqQBCkYIBxgCKkD+/signed==",
    GEMINI: b64encode(bytes(range(200, 255))).decode(),
}


class Provider:
    """A fake provider, and what it was asked."""

    def __init__(
        self, new_peer: Callable[[Script], Peer], dialect: str, *answers: Said | bytes
    ) -> None:
        """`answers`: what it says; bytes are a whole response, head and all."""
        self.dialect = dialect
        self.name = NAMES[dialect]
        self._answers = list(answers)
        self._peer: Peer = new_peer(self._speak)

    @property
    def row(self) -> Json:
        return {"base_url": self._peer.url, "dialect": self.dialect, "key": "E2E_PROVIDER_KEY"}

    @property
    def target(self) -> str:
        return f"{self.name}/{MODEL}"

    @property
    def asked(self) -> list[Json]:
        """The bodies of its requests."""
        return [request.json() for request in self._peer.received]

    @property
    def lines(self) -> list[str]:
        """The request lines, for paths."""
        return [request.line for request in self._peer.received]

    def headers(self, number: int = -1) -> dict[str, str]:
        return dict(self._peer.received[number].headers)

    def _speak(self, connection: Connection) -> None:
        answer = self._answers.pop(0)
        request = connection.request
        if isinstance(answer, bytes):
            connection.send(answer)
        elif request.json().get("stream") or ":streamGenerateContent" in request.line:
            connection.send(SSE_HEAD, *map(framed, events(self.dialect, answer)), LAST_CHUNK)
        else:
            connection.send(whole(dumps(body(self.dialect, answer))))


def broken(dialect: str, said: Said, *, error: Json | None = None) -> bytes:
    """A response whose stream ends after half of its events, or fails there."""
    sent = list(events(dialect, said))
    kept = sent[: len(sent) // 2]
    if error is not None:
        kept.append(failure(dialect, error))
    return SSE_HEAD + b"".join(map(framed, kept)) + LAST_CHUNK


def refusal(
    dialect: str, status: int, message: str, headers: dict[str, str] | None = None
) -> bytes:
    """A whole response that refuses."""
    words = {400: "invalid_request_error", 429: "rate_limit_error"}
    canonical = {400: "INVALID_ARGUMENT", 429: "RESOURCE_EXHAUSTED", 500: "INTERNAL"}
    kind = words.get(status, "api_error")
    match dialect:
        case "anthropic-messages":
            value: Json = {
                "type": "error",
                "error": {"type": kind, "message": message},
                "request_id": "req_011",
            }
        case "gemini":
            value = {"error": {"code": status, "message": message, "status": canonical[status]}}
        case _:
            value = {"error": {"message": message, "type": kind, "param": None, "code": None}}
    return whole(dumps(value), status, headers=headers)


def failure(dialect: str, error: Json) -> bytes:
    """The event by which a stream says that it failed."""
    match dialect:
        case "openai-responses":
            return named({"type": "error", "code": "server_error", "param": None, **error})
        case "anthropic-messages":
            return named({"type": "error", "error": {"type": "overloaded_error", **error}})
        case "gemini":
            return data({"error": {"code": 503, "status": "UNAVAILABLE", **error}})
        case _:
            return data({"error": {"type": "server_error", "code": None, "param": None, **error}})


def named(value: Json) -> bytes:
    """An event with its name."""
    return f"event: {value['type']}\n".encode() + data(value)


def body(dialect: str, said: Said) -> Json:
    """A whole answer."""
    match dialect:
        case "openai-chat":
            return _completion(said)
        case "openai-responses":
            return _response(said)
        case "anthropic-messages":
            return _message(said)
        case _:
            return _candidates(_gemini_parts(said), _gemini_finish(said))


def events(dialect: str, said: Said) -> Iterator[bytes]:
    """The events of a stream."""
    match dialect:
        case "openai-chat":
            return _chunks(said)
        case "openai-responses":
            return _response_events(said)
        case "anthropic-messages":
            return _message_events(said)
        case _:
            return _gemini_events(said)


def pieces(text: str) -> list[str]:
    return [text[at : at + 7] for at in range(0, len(text), 7)]


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


def _id(prefix: str, number: int) -> str:
    return f"{prefix}_{number}"


# --- openai-chat ---------------------------------------------------------------

_USAGE: Json = {
    "prompt_tokens": IN,
    "completion_tokens": OUT,
    "total_tokens": IN + OUT,
    "prompt_tokens_details": {"cached_tokens": CACHED},
    "completion_tokens_details": {"reasoning_tokens": THOUGHT},
}


def _finish_reason(said: Said) -> str:
    return "length" if said.is_cut else "tool_calls" if said.calls else "stop"


def _completion(said: Said) -> Json:
    message: Json = {"role": "assistant", "content": said.text or None}
    if said.thought:
        message["reasoning_content"] = said.thought
    if said.calls:
        message["tool_calls"] = [
            {
                "id": _id("call", number),
                "type": "function",
                "function": {"name": call.name, "arguments": _json(call.arguments)},
            }
            for number, call in enumerate(said.calls)
        ]
    choice = {"index": 0, "message": message, "finish_reason": _finish_reason(said)}
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1_700_000_000,
        "model": MODEL,
        "choices": [choice],
        "usage": _USAGE,
    }


def _chunks(said: Said) -> Iterator[bytes]:
    head = {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "created": 1_700_000_000,
        "model": MODEL,
    }

    def chunk(delta: Json, finish: str | None = None) -> bytes:
        return data({**head, "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]})

    yield chunk({"role": "assistant", "content": ""})
    for piece in pieces(said.thought):
        yield chunk({"reasoning_content": piece})
    for piece in pieces(said.text):
        yield chunk({"content": piece})
    for number, call in enumerate(said.calls):
        function: Json = {"name": call.name, "arguments": ""}
        first = {"index": number, "id": _id("call", number), "type": "function"}
        yield chunk({"tool_calls": [{**first, "function": function}]})
        for piece in pieces(_json(call.arguments)):
            yield chunk({"tool_calls": [{"index": number, "function": {"arguments": piece}}]})
    yield chunk({}, _finish_reason(said))
    yield data({**head, "choices": [], "usage": _USAGE})
    yield b"data: [DONE]\n\n"


# --- openai-responses ----------------------------------------------------------


def _items(said: Said) -> list[Json]:
    items: list[Json] = []
    if said.thought:
        items.append(
            {
                "id": "rs_1",
                "type": "reasoning",
                "summary": [{"type": "summary_text", "text": said.thought}],
                "encrypted_content": PROOFS[RESPONSES],
            }
        )
    if said.text:
        items.append(
            {
                "id": "msg_1",
                "type": "message",
                "status": "completed",
                "role": "assistant",
                "content": [_output_text(said.text)],
            }
        )
    items += [
        {
            "id": _id("fc", number),
            "type": "function_call",
            "status": "completed",
            "call_id": _id("call", number),
            "name": call.name,
            "arguments": _json(call.arguments),
        }
        for number, call in enumerate(said.calls)
    ]
    return items


def _output_text(text: str) -> Json:
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": []}


def _response(said: Said) -> Json:
    return {
        "id": "resp_1",
        "object": "response",
        "created_at": 1_700_000_000,
        "status": "incomplete" if said.is_cut else "completed",
        "error": None,
        "incomplete_details": {"reason": "max_output_tokens"} if said.is_cut else None,
        "instructions": None,
        "metadata": {},
        "model": MODEL,
        "output": _items(said),
        "parallel_tool_calls": True,
        "temperature": 1.0,
        "tool_choice": "auto",
        "tools": [],
        "top_p": 1.0,
        "usage": {
            "input_tokens": IN,
            "input_tokens_details": {"cached_tokens": CACHED},
            "output_tokens": OUT,
            "output_tokens_details": {"reasoning_tokens": THOUGHT},
            "total_tokens": IN + OUT,
        },
    }


def _response_events(said: Said) -> Iterator[bytes]:
    final = _response(said)
    begun = {**final, "status": "in_progress", "output": [], "usage": None}
    values = [
        {"type": "response.created", "response": begun},
        {"type": "response.in_progress", "response": begun},
    ]
    for index, item in enumerate(final["output"]):
        values += _item_events(index, item)
    ending = "response.incomplete" if said.is_cut else "response.completed"
    values.append({"type": ending, "response": final})
    for number, value in enumerate(values):
        yield named({**value, "sequence_number": number})


def _item_events(index: int, item: Json) -> Iterator[Json]:
    empty: Json = {**item, "status": "in_progress"}
    match item["type"]:
        case "message":
            empty["content"] = []
        case "function_call":
            empty["arguments"] = ""
        case _:
            empty = {"id": item["id"], "type": "reasoning", "summary": [], "encrypted_content": ""}
    at: Json = {"item_id": item["id"], "output_index": index}
    yield {"type": "response.output_item.added", "output_index": index, "item": empty}
    match item["type"]:
        case "message":
            at["content_index"] = 0
            text = item["content"][0]["text"]
            yield {"type": "response.content_part.added", **at, "part": _output_text("")}
            for piece in pieces(text):
                yield {"type": "response.output_text.delta", **at, "delta": piece, "logprobs": []}
            yield {"type": "response.output_text.done", **at, "text": text, "logprobs": []}
            yield {"type": "response.content_part.done", **at, "part": _output_text(text)}
        case "function_call":
            arguments = item["arguments"]
            for piece in pieces(arguments):
                yield {"type": "response.function_call_arguments.delta", **at, "delta": piece}
            yield {"type": "response.function_call_arguments.done", **at, "arguments": arguments}
        case _:
            at["summary_index"] = 0
            part = item["summary"][0]
            none = {**part, "text": ""}
            yield {"type": "response.reasoning_summary_part.added", **at, "part": none}
            for piece in pieces(part["text"]):
                yield {"type": "response.reasoning_summary_text.delta", **at, "delta": piece}
            yield {"type": "response.reasoning_summary_text.done", **at, "text": part["text"]}
            yield {"type": "response.reasoning_summary_part.done", **at, "part": part}
    yield {"type": "response.output_item.done", "output_index": index, "item": item}


# --- anthropic-messages --------------------------------------------------------


def _message(said: Said) -> Json:
    blocks: list[Json] = []
    if said.thought:
        proof = PROOFS[MESSAGES]
        blocks.append({"type": "thinking", "thinking": said.thought, "signature": proof})
    if said.text:
        blocks.append({"type": "text", "text": said.text, "citations": None})
    blocks += [
        {
            "type": "tool_use",
            "id": _id("toolu", number),
            "name": call.name,
            "input": call.arguments,
            "caller": {"type": "direct"},
        }
        for number, call in enumerate(said.calls)
    ]
    return {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": MODEL,
        "content": blocks,
        "stop_reason": "max_tokens" if said.is_cut else "tool_use" if said.calls else "end_turn",
        "stop_sequence": None,
        "usage": {
            "input_tokens": IN - CACHED,
            "cache_creation_input_tokens": 0,
            "cache_read_input_tokens": CACHED,
            "cache_creation": {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 0},
            "output_tokens": OUT,
            "output_tokens_details": {"thinking_tokens": THOUGHT},
            "service_tier": "standard",
        },
    }


def _message_events(said: Said) -> Iterator[bytes]:
    final = _message(said)
    usage = {**final["usage"], "output_tokens": 1, "output_tokens_details": None}
    begun = {**final, "content": [], "stop_reason": None, "usage": usage}
    yield named({"type": "message_start", "message": begun})
    for index, block in enumerate(final["content"]):
        yield from _block_events(index, block)
        if index == 0:
            yield named({"type": "ping"})
    ending = {"stop_reason": final["stop_reason"], "stop_sequence": None}
    used = {name: final["usage"][name] for name in ("output_tokens", "output_tokens_details")}
    yield named({"type": "message_delta", "delta": ending, "usage": used})
    yield named({"type": "message_stop"})


def _block_events(index: int, block: Json) -> Iterator[bytes]:
    match block["type"]:
        case "thinking":
            empty: Json = {**block, "thinking": "", "signature": ""}
            deltas: list[Json] = [
                {"type": "thinking_delta", "thinking": piece} for piece in pieces(block["thinking"])
            ]
            deltas.append({"type": "signature_delta", "signature": block["signature"]})
        case "text":
            empty = {"type": "text", "text": ""}
            deltas = [{"type": "text_delta", "text": piece} for piece in pieces(block["text"])]
        case _:
            empty = {**block, "input": {}}
            deltas = [
                {"type": "input_json_delta", "partial_json": piece}
                for piece in ("", *pieces(_json(block["input"])))
            ]
    yield named({"type": "content_block_start", "index": index, "content_block": empty})
    for delta in deltas:
        yield named({"type": "content_block_delta", "index": index, "delta": delta})
    yield named({"type": "content_block_stop", "index": index})


# --- gemini --------------------------------------------------------------------


def _gemini_parts(said: Said) -> list[Json]:
    """The proof is on the first call, else on the text (as since Gemini 3)."""
    parts: list[Json] = []
    if said.thought:
        parts.append({"text": said.thought, "thought": True})
    if said.text:
        parts.append({"text": said.text})
    parts += [
        {"functionCall": {"id": _id("fn", number), "name": call.name, "args": call.arguments}}
        for number, call in enumerate(said.calls)
    ]
    if said.thought:
        signed = len(parts) - max(1, len(said.calls))
        parts[signed] = {**parts[signed], "thoughtSignature": PROOFS[GEMINI]}
    return parts


def _gemini_finish(said: Said) -> str:
    return "MAX_TOKENS" if said.is_cut else "STOP"


def _candidates(parts: list[Json], finish: str | None) -> Json:
    candidate: Json = {"content": {"role": "model", "parts": parts}, "index": 0}
    if finish:
        candidate["finishReason"] = finish
    return {
        "candidates": [candidate],
        "usageMetadata": {
            "promptTokenCount": IN,
            "cachedContentTokenCount": CACHED,
            "candidatesTokenCount": OUT - THOUGHT,
            "thoughtsTokenCount": THOUGHT,
            "totalTokenCount": IN + OUT,
            "promptTokensDetails": [{"modality": "TEXT", "tokenCount": IN}],
        },
        "modelVersion": MODEL,
        "responseId": "r-1",
    }


def _gemini_events(said: Said) -> Iterator[bytes]:
    for part in _gemini_parts(said):
        cut = pieces(part.get("text", ""))
        for piece in cut[:-1]:
            bare = {name: value for name, value in part.items() if name != "thoughtSignature"}
            yield data(_candidates([{**bare, "text": piece}], None))
        last = {**part, "text": cut[-1]} if cut else part
        yield data(_candidates([last], None))
    yield data(_candidates([{"text": ""}], _gemini_finish(said)))
