"""OpenAI Chat Completions, the provider's side: whole answers, stream events, errors."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.chat import StreamEvent, Usage
from gateway.core.dialects.openai_chat.errors import read_error
from gateway.core.dialects.openai_chat.passing import peek_answer, read_event
from gateway.core.outcomes import Outcome
from gateway.core.sse import SseEvent

ANSWER: dict[str, Any] = {
    "id": "x",
    "object": "chat.completion",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "4"}}],
}
COUNTS = {"prompt_tokens": 9, "completion_tokens": 2}


def dumped(value: object) -> bytes:
    return json.dumps(value).encode()


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        (None, None),
        ({}, None),
        ("many", None),
        ({"prompt_tokens": 9}, None),
        ({"completion_tokens": 9}, None),
        ({"prompt_tokens": "9", "completion_tokens": 2}, None),
        ({"prompt_tokens": True, "completion_tokens": 2}, None),
        ({"prompt_tokens": -1, "completion_tokens": 2}, None),
        ({"prompt_tokens": 9.5, "completion_tokens": 2}, None),
        ({"prompt_tokens": 0, "completion_tokens": 0}, Usage(0, 0)),
        (COUNTS, Usage(9, 2)),
        ({**COUNTS, "prompt_tokens_details": None}, Usage(9, 2)),
        ({**COUNTS, "prompt_tokens_details": {"cached_tokens": 0}}, Usage(9, 2, 0)),
        ({**COUNTS, "prompt_tokens_details": {"cached_tokens": 4}}, Usage(9, 2, 4)),
        ({**COUNTS, "prompt_cache_hit_tokens": 5}, Usage(9, 2, 5)),
        ({**COUNTS, "completion_tokens_details": {"reasoning_tokens": 1}}, Usage(9, 2, None, 1)),
        ({**COUNTS, "completion_tokens_details": []}, Usage(9, 2)),
    ],
)
def test_usage(usage: object, expected: Usage | None) -> None:
    """Usage is what the provider counted; what it did not say, or said in no number, is None."""
    outcome, found = peek_answer(dumped({**ANSWER, "usage": usage}))
    assert outcome is Outcome.ANSWERED
    assert found == expected


def test_a_count_that_no_double_can_hold() -> None:
    """A count beyond every double is no usage: nothing could be reckoned with it."""
    for name in COUNTS:
        assert peek_answer(dumped({**ANSWER, "usage": {**COUNTS, name: 10**400}}))[1] is None


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (dumped(ANSWER), Outcome.ANSWERED),
        (dumped({"choices": [{}]}), Outcome.ANSWERED),
        (dumped({"choices": []}), Outcome.MALFORMED),
        (dumped({"choices": [None]}), Outcome.MALFORMED),
        (dumped({**ANSWER, "error": None}), Outcome.ANSWERED),
        (dumped({"error": {"message": "overloaded"}}), Outcome.SERVER_ERROR),
        (dumped({**ANSWER, "error": "overloaded"}), Outcome.SERVER_ERROR),
        (dumped({"choices": {}}), Outcome.MALFORMED),
        (dumped({"object": "chat.completion"}), Outcome.MALFORMED),
        (dumped([ANSWER]), Outcome.MALFORMED),
        (dumped("hello"), Outcome.MALFORMED),
        (b"<html>Bad gateway</html>", Outcome.MALFORMED),
        (b"", Outcome.MALFORMED),
        (dumped(ANSWER)[:-1], Outcome.MALFORMED),
        (b"\xff" + dumped(ANSWER), Outcome.MALFORMED),
        (b"[" * 100_000, Outcome.MALFORMED),
        (b'{"choices": ' + b"[" * 200 + b"]" * 200 + b"}", Outcome.MALFORMED),
        (b"data: {}\n\n", Outcome.MALFORMED),
    ],
)
def test_whole_answers(body: bytes, expected: Outcome) -> None:
    """Status 200 is no answer by itself: it has choices and no error."""
    assert peek_answer(body)[0] is expected


def event(value: object) -> StreamEvent | None:
    data = value if isinstance(value, bytes) else dumped(value)
    return read_event(SseEvent(data, b"data: " + data + b"\n\n"))


def chunk(delta: object, finish: object = None, **members: object) -> dict[str, object]:
    return {"choices": [{"index": 0, "delta": delta, "finish_reason": finish}], **members}


@pytest.mark.parametrize(
    ("value", "flags"),
    [
        (chunk({"role": "assistant", "content": ""}), set()),
        (chunk({"role": "assistant"}), set()),
        (chunk({}), set()),
        (chunk({"role": "assistant", "content": None, "refusal": None}), set()),
        (chunk({"content": "a"}), {"has_content"}),
        (chunk({"content": " "}), {"has_content"}),
        (chunk({"role": "assistant", "content": "a"}), {"has_content"}),
        (chunk({"tool_calls": [{"index": 0, "function": {"name": "f"}}]}), {"has_content"}),
        (chunk({"function_call": {"name": "f"}}), {"has_content"}),
        (chunk({"refusal": "No."}), {"has_content"}),
        (chunk({"reasoning_content": "hm"}), {"has_content"}),
        (chunk({"audio": {"data": "AA"}}), {"has_content"}),
        (chunk({"tool_calls": []}), set()),
        ({"choices": [{"text": "a", "index": 0}]}, {"has_content"}),
        (chunk({}, "stop"), {"finished"}),
        (chunk({"content": "a"}, "length"), {"has_content", "finished"}),
        ({"choices": [{"finish_reason": "stop"}]}, {"finished"}),
        ({"choices": [{"delta": None}]}, set()),
        ({"choices": []}, set()),
        ({"choices": [], "usage": None}, set()),
        ({"choices": [], "prompt_filter_results": []}, set()),
        ({"choices": [], "usage": COUNTS}, {"is_usage_only", "usage"}),
        (chunk({}, "stop", usage=COUNTS), {"finished", "usage"}),
        (chunk({"content": "a"}, usage=COUNTS), {"has_content", "usage"}),
        (
            {"choices": [{"delta": {}}, {"delta": {"content": "b"}}]},
            {"has_content"},
        ),
        (b"[DONE]", {"is_done"}),
        (b"", set()),
    ],
)
def test_events(value: object, flags: set[str]) -> None:
    """An event is read just far enough: content, finish, usage, the end; its raw bytes are kept."""
    found = event(value)
    assert found is not None
    assert found.error is None
    assert found.raw.startswith(b"data: ")
    names = ("has_content", "finished", "is_done", "is_usage_only", "usage")
    assert {name for name in names if getattr(found, name)} == flags


def test_the_answers_that_an_event_belongs_to() -> None:
    """Each choice's index is known, and which of them ends here."""
    found = event({"choices": [{"index": 1, "finish_reason": "stop"}, {"index": 0, "delta": {}}]})
    assert found is not None
    assert (found.choices, found.finished) == ((1, 0), (1,))


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"error": {"message": "overloaded", "type": "server_error"}}, "overloaded"),
        ({"error": "overloaded"}, "overloaded"),
        ({"error": {"code": 1}}, "the provider reported an error"),
        ({"error": {"message": ""}}, "the provider reported an error"),
        ({"error": ["x"]}, "the provider reported an error"),
        ({"error": {"message": "x"}, "choices": []}, "x"),
    ],
)
def test_error_events(value: object, message: str) -> None:
    """An error in a stream is an error, whatever its shape."""
    found = event(value)
    assert found is not None
    assert found.error == message


