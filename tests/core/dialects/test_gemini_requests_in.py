"""Gemini, the client's side: what is refused, what is read, what only Google could do."""

import json
from base64 import urlsafe_b64encode
from collections.abc import Mapping

import pytest

from gateway.core.chat import ChatRequest, Message
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
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
    Turn,
)
from gateway.core.dialects.gemini import DIALECT, proofs
from gateway.core.dialects.gemini.proofs import Proof
from gateway.core.errors import BadRequest
from gateway.core.features import Feature

HI: Json = {"role": "user", "parts": [{"text": "hi"}]}
CALL: Json = {"functionCall": {"name": "f", "args": {"a": 1}}}


def chat(**members: object) -> ChatRequest:
    return asked("m", False, members)  # noqa: FBT003


def asked(model: str | None, is_stream: bool, members: Json) -> ChatRequest:  # noqa: FBT001
    body = json.dumps({"contents": [HI], **members}).encode()
    return DIALECT.parse_request(body, model, is_stream)


def read(**members: object) -> Conversation:
    return DIALECT.read_conversation(chat(**members))


def config(**members: object) -> Conversation:
    return read(generationConfig=members)


def parts(*given: Mapping[str, object], role: str = "user") -> tuple[Part, ...]:
    return read(contents=[{"role": role, "parts": list(given)}]).turns[0].parts


# --- parse_request -------------------------------------------------------------


@pytest.mark.parametrize("body", [b"", b"nothing", b"[]", b"{", b"\xff", b'{"a": 1, "a": 2}'])
def test_not_a_json_object(body: bytes) -> None:
    """A body that is no JSON object is `invalid_json`."""
    with pytest.raises(BadRequest) as caught:
        DIALECT.parse_request(body, "m", None)
    assert caught.value.code == "invalid_json"


WRONG: list[tuple[Json, str, str]] = [
    ({"contents": None}, "missing_required_parameter", "contents"),
    ({"contents": []}, "empty_array", "contents"),
    ({"contents": "hi"}, "invalid_type", "contents"),
    ({"contents": ["hi"]}, "invalid_type", "contents[0]"),
    ({"contents": [{"role": 1}]}, "invalid_type", "contents[0].role"),
    ({"contents": [{"role": "system"}]}, "invalid_value", "contents[0].role"),
    ({"contents": [{"parts": "hi"}]}, "invalid_type", "contents[0].parts"),
    ({"contents": [{"parts": ["hi"]}]}, "invalid_type", "contents[0].parts[0]"),
    ({"contents": [{"parts": [{"text": 1}]}]}, "invalid_type", "contents[0].parts[0].text"),
    ({"systemInstruction": "be brief"}, "invalid_type", "systemInstruction"),
    ({"system_instruction": "be brief"}, "invalid_type", "system_instruction"),
    ({"tools": "x"}, "invalid_type", "tools"),
    ({"toolConfig": []}, "invalid_type", "toolConfig"),
    ({"generationConfig": []}, "invalid_type", "generationConfig"),
    (
        {"generationConfig": {"temperature": "0"}},
        "invalid_type",
        "generationConfig.temperature",
    ),
    (
        {"generation_config": {"max_output_tokens": 1.5}},
        "invalid_type",
        "generation_config.max_output_tokens",
    ),
    (
        {"generationConfig": {"stopSequences": "x"}},
        "invalid_type",
        "generationConfig.stopSequences",
    ),
    (
        {"generationConfig": {"stopSequences": [1]}},
        "invalid_type",
        "generationConfig.stopSequences[0]",
    ),
]


@pytest.mark.parametrize(("members", "code", "param"), WRONG)
def test_what_is_refused(members: Json, code: str, param: str) -> None:
    """What is wrong is refused with its path, in the client's own spelling."""
    with pytest.raises(BadRequest) as caught:
        chat(**members)
    assert (caught.value.code, caught.value.param) == (code, param)


