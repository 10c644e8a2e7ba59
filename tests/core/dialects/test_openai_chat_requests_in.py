"""OpenAI Chat Completions, a client's request in full: what it is, what it needs, what is refused.

Facts: https://platform.openai.com/docs/api-reference/chat/create.
"""

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
from gateway.core.dialects.openai_chat import DIALECT
from gateway.core.errors import BadRequest
from gateway.core.features import Feature
from tests.core.samples import chat

ORIGIN = "openai-chat"
FUNCTION = {"name": "f", "description": "does", "parameters": {"type": "object"}}
TOOLS = [{"type": "function", "function": FUNCTION}]
TOOL = Tool("f", "does", {"type": "object"})
PNG = "data:image/png;base64,AAAA"


def conversation(*messages: object, **members: object) -> Conversation:
    asked = list(messages) or [{"role": "user", "content": "hi"}]
    return DIALECT.read_conversation(chat(messages=asked, **members))


def test_the_turns_of_a_conversation() -> None:
    """Each message is a turn; results in a row are one turn of the user's."""
    found = conversation(
        {"role": "system", "content": "be brief"},
        {"role": "user", "content": "look", "name": "ann"},
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [
                {"id": "a", "type": "function", "function": {"name": "f", "arguments": "{}"}},
                {"id": "b", "type": "function", "function": {"name": "g", "arguments": ""}},
            ],
        },
        {"role": "tool", "tool_call_id": "a", "content": "1"},
        {"role": "tool", "tool_call_id": "b", "content": [{"type": "text", "text": "2"}]},
        {"role": "user", "content": "and?"},
    )
    assert found.turns == (
        Turn("system", (Text("be brief"),)),
        Turn("user", (Text("look"),), "ann"),
        Turn("assistant", (ToolCall("a", "f", "{}"), ToolCall("b", "g", ""))),
        Turn("user", (ToolResult("a", (Text("1"),)), ToolResult("b", (Text("2"),)))),
        Turn("user", (Text("and?"),)),
    )
    assert found.uses == {
        Feature.SYSTEM: "messages[0]",
        Feature.NAMES: "messages[1].name",
        Feature.TOOLS: "messages[2].tool_calls",
    }
    assert found.others == ()


@pytest.mark.parametrize(
    ("part", "expected", "feature"),
    [
        ({"type": "text", "text": "a"}, Text("a"), None),
        (
            {"type": "text", "text": "a", "cache_control": {"type": "ephemeral"}},
            Text("a", cache={"type": "ephemeral"}),
            Feature.CACHE_CONTROL,
        ),
        (
            {"type": "text", "text": "a", "prompt_cache_breakpoint": {"mode": "explicit"}},
            Text("a", cache={"type": "ephemeral"}),
            Feature.CACHE_CONTROL,
        ),
        (
            {"type": "image_url", "image_url": {"url": "https://a.test/a.png", "detail": "low"}},
            Image(Media(url="https://a.test/a.png"), "low"),
            Feature.IMAGE_URL,
        ),
        (
            {"type": "image_url", "image_url": "https://a.test/a.png"},
            Image(Media(url="https://a.test/a.png")),
            Feature.IMAGE_URL,
        ),
        (
            {"type": "image_url", "image_url": {"url": PNG}},
            Image(Media("image/png", "AAAA")),
            Feature.IMAGE_DATA,
        ),
        (
            {"type": "image_url", "image_url": {"url": "DATA:image/png;x=y;base64,AAAA"}},
            Image(Media("image/png", "AAAA")),
            Feature.IMAGE_DATA,
        ),
        (
            {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "mp3"}},
            Audio(Media("audio/mpeg", "AAAA")),
            Feature.AUDIO,
        ),
        (
            {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}},
            Audio(Media("audio/wav", "AAAA")),
            Feature.AUDIO,
        ),
        (
            {
                "type": "file",
                "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,AAAA"},
            },
            File(Media("application/pdf", "AAAA", name="a.pdf")),
            Feature.FILE_DATA,
        ),
        (
            {"type": "file", "file": {"filename": "a.pdf", "file_data": "AAAA"}},
            File(Media("application/pdf", "AAAA", name="a.pdf")),
            Feature.FILE_DATA,
        ),
        (
            {"type": "file", "file": {"file_data": "https://a.test/a.pdf"}},
            File(Media(url="https://a.test/a.pdf")),
            Feature.FILE_URL,
        ),
    ],
)
def test_parts(part: dict[str, object], expected: Part, feature: Feature | None) -> None:
    """Each kind of part is read, and its feature named by the part's place."""
    found = conversation({"role": "user", "content": [{"type": "text", "text": "x"}, part]})
    assert found.turns[0].parts[1] == expected
    assert list(found.uses) == [feature] * (feature is not None)
    assert all(path.startswith("messages[0].content[1]") for path in found.uses.values())


