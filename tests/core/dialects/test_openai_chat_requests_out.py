"""OpenAI Chat Completions, a request to a provider: what is written, and what never is."""

import json
from dataclasses import replace
from typing import Any

import pytest

from gateway.core.conversation import (
    Audio,
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
from gateway.core.dialect import Manner
from gateway.core.dialects.openai_chat.requests_out import write_request

ORIGIN = "openai-chat"
ASKED = Conversation((Turn("user", (Text("hi"),)),))
TOOL = Tool("f", "does", {"type": "object"}, is_strict=True)


def body(conversation: Conversation) -> Json:
    request = write_request(conversation, "org/m")
    assert request.path == "/chat/completions"
    found = json.loads(request.body)
    assert isinstance(found, dict)
    return found


def messages(*turns: Turn) -> object:
    return body(Conversation(turns))["messages"]


def test_nothing_is_invented() -> None:
    """A conversation that asks for nothing is its model and messages."""
    assert body(ASKED) == {"model": "org/m", "messages": [{"role": "user", "content": "hi"}]}


@pytest.mark.parametrize(
    ("members", "expected"),
    [
        ({"max_tokens": 9}, {"max_completion_tokens": 9}),
        ({"temperature": 0, "top_p": 0.5, "seed": 0}, {"temperature": 0, "top_p": 0.5, "seed": 0}),
        ({"presence_penalty": 1}, {"presence_penalty": 1}),
        ({"frequency_penalty": -1}, {"frequency_penalty": -1}),
        ({"stop": ("a",)}, {"stop": ["a"]}),
        ({"answers": 2}, {"n": 2}),
        ({"logprobs": 0}, {"logprobs": True}),
        ({"logprobs": 3}, {"logprobs": True, "top_logprobs": 3}),
        ({"user": "u"}, {"user": "u"}),
        ({"is_stream": True}, {"stream": True, "stream_options": {"include_usage": True}}),
        ({"thinking": Thinking(effort="low")}, {"reasoning_effort": "low"}),
        ({"thinking": Thinking(is_on=False)}, {"reasoning_effort": "none"}),
        ({"thinking": Thinking(is_on=True)}, {}),
        ({"output": Output()}, {"response_format": {"type": "json_object"}}),
        (
            {"output": Output({"type": "object"})},
            {
                "response_format": {
                    "type": "json_schema",
                    "json_schema": {"name": "answer", "schema": {"type": "object"}},
                }
            },
        ),
        (
            {"output": Output({}, "a", "d", is_strict=False)},
            {
                "response_format": {
                    "type": "json_schema",
                    "json_schema": {
                        "name": "a",
                        "schema": {},
                        "description": "d",
                        "strict": False,
                    },
                }
            },
        ),
        (
            {"tools": (TOOL, Tool("g"))},
            {
                "tools": [
                    {
                        "type": "function",
                        "function": {
                            "name": "f",
                            "description": "does",
                            "parameters": {"type": "object", "properties": {}},
                            "strict": True,
                        },
                    },
                    {"type": "function", "function": {"name": "g"}},
                ]
            },
        ),
        # without tools a provider refuses these two
        ({"tool_choice": ToolChoice("none"), "one_tool_at_most": True}, {}),
        # not carried: a row of one provider may, the dialect cannot
        ({"top_k": 4, "metadata": {"a": "b"}, "thinking": Thinking(budget=9)}, {}),
    ],
)
def test_members(members: dict[str, Any], expected: Json) -> None:
    """Each member has its place; what is not there is not written."""
    found = body(replace(ASKED, **members))
    assert {k: v for k, v in found.items() if k not in {"model", "messages"}} == expected


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        (ToolChoice("auto"), "auto"),
        (ToolChoice("none"), "none"),
        (ToolChoice("required"), "required"),
        (ToolChoice("required", ("f",)), {"type": "function", "function": {"name": "f"}}),
        (
            ToolChoice("auto", ("f",)),
            {
                "type": "allowed_tools",
                "allowed_tools": {
                    "mode": "auto",
                    "tools": [{"type": "function", "function": {"name": "f"}}],
                },
            },
        ),
    ],
)
def test_tool_choice(choice: ToolChoice, expected: object) -> None:
    """One tool by its name, several as `allowed_tools`."""
    found = body(replace(ASKED, tools=(TOOL,), tool_choice=choice, one_tool_at_most=True))
    assert found["tool_choice"] == expected
    assert found["parallel_tool_calls"] is False


def test_usage_is_asked_for_but_where_it_is_refused() -> None:
    """A provider that refuses `stream_options` gets none."""
    request = write_request(replace(ASKED, is_stream=True), "m", Manner(asks_usage=False))
    assert "stream_options" not in json.loads(request.body)


