"""OpenAI Responses, a client's request in full: every member is read, harmless or listed."""

import json
from typing import Any

import pytest

from gateway.core.conversation import (
    Audio,
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
from gateway.core.dialects.openai_responses import DIALECT
from gateway.core.errors import BadRequest
from gateway.core.features import Feature

USER = Turn("user", (Text("hi"),))
SIGNED = 'tiergate.gemini.{"signature": "sig", "call": "c"}'
CALL = {"type": "function_call", "call_id": "c", "name": "f", "arguments": '{"a": 1}'}


def read(**members: object) -> Conversation:
    body = json.dumps({"input": "hi", **members}).encode()
    return DIALECT.read_conversation(DIALECT.parse_request(body, None, None))


def test_nothing_but_a_question() -> None:
    """A plain question uses no feature, and says nothing that the client did not."""
    assert read() == Conversation((USER,))


MEMBERS: list[tuple[dict[str, object], dict[str, object], dict[Feature, str]]] = [
    ({"max_output_tokens": 20}, {"max_tokens": 20}, {Feature.MAX_TOKENS: "max_output_tokens"}),
    ({"temperature": 0.5}, {"temperature": 0.5}, {Feature.TEMPERATURE: "temperature"}),
    ({"top_p": 1}, {"top_p": 1}, {Feature.TOP_P: "top_p"}),
    ({"metadata": {"a": "b"}}, {"metadata": {"a": "b"}}, {Feature.METADATA: "metadata"}),
    ({"metadata": {}}, {}, {}),
    ({"user": "u"}, {"user": "u"}, {Feature.USER: "user"}),
    (
        {"user": "u", "safety_identifier": "s"},
        {"user": "s"},
        {Feature.USER: "safety_identifier"},
    ),
    ({"stream": True}, {"is_stream": True}, {}),
    (
        {"parallel_tool_calls": False, "tools": [{"type": "function", "name": "f"}]},
        {"one_tool_at_most": True, "tools": (Tool("f"),)},
        {Feature.ONE_TOOL: "parallel_tool_calls", Feature.TOOLS: "tools"},
    ),
    ({"parallel_tool_calls": False, "tools": []}, {"one_tool_at_most": True}, {}),
    ({"parallel_tool_calls": True}, {"one_tool_at_most": False}, {}),
    ({"top_logprobs": 3}, {"logprobs": 3}, {Feature.LOGPROBS: "top_logprobs"}),
    ({"top_logprobs": 0}, {}, {}),
    (
        {"include": ["reasoning.encrypted_content", "message.output_text.logprobs"]},
        {"logprobs": 0},
        {Feature.LOGPROBS: "include[1]"},
    ),
    (
        {"include": ["message.output_text.logprobs"], "top_logprobs": 2},
        {"logprobs": 2},
        {Feature.LOGPROBS: "include[0]"},
    ),
    ({"text": {"format": {"type": "text"}, "verbosity": "medium"}}, {}, {}),
    ({"text": {"format": None}}, {}, {}),
    (
        {"text": {"format": {"type": "json_object"}}},
        {"output": Output()},
        {Feature.JSON_MODE: "text.format"},
    ),
    (
        {
            "text": {
                "format": {
                    "type": "json_schema",
                    "name": "n",
                    "description": "d",
                    "schema": {"type": "object"},
                    "strict": True,
                }
            }
        },
        {"output": Output({"type": "object"}, "n", "d", is_strict=True)},
        {Feature.JSON_SCHEMA: "text.format"},
    ),
    (
        {"reasoning": {"effort": "high", "summary": "detailed"}},
        {"thinking": Thinking(effort="high", shows=True)},
        {Feature.EFFORT: "reasoning.effort"},
    ),
    (
        {"reasoning": {"effort": "none"}},
        {"thinking": Thinking(is_on=False)},
        {Feature.EFFORT: "reasoning.effort"},
    ),
    ({"reasoning": {"generate_summary": "auto"}}, {"thinking": Thinking(shows=True)}, {}),
    ({"reasoning": {"effort": None, "mode": "standard", "context": "auto"}}, {}, {}),
    ({"tool_choice": "auto"}, {"tool_choice": ToolChoice("auto")}, {}),
    (
        {"tool_choice": "required"},
        {"tool_choice": ToolChoice("required")},
        {Feature.TOOL_CHOICE: "tool_choice"},
    ),
    (
        {"tool_choice": {"type": "function", "name": "f"}},
        {"tool_choice": ToolChoice("required", ("f",))},
        {Feature.TOOL_CHOICE: "tool_choice"},
    ),
    (
        {
            "tool_choice": {
                "type": "allowed_tools",
                "mode": "auto",
                "tools": [{"type": "function", "name": "f"}, {"type": "function", "name": "g"}],
            }
        },
        {"tool_choice": ToolChoice("auto", ("f", "g"))},
        {Feature.TOOL_CHOICE: "tool_choice"},
    ),
    (
        {
            "tools": [
                {"type": "function", "name": "f", "parameters": None, "strict": None},
                {
                    "type": "function",
                    "name": "g",
                    "description": "d",
                    "parameters": {"type": "object"},
                    "strict": True,
                },
            ]
        },
        {"tools": (Tool("f"), Tool("g", "d", {"type": "object"}, is_strict=True))},
        {Feature.TOOLS: "tools", Feature.STRICT_TOOLS: "tools[1].strict"},
    ),
    (
        {"instructions": "be brief"},
        {"turns": (Turn("system", (Text("be brief"),)), USER)},
        {Feature.SYSTEM: "instructions"},
    ),
]  # fmt: skip


@pytest.mark.parametrize(("members", "values", "uses"), MEMBERS)
def test_members(
    members: dict[str, object], values: dict[str, Any], uses: dict[Feature, str]
) -> None:
    """Each member is read into its neutral form, and named under the feature that it uses."""
    assert read(**members) == Conversation(**{"turns": (USER,), **values}, uses=uses)


@pytest.mark.parametrize(
    "member",
    [
        {"store": False}, {"background": False}, {"truncation": "disabled"},
        {"service_tier": "auto"}, {"service_tier": "default"},
        {"stream_options": {"include_obfuscation": False}}, {"prompt_cache_key": "k"},
        {"prompt_cache_retention": "24h"}, {"max_tool_calls": 3},
        {"include": ["web_search_call.action.sources", "message.input_image.image_url"]},
        {"prompt_cache_options": {"mode": "explicit", "ttl": "12h", "prewarm": False}},
        {"previous_response_id": None}, {"something_new": None},
    ],
)  # fmt: skip
def test_harmless_members(member: dict[str, object]) -> None:
    """What changes no answer when it is left out is left out."""
    assert read(**member) == read()


OTHERS: list[tuple[dict[str, object], list[str]]] = [
    ({"store": True}, ["store"]),
    ({"background": True}, ["background"]),
    ({"previous_response_id": "resp_1"}, ["previous_response_id"]),
    ({"conversation": {"id": "c"}}, ["conversation"]),
    ({"prompt": {"id": "p"}}, ["prompt"]),
    ({"truncation": "auto"}, ["truncation"]),
    ({"service_tier": "flex"}, ["service_tier"]),
    ({"something_new": 0}, ["something_new"]),
    ({"stop": ["x"], "seed": 1}, ["stop", "seed"]),
    (
        {"prompt_cache_options": {"prewarm": True, "comparison_response_id": "resp_1"}},
        ["prompt_cache_options.prewarm", "prompt_cache_options.comparison_response_id"],
    ),
    ({"text": {"verbosity": "low"}}, ["text.verbosity"]),
    ({"text": {"format": {"type": "grammar"}}}, ["text.format"]),
    ({"reasoning": {"context": "all_turns"}}, ["reasoning.context"]),
    ({"include": ["something.new", 1]}, ["include[0]", "include[1]"]),
    ({"tool_choice": {"type": "web_search_preview"}}, ["tool_choice"]),
    (
        {
            "tool_choice": {
                "type": "allowed_tools",
                "mode": "auto",
                "tools": [{"type": "function", "name": "f"}, {"type": "mcp", "server_label": "s"}],
            }
        },
        ["tool_choice"],
    ),
    (
        {
            "tools": [
                {"type": "web_search"},
                {"type": "file_search", "vector_store_ids": ["v"]},
                {"type": "code_interpreter", "container": {"type": "auto"}},
                {"type": "mcp", "server_label": "s"},
                {"type": "custom", "name": "c"},
            ]
        },
        [f"tools[{number}]" for number in range(5)],
    ),
    (
        {"tools": [{"type": "function", "name": "f", "defer_loading": True}]},
        ["tools[0].defer_loading"],
    ),
    (
        {
            "input": [
                {"type": "item_reference", "id": "msg_1"},
                {"id": "msg_2"},
                {"type": "web_search_call", "id": "ws_1"},
                {"type": "custom_tool_call", "call_id": "c"},
                {"role": "user", "content": "hi", "something_new": 1},
            ]
        },
        ["input[0]", "input[1]", "input[2]", "input[3]", "input[4].something_new"],
    ),
    (
        {
            "input": [
                {
                    "role": "user",
                    "content": [
                        {"type": "input_image", "file_id": "file_1", "detail": "auto"},
                        {"type": "input_file", "file_id": "file_1"},
                        {"type": "something_new"},
                        {
                            "type": "input_image",
                            "image_url": "https://x.test",
                            "detail": "original",
                        },
                        {"type": "input_file", "file_url": "https://x.test", "detail": "low"},
                        {
                            "type": "input_text",
                            "text": "x",
                            "prompt_cache_breakpoint": {"mode": "explicit", "ttl": "12h"},
                        },
                    ],
                }
            ]
        },
        [
            "input[0].content[0]",
            "input[0].content[1]",
            "input[0].content[2]",
            "input[0].content[3].detail",
            "input[0].content[4].detail",
            "input[0].content[5].prompt_cache_breakpoint.ttl",
        ],
    ),
]


@pytest.mark.parametrize(("members", "others"), OTHERS)
def test_what_only_openai_could_do(members: dict[str, object], others: list[str]) -> None:
    """What has no neutral form, or is kept at one provider, is listed by its path."""
    assert list(read(**members).others) == others


PARTS: list[tuple[dict[str, object], Part, Feature | None]] = [
    ({"type": "input_text", "text": "a"}, Text("a"), None),
    ({"type": "output_text", "text": "a", "annotations": [], "logprobs": []}, Text("a"), None),
    ({"type": "refusal", "refusal": "no"}, Refusal("no"), None),
    (
        {"type": "input_image", "image_url": "https://x.test/a.png", "detail": "low"},
        Image(Media(url="https://x.test/a.png"), "low"),
        Feature.IMAGE_URL,
    ),
    (
        {"type": "input_image", "image_url": "data:image/png;base64,AAAA", "file_id": None},
        Image(Media("image/png", "AAAA")),
        Feature.IMAGE_DATA,
    ),
    (
        {
            "type": "input_file",
            "filename": "a.pdf",
            "file_data": "data:application/pdf;base64,AAAA",
            "detail": "auto",
        },
        File(Media("application/pdf", "AAAA", name="a.pdf")),
        Feature.FILE_DATA,
    ),
    ({"type": "input_file", "file_data": "AAAA"}, File(Media(data="AAAA")), Feature.FILE_DATA),
    (
        {"type": "input_file", "filename": "a.pdf", "file_data": "AAAA"},
        File(Media("application/pdf", "AAAA", name="a.pdf")),
        Feature.FILE_DATA,
    ),
    (
        {"type": "input_image", "image_url": "data:IMAGE/JPG;base64,AAAA"},
        Image(Media("image/jpeg", "AAAA")),
        Feature.IMAGE_DATA,
    ),
    (
        {"type": "input_file", "file_url": "https://x.test/a.pdf"},
        File(Media(url="https://x.test/a.pdf")),
        Feature.FILE_URL,
    ),
    (
        {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "mp3"}},
        Audio(Media("audio/mpeg", "AAAA")),
        Feature.AUDIO,
    ),
    (
        {"type": "input_text", "text": "a", "prompt_cache_breakpoint": {"mode": "explicit"}},
        Text("a", cache={"type": "ephemeral"}),
        Feature.CACHE_CONTROL,
    ),
]


