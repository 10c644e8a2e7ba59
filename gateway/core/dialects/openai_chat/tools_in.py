"""The tools of a client's request, and which of them may be called.

Facts: https://platform.openai.com/docs/guides/function-calling; `functions` and `function_call` are
their older form. A custom tool takes free text, which no other dialect has a word for.
"""

from gateway.core.conversation import Json, Tool, ToolChoice
from gateway.core.dialects import fields
from gateway.core.dialects.fields import wrong_value
from gateway.core.dialects.notes import Notes
from gateway.core.dialects.openai_chat.content import read_cache
from gateway.core.features import Feature


def read_tools(values: Json, notes: Notes) -> tuple[Tool, ...]:
    found = fields.each(values.get("tools"), "tools", lambda tool, at: _tool(tool, at, notes))
    legacy = fields.each(
        values.get("functions"), "functions", lambda tool, at: _function(tool, at, notes)
    )
    tools = [tool for tool in (*found, *legacy) if tool is not None]
    if tools:
        notes.use(Feature.TOOLS, "tools" if values.get("tools") else "functions")
    return tuple(tools)


def _tool(tool: Json, path: str, notes: Notes) -> Tool | None:
    if tool.get("type", "function") != "function":  # free text, or a provider's own tool
        notes.other(path)
        return None
    notes.rest(tool, {"type", "function", "cache_control"}, path)
    at = f"{path}.function"
    function = fields.required(fields.members(tool.get("function"), at), at)
    return _function(function, at, notes, read_cache(tool, path, notes))


def _function(function: Json, path: str, notes: Notes, cache: Json | None = None) -> Tool:
    notes.rest(function, {"name", "description", "parameters", "strict", "cache_control"}, path)
    is_strict = fields.boolean(function.get("strict"), f"{path}.strict")
    if is_strict:
        notes.use(Feature.STRICT_TOOLS, f"{path}.strict")
    name = fields.string(function.get("name"), f"{path}.name")
    return Tool(
        fields.required(name, f"{path}.name"),
        fields.string(function.get("description"), f"{path}.description"),
        fields.members(function.get("parameters"), f"{path}.parameters"),
        is_strict,
        cache or read_cache(function, path, notes),
    )


def read_choice(values: Json, notes: Notes) -> ToolChoice | None:
    name = "tool_choice" if values.get("tool_choice") is not None else "function_call"
    value = values.get(name)
    if value is None:
        return None
    choice = _choice(value, name)
    if not (values.get("tools") or values.get("functions")):
        if choice and choice.mode == "required":
            raise wrong_value(name, "needs 'tools'")
        return None  # "none" and "auto" among none
    if choice is None:
        notes.other(name)
    elif choice != ToolChoice("auto"):
        notes.use(Feature.TOOL_CHOICE, name)
    return choice


def _choice(value: object, path: str) -> ToolChoice | None:
    """None for what has no neutral form. `any` is Mistral's word for `required`."""
    match value:
        case "auto" | "none" | "required":
            return ToolChoice(value)
        case "any":
            return ToolChoice("required")
        case str():
            raise wrong_value(path, "must be one of auto, none, required")
        case {"type": "function", "function": {"name": str(name)}}:
            return ToolChoice("required", (name,))
        case {"name": str(name)} if path == "function_call":
            return ToolChoice("required", (name,))
        case {
            "type": "allowed_tools",
            "allowed_tools": {"mode": "auto" | "required" as mode, "tools": list(tools)},
        }:
            names = [_allowed(tool) for tool in tools]
            found = tuple([name for name in names if name is not None])
            return ToolChoice(mode, found) if found and len(found) == len(names) else None
        case {"type": "function"}:
            raise fields.missing(f"{path}.function.name")
        case dict():
            return None
        case _:
            raise fields.wrong_type(path, "a string or an object")


def _allowed(tool: object) -> str | None:
    match tool:
        case {"type": "function", "function": {"name": str(name)}}:
            return name
    return None


def read_one_tool(values: Json, notes: Notes) -> bool | None:
    is_parallel = fields.boolean(values.get("parallel_tool_calls"), "parallel_tool_calls")
    if values.get("functions") and not values.get("tools"):
        notes.use(Feature.ONE_TOOL, "functions")  # such a client has room for one call
        return True
    if is_parallel is None:
        return None
    if not is_parallel and values.get("tools"):
        notes.use(Feature.ONE_TOOL, "parallel_tool_calls")
    return not is_parallel
