"""Anthropic Messages, a client's requests: read lightly, and in full."""

import json
from base64 import b64encode
from typing import Any

import pytest

from gateway.core.chat import ChatRequest, Message
from gateway.core.conversation import (
    Conversation,
    File,
    Image,
    Media,
    Output,
    Part,
    Reasoning,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
    Turn,
)
from gateway.core.dialects.anthropic_messages import DIALECT
from gateway.core.dialects.anthropic_messages.schemas import fits_strict_mode
from gateway.core.errors import BadRequest
from gateway.core.features import Feature

NAME = DIALECT.name
EPHEMERAL: dict[str, object] = {"type": "ephemeral"}
CACHE: dict[str, Any] = {"cache_control": EPHEMERAL}
HELLO = [{"role": "user", "content": "hello"}]
PNG = {"type": "base64", "media_type": "image/png", "data": "AAAA"}
PDF = {"type": "base64", "media_type": "application/pdf", "data": "BBBB"}
ABOUT_PDF = {"type": "document", "source": PDF, "context": "of 1999"}
LINK = {"type": "url", "url": "https://x.test/a"}
PLAIN = {"type": "text", "media_type": "text/plain", "data": "é"}
NOTE = Media("text/plain", b64encode("é".encode()).decode())


def parsed(**members: object) -> ChatRequest:
    body: dict[str, object] = {"model": "m", "max_tokens": 9, "messages": HELLO, **members}
    return DIALECT.parse_request(json.dumps(body).encode(), None, None)


def read(**members: object) -> Conversation:
    return DIALECT.read_conversation(parsed(**members))


def block(type: str, **members: object) -> dict[str, object]:
    return {"type": type, **members}


def read_block(found: dict[str, object], role: str = "user") -> Conversation:
    messages = [{"role": role, "content": [found]}, {"role": "user", "content": "go on"}]
    return read(messages=messages)


# --- Lightly -------------------------------------------------------------------


def test_what_the_gateway_knows_of_every_request() -> None:
    """Model, stream, tools and messages; a stream of this dialect always says its usage."""
    chat = parsed(stream=True, tools=[{"name": "f"}])
    assert (chat.model, chat.is_stream, chat.has_tools) == ("m", True, True)
    assert (chat.answers, chat.wants_usage) == (1, True)
    assert chat.messages == (Message("user", "hello"),)


@pytest.mark.parametrize(
    ("members", "messages"),
    [
        ({"system": "Be brief."}, [Message("system", "Be brief."), Message("user", "hello")]),
        (
            {"system": [block("text", text="a"), block("text", text="b")]},
            [Message("system", "a\n\nb"), Message("user", "hello")],
        ),
        (
            {"messages": [{"role": "user", "content": [block("image"), block("text", text="?")]}]},
            [Message("user", "?", has_image=True)],
        ),
        (
            {
                "messages": [
                    {
                        "role": "user",
                        "content": [
                            block("tool_result", content="4"),
                            block("tool_result", content=[block("image")]),
                            block("tool_result"),
                            block("text", text="thanks"),
                        ],
                    }
                ]
            },
            [
                Message("tool", "4"),
                Message("tool", "", has_image=True),
                Message("tool", ""),
                Message("user", "thanks"),
            ],
        ),
        (
            {"messages": [{"role": "user", "content": [block("tool_result", content="4")]}]},
            [Message("tool", "4")],
        ),
        ({"messages": [{"role": "system", "content": "x"}]}, [Message("system", "x")]),
        ({"messages": [{"role": "assistant", "content": []}]}, [Message("assistant", "")]),
    ],
)
def test_messages_for_the_classifier(members: dict[str, object], messages: list[Message]) -> None:
    """The system prompt comes first, a tool's result has the role of a tool."""
    assert list(parsed(**members).messages) == messages


