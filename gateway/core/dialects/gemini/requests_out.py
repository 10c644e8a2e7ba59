"""A conversation as a request to a provider.

Facts: https://ai.google.dev/api/generate-content. Schemas go as JSON Schema, in the members that
take it whole. All results of one turn's calls stand in one content. What no client says is said in
one place: since Gemini 3, the first call of a turn must be signed, or carry the word that Google
documents for a call that another model made (https://ai.google.dev/gemini-api/docs/
thought-signatures, FAQ).
"""

import json
import re

from gateway.core.conversation import (
    Audio,
    Conversation,
    File,
    Image,
    Json,
    Output,
    Part,
    Reasoning,
    Refusal,
    Text,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
    Turn,
)
from gateway.core.dialect import AS_DOCUMENTED, Manner, ProviderRequest
from gateway.core.dialects.gemini import proofs
from gateway.core.dialects.gemini.calls import arguments_object
from gateway.core.dialects.gemini.media import write_media
from gateway.core.dialects.gemini.parts_out import MODEL, USER, write_text, write_thought
from gateway.core.dialects.gemini.results import media_of, write_response
from gateway.core.dialects.gemini.thinking import write_thinking
from gateway.core.errors import BadRequest
from gateway.core.features import Feature

# Not here: developer messages in their place, names of participants, one tool call at most, users,
# metadata, cache-control markers (the API has no member for them); citations (only of Google's own
# tools); an answer's beginning (a model's last turn is answered, not continued).
CARRIES = frozenset(
    {
        Feature.SYSTEM,
        Feature.TOOLS,
        Feature.STRICT_TOOLS,
        Feature.TOOL_CHOICE,
        Feature.TOOL_ERRORS,
        Feature.TOOL_MEDIA,
        Feature.IMAGE_URL,
        Feature.IMAGE_DATA,
        Feature.FILE_URL,
        Feature.FILE_DATA,
        Feature.AUDIO,
        Feature.JSON_MODE,
        Feature.JSON_SCHEMA,
        Feature.MAX_TOKENS,
        Feature.STOP,
        Feature.TEMPERATURE,
        Feature.TOP_P,
        Feature.TOP_K,
        Feature.PENALTIES,
        Feature.SEED,
        Feature.N,
        Feature.LOGPROBS,
        Feature.EFFORT,
        Feature.BUDGET,
        Feature.REASONING,
    }
)

_TAKES_UNSIGNED = re.compile(r"(?:models/)?(?:gemini-[12]\b|gemma)")
_MODES = {"auto": "AUTO", "none": "NONE", "required": "ANY"}


def path_of(model: str, *, is_stream: bool) -> str:
    """Where a model is asked: `models/` unless it names another kind, as tuned models do."""
    name = model if model.startswith(("models/", "tunedModels/")) else f"models/{model}"
    return f"/{name}:streamGenerateContent?alt=sse" if is_stream else f"/{name}:generateContent"


def write_request(
    conversation: Conversation,
    model: str,
    manner: Manner = AS_DOCUMENTED,  # noqa: ARG001 - every dialect is called alike
) -> ProviderRequest:
    """The request, for a model of a provider of this dialect. Raises BadRequest for a call or a
    result that the API cannot be told of."""
    system = [
        write_text(part.text)
        for turn in conversation.turns
        if turn.role in {"system", "developer"}
        for part in turn.parts
        if isinstance(part, Text)
    ]
    body = {
        "systemInstruction": {"parts": system} if system else None,
        "contents": _contents(conversation.turns, model),
        "tools": _tools(conversation.tools),
        "toolConfig": _tool_config(conversation),
        "generationConfig": _config(conversation, model) or None,
    }
    said = {name: value for name, value in body.items() if value is not None}
    path = path_of(model, is_stream=conversation.is_stream)
    return ProviderRequest(path, json.dumps(said).encode())


# --- contents ----------------------------------------------------------------


def _contents(turns: tuple[Turn, ...], model: str) -> list[Json]:
    names = {
        part.id: part.name for turn in turns for part in turn.parts if isinstance(part, ToolCall)
    }
    contents: list[Json] = []
    results: list[Json] | None = None  # the content before, where it is nothing but results
    for turn in turns:
        if turn.role in {"system", "developer"}:
            continue
        parts = [written for part in turn.parts if (written := _part(part, names)) is not None]
        if turn.role == "assistant":
            _sign(parts, model)
        are_results = bool(parts) and all("functionResponse" in part for part in parts)
        if results is not None and are_results:
            results += parts
        elif parts:
            role = MODEL if turn.role == "assistant" else USER
            contents.append({"role": role, "parts": parts})
            results = parts if are_results else None
    return contents


