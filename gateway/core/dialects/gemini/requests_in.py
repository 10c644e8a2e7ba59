"""A client's request, read in full: what it uses, and what only Google could do.

Facts: https://ai.google.dev/api/generate-content, and the Python SDK's types
(https://github.com/googleapis/python-genai, types.py), which are ahead of it.
"""

from dataclasses import replace

from gateway.core.chat import ChatRequest
from gateway.core.conversation import Conversation, Json, Output, Thinking, Tool, ToolChoice
from gateway.core.dialects.gemini.contents_in import Turns
from gateway.core.dialects.gemini.schemas import to_json_schema
from gateway.core.dialects.gemini.wire import Members
from gateway.core.dialects.notes import Notes
from gateway.core.features import Feature

# `model` is said by the path; without `store`, or with false, Google keeps no log of the request.
_ROOT = frozenset(
    {
        "model", "contents", "systemInstruction", "tools", "toolConfig", "generationConfig",
        "labels", "store", "serviceTier",
    }
)  # fmt: skip
_CONFIG = frozenset(
    {
        "stopSequences", "candidateCount", "maxOutputTokens", "temperature", "topP", "topK", "seed",
        "presencePenalty", "frequencyPenalty", "responseLogprobs", "logprobs", "responseMimeType",
        "responseSchema", "responseJsonSchema", "_responseJsonSchema", "thinkingConfig",
        "responseModalities",
    }
)  # fmt: skip
# `response`: what the function gives back. The SDKs make it out of a Python function's types; it
# may be left out, since the results themselves come as they are.
_FUNCTION = frozenset(
    {
        "name", "description", "parameters", "parametersJsonSchema", "behavior", "response",
        "responseJsonSchema",
    }
)  # fmt: skip
_JSON, _TEXT = "application/json", "text/plain"
_STANDARD = {"", "STANDARD", "UNSPECIFIED", "SERVICE_TIER_STANDARD", "SERVICE_TIER_UNSPECIFIED"}


def read_conversation(chat: ChatRequest) -> Conversation:
    """The whole request. Raises BadRequest with the path of what is wrong."""
    root, notes = Members(chat.source.values), Notes()
    root.rest(_ROOT, notes)
    if root.boolean("store"):
        notes.setting("store")
    if (root.string("serviceTier") or "").upper() not in _STANDARD:
        notes.setting(root.at("serviceTier"))
    tools, choice = _tools(root, notes)
    turns = Turns(notes)
    if (instruction := root.members("systemInstruction")) is not None:
        turns.instruct(instruction)
    contents = root.each("contents")
    for content in contents:
        turns.say(content)
    said = turns.turns()
    if said and said[-1].role == "assistant":
        notes.use(Feature.PREFILL, contents[-1].path)
    labels = root.json("labels")
    if labels:
        notes.use(Feature.METADATA, "labels")
    conversation = Conversation(
        turns=said,
        tools=tools,
        tool_choice=choice,
        metadata=labels or None,
        is_stream=chat.is_stream,
    )
    if (config := root.members("generationConfig")) is not None:
        config.rest(_CONFIG, notes)
        conversation = _configured(conversation, config, notes)
    return replace(conversation, uses=notes.uses, others=notes.others, extras=notes.extras)


# --- Tools -------------------------------------------------------------------


def _tools(root: Members, notes: Notes) -> tuple[tuple[Tool, ...], ToolChoice | None]:
    found: list[Tool] = []
    for tool in root.each("tools"):
        tool.rest({"functionDeclarations"}, notes)  # the others are Google's own
        for declared in tool.each("functionDeclarations"):
            notes.use(Feature.TOOLS, root.at("tools"))
            found.append(_tool(declared, notes))
    config = root.members("toolConfig")
    if config is None:
        return tuple(found), None
    config.rest({"functionCallingConfig"}, notes)
    calling = config.members("functionCallingConfig")
    names = frozenset([tool.name for tool in found])
    choice, is_validated = _choice(calling, names, notes) if calling else (None, False)
    if is_validated and found:
        found = [replace(tool, is_strict=True) for tool in found]
    return tuple(found), choice


def _tool(declared: Members, notes: Notes) -> Tool:
    declared.rest(_FUNCTION, notes)
    if declared.string("behavior") not in {None, "UNSPECIFIED", "BLOCKING"}:
        notes.setting(declared.at("behavior"))
    schema = declared.json("parametersJsonSchema")
    if schema is None and (parameters := declared.members("parameters")) is not None:
        schema = to_json_schema(parameters.values, parameters.path)
    return Tool(declared.required("name"), declared.string("description"), schema)