def test_what_every_request_tells() -> None:
    """Model and streaming are the path's; roles, texts, results, images and tools are read."""
    members: Json = {
        "systemInstruction": {"parts": [{"text": "be brief"}]},
        "tools": [{"functionDeclarations": [{"name": "f"}]}],
        "generationConfig": {"candidateCount": 2},
        "contents": [
            {"parts": [{"text": "look"}, {"inlineData": {"mimeType": "image/png", "data": "AA"}}]},
            {"role": "model", "parts": [{"text": "hm", "thought": True}, {"text": "so"}, CALL]},
            {"role": "user", "parts": [{"functionResponse": {"response": {"output": "42"}}}]},
        ],
    }
    found = asked("models/auto", True, members)  # noqa: FBT003
    assert (found.model, found.is_stream, found.wants_usage) == ("auto", True, True)
    assert (found.answers, found.has_tools, found.has_images) == (2, True, True)
    assert found.messages == (
        Message("system", "be brief"),
        Message("user", "look", has_image=True),
        Message("assistant", "so"),
        Message("tool", "42"),
    )


@pytest.mark.parametrize(
    "members",
    [
        {"contents": {"parts": {"text": "hi"}}},
        {"contents": [{"parts": [{"text": "hi"}]}]},
        {"contents": [{"role": "user", "parts": {"text": "hi"}}]},
        {"contents": [{"role": None, "parts": [{"text": "hi", "thought": None}]}]},
    ],
)
def test_one_object_is_a_list_of_one(members: Json) -> None:
    """Where the API takes one object for a list, so do we; a content without a role is a user's."""
    found = chat(**members)
    assert found.messages == (Message("user", "hi"),)
    assert DIALECT.read_conversation(found).turns == (Turn("user", (Text("hi"),)),)


# --- Parts ---------------------------------------------------------------------

SIGNED = "QUJD"
PARTS: list[tuple[Json, tuple[Part, ...]]] = [
    ({"text": "a"}, (Text("a"),)),
    ({"text": "a", "partMetadata": {"x": 1}}, (Text("a"),)),
    ({"text": "a", "thought": True}, (Reasoning("a"),)),
    (
        {"text": "a", "thought": True, "thought_signature": SIGNED},
        (Reasoning("a", SIGNED, origin="gemini"),),
    ),
    (
        {"text": "a", "thoughtSignature": SIGNED},
        (Text("a"), Reasoning("", SIGNED, origin="gemini")),
    ),
    ({"text": "", "thoughtSignature": SIGNED}, (Reasoning("", SIGNED, origin="gemini"),)),
    ({"thoughtSignature": SIGNED}, (Reasoning("", SIGNED, origin="gemini"),)),
    (
        {"functionCall": {"id": "1", "name": "f", "args": {"q": "é"}}, "thoughtSignature": SIGNED},
        (ToolCall("1", "f", '{"q": "é"}', SIGNED, "gemini"),),
    ),
    ({"function_call": {"id": "1", "name": "f"}}, (ToolCall("1", "f", ""),)),
    (
        {
            "functionCall": {"id": "1", "name": "f", "args": {}},
            "thoughtSignature": "skip_thought_signature_validator",
        },
        (ToolCall("1", "f", "{}"),),
    ),
    (
        {"inlineData": {"mimeType": "image/png", "data": "-_8="}},
        (Image(Media("image/png", "+/8=")),),
    ),
    (
        {"inline_data": {"mime_type": "application/pdf", "data": "AA", "display_name": "a.pdf"}},
        (File(Media("application/pdf", "AA", name="a.pdf")),),
    ),
    ({"inlineData": {"mimeType": "audio/wav", "data": "AA"}}, (Audio(Media("audio/wav", "AA")),)),
    (
        {"fileData": {"mimeType": "image/webp", "fileUri": "https://a.test/b"}},
        (Image(Media("image/webp", url="https://a.test/b")),),
    ),
    (
        {"fileData": {"fileUri": "https://a.test/b.PNG?c=d.pdf"}},
        (Image(Media("image/png", url="https://a.test/b.PNG?c=d.pdf")),),
    ),
    ({"fileData": {"fileUri": "https://a.test/b"}}, (File(Media(url="https://a.test/b")),)),
    (
        {
            "inlineData": {"mimeType": "image/png", "data": "AA"},
            "mediaResolution": {"level": "MEDIA_RESOLUTION_LOW"},
        },
        (Image(Media("image/png", "AA"), "low"),),
    ),
]


