"""Anthropic Messages, whole answers both ways, their usage, and errors."""

import json
from typing import Any

import pytest

from gateway.core.answers import Answer, Choice, Finish
from gateway.core.chat import Usage
from gateway.core.conversation import Citation, Part, Reasoning, Refusal, Text, ToolCall
from gateway.core.dialect import Malformed, ProviderError
from gateway.core.dialects.anthropic_messages import DIALECT
from gateway.core.dialects.anthropic_messages.answers import write_answer
from gateway.core.dialects.anthropic_messages.errors import error_event
from gateway.core.errors import (
    BadRequest,
    Forbidden,
    Internal,
    NotFound,
    NotReady,
    Rejected,
    TiergateError,
    TooLarge,
    Unauthorized,
    UpstreamError,
)

NAME = DIALECT.name
MESSAGE: dict[str, Any] = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "claude-x",
    "content": [{"type": "text", "text": "4"}],
    "stop_reason": "end_turn",
    "stop_sequence": None,
    "usage": {"input_tokens": 9, "output_tokens": 2},
}
COUNTS = {"input_tokens": 9, "output_tokens": 2}


def read(**members: object) -> Answer:
    return DIALECT.read_answer(json.dumps({**MESSAGE, **members}).encode())


def written(*parts: Part, finish: Finish | None = "stop", **members: Any) -> dict[str, Any]:  # noqa: ANN401
    choice = Choice(parts, finish, members.pop("stopped_by", None))
    body: dict[str, Any] = json.loads(write_answer(Answer((choice,), **members)))
    return body


# --- Read ----------------------------------------------------------------------


def test_an_answer() -> None:
    """All that a message says has its place."""
    assert read() == Answer((Choice((Text("4"),), "stop"),), "msg_1", "claude-x", None, Usage(9, 2))


CITED = {"cited_text": "q", "document_index": 0, "document_title": "T"}


@pytest.mark.parametrize(
    ("block", "part"),
    [
        ({"type": "text", "text": "4", "citations": None}, Text("4")),
        (
            {
                "type": "text",
                "text": "4",
                "citations": [
                    {
                        "type": "web_search_result_location",
                        "url": "https://x.test",
                        "title": "X",
                        "cited_text": "q",
                        "encrypted_index": "e",
                    },
                    {"type": "char_location", "start_char_index": 0, "end_char_index": 1, **CITED},
                    {"type": "page_location", "start_page_number": 1, **CITED},
                    {"type": "content_block_location", **CITED, "document_title": None},
                    {"type": "search_result_location", "source": "https://y.test", "title": None},
                    {"type": "search_result_location", "source": "shelf 3", "title": "Y"},
                    {"type": "of_tomorrow"},
                ],
            },
            Text(
                "4",
                (
                    Citation("https://x.test", "X", "q"),
                    Citation(title="T", quote="q"),
                    Citation(title="T", quote="q"),
                    Citation(quote="q"),
                    Citation("https://y.test"),
                    Citation(title="Y"),
                ),
            ),
        ),
        (
            {"type": "thinking", "thinking": "hm", "signature": "sig"},
            Reasoning("hm", "sig", origin=NAME),
        ),
        ({"type": "thinking", "thinking": "", "signature": ""}, Reasoning(origin=NAME)),
        ({"type": "redacted_thinking", "data": "x"}, Reasoning(redacted="x", origin=NAME)),
        (
            {"type": "tool_use", "id": "t", "name": "f", "input": {"q": "é"}},
            ToolCall("t", "f", '{"q": "é"}'),
        ),
        ({"type": "tool_use", "id": "t", "name": "f", "input": {}}, ToolCall("t", "f", "{}")),
        (
            {"type": "tool_use", "id": "t", "name": "f", "input": {"q": "\ud800"}},
            ToolCall("t", "f", '{"q": "\\ud800"}'),
        ),
        ({"type": "server_tool_use", "id": "t", "name": "web_search", "input": {}}, None),
        ({"type": "of_tomorrow"}, None),
    ],
)
def test_blocks(block: dict[str, object], part: Part | None) -> None:
    """A block is a part; one of tools that ran at the provider is left out."""
    assert read(content=[block]).choices[0].parts == ((part,) if part else ())


