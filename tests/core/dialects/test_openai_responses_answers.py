"""OpenAI Responses, whole answers: what a provider's says, and what a client is given."""

import json
from typing import Any

import pytest
from openai.types.responses import Response

from gateway.core.answers import Answer, Choice, Finish
from gateway.core.chat import Usage
from gateway.core.conversation import Citation, Json, Part, Reasoning, Refusal, Text, ToolCall
from gateway.core.dialect import Malformed
from gateway.core.dialects.openai_responses import DIALECT
from gateway.core.dialects.openai_responses.answers import write_answer

NAME = "openai-responses"
# As documented (https://platform.openai.com/docs/api-reference/responses/object), shortened.
ANSWER: dict[str, Any] = {
    "id": "resp_1",
    "object": "response",
    "created_at": 1741476542,
    "status": "completed",
    "error": None,
    "model": "gpt-5",
    "output": [
        {
            "type": "message",
            "id": "msg_1",
            "status": "completed",
            "role": "assistant",
            "content": [{"type": "output_text", "text": "4", "annotations": []}],
        }
    ],
    "usage": {"input_tokens": 9, "output_tokens": 2, "total_tokens": 11},
}
CALL = {"type": "function_call", "id": "fc_1", "call_id": "c", "name": "f", "arguments": "{}"}


def read(**members: object) -> Answer:
    return DIALECT.read_answer(json.dumps({**ANSWER, **members}).encode())


def parts(*items: object) -> tuple[Part, ...]:
    return read(output=list(items)).choices[0].parts


def message(*content: object) -> dict[str, object]:
    return {"type": "message", "role": "assistant", "content": list(content)}


def ended(reason: str, **members: object) -> dict[str, object]:
    return {"status": "incomplete", "incomplete_details": {"reason": reason}, **members}


def test_an_answer() -> None:
    """A whole answer is read with all that it says of itself."""
    choice = Choice((Text("4"),), "stop")
    assert read() == Answer((choice,), "resp_1", "gpt-5", 1741476542, Usage(9, 2))


@pytest.mark.parametrize(
    ("items", "expected"),
    [
        ([message({"type": "refusal", "refusal": "no"})], (Refusal("no"),)),
        ([CALL], (ToolCall("c", "f", "{}"),)),
        ([{**CALL, "call_id": None}], (ToolCall("fc_1", "f", "{}"),)),
        (
            [{"type": "reasoning", "id": "rs_1", "summary": [{"text": "a"}, {"text": "b"}]}],
            (Reasoning("a\n\nb", id="rs_1", origin=NAME),),
        ),
        (
            [{"type": "reasoning", "id": "rs_1", "summary": [], "content": [{"text": "a"}]}],
            (Reasoning("a", id="rs_1", origin=NAME),),
        ),
        (
            [{"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "gAAA"}],
            (Reasoning("", "rs_1:gAAA", id="rs_1", origin=NAME),),
        ),
        ([{"type": "reasoning", "id": "rs_1", "summary": []}], ()),
        ([{"type": "web_search_call", "id": "ws_1", "status": "completed"}], ()),
        ([message({"type": "something_new"})], ()),
        (
            [
                message(
                    {
                        "type": "output_text",
                        "text": "a",
                        "annotations": [
                            {
                                "type": "url_citation",
                                "url": "https://x.test",
                                "title": "X",
                                "start_index": 0,
                                "end_index": 1,
                            },
                            {"type": "file_citation", "file_id": "file_1", "index": 0},
                        ],
                    }
                )
            ],
            (Text("a", (Citation("https://x.test", "X", None, 0, 1),)),),
        ),
    ],
)
def test_items(items: list[object], expected: tuple[Part, ...]) -> None:
    """Each item is its parts; reasoning keeps its id with its proof; the rest is left out."""
    assert parts(*items) == expected


@pytest.mark.parametrize(
    ("members", "finish"),
    [
        ({"status": None}, "stop"),
        ({"output": [CALL]}, "tool_calls"),
        ({"output": [message({"type": "refusal", "refusal": "no"})]}, "refusal"),
        (ended("max_output_tokens"), "length"),
        (ended("max_output_tokens", output=[CALL]), "length"),
        (ended("content_filter"), "content_filter"),
        (ended("steered"), "pause"),
        ({"status": "incomplete", "incomplete_details": None}, "pause"),
    ],
)  # fmt: skip
def test_finish(members: dict[str, object], finish: Finish) -> None:
    """Why it ended is in its status, its details, and what it holds."""
    assert read(**members).choices[0].finish == finish


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        (None, None),
        ({}, None),
        ([], None),
        ({"input_tokens": 9}, None),
        ({"input_tokens": "9", "output_tokens": 2}, None),
        ({"input_tokens": True, "output_tokens": 2}, None),
        ({"input_tokens": 9, "output_tokens": 10**400}, None),
        ({"input_tokens": 0, "output_tokens": 0}, Usage(0, 0)),
        (
            {
                "input_tokens": 9,
                "input_tokens_details": {"cached_tokens": 4, "cache_write_tokens": 3},
                "output_tokens": 2,
                "output_tokens_details": {"reasoning_tokens": 1},
            },
            Usage(9, 2, 4, 1, 3),
        ),
        (
            {
                "input_tokens": 9,
                "output_tokens": 2,
                "input_tokens_details": {"cached_tokens": None},
            },
            Usage(9, 2),
        ),
    ],
)
def test_usage(usage: object, expected: Usage | None) -> None:
    """Usage is what the provider counted; what it did not say is None."""
    assert read(usage=usage).usage == expected