@pytest.mark.parametrize(("part", "expected"), PARTS)
def test_parts(part: Json, expected: tuple[Part, ...]) -> None:
    """Each kind of part has its neutral form, signatures included."""
    assert parts(part, role="model") == expected


OTHERS: list[Json] = [
    {"executableCode": {"language": "PYTHON", "code": "1"}},
    {"codeExecutionResult": {"outcome": "OUTCOME_OK"}},
    {"toolCall": {"id": "1"}},
    {"toolResponse": {"id": "1"}},
    {"inlineData": {"mimeType": "video/mp4", "data": "AA"}},
    {"fileData": {"mimeType": "video/mp4", "fileUri": "https://a.test/b"}},
    {"fileData": {"fileUri": "gs://bucket/a.pdf"}},
    {"fileData": {"fileUri": "https://www.youtube.com/watch?v=x"}},
    {"file_data": {"file_uri": "https://generativelanguage.googleapis.com/v1beta/files/x"}},
]


@pytest.mark.parametrize("part", OTHERS)
def test_parts_without_a_neutral_form(part: Json) -> None:
    """What only Google can run or read is named among the others."""
    found = read(contents=[HI, {"role": "user", "parts": [{"text": "a"}, part]}])
    assert found.others == ("contents[1].parts[1]",)
    assert found.turns[1] == Turn("user", (Text("a"),))


@pytest.mark.parametrize(
    ("part", "other"),
    [
        ({"text": "a", "speechMetadata": {}}, "contents[0].parts[0].speechMetadata"),
        ({**CALL, "video_metadata": {"fps": 1}}, "contents[0].parts[0].video_metadata"),
        (
            {"functionCall": {"name": "f", "willContinue": True}},
            "contents[0].parts[0].functionCall.willContinue",
        ),
    ],
)
def test_members_of_parts_without_a_neutral_form(part: Json, other: str) -> None:
    """What else stands beside a part's data is named too."""
    assert read(contents=[{"parts": [part]}]).others == (other,)


@pytest.mark.parametrize(
    ("part", "code", "param"),
    [
        ({}, "invalid_value", ""),
        ({"text": "a", "functionCall": {"name": "f"}}, "invalid_value", ""),
        ({"functionCall": {}}, "missing_required_parameter", ".functionCall.name"),
        ({"functionCall": {"name": 1}}, "invalid_type", ".functionCall.name"),
        ({"functionCall": {"name": "f", "args": "{}"}}, "invalid_type", ".functionCall.args"),
        (
            {"functionResponse": {"name": "f", "response": "42"}},
            "invalid_type",
            ".functionResponse.response",
        ),
        ({"inlineData": {"data": "AA"}}, "missing_required_parameter", ".inlineData.mimeType"),
        ({"file_data": {"mime_type": "a/b"}}, "missing_required_parameter", ".file_data.fileUri"),
        ({"text": "a", "thoughtSignature": 1}, "invalid_type", ".thoughtSignature"),
    ],
)
def test_malformed_parts(part: Json, code: str, param: str) -> None:
    """A malformed part is refused with the path of what is wrong in it."""
    with pytest.raises(BadRequest) as caught:
        parts(part)
    assert (caught.value.code, caught.value.param) == (code, f"contents[0].parts[0]{param}")