@pytest.mark.parametrize(
    ("reason", "finish"),
    [
        ("end_turn", "stop"),
        ("max_tokens", "length"),
        ("tool_use", "tool_calls"),
        ("pause_turn", "pause"),
        ("refusal", "refusal"),
        ("model_context_window_exceeded", "length"),
        ("of_tomorrow", "stop"),
        (None, None),
    ],
)
def test_how_an_answer_ends(reason: str | None, finish: Finish | None) -> None:
    """Each reason has a neutral word; an unknown one still says that it ended."""
    assert read(stop_reason=reason).choices[0].finish == finish


def test_a_stop_sequence() -> None:
    """The sequence that ended it is told."""
    choice = read(stop_reason="stop_sequence", stop_sequence="END").choices[0]
    assert (choice.finish, choice.stopped_by) == ("stop", "END")


def test_why_it_was_refused() -> None:
    """The explanation is a refusal, in words for people."""
    details = {"type": "refusal", "category": "bio", "explanation": "Because."}
    choice = read(content=[], stop_reason="refusal", stop_details=details).choices[0]
    assert choice == Choice((Refusal("Because."),), "refusal")


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        (None, None),
        ("many", None),
        ({}, None),
        ({"input_tokens": 9}, None),
        ({"output_tokens": 9}, None),
        ({"input_tokens": "9", "output_tokens": 2}, None),
        ({"input_tokens": -1, "output_tokens": 2}, None),
        ({"input_tokens": True, "output_tokens": 2}, None),
        ({"input_tokens": 10**400, "output_tokens": 2}, None),
        (COUNTS, Usage(9, 2)),
        ({**COUNTS, "cache_read_input_tokens": None}, Usage(9, 2)),
        ({**COUNTS, "cache_read_input_tokens": 5}, Usage(14, 2, 5)),
        (
            {**COUNTS, "cache_creation_input_tokens": 4, "cache_read_input_tokens": 0},
            Usage(13, 2, 0, None, 4),
        ),
        ({**COUNTS, "output_tokens_details": {"thinking_tokens": 1}}, Usage(9, 2, None, 1)),
        ({**COUNTS, "output_tokens_details": [1]}, Usage(9, 2)),
    ],
)
def test_usage(usage: object, expected: Usage | None) -> None:
    """The whole input is the sum of three counts; what is no count was not said."""
    assert read(usage=usage).usage == expected
    assert DIALECT.peek_answer(json.dumps({**MESSAGE, "usage": usage}).encode())[1] == expected


@pytest.mark.parametrize(
    "members",
    [
        {"content": None},
        {"content": "4"},
        {"content": [1]},
        {"content": [{}]},
        {"content": [{"type": "text", "text": 4}]},
        {"content": [{"type": "tool_use", "name": "f", "input": {}}]},
        {"content": [{"type": "tool_use", "id": "t", "name": "f", "input": "{}"}]},
        {"content": [{"type": "text", "text": "4", "citations": {}}]},
        {"stop_reason": 1},
        {"id": 1},
        {"type": "error", "error": {"type": "api_error", "message": "x"}},
    ],
)
def test_what_is_no_answer(members: dict[str, object]) -> None:
    """A wrong type is Malformed, never a guess."""
    with pytest.raises(Malformed):
        read(**members)


# --- Written -------------------------------------------------------------------


def test_a_written_answer() -> None:
    """A message has every member that the SDKs demand."""
    found = written(Text("4"), id="x", model="gpt", created=5, usage=Usage(9, 2))
    assert found == {**MESSAGE, "id": "x", "model": "gpt"}


@pytest.mark.parametrize("part", [Text(""), Refusal("")])
def test_empty_text_makes_no_block(part: Part) -> None:
    """A client returns what it gets, and the API refuses text that is empty."""
    assert written(part)["content"] == []


