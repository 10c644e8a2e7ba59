"""Gemini, the provider's side: what a conversation becomes."""

import json
from typing import Any, Literal

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
from gateway.core.dialects.gemini.requests_out import write_request
from gateway.core.errors import BadRequest
from gateway.core.features import Feature

HI = Turn("user", (Text("hi"),))
SKIP = "skip_thought_signature_validator"


def body(conversation: Conversation, model: str = "gemini-3-flash") -> Json:
    found: Json = json.loads(write_request(conversation, model).body)
    return found


def contents(*turns: Turn, model: str = "gemini-3-flash") -> Any:  # noqa: ANN401 - JSON
    return body(Conversation((HI, *turns)), model)["contents"]


def part(said: Part, model: str = "gemini-3-flash") -> Any:  # noqa: ANN401 - JSON
    return contents(Turn("assistant", (said,)), model=model)[1]["parts"][0]


def config(model: str = "gemini-3-flash", **members: Any) -> Any:  # noqa: ANN401 - JSON
    return body(Conversation((HI,), **members), model).get("generationConfig")


@pytest.mark.parametrize(
    ("model", "is_stream", "path"),
    [
        ("m", False, "/models/m:generateContent"),
        ("m", True, "/models/m:streamGenerateContent?alt=sse"),
        ("models/m", False, "/models/m:generateContent"),
        ("tunedModels/m", False, "/tunedModels/m:generateContent"),
    ],
)
def test_paths(model: str, is_stream: bool, path: str) -> None:  # noqa: FBT001
    """Model and streaming are said by the path alone."""
    request = write_request(Conversation((HI,), is_stream=is_stream), model)
    assert request.path == path
    assert json.loads(request.body) == {"contents": [{"role": "user", "parts": [{"text": "hi"}]}]}


def test_system_prompts() -> None:
    """All of a system's and developer's texts are one instruction, in their order."""
    found = body(
        Conversation((Turn("system", (Text("a"), Text("b"))), Turn("developer", (Text("c"),)), HI))
    )
    assert found["systemInstruction"] == {"parts": [{"text": "a"}, {"text": "b"}, {"text": "c"}]}
    assert found["contents"] == [{"role": "user", "parts": [{"text": "hi"}]}]


OLD = "gemini-2.5-flash"
PARTS: list[tuple[Part, Json]] = [
    (Text("a"), {"text": "a"}),
    (Refusal("no"), {"text": "no"}),
    (Reasoning("a"), {"text": "a", "thought": True}),
    (
        Reasoning("a", "S", origin="gemini"),
        {"text": "a", "thought": True, "thoughtSignature": "S"},
    ),
    (Reasoning("", "S", origin="gemini"), {"text": "", "thoughtSignature": "S"}),
    (Reasoning("a", "S", origin="openai-chat"), {"text": "a", "thought": True}),
    (ToolCall("1", "f", ""), {"functionCall": {"id": "1", "name": "f"}}),
    (ToolCall("1", "f", '{"a": 1}'), {"functionCall": {"id": "1", "name": "f", "args": {"a": 1}}}),
    (
        ToolCall("1", "f", "{}", "S", "gemini"),
        {"functionCall": {"id": "1", "name": "f", "args": {}}, "thoughtSignature": "S"},
    ),
    (
        ToolCall("1", "f", "", "S", "anthropic-messages"),
        {"functionCall": {"id": "1", "name": "f"}},
    ),
    (
        Image(Media("image/png", "AA"), "high"),
        {"inlineData": {"mimeType": "image/png", "data": "AA"}},
    ),
    (
        Image(Media(url="https://a.test/b.webp")),
        {"fileData": {"mimeType": "image/webp", "fileUri": "https://a.test/b.webp"}},
    ),
    (
        Image(Media(url="https://a.test/b")),
        {"fileData": {"mimeType": "image/jpeg", "fileUri": "https://a.test/b"}},
    ),
    (
        File(Media(url="https://a.test/b", name="b")),
        {"fileData": {"mimeType": "application/pdf", "fileUri": "https://a.test/b"}},
    ),
    (
        File(Media(data="AA", name="b.csv")),
        {"inlineData": {"mimeType": "text/csv", "data": "AA"}},
    ),
    (Audio(Media("audio/wav", "AA")), {"inlineData": {"mimeType": "audio/wav", "data": "AA"}}),
]