def test_empty_texts() -> None:
    """An empty text says nothing, unless it is all there is."""
    assert parts({"text": ""}, {"text": "a"}, {"text": ""}) == (Text("a"),)
    assert parts({"text": ""}) == (Text(""),)
    found = read(contents=[HI, {"role": "model", "parts": []}])
    assert found.turns == (Turn("user", (Text("hi"),)),)


def test_a_streamed_answer_in_a_history() -> None:
    """Contents that the official SDKs keep of one stream are one turn, their texts one text."""
    contents = [
        {"role": "model", "parts": [part]}
        for part in (
            {"text": "hm", "thought": True},
            {"text": "m", "thought": True},
            {"text": "Hel"},
            {"text": "lo"},
            {"text": "", "thoughtSignature": SIGNED},
            {"functionCall": {"id": "1", "name": "f", "args": {}}},
            {"text": ""},
        )
    ]
    found = read(contents=[HI, *contents, HI])
    assert found.turns[1] == Turn(
        "assistant",
        (
            Reasoning("hmm"),
            Text("Hello"),
            Reasoning("", SIGNED, origin="gemini"),
            ToolCall("1", "f", "{}"),
        ),
    )


# --- Proofs --------------------------------------------------------------------


def test_a_foreign_proof_comes_back() -> None:
    """What another provider wants back is sealed as base64, which the SDKs write in their own
    alphabet, and is whole again with the thought that stands before it."""
    proof = Proof("sig?>~", "withheld", "rs_1", "openai-responses")
    sealed = proofs.write(proof)
    assert sealed is not None
    assert proofs.read(sealed) == proof
    assert proofs.read(sealed.replace("+", "-").replace("/", "_")) == proof
    found = read(
        contents=[
            HI,
            {"role": "model", "parts": [{"text": "hm", "thought": True}]},
            {"role": "model", "parts": [{"text": "", "thought": True, "thoughtSignature": sealed}]},
        ]
    )
    thought = Reasoning("hm", "sig?>~", "withheld", "rs_1", "openai-responses")
    assert found.turns[1].parts == (thought,)
    assert found.uses[Feature.REASONING] == "contents[2].parts[0]"
    found = read(contents=[HI, {"role": "model", "parts": [{**CALL, "thoughtSignature": sealed}]}])
    call = found.turns[1].parts[0]
    assert isinstance(call, ToolCall)
    assert (call.signature, call.origin) == ("sig?>~", "openai-responses")
    assert found.uses[Feature.REASONING] == "contents[1].parts[0]"


@pytest.mark.parametrize(
    "sealed",
    [
        "dGllcmdhdGUu",
        "dGllcmdhdGUu!",
        urlsafe_b64encode(b"tiergate.x.").decode(),
        urlsafe_b64encode(b"tiergate.x.[]").decode(),
        urlsafe_b64encode(b"tiergate.gemini.{}").decode(),
        urlsafe_b64encode(b"tiergate.x.\xff").decode(),
    ],
)
def test_a_broken_seal(sealed: str) -> None:
    """What only looks like a seal is somebody's signature."""
    assert proofs.read(sealed) == Proof(sealed, origin="gemini")


def test_gemini_s_own_signatures_use_nothing() -> None:
    """Gemini signs whatever it says, and nobody else can use that: no target is refused for it."""
    signed = {"text": "a", "thoughtSignature": SIGNED}
    found = read(contents=[HI, {"role": "model", "parts": [signed]}, HI])
    assert found.uses == {}
    thought = {**signed, "thought": True}
    found = read(contents=[HI, {"role": "model", "parts": [thought]}, HI])
    assert found.uses == {Feature.REASONING: "contents[1].parts[0]"}


# --- Tools ---------------------------------------------------------------------