@pytest.mark.parametrize(
    ("members", "param", "code"),
    [
        ({"messages": None}, "messages", "missing_required_parameter"),
        ({"messages": []}, "messages", "empty_array"),
        ({"messages": "hello"}, "messages", "invalid_type"),
        ({"messages": ["hello"]}, "messages[0]", "invalid_type"),
        ({"messages": [{"content": "x"}]}, "messages[0].role", "invalid_type"),
        ({"messages": [{"role": "tool", "content": "x"}]}, "messages[0].role", "invalid_value"),
        (
            {"messages": [{"role": "user"}]},
            "messages[0].content",
            "missing_required_parameter",
        ),
        ({"messages": [{"role": "user", "content": 1}]}, "messages[0].content", "invalid_type"),
        (
            {"messages": [{"role": "user", "content": ["x"]}]},
            "messages[0].content[0]",
            "invalid_type",
        ),
        (
            {"messages": [{"role": "user", "content": [{}]}]},
            "messages[0].content[0].type",
            "invalid_type",
        ),
        (
            {"messages": [{"role": "user", "content": [block("text")]}]},
            "messages[0].content[0].text",
            "invalid_type",
        ),
        ({"system": 1}, "system", "invalid_type"),
        ({"system": [1]}, "system[0]", "invalid_type"),
        ({"max_tokens": True}, "max_tokens", "invalid_type"),
        ({"stream": "yes"}, "stream", "invalid_type"),
        ({"stop_sequences": "x"}, "stop_sequences", "invalid_type"),
        ({"tools": {}}, "tools", "invalid_type"),
        ({"tool_choice": "auto"}, "tool_choice", "invalid_type"),
        ({"thinking": True}, "thinking", "invalid_type"),
        ({"model": 1}, "model", "invalid_type"),
    ],
)
def test_what_is_wrong_for_every_provider(
    members: dict[str, object], param: str, code: str
) -> None:
    """A wrong member is refused at once, by its path."""
    with pytest.raises(BadRequest) as refusal:
        parsed(**members)
    assert (refusal.value.param, refusal.value.code) == (param, code)


def test_bytes_that_are_no_json() -> None:
    """A body that is no JSON object is refused without quoting it."""
    with pytest.raises(BadRequest) as refusal:
        DIALECT.parse_request(b"[1]", None, None)
    assert refusal.value.code == "invalid_json"


def test_a_request_to_count_needs_no_limit() -> None:
    """The body of count_tokens is a request without `max_tokens`."""
    assert parsed(max_tokens=None).model == "m"


# --- In full: content ----------------------------------------------------------