@pytest.mark.parametrize(
    ("part", "other"),
    [
        ({"type": "file", "file": {"file_id": "file-1"}}, "messages[0].content[0].file.file_id"),
        ({"type": "video_url", "video_url": {}}, "messages[0].content[0]"),
        ({"type": "text", "text": "a", "tone": "low"}, "messages[0].content[0].tone"),
        (
            {
                "type": "text",
                "text": "a",
                "prompt_cache_breakpoint": {"mode": "explicit", "ttl": "12h"},
            },
            "messages[0].content[0].prompt_cache_breakpoint.ttl",
        ),
    ],
)
def test_parts_without_a_neutral_form(part: object, other: str) -> None:
    """What lies at one provider, or is not known, is listed by its place."""
    assert conversation({"role": "user", "content": [part]}).others == (other,)


MEMBERS: list[tuple[dict[str, object], dict[str, object], Feature | None, str]] = [
    ({"temperature": 0}, {"temperature": 0}, Feature.TEMPERATURE, "temperature"),
    ({"top_p": 0.5}, {"top_p": 0.5}, Feature.TOP_P, "top_p"),
    ({"top_k": 4}, {"top_k": 4}, Feature.TOP_K, "top_k"),
    ({"seed": 7}, {"seed": 7}, Feature.SEED, "seed"),
    ({"presence_penalty": 1}, {"presence_penalty": 1}, Feature.PENALTIES, "presence_penalty"),
    ({"frequency_penalty": 0}, {"frequency_penalty": 0}, None, ""),
    ({"max_tokens": 9}, {"max_tokens": 9}, Feature.MAX_TOKENS, "max_tokens"),
    (
        {"max_tokens": 9, "max_completion_tokens": 8},
        {"max_tokens": 8},
        Feature.MAX_TOKENS,
        "max_completion_tokens",
    ),
    ({"stop": "a"}, {"stop": ("a",)}, Feature.STOP, "stop"),
    ({"stop": ["a", "b"]}, {"stop": ("a", "b")}, Feature.STOP, "stop"),
    ({"stop": []}, {}, None, ""),
    ({"n": 1}, {}, None, ""),
    ({"n": 2}, {"answers": 2}, Feature.N, "n"),
    ({"logprobs": False}, {}, None, ""),
    ({"logprobs": True}, {"logprobs": 0}, Feature.LOGPROBS, "logprobs"),
    ({"logprobs": True, "top_logprobs": 3}, {"logprobs": 3}, Feature.LOGPROBS, "logprobs"),
    ({"user": "u"}, {"user": "u"}, Feature.USER, "user"),
    ({"safety_identifier": "s", "user": "u"}, {"user": "s"}, Feature.USER, "safety_identifier"),
    ({"metadata": {}}, {}, None, ""),
    ({"metadata": {"a": "b"}}, {"metadata": {"a": "b"}}, Feature.METADATA, "metadata"),
    ({"stream": True}, {"is_stream": True}, None, ""),
    (
        {"reasoning_effort": "low"},
        {"thinking": Thinking(effort="low")},
        Feature.EFFORT,
        "reasoning_effort",
    ),
    (
        {"reasoning_effort": "none"},
        {"thinking": Thinking(is_on=False)},
        Feature.EFFORT,
        "reasoning_effort",
    ),
    (
        {"reasoning": {"effort": "high", "exclude": True}},
        {"thinking": Thinking(effort="high", shows=False)},
        Feature.EFFORT,
        "reasoning.effort",
    ),
    (
        {"reasoning": {"enabled": True}},
        {"thinking": Thinking(is_on=True)},
        Feature.EFFORT,
        "reasoning.enabled",
    ),
    (
        {"reasoning": {"max_tokens": 99}},
        {"thinking": Thinking(budget=99)},
        Feature.BUDGET,
        "reasoning.max_tokens",
    ),
    ({"reasoning": {}}, {}, None, ""),
    ({"response_format": {"type": "text"}}, {}, None, ""),
    (
        {"response_format": {"type": "json_object"}},
        {"output": Output()},
        Feature.JSON_MODE,
        "response_format",
    ),
    (
        {
            "response_format": {
                "type": "json_schema",
                "json_schema": {"name": "a", "schema": {}, "strict": True, "description": "d"},
            }
        },
        {"output": Output({}, "a", "d", is_strict=True)},
        Feature.JSON_SCHEMA,
        "response_format",
    ),
    ({"tools": TOOLS}, {"tools": (TOOL,)}, Feature.TOOLS, "tools"),
    ({"tools": []}, {}, None, ""),
    ({"tool_choice": "auto"}, {}, None, ""),
    ({"tool_choice": "none"}, {}, None, ""),
    ({"parallel_tool_calls": True}, {"one_tool_at_most": False}, None, ""),
    ({"parallel_tool_calls": False}, {"one_tool_at_most": True}, None, ""),  # none to call
]