def test_calls_and_results_without_ids() -> None:
    """A call without an id gets one, the same each time; results find theirs by name and order."""
    names = ("f", "g", "f")
    contents = [
        {"role": "model", "parts": [{"functionCall": {"name": name}} for name in names]},
        {
            "role": "function",
            "parts": [
                {"functionResponse": {"name": name, "response": {"output": text}}}
                for name, text in (("f", "1"), ("f", "2"), ("g", "3"))
            ],
        },
    ]
    turns = read(contents=[HI, *contents]).turns
    assert turns == read(contents=[HI, *contents]).turns
    calls = [part for part in turns[1].parts if isinstance(part, ToolCall)]
    results = [part for part in turns[2].parts if isinstance(part, ToolResult)]
    assert turns[2].role == "user"
    assert len({call.id for call in calls}) == 3
    assert [part.id for part in results] == [calls[0].id, calls[2].id, calls[1].id]
    assert [part.name for part in results] == ["f", "f", "g"]


def test_results_with_ids() -> None:
    """An id decides; one that no call has is worth nothing beside a call of the name."""
    contents = [
        {
            "role": "model",
            "parts": [{"functionCall": {"id": id_, "name": "f"}} for id_ in ("a", "b")],
        },
        {
            "parts": [
                {"functionResponse": {"id": id_, "name": "f", "response": {}}}
                for id_ in ("b", "x", "y")
            ],
        },
    ]
    results = read(contents=[HI, *contents]).turns[2].parts
    assert [part.id for part in results if isinstance(part, ToolResult)] == ["b", "a", "y"]


@pytest.mark.parametrize(
    ("response", "text", "is_error"),
    [
        ({"output": "42"}, "42", False),
        ({"output": {"a": 1}}, '{"a": 1}', False),
        ({"error": "no"}, "no", True),
        ({"error": {"code": 1}}, '{"code": 1}', True),
        ({"result": "42"}, '{"result": "42"}', False),
        ({"output": "42", "error": None}, '{"output": "42", "error": null}', False),
    ],
)
def test_what_a_function_gave(response: Json, text: str, is_error: bool) -> None:  # noqa: FBT001
    """`output` and `error` alone are the result; any other object is it as a whole."""
    part = {"functionResponse": {"id": "1", "name": "f", "response": response}}
    assert parts(part) == (ToolResult("1", (Text(text),), is_error, "f"),)
    uses = read(contents=[{"parts": [part]}]).uses
    assert (Feature.TOOL_ERRORS in uses) == is_error


def test_media_that_a_function_gave() -> None:
    """Media lie beside the response."""
    medium = {"inlineData": {"mimeType": "image/png", "data": "AA", "displayName": "a.png"}}
    response = {"id": "1", "name": "f", "response": {}, "parts": [medium, {"videoMetadata": {}}]}
    found = read(contents=[{"parts": [{"functionResponse": response}]}])
    image = Image(Media("image/png", "AA", name="a.png"))
    assert found.turns[0].parts == (ToolResult("1", (image,), name="f"),)
    assert found.uses[Feature.TOOL_MEDIA] == "contents[0].parts[0].functionResponse.parts[0]"
    assert found.others == ("contents[0].parts[0].functionResponse.parts[1]",)


def test_tools() -> None:
    """Functions are read with their schemas; what they return may be left out; Google's own tools
    are named among the others, though they say nothing but their name."""
    schema: Json = {"type": "object", "properties": {"a": {"$ref": "#/$defs/x"}}}
    found = read(
        tools=[
            {"functionDeclarations": [{"name": "f", "description": "d", "behavior": "BLOCKING"}]},
            {
                "function_declarations": [
                    {"name": "g", "parameters_json_schema": schema, "response_json_schema": {}},
                    {"name": "h", "parameters": {"type": "OBJECT"}, "behavior": "NON_BLOCKING"},
                ]
            },
            {"googleSearch": {}},
            {"url_context": {}},
        ]
    )
    assert found.tools == (
        Tool("f", "d"),
        Tool("g", schema=schema),
        Tool("h", schema={"type": "object"}),
    )
    assert found.uses == {Feature.TOOLS: "tools"}
    assert found.others == (
        "tools[1].function_declarations[1].behavior",
        "tools[2].googleSearch",
        "tools[3].url_context",
    )