def test_results_stand_right_behind_the_calls() -> None:
    """Each result is a message of its own, before what the user says with them."""
    assert messages(
        Turn("assistant", (Text("see"), ToolCall("a", "f", ""), ToolCall("b", "g", '{"x":1}'))),
        Turn(
            "user",
            (
                Text("and"),
                ToolResult("a", (Text("1"), Text("2")), name="f"),
                ToolResult("b", (), is_error=True),
            ),
        ),
    ) == [
        {
            "role": "assistant",
            "content": "see",
            "tool_calls": [
                {"id": "a", "type": "function", "function": {"name": "f", "arguments": "{}"}},
                {
                    "id": "b",
                    "type": "function",
                    "function": {"name": "g", "arguments": '{"x":1}'},
                },
            ],
        },
        {"role": "tool", "tool_call_id": "a", "content": "1\n\n2", "name": "f"},
        {"role": "tool", "tool_call_id": "b", "content": ""},
        {"role": "user", "content": "and"},
    ]


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        ((), {"content": ""}),
        ((Text("a"), Text("b")), {"content": "ab"}),
        ((ToolCall("a", "f", "{}"),), {"content": None}),
        ((Refusal("no"),), {"content": None, "refusal": "no"}),
        (
            (Reasoning("hm", "reasoning_content", origin=ORIGIN), Text("a")),
            {"reasoning_content": "hm", "content": "a"},
        ),
        (
            (Reasoning("hm", "reasoning", origin=ORIGIN), Text("a")),
            {"reasoning": "hm", "content": "a"},
        ),
        (
            (Reasoning("hm", "thinking", origin=ORIGIN), Text("a")),
            {
                "content": [
                    {"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]},
                    {"type": "text", "text": "a"},
                ]
            },
        ),
        (
            (
                Reasoning("hm", "text|anthropic-claude-v1|S", origin=ORIGIN),
                Reasoning("s", "summary||", None, "rs", ORIGIN),
                Reasoning("", None, "openai-responses-v1|D", "rs", ORIGIN),
                Text("a"),
            ),
            {
                "content": "a",
                "reasoning_details": [
                    {
                        "type": "reasoning.text",
                        "text": "hm",
                        "signature": "S",
                        "format": "anthropic-claude-v1",
                        "index": 0,
                    },
                    {"type": "reasoning.summary", "summary": "s", "id": "rs", "index": 1},
                    {
                        "type": "reasoning.encrypted",
                        "data": "D",
                        "format": "openai-responses-v1",
                        "id": "rs",
                        "index": 2,
                    },
                ],
            },
        ),
        # another provider's reasoning: most refuse it, and no signature of theirs proves it
        ((Reasoning("hm", "S", origin="anthropic-messages"), Text("a")), {"content": "a"}),
        ((Reasoning("hm"), Text("a")), {"content": "a"}),
    ],
)
def test_assistants_messages(parts: tuple[Part, ...], expected: Json) -> None:
    """Reasoning goes back exactly where its provider had it, and nowhere else."""
    found = messages(Turn("assistant", parts))
    assert isinstance(found, list)
    found[0].pop("tool_calls", None)
    assert found == [{"role": "assistant", **expected}]


@pytest.mark.parametrize(
    ("origin", "expected"),
    [
        (ORIGIN, {"extra_content": {"google": {"thought_signature": "S"}}}),
        ("gemini", {}),
    ],
)
def test_signed_calls(origin: str, expected: Json) -> None:
    """A call's signature goes to the dialect that gave it only."""
    found = messages(Turn("assistant", (ToolCall("a", "f", "{}", "S", origin),)))
    call = {"id": "a", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    assert found == [{"role": "assistant", "content": None, "tool_calls": [{**call, **expected}]}]


@pytest.mark.parametrize(
    ("part", "expected"),
    [
        (
            Image(Media(url="https://a.test/a"), "low"),
            {"type": "image_url", "image_url": {"url": "https://a.test/a", "detail": "low"}},
        ),
        (
            Image(Media("image/png", "AA==")),
            {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}},
        ),
        (
            Audio(Media("audio/mpeg", "AA==")),
            {"type": "input_audio", "input_audio": {"data": "AA==", "format": "mp3"}},
        ),
        (
            Audio(Media("audio/x-wav", "AA==")),
            {"type": "input_audio", "input_audio": {"data": "AA==", "format": "wav"}},
        ),
        (
            File(Media("application/pdf", "AA==")),
            {
                "type": "file",
                "file": {
                    "filename": "file.pdf",
                    "file_data": "data:application/pdf;base64,AA==",
                },
            },
        ),
        (
            File(Media("text/plain", "AA==", name="a.txt")),
            {
                "type": "file",
                "file": {"filename": "a.txt", "file_data": "data:text/plain;base64,AA=="},
            },
        ),
        (File(Media(url="https://a.test/a.pdf")), None),  # not carried
    ],
)
def test_parts(part: Part, expected: Json | None) -> None:
    """Beside text, content is an array of parts."""
    found = messages(Turn("user", (Text("see"), part)))
    parts = [{"type": "text", "text": "see"}, *([expected] if expected else [])]
    assert found == [{"role": "user", "content": parts}]


def test_a_turn_without_parts() -> None:
    """Nobody's turn is lost, though there is nothing in it."""
    assert messages(Turn("user", ())) == [{"role": "user", "content": ""}]


@pytest.mark.parametrize("role", ["system", "developer", "user"])
def test_text_alone_is_a_string(role: Any) -> None:  # noqa: ANN401
    """Pieces of text are one string: several providers take nothing else."""
    found = messages(Turn(role, (Text("a"), Text("b")), "ann"))
    assert found == [{"role": role, "content": "a\n\nb", "name": "ann"}]