@pytest.mark.parametrize(
    ("part", "expected"),
    [
        (
            Text("4", (Citation("https://x.test", None, None, 0, 1), Citation(title="a file"))),
            {
                "type": "text",
                "text": "4",
                "citations": [
                    {
                        "type": "web_search_result_location",
                        "cited_text": "",
                        "url": "https://x.test",
                        "title": None,
                        "encrypted_index": "tiergate.unsigned.",
                    }
                ],
            },
        ),
        (Refusal("No."), {"type": "text", "text": "No."}),
        (
            Reasoning("hm", "reasoning_content", origin="openai-chat"),
            {
                "type": "thinking",
                "thinking": "hm",
                "signature": "tiergate.openai-chat.reasoning_content",
            },
        ),
        (
            Reasoning("hm"),
            {"type": "thinking", "thinking": "hm", "signature": "tiergate.unsigned."},
        ),
        (
            Reasoning("hm", "sig", origin=NAME),
            {"type": "thinking", "thinking": "hm", "signature": "sig"},
        ),
        (Reasoning(redacted="x", origin=NAME), {"type": "redacted_thinking", "data": "x"}),
        (
            Reasoning(redacted="x", origin="gemini"),
            {"type": "redacted_thinking", "data": "tiergate.gemini.x"},
        ),
        (
            ToolCall("t", "f", '{"q": 1}'),
            {"type": "tool_use", "id": "t", "name": "f", "input": {"q": 1}},
        ),
        (ToolCall("t", "f"), {"type": "tool_use", "id": "t", "name": "f", "input": {}}),
        (
            ToolCall("t", "f", '{"q": '),
            {"type": "tool_use", "id": "t", "name": "f", "input": '{"q": '},
        ),
    ],
)
def test_written_blocks(part: Part, expected: dict[str, object]) -> None:
    """A part is a block; a foreign proof is sealed, and text without one, too."""
    assert written(part)["content"] == [expected]


@pytest.mark.parametrize(
    ("finish", "stopped_by", "parts", "reason"),
    [
        ("stop", None, (Text("4"),), "end_turn"),
        ("stop", "END", (Text("4"),), "stop_sequence"),
        ("stop", None, (ToolCall("t", "f"),), "tool_use"),
        ("stop", None, (Refusal("No."),), "refusal"),
        ("length", None, (ToolCall("t", "f"),), "max_tokens"),
        ("tool_calls", None, (), "tool_use"),
        ("content_filter", None, (), "refusal"),
        ("refusal", None, (), "refusal"),
        ("pause", None, (), "pause_turn"),
        (None, None, (), None),
    ],
)
def test_written_reasons(
    finish: Finish | None, stopped_by: str | None, parts: tuple[Part, ...], reason: str | None
) -> None:
    """A client runs tools on `tool_use` alone, so a call is never an end of the turn."""
    found = written(*parts, finish=finish, stopped_by=stopped_by)
    assert (found["stop_reason"], found["stop_sequence"]) == (reason, stopped_by)


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        (None, {"input_tokens": None, "output_tokens": None}),
        (
            Usage(20, 5, 6, 3, 4),
            {
                "input_tokens": 10,
                "cache_creation_input_tokens": 4,
                "cache_read_input_tokens": 6,
                "output_tokens": 5,
                "output_tokens_details": {"thinking_tokens": 3},
            },
        ),
        (
            Usage(1, 5, 6),
            {"input_tokens": 0, "cache_read_input_tokens": 6, "output_tokens": 5},
        ),
    ],
)
def test_written_usage(usage: Usage | None, expected: dict[str, object]) -> None:
    """Input is without what the cache gave and took; what nobody counted is null, not zero."""
    assert written(usage=usage)["usage"] == expected


def test_an_answer_without_choices() -> None:
    """Nothing said is a message without content."""
    found = json.loads(write_answer(Answer(())))
    assert (found["content"], found["stop_reason"]) == ([], None)