@pytest.mark.parametrize(("given", "part", "feature"), PARTS)
def test_parts(given: dict[str, object], part: Part, feature: Feature | None) -> None:
    """Each kind of content is read, and its feature named by its path."""
    found = read(input=[{"role": "user", "content": [given]}])
    assert found.turns == (Turn("user", (part,)),)
    assert set(found.uses) == ({feature} if feature else set())
    assert all(path.startswith("input[0].content[0]") for path in found.uses.values())
    assert found.others == ()


def test_turns() -> None:
    """What the model did in a row is one turn, so are results in a row; messages are their own."""
    found = read(
        input=[
            {"role": "user", "content": "a"},
            {"role": "user", "content": "b"},
            {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "gAAA"},
            {"role": "assistant", "content": "c", "phase": "commentary"},
            CALL,
            {**CALL, "call_id": "d", "id": "fc_1", "status": "completed"},
            {"type": "function_call_output", "call_id": "c", "output": "1", "status": None},
            {
                "type": "function_call_output",
                "call_id": "d",
                "output": [{"type": "input_image", "image_url": "https://x.test"}],
            },
            {"role": "user", "content": "e"},
            {"type": "function_call_output", "call_id": "g", "output": "2"},
            {"role": "developer", "content": "f"},
        ]
    )
    assert found.turns == (
        Turn("user", (Text("a"),)),
        Turn("user", (Text("b"),)),
        Turn(
            "assistant",
            (
                Reasoning("", "rs_1:gAAA", id="rs_1", origin="openai-responses"),
                Text("c"),
                ToolCall("c", "f", '{"a": 1}'),
                ToolCall("d", "f", '{"a": 1}'),
            ),
        ),
        Turn(
            "user",
            (
                ToolResult("c", (Text("1"),)),
                ToolResult("d", (Image(Media(url="https://x.test")),)),
            ),
        ),
        Turn("user", (Text("e"),)),
        Turn("user", (ToolResult("g", (Text("2"),)),)),
        Turn("developer", (Text("f"),)),
    )
    assert found.others == ()
    assert found.uses == {
        Feature.REASONING: "input[2]",
        Feature.TOOLS: "input[4]",
        Feature.IMAGE_URL: "input[7].output[0]",
        Feature.TOOL_MEDIA: "input[7].output",
        Feature.DEVELOPER: "input[10]",
    }


