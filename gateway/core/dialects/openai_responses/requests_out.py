"""A conversation as a request to a provider.

Facts: https://platform.openai.com/docs/api-reference/responses/create. Two things are said that no
client says, since the API's defaults are not what clients of other dialects mean: `store` is false
(it keeps an answer for 30 days unless told not to), and so is a tool's `strict`
(https://developers.openai.com/api/docs/guides/function-calling: without it the schema is made
strict, and optional arguments required). Reasoning is asked for with its proof, so that the next
turn can return it.
"""

import json

from gateway.core.conversation import (
    Conversation,
    File,
    Image,
    Json,
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
from gateway.core.dialect import AS_DOCUMENTED, Manner, ProviderRequest
from gateway.core.dialects.openai_limits import parameters, user_name
from gateway.core.dialects.openai_responses import proofs
from gateway.core.dialects.openai_responses.content import write_part
from gateway.core.dialects.openai_responses.marks import NAME, PATH
from gateway.core.dialects.openai_responses.output_items import NO_ARGUMENTS
from gateway.core.features import Feature

# Not here: names, stop sequences, top_k, penalties, seeds, several answers, budgets of reasoning,
# errors of tools (the API has no member for them); audio (its models of this API take none); an
# answer's beginning (what an assistant says last is answered, not continued); citations (asked for
# only with OpenAI's own tools); cache-control markers (for the newest models alone; the others
# refuse them, and not one knows them on tools).
CARRIES = frozenset(
    {
        Feature.SYSTEM,
        Feature.DEVELOPER,
        Feature.TOOLS,
        Feature.STRICT_TOOLS,
        Feature.TOOL_CHOICE,
        Feature.ONE_TOOL,
        Feature.TOOL_MEDIA,
        Feature.IMAGE_URL,
        Feature.IMAGE_DATA,
        Feature.FILE_URL,
        Feature.FILE_DATA,
        Feature.JSON_MODE,
        Feature.JSON_SCHEMA,
        Feature.MAX_TOKENS,
        Feature.TEMPERATURE,
        Feature.TOP_P,
        Feature.LOGPROBS,
        Feature.EFFORT,
        Feature.REASONING,
        Feature.USER,
        Feature.METADATA,
    }
)

_A_NAME = "answer"  # of a schema: the API demands one, and other dialects have none


def write_request(
    conversation: Conversation,
    model: str,
    manner: Manner = AS_DOCUMENTED,  # noqa: ARG001 - every dialect is called alike
) -> ProviderRequest:
    """The request, for a model of a provider of this dialect."""
    turns, one_tool = conversation.turns, conversation.one_tool_at_most
    instructions = _instructions(turns)
    items = [item for turn in turns[instructions is not None :] for item in _items(turn)]
    body = {
        "model": model,
        "instructions": instructions,
        "input": items,
        "tools": [_tool(tool) for tool in conversation.tools] or None,
        "tool_choice": _tool_choice(conversation.tool_choice),
        "parallel_tool_calls": None if one_tool is None else not one_tool,
        "text": _text(conversation.output),
        "reasoning": _reasoning(conversation.thinking),
        "include": _include(conversation, items) or None,
        "max_output_tokens": conversation.max_tokens,
        "temperature": conversation.temperature,
        "top_p": conversation.top_p,
        "top_logprobs": conversation.logprobs or None,
        "user": None if conversation.user is None else user_name(conversation.user),
        "metadata": conversation.metadata,
        "store": False,
        "stream": conversation.is_stream or None,
    }
    said = {name: value for name, value in body.items() if value is not None}
    return ProviderRequest(PATH, json.dumps(said).encode())


def _instructions(turns: tuple[Turn, ...]) -> str | None:
    """The first turn, where it is a system prompt of one text, and not all there is."""
    match turns:
        case (Turn(role="system", parts=(Text(text=str(text)),)), _, *_) if text:
            return text
        case _:
            return None


def _items(turn: Turn) -> list[Json]:
    """A turn's items: what follows each other in one message is one item."""
    items: list[Json] = []
    said: list[Part] = []
    for part in turn.parts:
        item = _item(part)
        if item is None and not isinstance(part, Reasoning):
            said.append(part)
        elif item is not None:
            items += _message(turn, said)
            said = []
            items.append(item)
    return items + _message(turn, said)


def _item(part: Part) -> Json | None:
    """A part that is an item of its own. Reasoning without OpenAI's proof is left out: what it is
    worth to a model lies in the proof, and an item without one is looked up and not found."""
    match part:
        case Reasoning() if part.signature and part.origin == NAME:
            id_, encrypted = proofs.of_reasoning(part)
            summary = [{"type": "summary_text", "text": part.text}] if part.text else []
            item: Json = {"type": "reasoning", "summary": summary, "encrypted_content": encrypted}
            return {**item, "id": id_} if id_ else item
        case ToolCall():
            return {
                "type": "function_call",
                "call_id": part.id,
                "name": part.name,
                "arguments": part.arguments or NO_ARGUMENTS,
            }
        case ToolResult():
            return {
                "type": "function_call_output",
                "call_id": part.id,
                "output": _content(part.parts),
            }
        case _:
            return None


def _message(turn: Turn, said: list[Part]) -> list[Json]:
    if not said:
        return []
    if turn.role == "assistant":
        return [{"type": "message", "role": "assistant", "content": _answered(said)}]
    parts = [part for part in said if isinstance(part, (Text, Image, File))]
    return [{"type": "message", "role": turn.role, "content": _content(tuple(parts))}]


def _content(parts: tuple[Text | Image | File, ...]) -> str | list[Json]:
    match parts:
        case ():
            return ""
        case (Text(text=str(text)),) if text:
            return text
        case _:
            return [write_part(part) for part in parts]


def _answered(said: list[Part]) -> str | list[Json]:
    """What the model said: one text as a string, since not every server takes what OpenAI wrote
    itself (vLLM: only with its ids)."""
    match said:
        case [Text(text=str(text))] if text:
            return text
    content: list[Json] = []
    for part in said:
        if isinstance(part, Text):
            content.append({"type": "output_text", "text": part.text, "annotations": []})
        elif isinstance(part, Refusal):
            content.append({"type": "refusal", "refusal": part.text})
    return content


def _tool(tool: Tool) -> Json:
    described: Json = {} if tool.description is None else {"description": tool.description}
    return {
        "type": "function",
        "name": tool.name,
        **described,
        "parameters": None if tool.schema is None else parameters(tool.schema),
        "strict": tool.is_strict or False,
    }


def _tool_choice(choice: ToolChoice | None) -> str | Json | None:
    match choice:
        case None:
            return None
        case ToolChoice(names=()) | ToolChoice(mode="none"):
            return choice.mode
        case ToolChoice(mode="required", names=(name,)):
            return {"type": "function", "name": name}
        case _:
            tools = [{"type": "function", "name": name} for name in choice.names]
            return {"type": "allowed_tools", "mode": choice.mode, "tools": tools}


def _text(output: Output | None) -> Json | None:
    if output is None:
        return None
    if output.schema is None:
        return {"format": {"type": "json_object"}}
    wanted: Json = {
        "type": "json_schema",
        "name": output.name or _A_NAME,
        "description": output.description,
        "schema": output.schema,
        "strict": output.is_strict,
    }
    return {"format": {name: value for name, value in wanted.items() if value is not None}}


def _reasoning(thinking: Thinking | None) -> Json | None:
    """Reasoning that is only switched on is what its models do anyway."""
    if thinking is None:
        return None
    wanted: Json = {}
    if thinking.is_on is False or thinking.effort:
        wanted["effort"] = "none" if thinking.is_on is False else thinking.effort
    if thinking.shows:
        wanted["summary"] = "auto"
    return wanted or None


def _include(conversation: Conversation, items: list[Json]) -> list[str]:
    """What is asked for beside the answer. Proofs only where the model reasons: the others refuse
    (https://github.com/OpenHands/software-agent-sdk/pull/1208)."""
    include: list[str] = []
    thinking = conversation.thinking
    is_asked = thinking is not None and thinking.is_on is not False
    if is_asked or any(item["type"] == "reasoning" for item in items):
        include.append("reasoning.encrypted_content")
    if conversation.logprobs is not None:
        include.append("message.output_text.logprobs")
    return include
