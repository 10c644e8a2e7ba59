"""OpenAI Chat Completions where both sides speak it, and its errors.

What every request and event of it goes through is in `tests/core/test_openai_chat_*.py`.
"""

import json

import pytest

from gateway.core.dialect import ProviderError
from gateway.core.dialects.openai_chat import DIALECT
from gateway.core.dialects.openai_chat.reasoning import MARK
from gateway.core.dialects.signatures import seal
from gateway.core.errors import Rejected
from gateway.core.sse import SseEvent, encode
from tests.core.samples import chat


def event(value: object) -> SseEvent:
    data = value if isinstance(value, bytes) else json.dumps(value).encode()
    return SseEvent(data, encode(data))


def chunk(delta: object = None, finish: object = None, index: int = 0) -> SseEvent:
    return event({"choices": [{"index": index, "delta": delta, "finish_reason": finish}]})


def test_a_request_passes_as_it_is() -> None:
    """Only the model changes, and the usage that is asked for."""
    asked = chat(model="auto", x_own=[1], stream=True)
    request = DIALECT.pass_request(asked, "org/m", True)  # noqa: FBT003 - as Dialect
    assert request.path == "/chat/completions"
    assert json.loads(request.body) == {
        **asked.source.values,
        "model": "org/m",
        "stream_options": {"include_usage": True},
    }


SEALED = {"type": "reasoning.text", "text": "hm", "signature": "tiergate.anthropic-messages.S"}


def test_sealed_proofs_stay_here() -> None:
    """What another dialect's provider gave is left out of a request that passes: only that
    provider could read it. The rest of the messages is as it was."""
    assert seal("", "x", "y").removesuffix("x.") == MARK.removeprefix('"')
    call = {"id": "a", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    signed = {"extra_content": {"google": {"thought_signature": "tiergate.gemini.S"}}}
    kept = {"role": "assistant", "content": "a", "reasoning": "own", "x": 1}
    found = DIALECT.pass_request(
        chat(
            messages=[
                {"role": "user", "content": "hi"},
                kept,
                {
                    "role": "assistant",
                    "content": "b",
                    "reasoning_content": "hm",
                    "reasoning_details": [SEALED],
                    "tool_calls": [{**call, **signed}, call],
                },
            ]
        ),
        "m",
        False,  # noqa: FBT003 - as Dialect
    )
    assert json.loads(found.body)["messages"] == [
        {"role": "user", "content": "hi"},
        kept,
        {"role": "assistant", "content": "b", "tool_calls": [call, call]},
    ]


def test_words_that_look_like_a_seal() -> None:
    """A message that only speaks of one passes to the byte."""
    body = b'{"model":"x", "messages":[ {"role":"user","content":"tiergate.a.b"} ]}'
    asked = DIALECT.parse_request(body, None, None)
    found = DIALECT.pass_request(asked, "m", False)  # noqa: FBT003 - as Dialect
    assert found.body == body.replace(b'"x"', b'"m"')


def test_a_stream_that_passes() -> None:
    """Its bytes are kept; at `[DONE]` nothing is missing."""
    watcher = DIALECT.watcher(chat(stream=True))
    events = [chunk({"content": "a"}), chunk({}, "stop"), event(b"[DONE]")]
    found = [watcher.watch(item) for item in events]
    assert [item and item.raw for item in found] == [item.raw for item in events]
    assert [item and item.is_done for item in found] == [False, False, True]
    assert watcher.end() == b""


@pytest.mark.parametrize(
    ("answers", "events", "expected"),
    [
        (1, [chunk({"content": "a"}), chunk({}, "stop")], b"data: [DONE]\n\n"),
        (1, [chunk({"content": "a"})], None),
        (1, [], None),
        (2, [chunk({}, "stop")], None),
        (2, [chunk({}, "stop"), chunk({}, "stop", 1)], b"data: [DONE]\n\n"),
        (2, [chunk({}, "stop"), chunk({"content": "b"}, None, 1)], None),
        (1, [chunk({"content": "a"}), event(b"[DONE]")], None),
    ],
)
def test_the_end_of_a_stream(answers: int, events: list[SseEvent], expected: bytes | None) -> None:
    """Only its last word may be missing; a `[DONE]` before the finish is a cut, and not shown."""
    watcher = DIALECT.watcher(chat(stream=True, n=answers))
    for item in events:
        found = watcher.watch(item)
        assert found
        assert (b"[DONE]" in found.raw) is False
    assert watcher.end() == expected


def test_events_that_are_not_of_this_dialect() -> None:
    """What cannot be read is None."""
    assert DIALECT.watcher(chat(stream=True)).watch(event(b"hello")) is None


def test_a_providers_error() -> None:
    """Message, type, code and param, as long as they are there."""
    body = {"error": {"message": "Bad", "type": "t", "code": 3, "param": "n"}}
    found = DIALECT.read_error(400, json.dumps(body).encode())
    assert found == ProviderError("Bad", "t", "3", "n")


@pytest.mark.parametrize(
    ("kind", "shown"),
    [
        ("INVALID_ARGUMENT", "invalid_request_error"),
        ("RESOURCE_EXHAUSTED", "rate_limit_error"),
        ("UNAVAILABLE", "server_error"),
        ("not_found_error", "not_found_error"),
    ],
)
def test_errors_of_other_dialects(kind: str, shown: str) -> None:
    """Google's words become OpenAI's; any other is kept."""
    error = Rejected(400, "m", type=kind, code="c", param="p")
    assert json.loads(DIALECT.error_body(error)) == {
        "error": {"message": "m", "type": shown, "param": "p", "code": "c"}
    }