SCHEMAS: list[tuple[Json, Json]] = [
    ({"type": "STRING", "format": "enum", "enum": ["a"]}, {"type": "string", "enum": ["a"]}),
    ({"type": "INTEGER", "format": "int64"}, {"type": "integer", "format": "int64"}),
    ({"type": "NUMBER", "nullable": True}, {"type": ["number", "null"]}),
    (
        {"type": "STRING", "nullable": True, "enum": ["a"]},
        {"type": ["string", "null"], "enum": ["a", None]},
    ),
    (
        {"nullable": True, "any_of": [{"type": "STRING"}, {"type": "BOOLEAN"}]},
        {"anyOf": [{"type": "string"}, {"type": "boolean"}, {"type": "null"}]},
    ),
    (
        {"type": "ARRAY", "items": {"type": "STRING"}, "minItems": "1", "max_items": 3},
        {"type": "array", "items": {"type": "string"}, "minItems": 1, "maxItems": 3},
    ),
    ({"type": "STRING", "example": "a"}, {"type": "string", "examples": ["a"]}),
    ({"type": "STRING", "title": "t"}, {"type": "string", "title": "t"}),
    ({"type": ["string", "null"]}, {"type": ["string", "null"]}),
    ({"type": "TYPE_UNSPECIFIED", "nullable": False}, {}),
    (
        {"defs": {"x": {"type": "STRING"}}, "ref": "#/defs/x"},
        {"$defs": {"x": {"type": "string"}}, "$ref": "#/defs/x"},
    ),
]  # fmt: skip


@pytest.mark.parametrize(("schema", "expected"), SCHEMAS)
def test_schemas(schema: Json, expected: Json) -> None:
    """Google's subset of OpenAPI is written as JSON Schema."""
    assert config(responseSchema=schema).output == Output(expected)


def test_the_order_of_properties() -> None:
    """`propertyOrdering` is kept as the order of the properties."""
    text: Json = {"type": "STRING"}
    schema = {
        "type": "OBJECT",
        "properties": {"a": text, "b": text, "c": text},
        "property_ordering": ["c", "x", "a"],
    }
    output = config(responseSchema=schema).output
    assert output is not None
    assert output.schema is not None
    properties = output.schema["properties"]
    assert isinstance(properties, dict)
    assert list(properties) == ["c", "a", "b"]
    assert "propertyOrdering" not in output.schema


@pytest.mark.parametrize(
    ("schema", "param"),
    [
        ({"type": 1}, "type"),
        ({"properties": []}, "properties"),
        ({"properties": {"a": "x"}}, "properties.a"),
        ({"anyOf": ["x"]}, "anyOf[0]"),
        ({"minItems": "many"}, "minItems"),
    ],
)
def test_malformed_schemas(schema: Json, param: str) -> None:
    """A malformed schema is refused with the path of what is wrong in it."""
    with pytest.raises(BadRequest) as caught:
        config(responseSchema=schema)
    assert caught.value.param == f"generationConfig.responseSchema.{param}"


CHOICES: list[tuple[Json, ToolChoice | None, set[Feature]]] = [
    ({}, None, set()),
    ({"mode": "MODE_UNSPECIFIED"}, None, set()),
    ({"mode": "AUTO"}, ToolChoice("auto"), set()),
    ({"mode": "none"}, ToolChoice("none"), {Feature.TOOL_CHOICE}),
    ({"mode": "ANY"}, ToolChoice("required"), {Feature.TOOL_CHOICE}),
    (
        {"mode": "ANY", "allowed_function_names": ["f"]},
        ToolChoice("required", ("f",)),
        {Feature.TOOL_CHOICE},
    ),
    ({"mode": "VALIDATED"}, ToolChoice("auto"), {Feature.STRICT_TOOLS}),
    (
        {"mode": "VALIDATED", "allowedFunctionNames": ["f"]},
        ToolChoice("auto", ("f",)),
        {Feature.STRICT_TOOLS, Feature.TOOL_CHOICE},
    ),
]