@pytest.mark.parametrize(
    ("role", "found", "part", "uses"),
    [
        ("user", block("text", text="x"), Text("x"), {}),
        ("assistant", block("text", text="x", citations=[{}]), Text("x"), {}),
        (
            "user",
            block("text", text="x", **CACHE),
            Text("x", cache=EPHEMERAL),
            {Feature.CACHE_CONTROL: "messages[0].content[0].cache_control"},
        ),
        (
            "user",
            block("image", source=PNG),
            Image(Media("image/png", "AAAA")),
            {Feature.IMAGE_DATA: "messages[0].content[0]"},
        ),
        (
            "user",
            block("image", source=LINK, transformations={"oversized_image": "downsize"}),
            Image(Media(url="https://x.test/a")),
            {Feature.IMAGE_URL: "messages[0].content[0]"},
        ),
        (
            "user",
            block("document", source=PDF, title="a.pdf"),
            File(Media("application/pdf", "BBBB", name="a.pdf")),
            {Feature.FILE_DATA: "messages[0].content[0]"},
        ),
        (
            "user",
            block("document", source=LINK, citations={"enabled": False}),
            File(Media("application/pdf", url="https://x.test/a")),
            {Feature.FILE_URL: "messages[0].content[0]"},
        ),
        (
            "user",
            block("document", source=PLAIN, citations={"enabled": True}),
            File(NOTE),
            {
                Feature.FILE_DATA: "messages[0].content[0]",
                Feature.CITATIONS: "messages[0].content[0].citations",
            },
        ),
        (
            "user",
            block("document", source=block("content", content="é")),
            File(NOTE),
            {Feature.FILE_DATA: "messages[0].content[0]"},
        ),
        (
            "assistant",
            block("thinking", thinking="hm", signature="sig"),
            Reasoning("hm", "sig", origin=NAME),
            {Feature.REASONING: "messages[0].content[0]"},
        ),
        (
            "assistant",
            block("thinking", thinking="hm", signature="tiergate.gemini.sig"),
            Reasoning("hm", "sig", origin="gemini"),
            {Feature.REASONING: "messages[0].content[0]"},
        ),
        (
            "assistant",
            block("thinking", thinking="hm", signature=""),
            Reasoning("hm", origin=NAME),
            {},
        ),
        (
            "assistant",
            block("thinking", thinking="hm", signature="tiergate.unsigned."),
            Reasoning("hm"),
            {},
        ),
        (
            "assistant",
            block("redacted_thinking", data="xyz"),
            Reasoning(redacted="xyz", origin=NAME),
            {Feature.REASONING: "messages[0].content[0]"},
        ),
        (
            "assistant",
            block("tool_use", id="t1", name="f", input={"q": "é"}, caller=block("direct")),
            ToolCall("t1", "f", '{"q": "é"}'),
            {Feature.TOOLS: "messages[0].content[0]"},
        ),
        (
            "assistant",
            block("tool_use", id="t1", name="f", input={}),
            ToolCall("t1", "f", "{}"),
            {Feature.TOOLS: "messages[0].content[0]"},
        ),
        (
            "user",
            block("tool_result", tool_use_id="t1", content="4", is_error=True),
            ToolResult("t1", (Text("4"),), is_error=True),
            {
                Feature.TOOLS: "messages[0].content[0]",
                Feature.TOOL_ERRORS: "messages[0].content[0].is_error",
            },
        ),
        (
            "user",
            block("tool_result", tool_use_id="t1", is_error=False),
            ToolResult("t1", ()),
            {Feature.TOOLS: "messages[0].content[0]"},
        ),
        (
            "user",
            block(
                "tool_result",
                tool_use_id="t1",
                content=[block("text", text="see"), block("image", source=PNG)],
                **CACHE,
            ),
            ToolResult("t1", (Text("see"), Image(Media("image/png", "AAAA"))), cache=EPHEMERAL),
            {
                Feature.TOOLS: "messages[0].content[0]",
                Feature.TOOL_MEDIA: "messages[0].content[0].content[1]",
                Feature.IMAGE_DATA: "messages[0].content[0].content[1]",
                Feature.CACHE_CONTROL: "messages[0].content[0].cache_control",
            },
        ),
    ],
)
def test_blocks(role: str, found: dict[str, object], part: Part, uses: dict[Feature, str]) -> None:
    """A block is a part, and names the features that it needs."""
    conversation = read_block(found, role)
    assert conversation.turns[0].parts == (part,)
    assert conversation.uses == uses | {Feature.MAX_TOKENS: "max_tokens"}
    assert conversation.others == ()


@pytest.mark.parametrize(
    ("found", "other"),
    [
        (block("image", source=block("file", file_id="f")), "messages[0].content[0].source"),
        (block("document", source=block("file", file_id="f")), "messages[0].content[0].source"),
        (
            block("document", source=block("content", content=[block("text", text="x")])),
            "messages[0].content[0].source",
        ),
        (block("document", source=PDF, context="of 1999"), "messages[0].content[0].context"),
        (
            block("image", source=PNG, transformations={"oversized_image": "error"}),
            "messages[0].content[0].transformations",
        ),
        (block("search_result", source="x", title="x", content=[]), "messages[0].content[0]"),
        (block("server_tool_use", id="x", name="web_search", input={}), "messages[0].content[0]"),
        (block("web_search_tool_result", tool_use_id="x", content=[]), "messages[0].content[0]"),
        (block("container_upload", file_id="x"), "messages[0].content[0]"),
        (block("of_tomorrow"), "messages[0].content[0]"),
        (
            block("tool_use", id="t", name="f", input={}, caller=block("code_execution_20250825")),
            "messages[0].content[0].caller",
        ),
        (
            block("tool_result", tool_use_id="t", content=[block("tool_reference", tool_name="f")]),
            "messages[0].content[0].content[0]",
        ),
    ],
)
def test_blocks_that_have_no_neutral_form(found: dict[str, object], other: str) -> None:
    """What only Anthropic can do, or keeps, is named."""
    assert read_block(found).others == (other,)


