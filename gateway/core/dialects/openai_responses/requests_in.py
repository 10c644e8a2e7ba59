"""A client's request, read in full: what it uses, and what only OpenAI could do.

Facts: https://platform.openai.com/docs/api-reference/responses/create.
"""

from gateway.core.chat import ChatRequest
from gateway.core.conversation import (
    Conversation,
    Json,
    Output,
    Text,
    Thinking,
    Tool,
    ToolChoice,
    Turn,
)
from gateway.core.dialects import fields
from gateway.core.dialects.notes import Notes
from gateway.core.dialects.openai_responses.items_in import Turns
from gateway.core.features import Feature

_READ = {
    "model", "input", "instructions", "stream", "tools", "tool_choice", "parallel_tool_calls",
    "text", "reasoning", "include", "max_output_tokens", "temperature", "top_p", "top_logprobs",
    "user", "safety_identifier", "metadata", "prompt_cache_options",
}  # fmt: skip
_HARMLESS = {
    "stream_options",  # `include_obfuscation`: padding against a listener on OpenAI's own line
    "prompt_cache_key",  # both say how OpenAI's cache finds the prompt again: they change a price,
    "prompt_cache_retention",  # never an answer
    "max_tool_calls",  # of built-in tools, which are not passed over
}
# The values of other members that ask for nothing: the API's defaults, and no trace at OpenAI.
_NOTHING: dict[str, tuple[object, ...]] = {
    "store": (False,),
    "background": (False,),
    "truncation": ("disabled",),
    "service_tier": ("auto", "default"),
    "verbosity": ("medium",),  # of `text`
    "context": ("auto",),  # of `reasoning`, as the next
    "mode": ("standard",),
    "prewarm": (False,),  # of `prompt_cache_options`: true asks for no answer
}
_LOGPROBS = "message.output_text.logprobs"
# More about built-in tools' items, or about inputs; reasoning is always given with its proof.
_INCLUDES = {
    _LOGPROBS, "reasoning.encrypted_content", "message.input_image.image_url",
    "file_search_call.results", "web_search_call.results", "web_search_call.action.sources",
    "code_interpreter_call.outputs", "computer_call_output.output.image_url",
}  # fmt: skip
_MODES = ("auto", "none", "required")


def read_conversation(chat: ChatRequest) -> Conversation:
    """The whole request. Raises BadRequest with the path of what is wrong."""
    values, notes = chat.source.values, Notes()
    notes.rest(values, _READ | _HARMLESS, "", _NOTHING)
    path = "prompt_cache_options"  # which change a price, like the two above
    notes.rest(fields.members(values.get(path), path) or {}, {"mode", "ttl"}, path, _NOTHING)
    tools = fields.each(values.get("tools"), "tools", lambda tool, at: _tool(tool, at, notes))
    max_tokens = fields.integer(values.get("max_output_tokens"), "max_output_tokens")
    temperature = fields.number(values.get("temperature"), "temperature")
    top_p = fields.number(values.get("top_p"), "top_p")
    for feature, name in (
        (Feature.MAX_TOKENS, "max_output_tokens"),
        (Feature.TEMPERATURE, "temperature"),
        (Feature.TOP_P, "top_p"),
        (Feature.METADATA, "metadata"),
    ):
        if values.get(name) not in (None, [], {}):
            notes.use(feature, name)
    one_tool_at_most = _one_tool(values, notes)
    return Conversation(
        turns=_turns(values, notes),
        tools=tuple([tool for tool in tools if tool is not None]),
        tool_choice=_tool_choice(values.get("tool_choice"), notes),
        one_tool_at_most=one_tool_at_most,
        output=_output(values, notes),
        thinking=_thinking(values, notes),
        max_tokens=max_tokens,
        temperature=temperature,
        top_p=top_p,
        logprobs=_logprobs(values, notes),
        user=_user(values, notes),
        metadata=fields.members(values.get("metadata"), "metadata") or None,
        is_stream=chat.is_stream,
        uses=notes.uses,
        others=notes.others,
        extras=notes.extras,
    )


def _turns(values: Json, notes: Notes) -> tuple[Turn, ...]:
    turns = Turns(notes)
    if instructions := fields.string(values.get("instructions"), "instructions"):
        turns.say("system", (Text(instructions),), "instructions")
    given = values.get("input")
    if isinstance(given, str):
        turns.say("user", (Text(given),), "input")
    else:
        fields.each(given, "input", turns.read)
    return turns.turns()