NO_ANSWERS: list[dict[str, object]] = [
    {"output": None},
    {"output": {}},
    {"output": ["x"]},
    {"error": {"message": "x"}},
    {"status": "failed"},
    {"status": "in_progress"},
    {"status": "cancelled"},
    {"status": 1},
    {"id": 1},
    {"output": [{"type": "message", "content": "x"}]},
    {"output": [message({"type": "output_text", "text": 1})]},
    {"output": [{"type": "function_call", "name": "f"}]},
    {"output": [{"type": "function_call", "call_id": "c"}]},
    {"output": [{"type": "reasoning", "summary": [1]}]},
]


@pytest.mark.parametrize(
    "body",
    [
        b"", b"<html>", b"[]", b"{}", b"\xff",
        *[json.dumps({**ANSWER, **members}).encode() for members in NO_ANSWERS],
    ],
)  # fmt: skip
def test_what_is_no_answer(body: bytes) -> None:
    """What is not of this dialect, failed or has not ended is Malformed."""
    with pytest.raises(Malformed):
        DIALECT.read_answer(body)


# --- Written -------------------------------------------------------------------


def written(*said: Part, finish: Finish | None = "stop", **members: Any) -> dict[str, Any]:  # noqa: ANN401
    answer = Answer((Choice(said, finish, **members),), "msg_1", "claude")
    found: dict[str, Any] = json.loads(write_answer(answer))
    Response.model_validate(found)
    return found


EVERYTHING = (
    Reasoning("hm", "sig", origin="anthropic-messages"),
    Text("a", (Citation("https://x.test"), Citation(quote="of no page"))),
    Refusal("b"),
    ToolCall("c", "f", '{"a":1}'),
    ToolCall("d", "f"),
    Text("e"),
)


def test_everything_written() -> None:
    """Texts and refusals in a row are one message; ids are the gateway's; proofs are sealed; a call
    without arguments has none in JSON; only pages are cited, and have a place in the text."""
    assert written(*EVERYTHING, finish="tool_calls")["output"] == [
        {
            "id": "rs_tiergate_msg_1_0",
            "type": "reasoning",
            "status": "completed",
            "summary": [{"type": "summary_text", "text": "hm"}],
            "encrypted_content": 'tiergate.anthropic-messages.{"signature": "sig"}',
        },
        {
            "id": "msg_tiergate_msg_1_1",
            "type": "message",
            "status": "completed",
            "role": "assistant",
            "content": [
                {
                    "type": "output_text",
                    "text": "a",
                    "annotations": [
                        {
                            "type": "url_citation",
                            "start_index": 0,
                            "end_index": 1,
                            "url": "https://x.test",
                            "title": "",
                        }
                    ],
                    "logprobs": [],
                },
                {"type": "refusal", "refusal": "b"},
            ],
        },
        {
            "id": "fc_tiergate_msg_1_2",
            "type": "function_call",
            "status": "completed",
            "call_id": "c",
            "name": "f",
            "arguments": '{"a":1}',
        },
        {
            "id": "fc_tiergate_msg_1_3",
            "type": "function_call",
            "status": "completed",
            "call_id": "d",
            "name": "f",
            "arguments": "{}",
        },
        {
            "id": "msg_tiergate_msg_1_4",
            "type": "message",
            "status": "completed",
            "role": "assistant",
            "content": [{"type": "output_text", "text": "e", "annotations": [], "logprobs": []}],
        },
    ]