@pytest.mark.parametrize(
    ("found", "param"),
    [
        (block("text", text=1), "messages[0].content[0].text"),
        (block("image"), "messages[0].content[0].source"),
        (block("image", source={}), "messages[0].content[0].source.type"),
        (block("image", source=block("base64")), "messages[0].content[0].source.media_type"),
        (block("image", source=block("url")), "messages[0].content[0].source.url"),
        (block("image", source=PNG, cache_control=1), "messages[0].content[0].cache_control"),
        (block("document", source=block("text", data="\ud800")), "messages[0].content[0].source"),
        (block("thinking", signature="x"), "messages[0].content[0].thinking"),
        (block("redacted_thinking"), "messages[0].content[0].data"),
        (block("tool_use", name="f", input={}), "messages[0].content[0].id"),
        (block("tool_use", id="t", name="", input={}), "messages[0].content[0].name"),
        (block("tool_use", id="t", name="f", input="{}"), "messages[0].content[0].input"),
        (block("tool_use", id="t", name="f"), "messages[0].content[0].input"),
        (block("tool_result"), "messages[0].content[0].tool_use_id"),
        (block("tool_result", content={}), "messages[0].content[0].content"),
        (block("tool_result", is_error="yes"), "messages[0].content[0].is_error"),
    ],
)
def test_blocks_that_are_wrong(found: dict[str, object], param: str) -> None:
    """A block that cannot be read is refused by its path, whichever step finds it."""
    with pytest.raises(BadRequest) as refusal:
        read_block(found)
    assert refusal.value.param == param


def test_turns() -> None:
    """The system prompt is the first turn; one in its place is where it was; empty text is none."""
    messages = [
        {"role": "user", "content": "a"},
        {"role": "system", "content": [block("text", text="b"), block("text", text="")]},
        {"role": "assistant", "content": ""},
        {"role": "user", "content": [block("text", text="c")]},
    ]
    found = read(system=[block("text", text="s", **CACHE)], messages=messages)
    assert found.turns == (
        Turn("system", (Text("s", cache=EPHEMERAL),)),
        Turn("user", (Text("a"),)),
        Turn("system", (Text("b"),)),
        Turn("assistant", ()),
        Turn("user", (Text("c"),)),
    )
    assert found.uses[Feature.SYSTEM] == "system"
    assert found.uses[Feature.DEVELOPER] == "messages[1]"
    assert found.uses[Feature.CACHE_CONTROL] == "system[0].cache_control"


def test_system_messages_at_the_start_are_the_system_prompt() -> None:
    """Before anybody else speaks, a system message is in no place of its own."""
    found = read(messages=[{"role": "system", "content": "s"}, *HELLO])
    assert found.uses == {Feature.SYSTEM: "messages[0]", Feature.MAX_TOKENS: "max_tokens"}


def test_a_system_prompt_is_text() -> None:
    """Anything else in it has no neutral form."""
    assert read(system=[block("image", source=PNG)]).others == ("system",)


def test_the_beginning_of_an_answer() -> None:
    """An assistant's message at the end is to be continued."""
    found = read(messages=[*HELLO, {"role": "assistant", "content": "The"}])
    assert found.uses[Feature.PREFILL] == "messages[1]"
    assert Feature.PREFILL not in read().uses