def test_one_tool_at_most() -> None:
    """One call at most is asked for where there is something to call."""
    found = conversation(tools=TOOLS, parallel_tool_calls=False)
    assert found.one_tool_at_most is True
    assert found.uses == {Feature.TOOLS: "tools", Feature.ONE_TOOL: "parallel_tool_calls"}


@pytest.mark.parametrize(("members", "expected", "feature", "path"), MEMBERS)
def test_members(
    members: dict[str, object], expected: dict[str, Any], feature: Feature | None, path: str
) -> None:
    """Each member is read, and named where it asks for something."""
    assert conversation(**members) == Conversation(
        turns=(Turn("user", (Text("hi"),)),),
        uses={feature: path} if feature else {},
        **expected,
    )


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        ("auto", ToolChoice("auto")),
        ("none", ToolChoice("none")),
        ("required", ToolChoice("required")),
        ("any", ToolChoice("required")),
        ({"type": "function", "function": {"name": "f"}}, ToolChoice("required", ("f",))),
        (
            {
                "type": "allowed_tools",
                "allowed_tools": {
                    "mode": "auto",
                    "tools": [{"type": "function", "function": {"name": "f"}}],
                },
            },
            ToolChoice("auto", ("f",)),
        ),
        ({"type": "custom", "custom": {"name": "x"}}, None),
        (
            {
                "type": "allowed_tools",
                "allowed_tools": {"mode": "auto", "tools": [{"type": "custom"}]},
            },
            None,
        ),
    ],
)
def test_tool_choice(choice: object, expected: ToolChoice | None) -> None:
    """All but `auto` are a use; what names tools of another kind has no neutral form."""
    found = conversation(tools=TOOLS, tool_choice=choice)
    assert found.tool_choice == expected
    assert found.others == (() if expected else ("tool_choice",))
    assert (Feature.TOOL_CHOICE in found.uses) is (expected not in {None, ToolChoice("auto")})


