"""OpenAI Responses, every request: what is refused, and what the gateway decides by."""

import json

import pytest

from gateway.core.chat import ChatRequest, Message
from gateway.core.dialects.openai_responses import DIALECT
from gateway.core.errors import BadRequest


def parsed(**members: object) -> ChatRequest:
    return DIALECT.parse_request(json.dumps({"input": "hi", **members}).encode(), None, None)


@pytest.mark.parametrize(
    "data",
    [
        b"", b"nothing", b"[]", b'"a"', b"{", b"\xff", b'{"input": "a", "input": "b"}',
        b'{"input": ' + b"[" * 200 + b"]" * 200 + b"}",
    ],
)  # fmt: skip
def test_not_a_json_object(data: bytes) -> None:
    """A body that is no JSON object as the gateway takes it is `invalid_json`."""
    with pytest.raises(BadRequest) as caught:
        DIALECT.parse_request(data, None, None)
    assert (caught.value.code, caught.value.param) == ("invalid_json", None)


WRONG_TYPES: list[tuple[str, list[object]]] = [
    ("model", [1, True, [], {}]),
    ("input", [1, True, {}]),
    ("instructions", [1, ["be brief"]]),
    ("stream", ["true", 1, []]),
    ("stream_options", [True, []]),
    ("tools", [{}, "x"]),
    ("tool_choice", [1, True, []]),
    ("parallel_tool_calls", ["true", 1]),
    ("text", ["json", []]),
    ("reasoning", ["high", []]),
    ("include", ["x", {}]),
    ("metadata", [[], "x"]),
    ("user", [1, {}]),
    ("safety_identifier", [1]),
    ("max_output_tokens", ["10", 1.5, True]),
    ("top_logprobs", ["1", False]),
    ("temperature", ["0", True, []]),
    ("top_p", ["0", False]),
    ("store", ["false", 0]),
    ("background", [1]),
    ("previous_response_id", [1]),
    ("conversation", [1, []]),
    ("prompt", ["x"]),
    ("truncation", [True]),
    ("service_tier", [1]),
]


@pytest.mark.parametrize(
    ("member", "value"), [(name, value) for name, values in WRONG_TYPES for value in values]
)
def test_wrong_types(member: str, value: object) -> None:
    """A member of the wrong type is refused by name."""
    with pytest.raises(BadRequest) as caught:
        parsed(**{member: value})
    assert (caught.value.code, caught.value.param) == ("invalid_type", member)


@pytest.mark.parametrize("member", [name for name, _ in WRONG_TYPES if name != "input"])
def test_null_is_absent(member: str) -> None:
    """A member that is null is as good as not there."""
    chat = parsed(**{member: None})
    assert (chat.model, chat.is_stream, chat.has_tools) == (None, False, False)
    assert chat.messages == (Message("user", "hi"),)


@pytest.mark.parametrize(
    ("given", "code", "param"),
    [
        (None, "missing_required_parameter", "input"),
        ([], "empty_array", "input"),
        (["hi"], "invalid_type", "input[0]"),
        ([{}], "missing_required_parameter", "input[0].type"),
        ([{"type": 1}], "invalid_type", "input[0].type"),
        ([{"type": "message"}], "invalid_type", "input[0].role"),
        ([{"role": "tool", "content": "x"}], "invalid_value", "input[0].role"),
        ([{"role": "user"}], "missing_required_parameter", "input[0].content"),
        ([{"role": "user", "content": 1}], "invalid_type", "input[0].content"),
        ([{"role": "user", "content": ["x"]}], "invalid_type", "input[0].content[0]"),
        ([{"role": "user", "content": [{}]}], "invalid_type", "input[0].content[0].type"),
        (
            [{"role": "user", "content": [{"type": "input_text"}]}],
            "invalid_type",
            "input[0].content[0].text",
        ),
        (
            [{"type": "function_call_output", "call_id": "c"}],
            "missing_required_parameter",
            "input[0].output",
        ),
    ],
)
def test_inputs_that_are_refused(given: object, code: str, param: str) -> None:
    """What is wrong in `input` is refused with its path."""
    with pytest.raises(BadRequest) as caught:
        parsed(input=given)
    assert (caught.value.code, caught.value.param) == (code, param)


def test_everything_that_is_said() -> None:
    """Instructions, messages in all their forms and results are messages; the rest says nothing."""
    chat = parsed(
        instructions="be brief",
        input=[
            {"role": "developer", "content": "in French"},
            {
                "type": "message",
                "role": "user",
                "content": [
                    {"type": "input_text", "text": "what"},
                    {"type": "input_image", "image_url": "https://x.test/a.png"},
                    {"type": "input_text", "text": "is it?"},
                    {"type": "something_new"},
                ],
            },
            {"type": "reasoning", "id": "rs_1", "summary": []},
            {
                "type": "message",
                "id": "msg_1",
                "role": "assistant",
                "content": [{"type": "output_text", "text": "A cat.", "annotations": []}],
            },
            {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"},
            {"type": "function_call_output", "call_id": "c", "output": "42"},
            {
                "type": "function_call_output",
                "call_id": "d",
                "output": [{"type": "input_text", "text": "43"}],
            },
            {"id": "msg_0"},
            {"type": "web_search_call", "id": "ws_1", "status": "completed"},
        ],
        tools=[{"type": "web_search"}],
    )
    assert chat.messages == (
        Message("system", "be brief"),
        Message("developer", "in French"),
        Message("user", "what\n\nis it?", has_image=True),
        Message("assistant", "A cat."),
        Message("tool", "42"),
        Message("tool", "43"),
    )
    assert chat.has_tools
    assert chat.has_images
    assert chat.answers == 1
    assert not chat.wants_usage


@pytest.mark.parametrize(
    "member", [{"previous_response_id": "resp_1"}, {"conversation": "c"}, {"prompt": {"id": "p"}}]
)
@pytest.mark.parametrize("given", [None, []])
def test_input_that_is_kept_at_the_provider(member: dict[str, object], given: object) -> None:
    """Where the conversation is at the provider, there may be nothing new to say."""
    assert parsed(input=given, **member).messages == ()


def test_the_path_s_words_come_first() -> None:
    """A model or a stream that the path names is the one that is asked."""
    body = b'{"model": "a", "stream": false, "input": "hi"}'
    chat = DIALECT.parse_request(body, "b", True)  # noqa: FBT003 - as Dialect has it
    assert (chat.model, chat.is_stream) == ("b", True)
    chat = DIALECT.parse_request(body, None, None)
    assert (chat.model, chat.is_stream) == ("a", False)