def test_a_marker_for_the_whole_request() -> None:
    """`cache_control` of the request marks the last block that can have a marker."""
    thinking = block("thinking", thinking="x", signature="y")
    messages = [*HELLO, {"role": "assistant", "content": [block("text", text="a"), thinking]}]
    found = read(messages=messages, **CACHE)
    assert found.turns[1].parts[0] == Text("a", cache=EPHEMERAL)
    assert found.uses[Feature.CACHE_CONTROL] == "cache_control"


def test_a_call_gets_its_signature_back() -> None:
    """The signature of another provider's tool call, kept in a block of its own, is the call's."""
    kept = block("redacted_thinking", data='tiergate.gemini.{"signature": "sig", "call": "t1"}')
    calls = [block("tool_use", id=id_, name="f", input={}) for id_ in ("t0", "t1")]
    found = read(messages=[{"role": "assistant", "content": [calls[0], kept, calls[1]]}, *HELLO])
    assert found.turns[0].parts == (
        ToolCall("t0", "f", "{}"),
        ToolCall("t1", "f", "{}", signature="sig", origin="gemini"),
    )


# --- In full: members ----------------------------------------------------------

TOOL = {"name": "f", "description": "d", "input_schema": {"type": "object"}}


@pytest.mark.parametrize(
    ("members", "expected", "uses"),
    [
        ({}, {"max_tokens": 9}, {Feature.MAX_TOKENS: "max_tokens"}),
        ({"max_tokens": 0}, {"max_tokens": None}, {}),
        ({"stream": True}, {"is_stream": True}, {}),
        ({"temperature": 0.5}, {"temperature": 0.5}, {Feature.TEMPERATURE: "temperature"}),
        ({"temperature": None, "tools": [], "stop_sequences": []}, {"temperature": None}, {}),
        ({"top_p": 1}, {"top_p": 1}, {Feature.TOP_P: "top_p"}),
        ({"top_k": 5}, {"top_k": 5}, {Feature.TOP_K: "top_k"}),
        ({"stop_sequences": ["a"]}, {"stop": ("a",)}, {Feature.STOP: "stop_sequences"}),
        ({"metadata": {"user_id": "u"}}, {"user": "u"}, {Feature.USER: "metadata.user_id"}),
        (
            {"tools": [TOOL]},
            {"tools": (Tool("f", "d", {"type": "object"}),)},
            {Feature.TOOLS: "tools"},
        ),
        (
            {
                "tools": [
                    {
                        "type": "custom",
                        "name": "f",
                        "strict": True,
                        "allowed_callers": ["direct"],
                        "eager_input_streaming": True,
                        **CACHE,
                    }
                ]
            },
            {"tools": (Tool("f", is_strict=True, cache=EPHEMERAL),)},
            {
                Feature.TOOLS: "tools",
                Feature.STRICT_TOOLS: "tools[0].strict",
                Feature.CACHE_CONTROL: "tools[0].cache_control",
            },
        ),
        (
            {"tool_choice": {"type": "auto", "disable_parallel_tool_use": False}},
            {"tool_choice": ToolChoice("auto"), "one_tool_at_most": False},
            {},
        ),
        (
            {"tool_choice": {"type": "any", "disable_parallel_tool_use": True}},
            {"tool_choice": ToolChoice("required"), "one_tool_at_most": True},
            {
                Feature.TOOL_CHOICE: "tool_choice",
                Feature.ONE_TOOL: "tool_choice.disable_parallel_tool_use",
            },
        ),
        (
            {"tool_choice": {"type": "tool", "name": "f"}},
            {"tool_choice": ToolChoice("required", ("f",))},
            {Feature.TOOL_CHOICE: "tool_choice"},
        ),
        (
            {"tool_choice": {"type": "none"}},
            {"tool_choice": ToolChoice("none")},
            {Feature.TOOL_CHOICE: "tool_choice"},
        ),
        (
            {"output_config": {"format": {"type": "json_schema", "schema": {"a": 1}}}},
            {"output": Output({"a": 1})},
            {Feature.JSON_SCHEMA: "output_config.format"},
        ),
        (
            {"output_format": {"type": "json_schema", "schema": {"a": 1}}},
            {"output": Output({"a": 1})},
            {Feature.JSON_SCHEMA: "output_format"},
        ),
        (
            {"output_config": {"effort": "max"}},
            {"thinking": Thinking(effort="max")},
            {Feature.EFFORT: "output_config.effort"},
        ),
        (
            {"thinking": {"type": "enabled", "budget_tokens": 2048, "display": "omitted"}},
            {"thinking": Thinking(is_on=True, budget=2048, shows=False)},
            {Feature.BUDGET: "thinking.budget_tokens"},
        ),
        (
            {
                "thinking": {"type": "adaptive", "display": "summarized"},
                "output_config": {"effort": "low"},
            },
            {"thinking": Thinking(is_on=True, effort="low", shows=True)},
            {Feature.EFFORT: "output_config.effort"},
        ),
        (
            {"thinking": {"type": "disabled"}},
            {"thinking": Thinking(is_on=False)},
            {Feature.EFFORT: "thinking"},
        ),
        ({"service_tier": "standard_only", "speed": "standard"}, {}, {}),
    ],
)
def test_members(
    members: dict[str, object], expected: dict[str, object], uses: dict[Feature, str]
) -> None:
    """A member is read under its neutral name, and named by the client's."""
    found = read(**members)
    assert {name: getattr(found, name) for name in expected} == expected
    given = uses if members.get("max_tokens") == 0 else {Feature.MAX_TOKENS: "max_tokens"} | uses
    assert found.uses == given


