"""A conversation as a request to a provider.

Facts: https://platform.claude.com/docs/en/api/messages. Two things are said that no client says,
since the API demands them: a limit of tokens, and that a tool's arguments are an object.
"""

import json

from gateway.core.conversation import Conversation, Json, Thinking, Tool, ToolChoice, Turn
from gateway.core.dialect import AS_DOCUMENTED, Manner, ProviderRequest
from gateway.core.dialects.anthropic_messages.blocks_out import write_messages, write_system
from gateway.core.dialects.anthropic_messages.words import PATH
from gateway.core.dialects.fields import wrong_value
from gateway.core.features import Feature

# Not here: names, audio, JSON without a schema, penalties, seeds, several answers, logprobs and
# metadata other than the user (the API has no member for them); citations, which only a client of
# this dialect can ask for.
CARRIES = frozenset(
    {
        Feature.SYSTEM,
        # By the newer models; the others refuse it themselves:
        # https://platform.claude.com/docs/en/build-with-claude/mid-conversation-system-messages
        Feature.DEVELOPER,
        Feature.TOOLS,
        Feature.STRICT_TOOLS,
        Feature.TOOL_CHOICE,
        Feature.ONE_TOOL,
        Feature.TOOL_ERRORS,
        Feature.TOOL_MEDIA,
        Feature.IMAGE_URL,
        Feature.IMAGE_DATA,
        Feature.FILE_URL,
        Feature.FILE_DATA,
        Feature.JSON_SCHEMA,
        Feature.MAX_TOKENS,
        Feature.STOP,
        Feature.TEMPERATURE,
        Feature.TOP_P,
        Feature.TOP_K,
        Feature.EFFORT,
        Feature.BUDGET,
        Feature.REASONING,
        Feature.USER,
        Feature.CACHE_CONTROL,
        Feature.PREFILL,
    }
)

# The API demands a limit, other dialects' clients often set none: the least of what the models that
# Anthropic has served since 2025 can write at once (Claude Opus 4 and 4.1; the others 64,000 or
# more), so that each of them takes it and no answer is cut that need not be. Tokens not written
# cost nothing, and count for no rate limit (https://platform.claude.com/docs/en/api/rate-limits).
MAX_TOKENS = 32_000

_SYSTEM = ("system", "developer")
# https://platform.claude.com/docs/en/build-with-claude/effort
_EFFORTS = ("low", "medium", "high", "xhigh", "max")


def write_request(
    conversation: Conversation,
    model: str,
    manner: Manner = AS_DOCUMENTED,  # noqa: ARG001 - every dialect is called alike
) -> ProviderRequest:
    """The request, for a model of a provider of this dialect. Raises BadRequest where a value
    cannot be said."""
    system, turns = _split(conversation.turns)
    tools = _offered(conversation)
    body = {
        "model": model,
        "max_tokens": _max_tokens(conversation),
        "system": write_system(system),
        "messages": write_messages(turns),
        "tools": [_tool(tool) for tool in tools] or None,
        "tool_choice": _tool_choice(conversation) if tools else None,  # refused without tools
        "output_config": _output_config(conversation),
        "thinking": _thinking(conversation.thinking),
        "stop_sequences": list(conversation.stop) or None,
        "temperature": conversation.temperature,
        "top_p": conversation.top_p,
        "top_k": conversation.top_k,
        "metadata": None if conversation.user is None else {"user_id": conversation.user},
        "stream": conversation.is_stream or None,
    }
    said = {name: value for name, value in body.items() if value is not None}
    return ProviderRequest(PATH, json.dumps(said).encode())


def _split(turns: tuple[Turn, ...]) -> tuple[tuple[Turn, ...], tuple[Turn, ...]]:
    """The system prompt, and what comes after it."""
    for at, turn in enumerate(turns):
        if turn.role not in _SYSTEM:
            return turns[:at], turns[at:]
    return turns, ()


def _max_tokens(conversation: Conversation) -> int:
    if conversation.max_tokens is not None:
        return conversation.max_tokens
    budget = conversation.thinking.budget if conversation.thinking else None
    return MAX_TOKENS + max(0, budget or 0)  # the limit is above the budget


def _offered(conversation: Conversation) -> tuple[Tool, ...]:
    """The tools that the model may call: a choice of some is made by leaving out the others, which
    is what it means. One alone can be named."""
    choice = conversation.tool_choice
    if choice is None or not choice.names or choice.mode == "none" or _named(choice):
        return conversation.tools
    return tuple([tool for tool in conversation.tools if tool.name in choice.names])


def _named(choice: ToolChoice) -> str | None:
    return choice.names[0] if choice.mode == "required" and len(choice.names) == 1 else None


def _tool(tool: Tool) -> Json:
    written: Json = {"name": tool.name}
    if tool.description is not None:
        written["description"] = tool.description
    written["input_schema"] = {"type": "object", **(tool.schema or {})}
    if tool.is_strict:
        written["strict"] = True
    if tool.cache is not None:
        written["cache_control"] = tool.cache
    return written


def _tool_choice(conversation: Conversation) -> Json | None:
    choice, one_tool_at_most = conversation.tool_choice, conversation.one_tool_at_most
    if choice is None and not one_tool_at_most:
        return None
    match choice:
        case None | ToolChoice(mode="auto"):
            written: Json = {"type": "auto"}
        case ToolChoice(mode="none"):
            return {"type": "none"}
        case _:
            name = _named(choice)
            written = {"type": "tool", "name": name} if name else {"type": "any"}
    if one_tool_at_most:
        written["disable_parallel_tool_use"] = True
    return written


def _output_config(conversation: Conversation) -> Json | None:
    config: Json = {}
    output, thinking = conversation.output, conversation.thinking
    if thinking and thinking.effort not in (None, "none"):
        if thinking.effort not in _EFFORTS:  # OpenAI's `minimal`
            path = conversation.uses.get(Feature.EFFORT, "reasoning effort")
            raise wrong_value(path, f"must be one of none, {', '.join(_EFFORTS)} for this model")
        config["effort"] = thinking.effort
    if output and output.schema is not None:
        # A schema's name and `strict` are OpenAI's: nothing is told the model by the one, and
        # every schema is strict here. Its description is told, in the schema's own words for it.
        described = {} if output.description is None else {"description": output.description}
        config["format"] = {"type": "json_schema", "schema": described | output.schema}
    return config or None


def _thinking(thinking: Thinking | None) -> Json | None:
    """A budget where one is asked for; else the model decides, led by the effort
    (https://platform.claude.com/docs/en/build-with-claude/adaptive-thinking)."""
    if thinking is None:
        return None
    if _is_off(thinking):
        return {"type": "disabled"}
    written: Json = {"type": "adaptive"}
    if thinking.budget is not None and thinking.budget > 0:
        written = {"type": "enabled", "budget_tokens": thinking.budget}
    elif not (thinking.is_on or thinking.effort or thinking.shows):
        return None
    if thinking.shows is not None:
        written["display"] = "summarized" if thinking.shows else "omitted"
    return written


def _is_off(thinking: Thinking) -> bool:
    return thinking.is_on is False or thinking.effort == "none" or thinking.budget == 0
