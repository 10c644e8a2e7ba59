"""Anthropic Messages on both sides: what passes, and what is read of it."""

import json

import pytest

from gateway.core.chat import ChatRequest, StreamEvent, Usage
from gateway.core.conversation import Json
from gateway.core.dialects.anthropic_messages import DIALECT
from gateway.core.dialects.anthropic_messages.ids import with_valid_ids
from gateway.core.dialects.anthropic_messages.passing import pass_count
from gateway.core.outcomes import Outcome
from gateway.core.sse import SseEvent

ODD = b'{ "messages":[{"role":"user","content":"\\u00e9"}],  "model" : "auto","x":[1.0,  2]}'
OWN = {"type": "thinking", "thinking": "hm", "signature": "sig"}
FOREIGN = {"type": "thinking", "thinking": "hm", "signature": "tiergate.gemini.sig"}
WITHHELD = {"type": "redacted_thinking", "data": "tiergate.gemini.x"}
SAID = {"type": "text", "text": '"tiergate.gemini.'}


def parsed(body: bytes) -> ChatRequest:
    return DIALECT.parse_request(body, None, None)


def passed(body: bytes, model: str, *, ask_usage: bool = False) -> bytes:
    request = DIALECT.pass_request(parsed(body), model, ask_usage)
    assert request.path == "/messages"
    return request.body


# --- Requests ------------------------------------------------------------------


@pytest.mark.parametrize("ask_usage", [True, False])
def test_a_request_passes(ask_usage: bool) -> None:  # noqa: FBT001 - a table's column
    """Every byte is the client's but for the model."""
    found = passed(ODD, "claude-x", ask_usage=ask_usage)
    assert found == ODD.replace(b'"auto"', b'"claude-x"')


def test_a_request_to_count_passes() -> None:
    """It goes to the endpoint that counts, otherwise the same."""
    request = pass_count(parsed(ODD), "claude-x")
    assert request.path == "/messages/count_tokens"
    assert request.body == ODD.replace(b'"auto"', b'"claude-x"')


def test_reasoning_of_another_provider_does_not_pass() -> None:
    """What an earlier turn's provider of another dialect left is taken out; all else stays."""
    messages = [
        {"role": "user", "content": "a"},
        {"role": "assistant", "content": [FOREIGN, OWN, SAID, WITHHELD]},
        {"role": "assistant", "content": [FOREIGN]},
        {"role": "user", "content": [SAID]},
    ]
    body = json.dumps({"max_tokens": 5, "messages": messages}).encode()
    found = json.loads(passed(body, "m"))
    assert found == {
        "model": "m",
        "max_tokens": 5,
        "messages": [
            messages[0],
            {"role": "assistant", "content": [OWN, SAID]},
            messages[3],
        ],
    }


def test_words_that_look_like_a_seal_pass() -> None:
    """A text that only speaks of seals changes nothing."""
    body = json.dumps({"model": "auto", "messages": [{"role": "user", "content": [SAID]}]}).encode()
    assert passed(body, "m") == body.replace(b'"auto"', b'"m"')


def test_ids_that_the_api_refuses_are_rewritten() -> None:
    """Alike in a call and in its result, and nowhere else; members that are no ids stay."""
    call: Json = {"type": "tool_use", "id": "functions.f:0", "name": "f", "input": {"id": "a:b"}}
    result: Json = {"type": "tool_result", "tool_use_id": "functions.f:0", "content": "x"}
    found = with_valid_ids([{"content": [call, 1]}, {"content": [result]}, {"content": "x"}, "?"])
    good = "functions_2e_f_3a_0"
    assert found == [
        {"content": [{**call, "id": good}, 1]},
        {"content": [{**result, "tool_use_id": good}]},
        {"content": "x"},
        "?",
    ]
    sent = json.loads(passed(json.dumps(body_of(call, result)).encode(), "m"))
    assert (
        sent["messages"]
        == body_of({**call, "id": good}, {**result, "tool_use_id": good})["messages"]
    )


def test_ids_elsewhere_pass() -> None:
    """A request whose calls have good ids is the client's to the byte, whatever their arguments."""
    call: Json = {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {"id": "a:b"}}
    result: Json = {"type": "tool_result", "tool_use_id": "toolu_1", "content": '{"id": "a:b"}'}
    body = json.dumps({"model": "auto", **body_of(call, result)}, indent=1).encode()
    assert passed(body, "m") == body.replace(b'"auto"', b'"m"')


def body_of(call: Json, result: Json) -> Json:
    return {
        "messages": [
            {"role": "assistant", "content": [call]},
            {"role": "user", "content": [result]},
        ]
    }