def _part(part: Part, names: dict[str, str]) -> Json | None:
    match part:
        case Text() | Refusal():
            return write_text(part.text)
        case Reasoning():
            return _reasoning(part)
        case ToolCall():
            return _call(part)
        case ToolResult():
            return _result(part, names)
        case Image() | File() | Audio():
            return write_media(part)


def _reasoning(part: Reasoning) -> Json | None:
    """Another provider's proof is worth nothing here; a thought needs none."""
    signature = part.signature if proofs.is_own(part.origin) else None
    if not part.text and signature is None:
        return None
    written = write_thought(part.text) if part.text else write_text("")
    return written if signature is None else {**written, "thoughtSignature": signature}


def _call(call: ToolCall) -> Json:
    args = arguments_object(call.arguments)
    if args is None:
        raise BadRequest(
            f"The arguments of the tool call '{call.id}' are not a JSON object, which this "
            "model's provider requires.",
            code="invalid_tool_arguments",
        )
    written: Json = {"id": call.id, "name": call.name}
    if call.arguments:
        written["args"] = args
    if call.signature is None or not proofs.is_own(call.origin):
        return {"functionCall": written}
    return {"functionCall": written, "thoughtSignature": call.signature}


def _sign(parts: list[Json], model: str) -> None:
    first = next((part for part in parts if "functionCall" in part), None)
    if first is not None and not _TAKES_UNSIGNED.match(model):
        first.setdefault("thoughtSignature", proofs.UNSIGNED)


def _result(result: ToolResult, names: dict[str, str]) -> Json:
    name = result.name or names.get(result.id)
    if name is None:
        raise BadRequest(
            f"The tool result '{result.id}' is for no tool call of this conversation.",
            code="unknown_tool_call",
        )
    written: Json = {"id": result.id, "name": name, "response": write_response(result)}
    if media := media_of(result):
        written["parts"] = [write_media(part, named=True) for part in media]
    return {"functionResponse": written}


# --- tools -------------------------------------------------------------------


def _tools(tools: tuple[Tool, ...]) -> list[Json] | None:
    declared: list[Json] = []
    for tool in tools:
        written: Json = {"name": tool.name}
        if tool.description is not None:
            written["description"] = tool.description
        if tool.schema is not None:
            written["parametersJsonSchema"] = tool.schema
        declared.append(written)
    return [{"functionDeclarations": declared}] if declared else None


def _tool_config(conversation: Conversation) -> Json | None:
    """Mode `ANY` keeps to the schemas by itself; where the model is free to call or not, only
    `VALIDATED` does, and only it takes a choice of names."""
    if not conversation.tools:  # "Function calling config is set without function_declarations"
        return None
    choice = conversation.tool_choice or ToolChoice("auto")
    is_validated = choice.mode == "auto" and (
        bool(choice.names) or any(tool.is_strict for tool in conversation.tools)
    )
    if conversation.tool_choice is None and not is_validated:
        return None
    calling: Json = {"mode": "VALIDATED" if is_validated else _MODES[choice.mode]}
    if choice.names and choice.mode != "none":
        calling["allowedFunctionNames"] = list(choice.names)
    return {"functionCallingConfig": calling}


# --- generationConfig --------------------------------------------------------


def _config(conversation: Conversation, model: str) -> Json:
    logprobs = conversation.logprobs
    config = {
        "stopSequences": list(conversation.stop) or None,
        "candidateCount": conversation.answers if conversation.answers != 1 else None,
        "maxOutputTokens": conversation.max_tokens,
        "temperature": conversation.temperature,
        "topP": conversation.top_p,
        "topK": conversation.top_k,
        "seed": conversation.seed,
        "presencePenalty": conversation.presence_penalty,
        "frequencyPenalty": conversation.frequency_penalty,
        "responseLogprobs": True if logprobs is not None else None,
        "logprobs": logprobs or None,
        **_output(conversation.output),
        "thinkingConfig": write_thinking(conversation, model),
    }
    return {name: value for name, value in config.items() if value is not None}


def _output(output: Output | None) -> Json:
    """A schema's name has no member; what describes it belongs into the schema."""
    if output is None:
        return {}
    schema = output.schema
    if schema is not None and output.description is not None:
        schema = {"description": output.description, **schema}
    return {"responseMimeType": "application/json", "responseJsonSchema": schema}