def test_tools() -> None:
    """Strict tools are named by their place; a custom one has no neutral form."""
    custom = {"type": "custom", "custom": {"name": "x"}}
    strict = {"type": "function", "function": {"name": "g", "strict": True}}
    marked = {**TOOLS[0], "cache_control": {"type": "ephemeral"}}
    found = conversation(tools=[custom, strict, marked])
    assert found.tools == (
        Tool("g", is_strict=True),
        Tool("f", "does", {"type": "object"}, cache={"type": "ephemeral"}),
    )
    assert found.others == ("tools[0]",)
    assert found.uses == {
        Feature.STRICT_TOOLS: "tools[1].function.strict",
        Feature.CACHE_CONTROL: "tools[2].cache_control",
        Feature.TOOLS: "tools",
    }


def test_legacy_functions() -> None:
    """`functions` are tools of which one is called at most; calls get ids, and their results find
    them by the function's name."""
    found = conversation(
        {"role": "user", "content": "hi"},
        {"role": "assistant", "content": None, "function_call": {"name": "f", "arguments": "{}"}},
        {"role": "function", "name": "f", "content": "1"},
        functions=[FUNCTION],
        function_call={"name": "f"},
    )
    assert found.tools == (TOOL,)
    assert found.tool_choice == ToolChoice("required", ("f",))
    assert found.one_tool_at_most is True
    assert found.turns[1:] == (
        Turn("assistant", (ToolCall("call_2_0", "f", "{}"),)),
        Turn("user", (ToolResult("call_2_0", (Text("1"),), name="f"),)),
    )
    assert found.uses[Feature.TOOLS] == "messages[1].function_call"
    assert found.uses[Feature.TOOL_CHOICE] == "function_call"
    assert found.others == ()


