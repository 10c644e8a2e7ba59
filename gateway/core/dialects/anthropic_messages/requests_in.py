"""A client's request as a conversation.

Facts: https://platform.claude.com/docs/en/api/messages, and the types of the Python SDK
(https://github.com/anthropics/anthropic-sdk-python, `types/message_create_params.py`).
`output_format` is the beta's name of `output_config.format`, still taken (https://platform.claude.com/docs/en/build-with-claude/structured-outputs).
"""

from dataclasses import replace

from gateway.core.chat import ChatRequest
from gateway.core.conversation import (
    Conversation,
    File,
    Image,
    Json,
    Output,
    Part,
    Role,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
    Turn,
)
from gateway.core.dialects import fields
from gateway.core.dialects.anthropic_messages.blocks_in import read_cache, read_parts
from gateway.core.dialects.anthropic_messages.schemas import fits_strict_mode
from gateway.core.dialects.anthropic_messages.words import THREAD
from gateway.core.dialects.notes import Notes
from gateway.core.features import Feature

_READ = {
    "model", "messages", "system", "max_tokens", "stream", "tools", "tool_choice", "thinking",
    "output_config", "output_format", "stop_sequences", "temperature", "top_p", "top_k", "metadata",
    "cache_control",
}  # fmt: skip
_HARMLESS = {
    "service_tier",  # which of Anthropic's two queues serves it
    "diagnostics",  # asks why Anthropic's cache missed; the answer says nothing then
}
# The values of other members that ask for nothing: the API's defaults.
_NOTHING: dict[str, tuple[object, ...]] = {
    "speed": ("standard",),
    "mcp_servers": ([],),
    "betas": ([],),
}
# What the model may use, what was said before, where the request may be read: never left out.
_ESSENTIAL = ("mcp_servers", "container", "inference_geo")
_TOOL = {"type", "name", "description", "input_schema", "strict", "cache_control"}
_TOOL_HARMLESS = {"eager_input_streaming"}  # in how many pieces its arguments come
_TOOL_NOTHING: dict[str, tuple[object, ...]] = {
    "allowed_callers": (["direct"],),
    "defer_loading": (False,),
    "input_examples": ([],),
}
_ROLES: dict[str, Role] = {"user": "user", "assistant": "assistant", "system": "system"}
_SHOWS = {"summarized": True, "omitted": False}
_MODES = ("auto", "any", "tool", "none")


def read_conversation(chat: ChatRequest) -> Conversation:
    """The whole request. Raises BadRequest with the path of what is wrong."""
    values, notes = chat.source.values, Notes()
    notes.rest(values, _READ | _HARMLESS, "", _NOTHING)
    for name in _ESSENTIAL:
        if values.get(name) not in (None, []):
            notes.other(name)
    if values.get(THREAD) is not None:
        notes.other(THREAD)  # all that was said before
    turns = _turns(values, notes)
    stop = _strings(values.get("stop_sequences"), "stop_sequences")
    tools = fields.each(values.get("tools"), "tools", lambda tool, at: _tool(tool, at, notes))
    tool_choice, one_tool_at_most = _tool_choice(values, notes)
    for feature, name in (
        (Feature.TOOLS, "tools"),
        (Feature.STOP, "stop_sequences"),
        (Feature.TEMPERATURE, "temperature"),
        (Feature.TOP_P, "top_p"),
        (Feature.TOP_K, "top_k"),
    ):
        if values.get(name) not in (None, []):
            notes.use(feature, name)
    output = _output(values, notes)
    thinking = _thinking(values, notes)
    return Conversation(
        turns=turns,
        tools=tuple([tool for tool in tools if tool is not None]),
        tool_choice=tool_choice,
        one_tool_at_most=one_tool_at_most,
        output=output,
        thinking=thinking,
        max_tokens=_max_tokens(values, notes),
        stop=stop,
        temperature=fields.number(values.get("temperature"), "temperature"),
        top_p=fields.number(values.get("top_p"), "top_p"),
        top_k=fields.integer(values.get("top_k"), "top_k"),
        user=_user(values, notes),
        is_stream=chat.is_stream,
        uses=notes.uses,
        others=notes.others,
        extras=notes.extras,
    )


