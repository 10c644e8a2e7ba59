"""OpenAI Responses, requests to a provider: each neutral form as the API's own."""

import json
from typing import Any

import pytest

from gateway.core.conversation import (
    Conversation,
    File,
    Image,
    Json,
    Media,
    Output,
    Part,
    Reasoning,
    Refusal,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
    Turn,
)
from gateway.core.dialects.openai_responses.requests_out import write_request

USER = Turn("user", (Text("hi"),))
SCHEMA: Json = {"type": "object"}


def written(*turns: Turn, **members: Any) -> dict[str, Any]:  # noqa: ANN401
    request = write_request(Conversation(turns or (USER,), **members), "m")
    assert request.path == "/responses"
    found: dict[str, Any] = json.loads(request.body)
    return found


def test_a_question() -> None:
    """Nothing is added but `store`: what clients of other dialects ask is kept nowhere."""
    assert written() == {
        "model": "m",
        "input": [{"type": "message", "role": "user", "content": "hi"}],
        "store": False,
    }


@pytest.mark.parametrize(
    ("members", "expected"),
    [
        ({"max_tokens": 5}, {"max_output_tokens": 5}),
        ({"temperature": 0.0, "top_p": 0.5}, {"temperature": 0.0, "top_p": 0.5}),
        ({"is_stream": True}, {"stream": True}),
        ({"one_tool_at_most": True}, {"parallel_tool_calls": False}),
        ({"one_tool_at_most": False}, {"parallel_tool_calls": True}),
        ({"user": "u", "metadata": {"a": "b"}}, {"user": "u", "metadata": {"a": "b"}}),
        ({"logprobs": 0}, {"include": ["message.output_text.logprobs"]}),
        ({"logprobs": 2}, {"include": ["message.output_text.logprobs"], "top_logprobs": 2}),
        ({"output": Output()}, {"text": {"format": {"type": "json_object"}}}),
        (
            {"output": Output(SCHEMA)},
            {"text": {"format": {"type": "json_schema", "name": "answer", "schema": SCHEMA}}},
        ),
        (
            {"thinking": Thinking(effort="low", shows=True)},
            {
                "reasoning": {"effort": "low", "summary": "auto"},
                "include": ["reasoning.encrypted_content"],
            },
        ),
        ({"thinking": Thinking(is_on=True)}, {"include": ["reasoning.encrypted_content"]}),
        ({"thinking": Thinking(is_on=False)}, {"reasoning": {"effort": "none"}}),
        ({"tool_choice": ToolChoice("none")}, {"tool_choice": "none"}),
        (
            {"tool_choice": ToolChoice("required", ("f",))},
            {"tool_choice": {"type": "function", "name": "f"}},
        ),
        (
            {"tool_choice": ToolChoice("auto", ("f",))},
            {
                "tool_choice": {
                    "type": "allowed_tools",
                    "mode": "auto",
                    "tools": [{"type": "function", "name": "f"}],
                }
            },
        ),
        (
            {"tools": (Tool("f"), Tool("g", "d", {"type": "object"}, is_strict=True))},
            {
                "tools": [
                    {"type": "function", "name": "f", "parameters": None, "strict": False},
                    {
                        "type": "function",
                        "name": "g",
                        "description": "d",
                        "parameters": {"type": "object", "properties": {}},
                        "strict": True,
                    },
                ]
            },
        ),
    ],
)  # fmt: skip
def test_members(members: dict[str, Any], expected: dict[str, object]) -> None:
    """Each neutral member is the API's own; a tool that is not said to be strict is not."""
    assert written(**members) == {**written(), **expected}


def test_system_prompts() -> None:
    """The first system prompt is `instructions`; others, and those in parts, are messages."""
    system = Turn("system", (Text("a"),))
    found = written(system, Turn("system", (Text("b"), Text("c"))), USER)
    assert found["instructions"] == "a"
    assert found["input"][0] == {
        "type": "message",
        "role": "system",
        "content": [{"type": "input_text", "text": "b"}, {"type": "input_text", "text": "c"}],
    }
    assert written(system)["input"] == [{"type": "message", "role": "system", "content": "a"}]


@pytest.mark.parametrize(
    ("part", "expected"),
    [
        (
            Image(Media(url="https://x.test"), "low"),
            {"type": "input_image", "image_url": "https://x.test", "detail": "low"},
        ),
        (
            Image(Media("image/png", "AAAA")),
            {
                "type": "input_image",
                "image_url": "data:image/png;base64,AAAA",
                "detail": "auto",
            },
        ),
        (
            File(Media(url="https://x.test", name="a")),
            {"type": "input_file", "file_url": "https://x.test"},
        ),
        (
            File(Media("application/pdf", "AAAA")),
            {
                "type": "input_file",
                "filename": "file.pdf",
                "file_data": "data:application/pdf;base64,AAAA",
            },
        ),
        (
            File(Media(data="AAAA", name="a.txt")),
            {"type": "input_file", "filename": "a.txt", "file_data": "AAAA"},
        ),
    ],
)
def test_media(part: Part, expected: dict[str, object]) -> None:
    """Media go by URL or inline; an inline file has a name, since the API takes none without."""
    assert written(Turn("user", (part,)))["input"][0]["content"] == [expected]


def test_an_agent_s_turns() -> None:
    """Reasoning with OpenAI's proof, text, calls and results are items, in their order."""
    found = written(
        USER,
        Turn(
            "assistant",
            (
                Reasoning("hm", "rs_1:gAAA", id="rs_1", origin="openai-responses"),
                Text("a"),
                Refusal("b"),
                ToolCall("c", "f"),
                ToolCall("d", "f", '{"a":1}', "sig", "gemini"),
                Text("e"),
            ),
        ),
        Turn(
            "user",
            (
                ToolResult("c", (Text("1"),), name="f"),
                ToolResult("d", ()),
                Text("and?"),
            ),
        ),
    )
    assert found["include"] == ["reasoning.encrypted_content"]
    assert found["input"][1:] == [
        {
            "type": "reasoning",
            "id": "rs_1",
            "summary": [{"type": "summary_text", "text": "hm"}],
            "encrypted_content": "gAAA",
        },
        {
            "type": "message",
            "role": "assistant",
            "content": [
                {"type": "output_text", "text": "a", "annotations": []},
                {"type": "refusal", "refusal": "b"},
            ],
        },
        {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"},
        {"type": "function_call", "call_id": "d", "name": "f", "arguments": '{"a":1}'},
        {"type": "message", "role": "assistant", "content": "e"},
        {"type": "function_call_output", "call_id": "c", "output": "1"},
        {"type": "function_call_output", "call_id": "d", "output": ""},
        {"type": "message", "role": "user", "content": "and?"},
    ]


@pytest.mark.parametrize(
    "thought",
    [
        Reasoning("hm"),
        Reasoning("hm", "sig", origin="anthropic-messages"),
        Reasoning(redacted="x", origin="anthropic-messages"),
        Reasoning("hm", id="rs_1", origin="openai-responses"),
    ],
)
def test_reasoning_without_openai_s_proof(thought: Reasoning) -> None:
    """Other reasoning is left out, and does not cut the message in two."""
    found = written(USER, Turn("assistant", (Text("a"), thought, Text("b"))))
    assert [item["type"] for item in found["input"]] == ["message", "message"]
    assert len(found["input"][1]["content"]) == 2
    assert "include" not in found