@pytest.mark.parametrize(
    ("members", "other"),
    [
        ({"max_tokens": 0}, "max_tokens"),
        ({"container": "c"}, "container"),
        ({"mcp_servers": [{}]}, "mcp_servers"),
        ({"context_management": {}}, "context_management"),
        ({"inference_geo": "eu"}, "inference_geo"),
        ({"speed": "fast"}, "speed"),
        ({"of_tomorrow": 1}, "of_tomorrow"),
        ({"metadata": {"x": 1}}, "metadata.x"),
        ({"tools": [{"type": "web_search_20250305", "name": "web_search"}]}, "tools[0]"),
        ({"tools": [{"type": "bash_20250124", "name": "bash"}]}, "tools[0]"),
        ({"tools": [{"name": "f", "input_examples": [{}]}]}, "tools[0].input_examples"),
        ({"tools": [{"name": "f", "defer_loading": True}]}, "tools[0].defer_loading"),
        ({"tool_choice": {"type": "auto", "x": 1}}, "tool_choice.x"),
        ({"output_config": {"task_budget": 1}}, "output_config.task_budget"),
        ({"output_config": {"format": {"type": "regex"}}}, "output_config.format"),
        ({"thinking": {"type": "between_tools"}}, "thinking.type"),
        ({"thinking": {"type": "adaptive", "display": "full"}}, "thinking.display"),
        ({"messages": [{"role": "user", "content": "x", "name": "Al"}]}, "messages[0].name"),
    ],
)
def test_members_that_have_no_neutral_form(members: dict[str, object], other: str) -> None:
    """Nothing that a client says is passed over in silence."""
    assert read(**members).others == (other,)


@pytest.mark.parametrize(
    ("members", "may_be_left_out"),
    [
        ({"container": "c"}, False),
        ({"mcp_servers": [{}]}, False),
        ({"inference_geo": "eu"}, False),
        ({"messages": [{"role": "user", "content": [ABOUT_PDF]}]}, False),
        ({"context_management": {}}, True),
        ({"of_tomorrow": 1}, True),
        ({"tools": [{"name": "f", "input_examples": [{}]}]}, True),
    ],
)
def test_what_may_be_left_out(members: dict[str, object], may_be_left_out: bool) -> None:  # noqa: FBT001
    """What is said, what the model may use and where it runs is never left out."""
    found = read(**members)
    assert bool(found.extras) is may_be_left_out