def _turns(values: Json, notes: Notes) -> tuple[Turn, ...]:
    turns: list[Turn] = []
    if system := _texts(values.get("system"), "system", notes):
        notes.use(Feature.SYSTEM, "system")
        turns.append(Turn("system", system))
    has_begun = False
    messages = fields.items(values.get("messages"), "messages") or []
    for number, message in enumerate(messages):
        path = f"messages[{number}]"
        turn = _turn(fields.required(fields.members(message, path), path), path, notes)
        turns.append(turn)
        if turn.role == "system":
            notes.use(Feature.DEVELOPER if has_begun else Feature.SYSTEM, path)
        has_begun = has_begun or turn.role != "system"
        if number == len(messages) - 1 and turn.role == "assistant":
            notes.use(Feature.PREFILL, path)
    if cache := read_cache(values, "", notes):
        _mark_last(turns, cache)
    return tuple(turns)


def _turn(message: Json, path: str, notes: Notes) -> Turn:
    notes.rest(message, {"role", "content"}, path)
    role = _ROLES.get(fields.string(message.get("role"), f"{path}.role") or "")
    if role is None:
        raise fields.wrong_value(f"{path}.role", "is not a known role")
    read = _texts if role == "system" else read_parts
    return Turn(role, read(message.get("content"), f"{path}.content", notes))


def _texts(content: object, path: str, notes: Notes) -> tuple[Part, ...]:
    """A system prompt is nothing but text."""
    parts = read_parts(content, path, notes)
    texts = tuple([part for part in parts if isinstance(part, Text)])
    if len(texts) < len(parts):
        notes.other(path)
    return texts


def _mark_last(turns: list[Turn], cache: Json) -> None:
    """What the API does with `cache_control` of the whole request: the last block that can have a
    marker gets it."""
    for at in range(len(turns) - 1, -1, -1):
        parts = list(turns[at].parts)
        for number in range(len(parts) - 1, -1, -1):
            if (marked := _marked(parts[number], cache)) is not None:
                parts[number] = marked
                turns[at] = replace(turns[at], parts=tuple(parts))
                return


def _marked(part: Part, cache: Json) -> Part | None:
    if isinstance(part, (Text, Image, File, ToolCall, ToolResult)):
        return replace(part, cache=part.cache or cache)
    return None


def _tool(tool: Json, path: str, notes: Notes) -> Tool | None:
    if tool.get("type") not in (None, "custom"):  # Anthropic's own, run there or known to the model
        notes.other(path)
        return None
    notes.rest(tool, _TOOL | _TOOL_HARMLESS, path, _TOOL_NOTHING)
    is_strict = fields.boolean(tool.get("strict"), f"{path}.strict")
    if is_strict:
        notes.use(Feature.STRICT_TOOLS, f"{path}.strict")
    name = fields.string(tool.get("name"), f"{path}.name")
    return Tool(
        fields.required(name, f"{path}.name"),
        fields.string(tool.get("description"), f"{path}.description"),
        fields.members(tool.get("input_schema"), f"{path}.input_schema"),
        is_strict,
        read_cache(tool, path, notes),
    )


