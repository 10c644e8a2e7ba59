"""The two dialects in which streams are measured: what is asked, and what a provider sends."""

import json
from collections.abc import Callable
from dataclasses import dataclass

from bench.payloads import chat_request, messages_request

type Json = dict[str, object]


@dataclass(frozen=True, slots=True)
class Wire:
    """`path`, `request`: what a client asks. `begin`, `event` and `finish`: a provider's bytes
    before the text, for a piece of it, and after it. `end`: is in a stream that has ended."""

    path: str
    request: bytes
    begin: bytes
    event: Callable[[str], bytes]
    finish: bytes
    end: bytes


def _data(value: Json) -> bytes:
    return b"data: " + json.dumps(value).encode() + b"\n\n"


def _named(value: Json) -> bytes:
    return f"event: {value['type']}\n".encode() + _data(value)


def _chunk(delta: Json, finish_reason: str | None = None) -> bytes:
    choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}
    return _data(
        {
            "id": "chatcmpl-B9MHDbslfkBeAs8l4bebGdFOJ6PeG",
            "object": "chat.completion.chunk",
            "created": 1741570283,
            "model": "some-model-2025-04-14",
            "system_fingerprint": "fp_44709d6fcb",
            "choices": [choice],
        }
    )


def _delta(text: str) -> bytes:
    delta = {"type": "text_delta", "text": text}
    return _named({"type": "content_block_delta", "index": 0, "delta": delta})


_MESSAGE: Json = {
    "id": "msg_01XFDUDYJgAACzvnptvVoYEL",
    "type": "message",
    "role": "assistant",
    "model": "some-model-2025-04-14",
    "content": [],
    "stop_reason": None,
    "stop_sequence": None,
    "usage": {"input_tokens": 231, "output_tokens": 1},
}
_EMPTY: Json = {"type": "text", "text": ""}
_STOPPED: Json = {"stop_reason": "end_turn", "stop_sequence": None}

CHAT = Wire(
    path="/v1/chat/completions",
    request=chat_request(stream=True),
    begin=b"",
    event=lambda text: _chunk({"content": text}),
    finish=_chunk({}, "stop") + b"data: [DONE]\n\n",
    end=b"data: [DONE]",
)
MESSAGES = Wire(
    path="/v1/messages",
    request=messages_request(),
    begin=_named({"type": "message_start", "message": _MESSAGE})
    + _named({"type": "content_block_start", "index": 0, "content_block": _EMPTY}),
    event=_delta,
    finish=_named({"type": "content_block_stop", "index": 0})
    + _named({"type": "message_delta", "delta": _STOPPED, "usage": {"output_tokens": 187}})
    + _named({"type": "message_stop"}),
    end=b"event: message_stop",
)