@pytest.mark.parametrize(
    ("members", "param"),
    [
        ({"stop_sequences": [1]}, "stop_sequences[0]"),
        ({"metadata": {"user_id": 1}}, "metadata.user_id"),
        ({"tools": [1]}, "tools[0]"),
        ({"tools": [{}]}, "tools[0].name"),
        ({"tools": [{"name": "f", "input_schema": "x"}]}, "tools[0].input_schema"),
        ({"tool_choice": {}}, "tool_choice.type"),
        ({"tool_choice": {"type": "required"}}, "tool_choice.type"),
        ({"tool_choice": {"type": "tool"}}, "tool_choice.name"),
        ({"output_config": {"format": {"type": "json_schema"}}}, "output_config.format.schema"),
        ({"thinking": {}}, "thinking.type"),
        ({"thinking": {"type": "enabled"}}, "thinking.budget_tokens"),
    ],
)
def test_members_that_are_wrong(members: dict[str, object], param: str) -> None:
    """A member that cannot be read is refused by its path."""
    with pytest.raises(BadRequest) as refusal:
        read(**members)
    assert refusal.value.param == param


CLOSED: dict[str, Any] = {
    "type": "object",
    "properties": {"a": {"type": ["string", "null"], "enum": ["b", None]}},
    "required": ["a"],
    "additionalProperties": False,
}
OPEN: dict[str, Any] = {**CLOSED, "additionalProperties": True}
PARTLY: dict[str, Any] = {**CLOSED, "required": []}


def _with(member: object) -> dict[str, Any]:
    return {**CLOSED, "properties": {"a": member}}


@pytest.mark.parametrize(
    ("schema", "fits"),
    [
        (CLOSED, True),
        ({**CLOSED, "$defs": {"d": CLOSED}, "title": "T"}, True),
        (_with({"type": "array", "items": CLOSED}), True),
        (_with({"anyOf": [CLOSED, {"type": "null"}]}), True),
        (_with({"type": "string", "format": "uuid"}), True),
        (_with({"$ref": "#/$defs/d"}), True),
        (OPEN, False),
        (PARTLY, False),
        ({**CLOSED, "$defs": {"d": PARTLY}}, False),
        (_with({"type": "array", "items": PARTLY}), False),
        (_with({"anyOf": [OPEN, {"type": "null"}]}), False),
        (_with({"type": "string", "format": "uri"}), False),
        (_with({"type": "string", "default": "b"}), False),
        (_with({"allOf": [CLOSED]}), False),
        (_with([]), False),
        (_with({"format": []}), False),
        ({"anyOf": [CLOSED]}, False),
        ({"type": "array", "items": CLOSED}, False),
        ({**CLOSED, "properties": []}, False),
        ({}, False),
    ],
)
def test_a_schema_fits_strict_mode(schema: dict[str, Any], fits: bool) -> None:  # noqa: FBT001
    """OpenAI's strict mode takes closed objects all of whose members are required, made of words
    that it knows."""
    assert fits_strict_mode(schema) is fits


def test_a_schema_nested_too_deep_for_strict_mode() -> None:
    """What is deeper than its limit is not asked for strictly."""
    schema: dict[str, Any] = CLOSED
    for _ in range(12):
        schema = _with(schema)
    assert not fits_strict_mode(schema)


@pytest.mark.parametrize(
    "thread", [{"type": "create"}, {"type": "continue", "previous_message_id": "msg_1"}]
)
def test_a_thread_stays_with_its_provider(thread: dict[str, object]) -> None:
    """A thread is kept at one provider, and never left out: all that was said is in it."""
    assert DIALECT.find_kept(parsed(thread=thread)) == "thread"
    assert DIALECT.find_kept(parsed(thread=None)) is None
    found = read(thread=thread)
    assert (found.others, found.extras) == (("thread",), frozenset())