@pytest.mark.parametrize(
    ("item", "part"),
    [
        ({"id": "rs_1", "summary": []}, None),
        ({"id": "rs_1", "summary": [], "encrypted_content": None, "content": None}, None),
        ({"summary": [{"text": "a"}, {"text": "b"}]}, Reasoning("a\n\nb")),
        ({"id": "rs_tiergate_1_0", "summary": [{"text": "a"}]}, Reasoning("a")),
        ({"summary": [{"text": "a"}], "content": [{"text": "b"}]}, Reasoning("b")),
        (
            {"summary": [{"text": "a"}], "encrypted_content": "gAAA"},
            Reasoning("a", ":gAAA", origin="openai-responses"),
        ),
        (
            {"id": "rs_tiergate_1_0", "summary": [], "encrypted_content": "tiergate.other.sig"},
            Reasoning("", "sig", origin="other"),
        ),
        (
            {"summary": [], "encrypted_content": 'tiergate.other.{"redacted": "xyz", "id": "r"}'},
            Reasoning(redacted="xyz", id="r", origin="other"),
        ),
        (
            {"summary": [], "encrypted_content": 'tiergate.other.{"signature": "sig"}'},
            Reasoning(signature="sig", origin="other"),
        ),
    ],
)
def test_reasoning(item: dict[str, object], part: Reasoning | None) -> None:
    """Reasoning comes back with its proof and whose it is; only a proof uses a feature; an item
    that only names what a provider keeps is nothing."""
    found = read(input=[{"role": "user", "content": "hi"}, {"type": "reasoning", **item}])
    assert found.turns[1:] == ((Turn("assistant", (part,)),) if part else ())
    assert (Feature.REASONING in found.uses) == bool(item.get("encrypted_content"))