def _tool_choice(values: Json, notes: Notes) -> tuple[ToolChoice | None, bool | None]:
    """The choice, and whether one call is the most."""
    path = "tool_choice"
    choice = fields.members(values.get(path), path)
    if choice is None:
        return None, None
    notes.rest(choice, {"type", "name", "disable_parallel_tool_use"}, path)
    one_at = f"{path}.disable_parallel_tool_use"
    one_at_most = fields.boolean(choice.get("disable_parallel_tool_use"), one_at)
    if one_at_most:
        notes.use(Feature.ONE_TOOL, one_at)
    kind = fields.required(fields.string(choice.get("type"), f"{path}.type"), f"{path}.type")
    match kind:
        case "auto":  # the default
            return ToolChoice("auto"), one_at_most
        case "any":
            found = ToolChoice("required")
        case "tool":
            name = fields.string(choice.get("name"), f"{path}.name")
            found = ToolChoice("required", (fields.required(name, f"{path}.name"),))
        case "none":
            found = ToolChoice("none")
        case _:
            raise fields.wrong_value(f"{path}.type", f"must be one of {', '.join(_MODES)}")
    notes.use(Feature.TOOL_CHOICE, path)
    return found, one_at_most


def _output(values: Json, notes: Notes) -> Output | None:
    config = fields.members(values.get("output_config"), "output_config") or {}
    notes.rest(config, {"effort", "format"}, "output_config")
    for path, value in (
        ("output_config.format", config.get("format")),
        ("output_format", values.get("output_format")),
    ):
        wanted = fields.members(value, path)
        if wanted is None:
            continue
        if wanted.get("type") != "json_schema":
            notes.other(path)
            return None
        notes.rest(wanted, {"type", "schema"}, path)
        notes.use(Feature.JSON_SCHEMA, path)
        at = f"{path}.schema"
        schema = fields.required(fields.members(wanted.get("schema"), at), at)
        return Output(schema, is_strict=True if fits_strict_mode(schema) else None)
    return None


def _thinking(values: Json, notes: Notes) -> Thinking | None:
    """`adaptive`: the model decides how much, as models of other providers do when they are asked
    to reason."""
    config = fields.members(values.get("output_config"), "output_config") or {}
    effort = fields.string(config.get("effort"), "output_config.effort")
    if effort is not None:
        notes.use(Feature.EFFORT, "output_config.effort")
    path = "thinking"
    asked = fields.members(values.get(path), path)
    if asked is None:
        return Thinking(effort=effort) if effort else None
    kind = fields.required(fields.string(asked.get("type"), f"{path}.type"), f"{path}.type")
    notes.rest(asked, {"type", "budget_tokens", "display"}, path)
    display = fields.string(asked.get("display"), f"{path}.display")
    if display is not None and display not in _SHOWS:
        notes.setting(f"{path}.display")
    shows = _SHOWS.get(display or "")
    match kind:
        case "enabled":
            at = f"{path}.budget_tokens"
            budget = fields.required(fields.integer(asked.get("budget_tokens"), at), at)
            notes.use(Feature.BUDGET, at)
            return Thinking(is_on=True, effort=effort, budget=budget, shows=shows)
        case "adaptive":
            notes.use(Feature.EFFORT, path)
            return Thinking(is_on=True, effort=effort, shows=shows)
        case "disabled":
            notes.use(Feature.EFFORT, path)
            return Thinking(is_on=False, effort=effort)
        case _:  # such as `between_tools`
            notes.setting(f"{path}.type")
            return Thinking(effort=effort) if effort else None


def _max_tokens(values: Json, notes: Notes) -> int | None:
    path = "max_tokens"
    most = fields.integer(values.get(path), path)
    if most == 0:  # no answer at all: it only fills Anthropic's cache
        notes.other(path)
        return None
    if most is not None:
        notes.use(Feature.MAX_TOKENS, path)
    return most


def _user(values: Json, notes: Notes) -> str | None:
    metadata = fields.members(values.get("metadata"), "metadata") or {}
    notes.rest(metadata, {"user_id"}, "metadata")
    user = fields.string(metadata.get("user_id"), "metadata.user_id")
    if user is not None:
        notes.use(Feature.USER, "metadata.user_id")
    return user


def _strings(value: object, path: str) -> tuple[str, ...]:
    found = [
        fields.required(fields.string(item, f"{path}[{number}]"), f"{path}[{number}]")
        for number, item in enumerate(fields.items(value, path) or [])
    ]
    return tuple(found)