@pytest.mark.parametrize(("said", "expected"), PARTS)
def test_parts(said: Part, expected: Json) -> None:
    """Each part has its form; another provider's proof is left out."""
    assert part(said, OLD) == expected


@pytest.mark.parametrize("said", [Reasoning(), Reasoning("", "S", origin="openai-chat")])
def test_parts_that_say_nothing(said: Part) -> None:
    """Of foreign reasoning without text nothing is left, and a turn of nothing is no content."""
    assert len(contents(Turn("assistant", (said,)))) == 1


def test_the_first_call_of_a_turn_is_signed() -> None:
    """Gemini 3 demands it, and documents a word for calls of other models; older ones do not."""
    calls = (ToolCall("1", "f"), ToolCall("2", "g"))
    turn = Turn("assistant", (Text("so"), *calls))
    for model in ("gemini-3-flash", "models/gemini-3.1-pro", "gemini-flash-latest"):
        signatures = [
            item.get("thoughtSignature") for item in contents(turn, model=model)[1]["parts"]
        ]
        assert signatures == [None, SKIP, None]
    for model in ("gemini-2.5-flash", "models/gemini-2.0-flash", "gemma-3-27b-it"):
        assert not any(
            "thoughtSignature" in item for item in contents(turn, model=model)[1]["parts"]
        )
    signed = Turn("assistant", (ToolCall("1", "f", "", "S", "gemini"), ToolCall("2", "g")))
    assert [item.get("thoughtSignature") for item in contents(signed)[1]["parts"]] == ["S", None]


def test_results() -> None:
    """All results in a row are one content; a result has its call's name, and is an object."""
    image = Image(Media("image/png", "AA", name="a.png"))
    found = contents(
        Turn("assistant", tuple([ToolCall(str(number), f"f{number}") for number in range(4)])),
        Turn("user", (ToolResult("0", (Text("a"), Text("b"))),)),
        Turn("user", (ToolResult("1", (Text("no"),), is_error=True),)),
        Turn("user", (ToolResult("2", (image,)), ToolResult("3", (), name="own"))),
        HI,
    )
    assert [item["role"] for item in found] == ["user", "model", "user", "user"]
    assert [item["functionResponse"] for item in found[2]["parts"]] == [
        {"id": "0", "name": "f0", "response": {"output": "a\n\nb"}},
        {"id": "1", "name": "f1", "response": {"error": "no"}},
        {
            "id": "2",
            "name": "f2",
            "response": {},
            "parts": [
                {"inlineData": {"mimeType": "image/png", "displayName": "a.png", "data": "AA"}}
            ],
        },
        {"id": "3", "name": "own", "response": {}},
    ]


@pytest.mark.parametrize(
    ("said", "code"),
    [
        (ToolCall("1", "f", "{"), "invalid_tool_arguments"),
        (ToolCall("1", "f", "[]"), "invalid_tool_arguments"),
        (ToolCall("1", "f", '{"a": NaN}'), "invalid_tool_arguments"),
        (ToolResult("9", (Text("a"),)), "unknown_tool_call"),
        (File(Media(data="AA")), "missing_media_type"),
    ],
)
def test_what_the_api_cannot_be_told(said: Part, code: str) -> None:
    """What has no form here is refused, not bent."""
    with pytest.raises(BadRequest) as caught:
        part(said)
    assert caught.value.code == code


def test_tools() -> None:
    """Functions go with their JSON Schemas as they are."""
    schema: Json = {"type": "object", "additionalProperties": False}
    found = body(Conversation((HI,), tools=(Tool("f", "d", schema), Tool("g"))))
    declared = [{"name": "f", "description": "d", "parametersJsonSchema": schema}, {"name": "g"}]
    assert found["tools"] == [{"functionDeclarations": declared}]
    assert "toolConfig" not in found


@pytest.mark.parametrize(
    ("choice", "is_strict", "expected"),
    [
        (None, None, None),
        (None, True, {"mode": "VALIDATED"}),
        (ToolChoice("auto"), None, {"mode": "AUTO"}),
        (ToolChoice("auto"), True, {"mode": "VALIDATED"}),
        (ToolChoice("auto", ("f",)), None, {"mode": "VALIDATED", "allowedFunctionNames": ["f"]}),
        (ToolChoice("none", ("f",)), True, {"mode": "NONE"}),
        (ToolChoice("required"), True, {"mode": "ANY"}),
        (ToolChoice("required", ("f",)), False, {"mode": "ANY", "allowedFunctionNames": ["f"]}),
    ],
)
def test_tool_choice(choice: ToolChoice | None, is_strict: bool | None, expected: Json) -> None:  # noqa: FBT001
    """The modes; strict tools are `VALIDATED` where the model may also answer."""
    found = body(
        Conversation((HI,), tools=(Tool("f", is_strict=is_strict),), tool_choice=choice)
    ).get("toolConfig")
    assert found == (expected and {"functionCallingConfig": expected})