@pytest.mark.parametrize(
    ("message", "parts"),
    [
        (
            {"reasoning_content": "hm", "content": "a"},
            (Reasoning("hm", "reasoning_content", origin=ORIGIN), Text("a")),
        ),
        (
            {"reasoning": "hm", "content": "a", "refusal": "no"},
            (Reasoning("hm", "reasoning", origin=ORIGIN), Text("a"), Refusal("no")),
        ),
        (
            {
                "content": [
                    {"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]},
                    {"type": "text", "text": "a"},
                    {"type": "refusal", "refusal": "no"},
                ]
            },
            (Reasoning("hm", "thinking", origin=ORIGIN), Text("a"), Refusal("no")),
        ),
        (
            {
                "content": "a",
                "reasoning": "hm",
                "reasoning_details": [
                    {
                        "type": "reasoning.text",
                        "text": "hm",
                        "signature": "S",
                        "format": "anthropic-claude-v1",
                        "index": 0,
                    },
                    {"type": "reasoning.encrypted", "data": "D", "id": "rs_1", "format": None},
                    {"type": "reasoning.summary", "summary": "s", "id": "rs_1"},
                    {"type": "reasoning.server_tool_call"},
                ],
            },
            (
                Reasoning("hm", "text|anthropic-claude-v1|S", origin=ORIGIN),
                Reasoning("", None, "|D", "rs_1", ORIGIN),
                Reasoning("s", "summary||", None, "rs_1", ORIGIN),
                Text("a"),
            ),
        ),
        (  # what the gateway itself wrote for a client, of Anthropic's answer
            {
                "content": "a",
                "reasoning_content": "hm",
                "reasoning_details": [
                    {"type": "reasoning.text", "signature": "tiergate.anthropic-messages.S"},
                    {"type": "reasoning.encrypted", "data": "tiergate.anthropic-messages.D"},
                ],
            },
            (
                Reasoning("hm", "S", origin="anthropic-messages"),
                Reasoning("", None, "D", origin="anthropic-messages"),
                Text("a"),
            ),
        ),
        (
            {
                "tool_calls": [
                    {
                        "id": "a",
                        "function": {"name": "f", "arguments": "{}"},
                        "extra_content": {"google": {"thought_signature": "tiergate.gemini.S"}},
                    }
                ]
            },
            (ToolCall("a", "f", "{}", "S", "gemini"),),
        ),
    ],
)
def test_assistants_messages(message: dict[str, object], parts: tuple[Part, ...]) -> None:
    """Reasoning is read wherever its provider put it, and its proof with its origin."""
    found = conversation(
        {"role": "user", "content": "hi"},
        {"role": "assistant", **message},
        {"role": "user", "content": "go on"},
    )
    assert found.turns[1].parts == parts
    assert found.others == ()
    has_proof = "reasoning_details" in message
    assert (Feature.REASONING in found.uses) is has_proof


def test_an_echoed_answer_needs_nothing() -> None:
    """An answer that a client's SDK sends back with all its members is text, and no more."""
    found = conversation(
        {"role": "user", "content": "hi"},
        {
            "role": "assistant",
            "content": "a",
            "refusal": None,
            "annotations": [{"type": "url_citation", "url_citation": {}}],
            "audio": None,
            "function_call": None,
            "tool_calls": None,
            "parsed": {"a": 1},
            "prefix": False,
            "images": [],
        },
        {"role": "user", "content": "go on"},
    )
    assert found.turns[1] == Turn("assistant", (Text("a"),))
    assert (found.uses, found.others) == ({}, ())


def test_prompts_in_their_place() -> None:
    """Prompts at the start are the system prompt, whatever their role; a later one has a place."""
    found = conversation(
        {"role": "developer", "content": "a"},
        {"role": "system", "content": "b"},
        {"role": "user", "content": "hi"},
        {"role": "system", "content": "c"},
    )
    assert found.uses == {Feature.SYSTEM: "messages[0]", Feature.DEVELOPER: "messages[3]"}
    assert [turn.role for turn in found.turns] == ["developer", "system", "user", "system"]


@pytest.mark.parametrize(
    ("members", "path"), [({}, "messages[1]"), ({"prefix": True}, "messages[1].prefix")]
)
def test_prefill(members: dict[str, object], path: str) -> None:
    """An assistant's message at the end is the answer's beginning."""
    found = conversation(
        {"role": "user", "content": "hi"}, {"role": "assistant", "content": "a", **members}
    )
    assert found.uses == {Feature.PREFILL: path}


def test_media_in_results() -> None:
    """An image in a tool's result, which some providers take, is named."""
    found = conversation(
        {"role": "user", "content": "hi"},
        {
            "role": "tool",
            "tool_call_id": "a",
            "content": [{"type": "image_url", "image_url": {"url": PNG}}],
        },
    )
    assert found.uses[Feature.TOOL_MEDIA] == "messages[1].content"


OTHERS: list[tuple[str, object]] = [
    ("logit_bias", {"50256": -100}),
    ("prediction", {"type": "content", "content": "x"}),
    ("modalities", ["text", "audio"]),
    ("audio", {"voice": "alloy", "format": "wav"}),
    ("web_search_options", {}),
    ("store", True),
    ("service_tier", "flex"),
    ("verbosity", "low"),
    ("moderation", {"model": "m"}),
    ("response_format", {"type": "grammar"}),
    ("min_p", 0.1),
    ("x_unknown", False),
]


@pytest.mark.parametrize(("name", "value"), OTHERS)
def test_others(name: str, value: object) -> None:
    """What no other dialect has a word for is listed, and so is what is not known."""
    assert conversation(**{name: value}).others == (name,)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("logit_bias", {}),
        ("modalities", ["text"]),
        ("store", False),
        ("service_tier", "auto"),
        ("service_tier", "default"),
        ("verbosity", "medium"),
        ("stream_options", {"include_usage": True}),
        ("prompt_cache_key", "k"),
        ("prompt_cache_retention", "24h"),
        ("prompt_cache_options", {"mode": "explicit", "ttl": "30m"}),
        ("parallel_tool_calls", False),
        ("tool_choice", "none"),
        ("min_p", None),
    ],
)
def test_what_asks_for_nothing(name: str, value: object) -> None:
    """Defaults, and hints that change no answer, are neither a use nor listed."""
    found = conversation(**{name: value})
    assert (found.uses, found.others) == ({}, ())