@pytest.mark.parametrize(("calling", "choice", "features"), CHOICES)
def test_tool_choice(calling: Json, choice: ToolChoice | None, features: set[Feature]) -> None:
    """The modes have their neutral forms; `VALIDATED` makes every tool strict."""
    found = read(
        tools=[{"functionDeclarations": [{"name": "f"}]}],
        toolConfig={"functionCallingConfig": calling},
    )
    assert found.tool_choice == choice
    assert set(found.uses) == {Feature.TOOLS, *features}
    assert found.tools[0].is_strict is (True if Feature.STRICT_TOOLS in features else None)


# --- generationConfig ----------------------------------------------------------

CONFIGS: list[tuple[Json, dict[str, object], dict[Feature, str]]] = [
    ({"maxOutputTokens": 5.0}, {"max_tokens": 5}, {Feature.MAX_TOKENS: "maxOutputTokens"}),
    ({"max_output_tokens": 5}, {"max_tokens": 5}, {Feature.MAX_TOKENS: "max_output_tokens"}),
    ({"stopSequences": ["a"]}, {"stop": ("a",)}, {Feature.STOP: "stopSequences"}),
    ({"stopSequences": []}, {}, {}),
    ({"temperature": 0}, {"temperature": 0}, {Feature.TEMPERATURE: "temperature"}),
    ({"topP": 0.5}, {"top_p": 0.5}, {Feature.TOP_P: "topP"}),
    ({"top_k": 40.0}, {"top_k": 40}, {Feature.TOP_K: "top_k"}),
    ({"seed": 7}, {"seed": 7}, {Feature.SEED: "seed"}),
    ({"presencePenalty": 1}, {"presence_penalty": 1}, {Feature.PENALTIES: "presencePenalty"}),
    ({"frequencyPenalty": 1}, {"frequency_penalty": 1}, {Feature.PENALTIES: "frequencyPenalty"}),
    ({"candidateCount": 1}, {}, {}),
    ({"candidateCount": 3}, {"answers": 3}, {Feature.N: "candidateCount"}),
    ({"responseLogprobs": True}, {"logprobs": 0}, {Feature.LOGPROBS: "responseLogprobs"}),
    (
        {"responseLogprobs": True, "logprobs": 4},
        {"logprobs": 4},
        {Feature.LOGPROBS: "responseLogprobs"},
    ),
    ({"responseLogprobs": False}, {}, {}),
    ({"responseMimeType": "text/plain"}, {}, {}),
    (
        {"responseMimeType": "application/json"},
        {"output": Output()},
        {Feature.JSON_MODE: "responseMimeType"},
    ),
    (
        {"responseMimeType": "application/json", "responseJsonSchema": {"type": "array"}},
        {"output": Output({"type": "array"})},
        {Feature.JSON_SCHEMA: "responseJsonSchema"},
    ),
    (
        {"_responseJsonSchema": {"type": "array"}},
        {"output": Output({"type": "array"})},
        {Feature.JSON_SCHEMA: "_responseJsonSchema"},
    ),
    ({"responseModalities": ["TEXT"]}, {}, {}),
    ({"temperature": None, "thinkingConfig": {}}, {}, {}),
    ({"thinkingConfig": {"includeThoughts": True}}, {"thinking": Thinking(shows=True)}, {}),
    (
        {"thinkingConfig": {"thinkingLevel": "LOW"}},
        {"thinking": Thinking(effort="low")},
        {Feature.EFFORT: "thinkingConfig.thinkingLevel"},
    ),
    (
        {"thinkingConfig": {"thinking_budget": 0}},
        {"thinking": Thinking(is_on=False)},
        {Feature.EFFORT: "thinkingConfig.thinking_budget"},
    ),
    (
        {"thinkingConfig": {"thinkingBudget": -1}},
        {"thinking": Thinking(is_on=True)},
        {Feature.EFFORT: "thinkingConfig.thinkingBudget"},
    ),
    (
        {"thinkingConfig": {"thinkingBudget": 512}},
        {"thinking": Thinking(budget=512)},
        {Feature.BUDGET: "thinkingConfig.thinkingBudget"},
    ),
]