@pytest.mark.parametrize(
    "value",
    [
        b"hello",
        b"[DONE",
        b"{",
        b"\xff",
        b"[" * 100_000,
        [],
        1,
        {},
        {"choices": None},
        {"choices": {}},
        {"choices": ["a"]},
        {"choices": [None]},
        {"choices": [{"index": "0"}]},
        {"object": "chat.completion.chunk"},
    ],
)
def test_garbage_events(value: object) -> None:
    """Data that is not of this dialect is None: never an empty event."""
    assert event(value) is None


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (  # OpenAI
            {
                "error": {
                    "message": "Bad",
                    "type": "invalid_request_error",
                    "param": "n",
                    "code": "c",
                }
            },
            ("Bad", "invalid_request_error", "c", "n"),
        ),
        (  # OpenAI, members null
            {"error": {"message": "Bad", "type": None, "param": None, "code": None}},
            ("Bad", "invalid_request_error", None, None),
        ),
        (  # Mistral, vLLM: at the top
            {"object": "error", "message": "Bad", "type": "invalid_x", "param": None, "code": 1500},
            ("Bad", "invalid_x", "1500", None),
        ),
        (  # Mistral's validation: an object as the message
            {"object": "error", "message": {"detail": [{"loc": ["n"]}]}, "type": "t"},
            ('{"detail": [{"loc": ["n"]}]}', "t", None, None),
        ),
        ({"error": "model not found"}, ("model not found", "invalid_request_error", None, None)),
        (  # xAI
            {"code": "Client specified an invalid argument", "error": "Bad n"},
            ("Bad n", "invalid_request_error", "Client specified an invalid argument", None),
        ),
        (  # FastAPI: TGI, vLLM before its own errors
            {"detail": [{"loc": ["body", "n"], "msg": "x"}]},
            ('[{"loc": ["body", "n"], "msg": "x"}]', "invalid_request_error", None, None),
        ),
        ({"detail": "Not Found"}, ("Not Found", "invalid_request_error", None, None)),
        (  # Gemini's OpenAI endpoint: a list of one
            [{"error": {"code": 400, "message": "Bad", "status": "INVALID_ARGUMENT"}}],
            ("Bad", "invalid_request_error", "400", None),
        ),
        (  # OpenRouter
            {"error": {"message": "Bad", "code": 402, "metadata": {}}},
            ("Bad", "invalid_request_error", "402", None),
        ),
        ("slow down", ("slow down", "invalid_request_error", None, None)),
    ],
)
def test_providers_errors(body: object, expected: tuple[str, str, str | None, str | None]) -> None:
    """Message, type, code and param are found where each provider puts them."""
    assert read_error(400, dumped(body)) == expected


@pytest.mark.parametrize(
    "body",
    [b"", b"<html>", b"\xff", b"[]", b"{}", b"null", b"7", b'{"error": {"message": 7}}'],
)
def test_an_error_without_a_message(body: bytes) -> None:
    """What cannot be read is not quoted: the message says the status."""
    message, kind, code, param = read_error(422, body)
    assert message == "The provider refused the request with status 422."
    assert (kind, code, param) == ("invalid_request_error", None, None)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "error", "choices", "delta", "message", "usage", "content", "prompt_tokens",
                    "completion_tokens", "prompt_tokens_details", "finish_reason", "type", "code",
                ]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)  # fmt: skip


@given(st.binary(max_size=60) | JSON.map(dumped))
def test_decoders_raise_nothing(data: bytes) -> None:
    """Whatever a provider sends, reading it raises nothing."""
    peek_answer(data)
    message, kind, _, _ = read_error(400, data)
    assert message
    assert kind
    found = read_event(SseEvent(data, data))
    assert found is None or found.raw == data