def _tool(tool: Json, path: str, notes: Notes) -> Tool | None:
    if tool.get("type") != "function":  # OpenAI's own tools, and those that take free text
        notes.other(path)
        return None
    notes.use(Feature.TOOLS, "tools")
    notes.rest(tool, {"type", "name", "description", "parameters", "strict"}, path)
    is_strict = fields.boolean(tool.get("strict"), f"{path}.strict")
    if is_strict:
        notes.use(Feature.STRICT_TOOLS, f"{path}.strict")
    name = fields.string(tool.get("name"), f"{path}.name")
    return Tool(
        fields.required(name, f"{path}.name"),
        fields.string(tool.get("description"), f"{path}.description"),
        fields.members(tool.get("parameters"), f"{path}.parameters"),
        is_strict,
    )


def _tool_choice(value: object, notes: Notes) -> ToolChoice | None:
    choice = _read_choice(value)
    if choice is None:
        if value is not None:
            notes.other("tool_choice")
    elif choice != ToolChoice("auto"):
        notes.use(Feature.TOOL_CHOICE, "tool_choice")
    return choice


def _read_choice(value: object) -> ToolChoice | None:
    """None for what only OpenAI's own tools could do."""
    match value:
        case "auto" | "none" | "required":
            return ToolChoice(value)
        case str():
            raise fields.wrong_value("tool_choice", f"must be one of {', '.join(_MODES)}")
        case {"type": "function", **rest}:
            name = fields.string(rest.get("name"), "tool_choice.name")
            return ToolChoice("required", (fields.required(name, "tool_choice.name"),))
        case {"type": "allowed_tools", "mode": "auto" | "required" as mode, "tools": list(tools)}:
            names = [_function(tool) for tool in tools]
            found = tuple([name for name in names if name is not None])
            return ToolChoice(mode, found) if found and len(found) == len(names) else None
        case _:
            return None


def _function(tool: object) -> str | None:
    match tool:
        case {"type": "function", "name": str(name)}:
            return name
        case _:
            return None


def _one_tool(values: Json, notes: Notes) -> bool | None:
    is_parallel = fields.boolean(values.get("parallel_tool_calls"), "parallel_tool_calls")
    if is_parallel is None:
        return None
    if not is_parallel and values.get("tools"):
        notes.use(Feature.ONE_TOOL, "parallel_tool_calls")
    return not is_parallel


def _output(values: Json, notes: Notes) -> Output | None:
    text = fields.members(values.get("text"), "text") or {}
    notes.rest(text, {"format"}, "text", _NOTHING)
    path = "text.format"
    wanted = fields.members(text.get("format"), path)
    if wanted is None:
        return None
    match wanted.get("type"):
        case "text":
            return None
        case "json_object":
            notes.use(Feature.JSON_MODE, path)
            return Output()
        case "json_schema":
            notes.use(Feature.JSON_SCHEMA, path)
            notes.rest(wanted, {"type", "name", "description", "schema", "strict"}, path)
            schema = fields.members(wanted.get("schema"), f"{path}.schema")
            return Output(
                fields.required(schema, f"{path}.schema"),
                fields.string(wanted.get("name"), f"{path}.name"),
                fields.string(wanted.get("description"), f"{path}.description"),
                fields.boolean(wanted.get("strict"), f"{path}.strict"),
            )
        case str():
            notes.other(path)
            return None
        case _:
            raise fields.missing(f"{path}.type")


def _thinking(values: Json, notes: Notes) -> Thinking | None:
    """`concise` and `detailed` summaries are the same wish: to see some reasoning. It uses no
    feature, since OpenAI itself often has none to show."""
    path = "reasoning"
    reasoning = fields.members(values.get(path), path) or {}
    notes.rest(reasoning, {"effort", "summary", "generate_summary"}, path, _NOTHING)
    effort = fields.string(reasoning.get("effort"), f"{path}.effort")
    summary = fields.string(reasoning.get("summary"), f"{path}.summary") or fields.string(
        reasoning.get("generate_summary"), f"{path}.generate_summary"
    )
    shows = True if summary else None
    if effort is not None:
        notes.use(Feature.EFFORT, f"{path}.effort")
    if effort == "none":
        return Thinking(is_on=False, shows=shows)
    return Thinking(effort=effort, shows=shows) if effort or shows else None


def _logprobs(values: Json, notes: Notes) -> int | None:
    most = fields.integer(values.get("top_logprobs"), "top_logprobs")
    include = fields.items(values.get("include"), "include") or []
    for number, name in enumerate(include):
        if not isinstance(name, str) or name not in _INCLUDES:
            notes.setting(f"include[{number}]")
    if _LOGPROBS in include:
        notes.use(Feature.LOGPROBS, f"include[{include.index(_LOGPROBS)}]")
        return most or 0
    if most:
        notes.use(Feature.LOGPROBS, "top_logprobs")
    return most or None


def _user(values: Json, notes: Notes) -> str | None:
    """`safety_identifier` says who the user is; `user`, which it replaces, where it is missing."""
    for name in ("safety_identifier", "user"):
        if (value := fields.string(values.get(name), name)) is not None:
            notes.use(Feature.USER, name)
            return value
    return None