@pytest.mark.parametrize(
    ("last", "is_used"),
    [
        ({"role": "assistant", "content": "Sure:"}, True),
        (CALL, False),
        ({"type": "reasoning", "summary": [{"text": "hm"}]}, False),
        ({"role": "user", "content": "hi"}, False),
    ],
)
def test_an_assistant_s_last_word(last: dict[str, object], is_used: bool) -> None:  # noqa: FBT001
    """Input that ends in what the assistant says is not passed to those who would continue it
    without their saying so."""
    found = read(input=[{"role": "user", "content": "hi"}, last])
    assert (Feature.PREFILL in found.uses) == is_used


def test_signatures_of_calls() -> None:
    """A tool call's foreign signature is found by the call's id, wherever its item stands."""
    found = read(
        input=[
            {
                "type": "reasoning",
                "summary": [],
                "encrypted_content": SIGNED,
            },
            CALL,
            {"type": "function_call_output", "call_id": "c", "output": ""},
        ]
    )
    assert found.turns == (
        Turn("assistant", (ToolCall("c", "f", '{"a": 1}', "sig", "gemini"),)),
        Turn("user", (ToolResult("c", ()),)),
    )


@pytest.mark.parametrize(
    ("members", "param"),
    [
        ({"tools": [1]}, "tools[0]"),
        ({"tools": [{"type": "function"}]}, "tools[0].name"),
        ({"tools": [{"type": "function", "name": "f", "parameters": []}]}, "tools[0].parameters"),
        ({"tool_choice": "any"}, "tool_choice"),
        ({"tool_choice": {"type": "function"}}, "tool_choice.name"),
        ({"text": {"format": {"type": "json_schema"}}}, "text.format.schema"),
        ({"text": {"format": {}}}, "text.format.type"),
        ({"reasoning": {"effort": 1}}, "reasoning.effort"),
        ({"input": [{**CALL, "call_id": None}]}, "input[0].call_id"),
        ({"input": [{**CALL, "arguments": {}}]}, "input[0].arguments"),
        ({"input": [{"type": "reasoning", "summary": [{}]}]}, "input[0].summary[0].text"),
        (
            {"input": [{"role": "user", "content": [{"type": "input_image"}]}]},
            "input[0].content[0].image_url",
        ),
        (
            {"input": [{"role": "user", "content": [{"type": "input_file"}]}]},
            "input[0].content[0].file_data",
        ),
        (
            {"input": [{"type": "function_call_output", "output": "x"}]},
            "input[0].call_id",
        ),
    ],
)
def test_what_is_wrong(members: dict[str, object], param: str) -> None:
    """What cannot be read is refused with its path."""
    with pytest.raises(BadRequest) as caught:
        read(**members)
    assert caught.value.param == param