def _choice(
    calling: Members, declared: frozenset[str], notes: Notes
) -> tuple[ToolChoice | None, bool]:
    """The choice, and whether arguments must keep to their schemas (mode `VALIDATED`). Names that
    are all there are limit nothing, and few providers could be told them."""
    calling.rest({"mode", "allowedFunctionNames"}, notes)
    mode, names = (calling.string("mode") or "").upper(), calling.strings("allowedFunctionNames")
    if len(names) > 1 and declared.issubset(names):
        names = ()
    path = calling.at("mode")
    match mode:
        case "" | "MODE_UNSPECIFIED" | "AUTO" | "VALIDATED":
            choice = ToolChoice("auto", names) if mode in {"AUTO", "VALIDATED"} or names else None
        case "ANY":
            choice = ToolChoice("required", names)
        case "NONE":
            choice = ToolChoice("none")
        case _:
            notes.other(path)
            return None, False
    if mode == "VALIDATED":
        notes.use(Feature.STRICT_TOOLS, path)
    if choice not in {None, ToolChoice("auto")}:
        notes.use(Feature.TOOL_CHOICE, calling.path)
    return choice, mode == "VALIDATED"


# --- generationConfig --------------------------------------------------------


def _configured(conversation: Conversation, config: Members, notes: Notes) -> Conversation:
    for feature, names in (
        (Feature.MAX_TOKENS, ("maxOutputTokens",)),
        (Feature.STOP, ("stopSequences",)),
        (Feature.TEMPERATURE, ("temperature",)),
        (Feature.TOP_P, ("topP",)),
        (Feature.TOP_K, ("topK",)),
        (Feature.PENALTIES, ("presencePenalty", "frequencyPenalty")),
        (Feature.SEED, ("seed",)),
    ):
        for name in names:
            if config.get(name) not in (None, []):
                notes.use(feature, config.at(name))
    answers = config.integer("candidateCount") or 1
    if answers != 1:
        notes.use(Feature.N, config.at("candidateCount"))
    for kind in config.strings("responseModalities"):
        if kind.upper() != "TEXT":
            notes.other(config.at("responseModalities"))
    return replace(
        conversation,
        output=_output(config, notes),
        thinking=_thinking(config.members("thinkingConfig"), notes),
        max_tokens=config.integer("maxOutputTokens"),
        stop=config.strings("stopSequences"),
        temperature=config.number("temperature"),
        top_p=config.number("topP"),
        top_k=config.integer("topK"),
        presence_penalty=config.number("presencePenalty"),
        frequency_penalty=config.number("frequencyPenalty"),
        seed=config.integer("seed"),
        answers=answers,
        logprobs=_logprobs(config, notes),
    )


def _output(config: Members, notes: Notes) -> Output | None:
    kind = (config.string("responseMimeType") or "").lower()
    schema, path = _schema(config)
    if kind not in {"", _JSON, _TEXT}:  # `text/x.enum`: one of a schema's values, without quotes
        notes.other(config.at("responseMimeType"))
        return None
    if schema is not None:
        notes.use(Feature.JSON_SCHEMA, path)
        return Output(schema)
    if kind == _JSON:
        notes.use(Feature.JSON_MODE, config.at("responseMimeType"))
        return Output()
    return None


def _schema(config: Members) -> tuple[Json | None, str]:
    for name in ("responseJsonSchema", "_responseJsonSchema"):
        if (schema := config.json(name)) is not None:
            return schema, config.at(name)
    if (given := config.members("responseSchema")) is not None:
        return to_json_schema(given.values, given.path), given.path
    return None, ""


def _thinking(config: Members | None, notes: Notes) -> Thinking | None:
    """A budget of 0 is none, one of -1 as much as the model likes. To be shown thoughts uses no
    feature: the models themselves do not always have any to show."""
    if config is None:
        return None
    config.rest({"includeThoughts", "thinkingBudget", "thinkingLevel"}, notes)
    shows = config.boolean("includeThoughts")
    level = (config.string("thinkingLevel") or "").lower()
    budget = config.integer("thinkingBudget")
    effort = None if level in {"", "thinking_level_unspecified"} else level
    if effort is not None:
        notes.use(Feature.EFFORT, config.at("thinkingLevel"))
    if budget is not None:
        path = config.at("thinkingBudget")
        notes.use(Feature.BUDGET if budget > 0 else Feature.EFFORT, path)
    is_on = None if budget is None or budget > 0 else budget < 0
    found = Thinking(is_on, effort, budget if budget is not None and budget > 0 else None, shows)
    return None if found == Thinking() else found


def _logprobs(config: Members, notes: Notes) -> int | None:
    """`logprobs` means nothing unless `responseLogprobs` asks for them: the API refuses it."""
    most = config.integer("logprobs")
    if config.boolean("responseLogprobs"):
        notes.use(Feature.LOGPROBS, config.at("responseLogprobs"))
        return most or 0
    if most:
        notes.setting(config.at("logprobs"))
    return None