# --- Errors --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "type_"),
    [
        (BadRequest("x"), "invalid_request_error"),
        (Unauthorized("x"), "authentication_error"),
        (Forbidden("x"), "permission_error"),
        (NotFound("x"), "not_found_error"),
        (TooLarge("x"), "request_too_large"),
        (Internal("x"), "api_error"),
        (NotReady("x"), "api_error"),
        (UpstreamError(502, "x"), "api_error"),
        (UpstreamError(504, "x"), "timeout_error"),
        (UpstreamError(429, "x"), "rate_limit_error"),
        (
            Rejected(404, "x", type="invalid_request_error", code=None, param=None),
            "not_found_error",
        ),
        (Rejected(400, "x", type="billing_error", code=None, param=None), "billing_error"),
        (
            Rejected(400, "x", type="INVALID_ARGUMENT", code=None, param=None),
            "invalid_request_error",
        ),
        (Rejected(409, "x", type="x", code=None, param=None), "conflict_error"),
        (Rejected(422, "x", type="x", code=None, param=None), "invalid_request_error"),
        (Rejected(529, "x", type="x", code=None, param=None), "overloaded_error"),
    ],
)
def test_error_types(error: TiergateError, type_: str) -> None:
    """The type is one of those documented, the most telling that is known."""
    found = json.loads(DIALECT.error_body(error))
    assert (found["type"], found["error"]["type"], found["error"]["message"]) == (
        "error",
        type_,
        "x",
    )


def test_error_details() -> None:
    """A code and a member at fault are in `details`; without them there are none."""
    found = json.loads(DIALECT.error_body(BadRequest("x", code="c", param="messages[0]")))
    assert found["error"]["details"] == {"error_code": "c", "param": "messages[0]"}
    bare = Rejected(400, "x", type="x", code=None, param=None)
    assert "details" not in json.loads(DIALECT.error_body(bare))["error"]


def test_no_thread() -> None:
    """That a thread cannot be served is said by the code on which the SDKs go on without."""
    ours = BadRequest("x", code="needs_a_model", param="thread")
    found = json.loads(DIALECT.error_body(ours))
    assert found["error"]["details"]["error_code"] == "thread_unsupported_request"
    theirs = Rejected(404, "x", type="x", code="thread_not_found", param="thread")
    found = json.loads(DIALECT.error_body(theirs))
    assert found["error"]["details"]["error_code"] == "thread_not_found"


def test_an_error_in_a_stream() -> None:
    """The SDKs raise on the event's name."""
    error = UpstreamError(502, "broken")
    event = error_event(error)
    assert event == b"event: error\ndata: " + DIALECT.error_body(error) + b"\n\n"


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (
            {
                "type": "error",
                "error": {
                    "type": "invalid_request_error",
                    "message": "max_tokens: Field required",
                    "details": {"error_code": "c"},
                },
                "request_id": "req_1",
            },
            ProviderError("max_tokens: Field required", "invalid_request_error", "c"),
        ),
        (
            {"type": "error", "error": {"type": "rate_limit_error", "message": "slow"}},
            ProviderError("slow", "rate_limit_error"),
        ),
        ({"error": "no such model"}, ProviderError("no such model")),
        ({"message": "bad", "code": 7, "param": "x"}, ProviderError("bad", None, "7", "x")),
        ({"detail": [{"msg": "x"}]}, ProviderError('[{"msg": "x"}]')),
        ({}, ProviderError("The provider refused the request with status 400.")),
        ([], ProviderError("The provider refused the request with status 400.")),
        (
            {"error": {"message": ""}},
            ProviderError("The provider refused the request with status 400."),
        ),
    ],
)
def test_read_errors(body: object, expected: ProviderError) -> None:
    """A provider's error is read wherever servers of this dialect put it."""
    assert DIALECT.read_error(400, json.dumps(body).encode()) == expected


def test_an_error_that_is_no_json() -> None:
    """A page of HTML has no message for a user."""
    message = "The provider refused the request with status 502."
    assert DIALECT.read_error(502, b"<html>") == ProviderError(message)
