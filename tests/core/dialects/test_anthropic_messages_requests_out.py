"""Anthropic Messages, a request to a provider: what a conversation becomes."""

import json
from base64 import b64encode
from typing import Any

import pytest

from gateway.core.conversation import (
    Conversation,
    File,
    Image,
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
from gateway.core.dialects.anthropic_messages import DIALECT
from gateway.core.dialects.anthropic_messages.requests_out import MAX_TOKENS, write_request
from gateway.core.errors import BadRequest
from gateway.core.features import Feature

NAME = DIALECT.name
EPHEMERAL: dict[str, object] = {"type": "ephemeral", "ttl": "1h"}
HELLO = Turn("user", (Text("hello"),))


def written(*turns: Turn, **members: Any) -> dict[str, Any]:  # noqa: ANN401 - any of its members
    request = write_request(Conversation(turns or (HELLO,), **members), "m")
    assert request.path == "/messages"
    body: dict[str, Any] = json.loads(request.body)
    return body


def test_the_least_request() -> None:
    """Nothing is said that was not asked for, but for the limit that the API demands."""
    assert written() == {
        "model": "m",
        "max_tokens": MAX_TOKENS,
        "messages": [{"role": "user", "content": "hello"}],
    }


@pytest.mark.parametrize(
    ("members", "expected"),
    [
        ({"max_tokens": 5}, {"max_tokens": 5}),
        ({"stop": ("a", "b")}, {"stop_sequences": ["a", "b"]}),
        (
            {"temperature": 0.5, "top_p": 1, "top_k": 3},
            {"temperature": 0.5, "top_p": 1, "top_k": 3},
        ),
        ({"user": "u"}, {"metadata": {"user_id": "u"}}),
        ({"is_stream": True}, {"stream": True}),
        (
            {"tools": (Tool("f", "d", {"properties": {}}, is_strict=True, cache=EPHEMERAL),)},
            {
                "tools": [
                    {
                        "name": "f",
                        "description": "d",
                        "input_schema": {"type": "object", "properties": {}},
                        "strict": True,
                        "cache_control": EPHEMERAL,
                    }
                ]
            },
        ),
        (
            {"tools": (Tool("f", is_strict=False),)},
            {"tools": [{"name": "f", "input_schema": {"type": "object"}}]},
        ),
        (
            {"output": Output({"type": "object"}, "answer", is_strict=True)},
            {"output_config": {"format": {"type": "json_schema", "schema": {"type": "object"}}}},
        ),
        (
            {"output": Output({"type": "object"}, description="A dish.")},
            {
                "output_config": {
                    "format": {
                        "type": "json_schema",
                        "schema": {"type": "object", "description": "A dish."},
                    }
                }
            },
        ),
        (
            {"thinking": Thinking(effort="low")},
            {"thinking": {"type": "adaptive"}, "output_config": {"effort": "low"}},
        ),
        ({"thinking": Thinking(is_on=True)}, {"thinking": {"type": "adaptive"}}),
        ({"thinking": Thinking(is_on=False)}, {"thinking": {"type": "disabled"}}),
        ({"thinking": Thinking(effort="none")}, {"thinking": {"type": "disabled"}}),
        ({"thinking": Thinking(budget=0)}, {"thinking": {"type": "disabled"}}),
        ({"thinking": Thinking(is_on=True, budget=-1)}, {"thinking": {"type": "adaptive"}}),
        (
            {"thinking": Thinking(shows=True)},
            {"thinking": {"type": "adaptive", "display": "summarized"}},
        ),
        ({"thinking": Thinking(shows=False)}, {}),
        (
            {"thinking": Thinking(budget=2048, shows=False)},
            {
                "thinking": {"type": "enabled", "budget_tokens": 2048, "display": "omitted"},
                "max_tokens": MAX_TOKENS + 2048,
            },
        ),
    ],
)
def test_members(members: dict[str, Any], expected: dict[str, Any]) -> None:
    """Each member has its place."""
    assert written(**members) == written() | expected


@pytest.mark.parametrize(
    ("members", "expected"),
    [
        ({"tool_choice": ToolChoice("auto")}, {"type": "auto"}),
        ({"tool_choice": ToolChoice("none")}, {"type": "none"}),
        ({"tool_choice": ToolChoice("required")}, {"type": "any"}),
        (
            {"tool_choice": ToolChoice("required", ("f",)), "one_tool_at_most": True},
            {"type": "tool", "name": "f", "disable_parallel_tool_use": True},
        ),
        ({"one_tool_at_most": True}, {"type": "auto", "disable_parallel_tool_use": True}),
        ({"one_tool_at_most": False}, None),
        ({"tool_choice": ToolChoice("none"), "one_tool_at_most": True}, {"type": "none"}),
    ],
)
def test_choices_among_tools(members: dict[str, Any], expected: dict[str, Any] | None) -> None:
    """A choice is said in the API's words, and not at all where there are no tools."""
    assert written(tools=(Tool("f"),), **members).get("tool_choice") == expected
    assert "tool_choice" not in written(**members)


def test_a_choice_of_some_tools() -> None:
    """The model is left with the tools that it may call."""
    tools = (Tool("f"), Tool("g"), Tool("h"))
    found = written(tools=tools, tool_choice=ToolChoice("required", ("f", "h")))
    assert [tool["name"] for tool in found["tools"]] == ["f", "h"]
    assert found["tool_choice"] == {"type": "any"}


@pytest.mark.parametrize(
    ("part", "expected"),
    [
        (Text("x", cache=EPHEMERAL), {"type": "text", "text": "x", "cache_control": EPHEMERAL}),
        (
            Image(Media("image/png", "AAAA"), "low"),
            {
                "type": "image",
                "source": {"type": "base64", "media_type": "image/png", "data": "AAAA"},
            },
        ),
        (
            Image(Media(url="https://x.test/a")),
            {"type": "image", "source": {"type": "url", "url": "https://x.test/a"}},
        ),
        (
            File(Media("application/pdf", "AAAA", name="a.pdf"), EPHEMERAL),
            {
                "type": "document",
                "source": {"type": "base64", "media_type": "application/pdf", "data": "AAAA"},
                "title": "a.pdf",
                "cache_control": EPHEMERAL,
            },
        ),
        (
            File(Media(url="https://x.test/a")),
            {"type": "document", "source": {"type": "url", "url": "https://x.test/a"}},
        ),
        (
            File(Media("text/csv", b64encode("é,1".encode()).decode())),
            {
                "type": "document",
                "source": {"type": "text", "media_type": "text/plain", "data": "é,1"},
            },
        ),
        (
            Reasoning("hm", "sig", origin=NAME),
            {"type": "thinking", "thinking": "hm", "signature": "sig"},
        ),
        (Reasoning(redacted="x", origin=NAME), {"type": "redacted_thinking", "data": "x"}),
        (
            ToolCall("functions.f:0", "f", '{"a": "é"}'),
            {"type": "tool_use", "id": "functions_2e_f_3a_0", "name": "f", "input": {"a": "é"}},
        ),
        (
            ToolCall("t", "f", "", "sig", "gemini"),
            {"type": "tool_use", "id": "t", "name": "f", "input": {}},
        ),
        (
            ToolResult("t", (Text("4"),), is_error=True),
            {"type": "tool_result", "tool_use_id": "t", "content": "4", "is_error": True},
        ),
        (
            ToolResult("t", (Text(""),), name="f", cache=EPHEMERAL),
            {"type": "tool_result", "tool_use_id": "t", "cache_control": EPHEMERAL},
        ),
        (
            ToolResult("t", (Text("a"), Image(Media(url="https://x.test/a")))),
            {
                "type": "tool_result",
                "tool_use_id": "t",
                "content": [
                    {"type": "text", "text": "a"},
                    {"type": "image", "source": {"type": "url", "url": "https://x.test/a"}},
                ],
            },
        ),
    ],
)
def test_blocks(part: Part, expected: dict[str, object]) -> None:
    """A part is a block."""
    assert written(Turn("user", (part,)))["messages"][0]["content"] == [expected]


@pytest.mark.parametrize(
    "part",
    [
        Text(""),
        Reasoning("hm"),
        Reasoning("hm", origin=NAME),
        Reasoning("hm", "sig", origin="gemini"),
        Reasoning(redacted="x", origin="openai-responses"),
    ],
)
def test_what_is_left_out(part: Part) -> None:
    """Empty text and reasoning without Anthropic's own proof would be refused."""
    turn = Turn("assistant", (part, Refusal("No.")))
    assert written(HELLO, turn)["messages"][1] == {"role": "assistant", "content": "No."}
    assert len(written(HELLO, Turn("assistant", (part,)))["messages"]) == 1


def test_system_prompts() -> None:
    """Those at the start are `system`, a string if that says all; those in their place stay."""
    first, second = Turn("system", (Text("a"),)), Turn("developer", (Text("b", cache=EPHEMERAL),))
    assert written(first, HELLO)["system"] == "a"
    found = written(first, second, HELLO, second, HELLO)
    marked = {"type": "text", "text": "b", "cache_control": EPHEMERAL}
    assert found["system"] == [{"type": "text", "text": "a"}, marked]
    assert [message["role"] for message in found["messages"]] == ["user", "system", "user"]
    assert found["messages"][1]["content"] == [marked]


def test_turns_in_a_row() -> None:
    """Turns of one role are one message, results of tools before all else."""
    found = written(
        HELLO,
        Turn("assistant", (ToolCall("a", "f"),)),
        Turn("assistant", (ToolCall("b", "f"),)),
        Turn("user", (ToolResult("a", ()), Text("so?"))),
        Turn("user", (ToolResult("b", ()),)),
    )["messages"]
    assert [message["role"] for message in found] == ["user", "assistant", "user"]
    assert [block["type"] for block in found[1]["content"]] == ["tool_use", "tool_use"]
    kinds = [block.get("tool_use_id", "text") for block in found[2]["content"]]
    assert kinds == ["a", "b", "text"]


@pytest.mark.parametrize(
    "part",
    [
        ToolCall("t", "f", "{"),
        ToolCall("t", "f", "[1]"),
        ToolCall("t", "f", "null"),
        ToolCall("t", "f", '{"a": NaN}'),
        ToolCall("t", "f", '{"a": "\ud800"}'),
        File(Media("text/plain", "A")),
        File(Media("text/plain", "/w==")),
        File(Media(None, "AAAA", name="x")),
    ],
)
def test_what_cannot_be_said(part: Part) -> None:
    """A value that no request of this dialect can hold is refused, never bent."""
    with pytest.raises(BadRequest) as refusal:
        written(Turn("user", (part,)))
    assert refusal.value.param == "messages"


def test_an_effort_that_is_none_of_its_own() -> None:
    """An effort that only others have is refused by the client's name for it."""
    uses = {Feature.EFFORT: "reasoning_effort"}
    with pytest.raises(BadRequest, match="must be one of none, low") as refusal:
        written(Turn("user", (Text("?"),)), thinking=Thinking(effort="minimal"), uses=uses)
    assert refusal.value.param == "reasoning_effort"