@pytest.mark.parametrize("mode", ["auto", "none"])
def test_a_choice_without_tools(mode: Literal["auto", "none"]) -> None:
    """A choice among no tools, as some agents send it always, is not told: the API refuses it."""
    assert "toolConfig" not in body(Conversation((HI,), tool_choice=ToolChoice(mode)))


SCHEMA: Json = {"type": "object"}
CONFIGS: list[tuple[dict[str, Any], Json | None]] = [
    ({}, None),
    ({"max_tokens": 5}, {"maxOutputTokens": 5}),
    ({"stop": ("a",)}, {"stopSequences": ["a"]}),
    ({"temperature": 0, "top_p": 0.5, "top_k": 3}, {"temperature": 0, "topP": 0.5, "topK": 3}),
    ({"presence_penalty": 0}, {"presencePenalty": 0}),
    ({"frequency_penalty": 1}, {"frequencyPenalty": 1}),
    ({"seed": 0, "answers": 2}, {"seed": 0, "candidateCount": 2}),
    ({"logprobs": 0}, {"responseLogprobs": True}),
    ({"logprobs": 4}, {"responseLogprobs": True, "logprobs": 4}),
    ({"output": Output()}, {"responseMimeType": "application/json"}),
    (
        {"output": Output(SCHEMA, "name", is_strict=True)},
        {"responseMimeType": "application/json", "responseJsonSchema": SCHEMA},
    ),
    (
        {"output": Output(SCHEMA, "name", "what it is")},
        {
            "responseMimeType": "application/json",
            "responseJsonSchema": {"description": "what it is", "type": "object"},
        },
    ),
    ({"thinking": Thinking()}, None),
    ({"thinking": Thinking(shows=True)}, {"thinkingConfig": {"includeThoughts": True}}),
    ({"thinking": Thinking(is_on=False)}, {"thinkingConfig": {"thinkingBudget": 0}}),
    ({"thinking": Thinking(effort="none")}, {"thinkingConfig": {"thinkingBudget": 0}}),
    (
        {"thinking": Thinking(is_on=True)},
        {"thinkingConfig": {"includeThoughts": True, "thinkingBudget": -1}},
    ),
    (
        {"thinking": Thinking(is_on=True, budget=2048, shows=False)},
        {"thinkingConfig": {"includeThoughts": False, "thinkingBudget": 2048}},
    ),
    ({"thinking": Thinking(effort="low")}, {"thinkingConfig": {"thinkingLevel": "LOW"}}),
    (
        {"thinking": Thinking(effort="low", budget=512)},
        {"thinkingConfig": {"thinkingBudget": 512}},
    ),
]  # fmt: skip


@pytest.mark.parametrize(("members", "expected"), CONFIGS)
def test_configuration(members: dict[str, Any], expected: Json | None) -> None:
    """Each member has its place; what the client did not say is not said."""
    assert config(**members) == expected


@pytest.mark.parametrize(
    ("effort", "budget"), [("minimal", 1024), ("low", 1024), ("medium", 8192), ("high", 24576)]
)
def test_efforts_of_models_that_know_budgets_only(effort: str, budget: int) -> None:
    """Gemini 2.5 knows no levels: its budgets are those of Google's own OpenAI endpoint."""
    found = config("gemini-2.5-pro", thinking=Thinking(effort=effort))
    assert found == {"thinkingConfig": {"thinkingBudget": budget}}


@pytest.mark.parametrize("model", ["gemini-2.5-pro", "gemini-3-pro"])
def test_an_effort_that_is_not_known(model: str) -> None:
    """An effort that a model has no budget or level for is refused by the client's name of it."""
    uses = {Feature.EFFORT: "reasoning_effort"}
    conversation = Conversation((HI,), thinking=Thinking(effort="max"), uses=uses)
    with pytest.raises(BadRequest) as caught:
        write_request(conversation, model)
    assert caught.value.param == "reasoning_effort"