# --- Answers -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b'{"type": "message", "content": []}', Outcome.EMPTY),
        (b'{"content": [{"type": "text", "text": ""}], "stop_reason": "end_turn"}', Outcome.EMPTY),
        (b'{"content": [], "stop_reason": "max_tokens"}', Outcome.ANSWERED),
        (b'{"content": [{"type": "text", "text": "4"}]}', Outcome.ANSWERED),
        (b'{"type": "error", "error": {"type": "api_error"}}', Outcome.SERVER_ERROR),
        (b'{"error": "overloaded"}', Outcome.SERVER_ERROR),
        (b'{"type": "message"}', Outcome.MALFORMED),
        (b'{"choices": [{}]}', Outcome.MALFORMED),
        (b"[]", Outcome.MALFORMED),
        (b"<html>", Outcome.MALFORMED),
        (b"", Outcome.MALFORMED),
        (b"[" * 100_000, Outcome.MALFORMED),
    ],
)
def test_whole_answers(body: bytes, expected: Outcome) -> None:
    """Status 200 is no answer by itself: it has content and no error."""
    assert DIALECT.peek_answer(body)[0] is expected


# --- Streams -------------------------------------------------------------------


def watch(*values: object) -> list[StreamEvent | None]:
    watcher = DIALECT.watcher(parsed(ODD))
    found: list[StreamEvent | None] = []
    for value in values:
        data = value if isinstance(value, bytes) else json.dumps(value).encode()
        found.append(watcher.watch(SseEvent(data, b"raw")))
    return found


def test_a_stream_that_passes() -> None:
    """Every event is read just far enough; its bytes are the provider's."""
    usage = {"input_tokens": 9, "cache_creation_input_tokens": 1, "output_tokens": 1}
    found = watch(
        {"type": "message_start", "message": {"usage": usage}},
        {"type": "ping"},
        b"",
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "a"}},
        {"type": "content_block_stop", "index": 0},
        {"type": "content_block_start", "index": 1, "content_block": {"type": "tool_use"}},
        {"type": "message_delta", "delta": {"stop_reason": None}, "usage": {"output_tokens": 3}},
        {"type": "message_delta", "delta": {"stop_reason": "tool_use"}},
        {"type": "message_stop"},
    )
    first, last = Usage(10, 1, None, None, 1), Usage(10, 3, None, None, 1)
    assert found == [
        StreamEvent(b"raw", choices=(0,), usage=first),
        StreamEvent(b"raw"),
        StreamEvent(b"raw"),
        StreamEvent(b"raw", choices=(0,)),
        StreamEvent(b"raw", has_content=True, choices=(0,)),
        StreamEvent(b"raw"),
        StreamEvent(b"raw", has_content=True, choices=(0,)),
        StreamEvent(b"raw", choices=(0,), usage=last),
        StreamEvent(b"raw", choices=(0,), finished=(0,), says_why=True),
        StreamEvent(b"raw", is_done=True),
    ]


@pytest.mark.parametrize(
    ("block", "has_content"),
    [
        ({"type": "text", "text": ""}, False),
        ({"type": "text", "text": "a"}, True),
        ({"type": "thinking", "thinking": "", "signature": ""}, False),
        ({"type": "redacted_thinking", "data": "x"}, True),
        ({"type": "server_tool_use"}, True),
    ],
)
def test_when_the_model_has_begun(block: object, has_content: bool) -> None:  # noqa: FBT001
    """A block that begins empty says nothing yet."""
    (found,) = watch({"type": "content_block_start", "index": 0, "content_block": block})
    assert found is not None
    assert found.has_content == has_content


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"type": "error", "error": {"type": "overloaded_error", "message": "busy"}}, "busy"),
        ({"type": "error", "error": "busy"}, "busy"),
        ({"error": {"message": "busy"}}, "busy"),
        ({"type": "error"}, "the provider reported an error"),
    ],
)
def test_an_error_in_the_stream(value: object, message: str) -> None:
    """It is an error, whatever its shape."""
    assert watch(value) == [StreamEvent(b"raw", error=message)]


@pytest.mark.parametrize(
    "value",
    [
        b"x",
        b"[DONE]",
        b"[" * 100_000,
        [],
        {},
        {"type": 1},
        {"type": "message_start", "message": []},
        {"type": "message_delta", "delta": "x"},
        {"type": "message_delta", "delta": {"stop_reason": 1}},
        {"type": "content_block_start", "content_block": {"type": 1}},
    ],
)
def test_what_is_no_event(value: object) -> None:
    """Data that is not of this dialect is None: never an empty event."""
    assert watch(value) == [None]


def test_the_end() -> None:
    """Only `message_stop` after a reason is the end; before it the stream is cut."""
    watcher = DIALECT.watcher(parsed(ODD))

    def see(value: object) -> StreamEvent | None:
        return watcher.watch(SseEvent(json.dumps(value).encode(), b"raw"))

    assert see({"type": "message_stop"}) == StreamEvent(b"", is_done=True)
    assert watcher.end() is None
    see({"type": "message_delta", "delta": {"stop_reason": "end_turn"}})
    assert watcher.end() is None
    see({"type": "message_stop"})
    assert watcher.end() == b""