@pytest.mark.parametrize(
    ("said", "finish", "status", "details"),
    [
        (Text("a"), None, "completed", None),
        (Text("a"), "stop", "completed", None),
        (ToolCall("c", "f"), "tool_calls", "completed", None),
        (Refusal("a"), "refusal", "completed", None),
        (Text("a"), "refusal", "incomplete", {"reason": "content_filter"}),
        (Text("a"), "content_filter", "incomplete", {"reason": "content_filter"}),
        (Text("a"), "length", "incomplete", {"reason": "max_output_tokens"}),
        (Text("a"), "pause", "incomplete", {}),
    ],
)
def test_status(said: Part, finish: Finish | None, status: str, details: object) -> None:
    """An answer that was cut off is incomplete, and so is its last item."""
    found = written(said, finish=finish)
    assert (found["status"], found["incomplete_details"]) == (status, details)
    assert found["output"][-1]["status"] == status


@pytest.mark.parametrize(
    ("part", "kept"),
    [
        (Reasoning("hm"), None),
        (Reasoning("hm", "sig", origin="x"), 'tiergate.x.{"signature": "sig"}'),
        (
            Reasoning(redacted="data", id="r", origin="x"),
            'tiergate.x.{"redacted": "data", "id": "r"}',
        ),
        (Reasoning("hm", "rs_1:gAAA", origin=NAME), "gAAA"),
        (
            ToolCall("c", "f", "{}", "sig", "gemini"),
            'tiergate.gemini.{"signature": "sig", "call": "c"}',
        ),
    ],
)
def test_proofs_come_back(part: Part, kept: str | None) -> None:
    """What stands for a foreign proof is what reading the client's next turn finds again."""
    output = written(part)["output"]
    assert output[0].get("encrypted_content") == kept
    body = json.dumps({"input": [{"role": "user", "content": "hi"}, *output]}).encode()
    turns = DIALECT.read_conversation(DIALECT.parse_request(body, None, None)).turns
    (found,) = turns[1].parts
    if isinstance(part, Reasoning) and part.origin == NAME:
        assert (found, output[0]["id"]) == (
            Reasoning("hm", "rs_1:gAAA", None, "rs_1", NAME),
            "rs_1",
        )
    else:
        assert found == part


def test_the_frame() -> None:
    """The settings are the client's, and the API's defaults for what it left out."""
    body = b'{"model": "auto", "input": "hi", "temperature": 0.5, "store": true, "user": "u"}'
    answer = Answer((Choice((Text("a"),), "stop"),), usage=Usage(9, 2))
    found = json.loads(write_answer(answer, DIALECT.parse_request(body, None, None)))
    Response.model_validate(found)
    output, usage = found.pop("output"), found.pop("usage")
    assert output[0]["id"] == "msg_tiergate_tiergate_0"
    assert usage == {
        "input_tokens": 9,
        "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
        "output_tokens": 2,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": 11,
    }
    assert found == {
        "id": "resp_tiergate",
        "object": "response",
        "created_at": 0,
        "status": "completed",
        "error": None,
        "incomplete_details": None,
        "model": "auto",
        "background": False,
        "instructions": None,
        "max_output_tokens": None,
        "max_tool_calls": None,
        "metadata": {},
        "parallel_tool_calls": True,
        "previous_response_id": None,
        "prompt_cache_key": None,
        "reasoning": {"effort": None, "summary": None},
        "safety_identifier": None,
        "store": False,
        "temperature": 0.5,
        "text": {"format": {"type": "text"}},
        "tool_choice": "auto",
        "tools": [],
        "top_logprobs": 0,
        "top_p": None,
        "truncation": "disabled",
        "user": "u",
    }


def test_logprobs_have_the_members_that_clients_expect() -> None:
    """Logprobs stand at the last text; a token without bytes has none."""
    other: Json = {"token": "b", "logprob": -2.0}
    token: Json = {"token": "a", "logprob": -1.0, "bytes": None, "top_logprobs": [other]}
    content = written(Text("x"), Text("a"), logprobs=(token, {"token": "c", "logprob": 0}))[
        "output"
    ][0]["content"]
    assert content[0]["logprobs"] == []
    assert content[1]["logprobs"] == [
        {
            "token": "a",
            "logprob": -1.0,
            "bytes": [],
            "top_logprobs": [{"token": "b", "logprob": -2.0, "bytes": []}],
        },
        {"token": "c", "logprob": 0, "bytes": [], "top_logprobs": []},
    ]