@pytest.mark.parametrize(
    ("message", "param"),
    [
        ({"role": "user", "content": "a", "name": 1}, "messages[0].name"),
        ({"role": "tool", "content": "a"}, "messages[0].tool_call_id"),
        ({"role": "function", "content": "a"}, "messages[0].name"),
        ({"role": "assistant", "tool_calls": {}}, "messages[0].tool_calls"),
        ({"role": "assistant", "tool_calls": ["a"]}, "messages[0].tool_calls[0]"),
        ({"role": "assistant", "tool_calls": [{}]}, "messages[0].tool_calls[0].function"),
        (
            {"role": "assistant", "tool_calls": [{"function": {"name": "f"}}]},
            "messages[0].tool_calls[0].id",
        ),
        (
            {"role": "assistant", "tool_calls": [{"id": "a", "function": {}}]},
            "messages[0].tool_calls[0].function.name",
        ),
        ({"role": "assistant", "reasoning": 1}, "messages[0].reasoning"),
        ({"role": "assistant", "reasoning_details": [1]}, "messages[0].reasoning_details[0]"),
    ],
)
def test_malformed_messages(message: object, param: str) -> None:
    """A wrong member of a message is refused by its path."""
    with pytest.raises(BadRequest) as caught:
        conversation(message)
    assert caught.value.param == param


@pytest.mark.parametrize(
    ("part", "param"),
    [
        ({"type": "image_url"}, ".image_url"),
        ({"type": "image_url", "image_url": {}}, ".image_url.url"),
        ({"type": "image_url", "image_url": {"url": "data:image/png,AA"}}, ".image_url.url"),
        ({"type": "image_url", "image_url": {"url": "data:"}}, ".image_url.url"),
        ({"type": "input_audio", "input_audio": {"data": "A"}}, ".input_audio.format"),
        ({"type": "file", "file": {}}, ".file.file_data"),
        ({"type": "file", "file": {"file_data": 1}}, ".file.file_data"),
    ],
)
def test_malformed_parts(part: object, param: str) -> None:
    """A wrong member of a part is refused by its path."""
    with pytest.raises(BadRequest) as caught:
        conversation({"role": "user", "content": [part]})
    assert caught.value.param == f"messages[0].content[0]{param}"


@pytest.mark.parametrize(
    ("members", "param"),
    [
        ({"n": 0}, "n"),
        ({"top_logprobs": 2}, "top_logprobs"),
        ({"logprobs": 2}, "logprobs"),
        ({"stop": [1]}, "stop[0]"),
        ({"stop": [None]}, "stop[0]"),
        ({"tools": [{"type": "function"}]}, "tools[0].function"),
        ({"tools": [{"type": "function", "function": {}}]}, "tools[0].function.name"),
        ({"functions": [{}]}, "functions[0].name"),
        ({"tool_choice": "required"}, "tool_choice"),
        ({"tool_choice": "sometimes"}, "tool_choice"),
        ({"tool_choice": {"type": "function"}}, "tool_choice.function.name"),
        ({"function_call": 1}, "function_call"),
        ({"response_format": {}}, "response_format.type"),
        ({"response_format": {"type": "json_schema"}}, "response_format.json_schema"),
        ({"reasoning": "high"}, "reasoning"),
        ({"reasoning_effort": 1}, "reasoning_effort"),
        ({"parallel_tool_calls": 1}, "parallel_tool_calls"),
    ],
)
def test_malformed_members(members: dict[str, object], param: str) -> None:
    """A wrong member is refused by its path."""
    with pytest.raises(BadRequest) as caught:
        conversation(**members)
    assert caught.value.param == param


def test_the_path_may_say_model_and_stream() -> None:
    """As every dialect's, `parse_request` takes a model and a way that its path names."""
    body = b'{"messages": [{"role": "user", "content": "a"}], "model": "m"}'
    assert DIALECT.parse_request(body, None, None).model == "m"
    found = DIALECT.parse_request(body, "other", True)  # noqa: FBT003 - as Dialect
    assert (found.model, found.is_stream) == ("other", True)