@pytest.mark.parametrize(("members", "expected", "uses"), CONFIGS)
def test_configuration(
    members: Json, expected: dict[str, object], uses: dict[Feature, str]
) -> None:
    """Each member of the configuration has its place, and is named by the feature it asks for."""
    found = config(**members)
    plain = read()
    for name in Conversation.__slots__:
        if name != "uses":
            assert getattr(found, name) == expected.get(name, getattr(plain, name)), name
    assert found.uses == {feature: f"generationConfig.{name}" for feature, name in uses.items()}


UNKNOWN: list[tuple[Json, str]] = [
    ({"safetySettings": [{"category": "x"}]}, "safetySettings"),
    ({"safety_settings": [{"category": "x"}]}, "safety_settings"),
    ({"cachedContent": "cachedContents/x"}, "cachedContent"),
    ({"continuationToken": "x"}, "continuationToken"),
    ({"store": True}, "store"),
    ({"serviceTier": "flex"}, "serviceTier"),
    ({"toolConfig": {"retrievalConfig": {}}}, "toolConfig.retrievalConfig"),
    (
        {"toolConfig": {"functionCallingConfig": {"mode": "SOMETIMES"}}},
        "toolConfig.functionCallingConfig.mode",
    ),
    ({"generationConfig": {"speechConfig": {}}}, "generationConfig.speechConfig"),
    ({"generation_config": {"media_resolution": "x"}}, "generation_config.media_resolution"),
    (
        {"generationConfig": {"responseModalities": ["IMAGE"]}},
        "generationConfig.responseModalities",
    ),
    (
        {"generationConfig": {"responseMimeType": "text/x.enum"}},
        "generationConfig.responseMimeType",
    ),
    ({"generationConfig": {"logprobs": 3}}, "generationConfig.logprobs"),
    ({"generationConfig": {"thinkingConfig": {"x": 1}}}, "generationConfig.thinkingConfig.x"),
    ({"systemInstruction": {"parts": [CALL]}}, "systemInstruction.parts[0]"),
    ({"somethingNew": 1}, "somethingNew"),
]  # fmt: skip


@pytest.mark.parametrize(("members", "other"), UNKNOWN)
def test_what_has_no_neutral_form(members: Json, other: str) -> None:
    """What is Google's own, or not known, is named: nobody can say whether it may be left out."""
    assert read(**members).others == (other,)


@pytest.mark.parametrize(
    "members",
    [
        {"safetySettings": []},
        {"store": False},
        {"serviceTier": "standard"},
        {"model": "models/x"},
        {"cachedContent": None},
    ],
)
def test_what_may_be_left_out(members: Json) -> None:
    """What asks for nothing uses nothing."""
    found = read(**members)
    assert (found.uses, found.others) == ({}, ())


def test_the_rest_of_a_request() -> None:
    """The system prompt is the first turn; labels are metadata; what a model said last is the
    beginning of its answer."""
    found = read(
        systemInstruction={"role": "user", "parts": [{"text": "be"}, {"text": "brief"}]},
        labels={"a": "b"},
        contents=[HI, {"role": "model", "parts": [{"text": "so"}]}],
    )
    assert found.turns[0] == Turn("system", (Text("be"), Text("brief")))
    assert found.metadata == {"a": "b"}
    assert found.uses == {
        Feature.SYSTEM: "systemInstruction",
        Feature.METADATA: "labels",
        Feature.PREFILL: "contents[1]",
    }
