"""A conversation as a request to a provider.

What the API demands and a conversation may not have: a JSON Schema has a name. The token limit is
`max_completion_tokens`, unless the provider's manner says otherwise: OpenAI's reasoning models
refuse `max_tokens`, and all of its models take the newer word
(https://platform.openai.com/docs/api-reference/chat/create). A stream asks for its usage: clients
of other dialects always get it.

Some can be said to some providers only and are not carried: `top_k`, a reasoning budget, metadata
(OpenAI: "only allowed when 'store' is enabled"), cache-control markers.
"""

import json

from gateway.core.conversation import Conversation, Json, Output, Thinking, Tool, ToolChoice
from gateway.core.dialect import AS_DOCUMENTED, Manner, ProviderRequest
from gateway.core.dialects.openai_chat.messages_out import write_messages
from gateway.core.dialects.openai_chat.words import PATH
from gateway.core.dialects.openai_limits import parameters, user_name
from gateway.core.features import Feature

CARRIES = frozenset(
    {
        Feature.SYSTEM,
        Feature.DEVELOPER,
        Feature.NAMES,
        Feature.TOOLS,
        Feature.STRICT_TOOLS,
        Feature.TOOL_CHOICE,
        Feature.ONE_TOOL,
        Feature.IMAGE_URL,
        Feature.IMAGE_DATA,
        Feature.FILE_DATA,
        Feature.AUDIO,
        Feature.JSON_MODE,
        Feature.JSON_SCHEMA,
        Feature.MAX_TOKENS,
        Feature.STOP,
        Feature.TEMPERATURE,
        Feature.TOP_P,
        Feature.PENALTIES,
        Feature.SEED,
        Feature.N,
        Feature.LOGPROBS,
        Feature.EFFORT,
        Feature.REASONING,  # that which its own providers gave
        Feature.USER,
    }
)

_SCHEMA_NAME = "answer"  # the API demands one; the model may see it


def write_request(
    conversation: Conversation, model: str, manner: Manner = AS_DOCUMENTED
) -> ProviderRequest:
    """The request, for a model of a provider of this dialect."""
    body: Json = {"model": model, "messages": write_messages(conversation.turns, manner)}
    body |= _tools(conversation)
    members: Json = {
        "response_format": _output(conversation.output),
        "reasoning_effort": _effort(conversation.thinking),
        manner.limit: conversation.max_tokens,
        "stop": list(conversation.stop) or None,
        "temperature": conversation.temperature,
        "top_p": conversation.top_p,
        "presence_penalty": conversation.presence_penalty,
        "frequency_penalty": conversation.frequency_penalty,
        "seed": conversation.seed,
        "n": conversation.answers if conversation.answers > 1 else None,
        "logprobs": None if conversation.logprobs is None else True,
        "top_logprobs": conversation.logprobs or None,
        "user": conversation.user and user_name(conversation.user),
    }
    if conversation.is_stream:
        members["stream"] = True
        if manner.asks_usage:
            members["stream_options"] = {"include_usage": True}
    body |= {name: value for name, value in members.items() if value is not None}
    return ProviderRequest(PATH, json.dumps(body).encode())


def _tools(conversation: Conversation) -> Json:
    """OpenAI refuses each of the other two without the first."""
    if not conversation.tools:
        return {}
    written: Json = {"tools": [_tool(tool) for tool in conversation.tools]}
    if conversation.tool_choice is not None:
        written["tool_choice"] = _choice(conversation.tool_choice)
    if conversation.one_tool_at_most is not None:
        written["parallel_tool_calls"] = not conversation.one_tool_at_most
    return written


def _tool(tool: Tool) -> Json:
    members = {
        "description": tool.description,
        "parameters": tool.schema and parameters(tool.schema),
        "strict": tool.is_strict,
    }
    function: Json = {"name": tool.name}
    function |= {name: value for name, value in members.items() if value is not None}
    return {"type": "function", "function": function}


def _choice(choice: ToolChoice) -> object:
    if not choice.names or choice.mode == "none":
        return choice.mode
    tools = [{"type": "function", "function": {"name": name}} for name in choice.names]
    if choice.mode == "required" and len(tools) == 1:
        return tools[0]
    return {"type": "allowed_tools", "allowed_tools": {"mode": choice.mode, "tools": tools}}


def _output(output: Output | None) -> Json | None:
    if output is None:
        return None
    if output.schema is None:
        return {"type": "json_object"}
    schema: Json = {"name": output.name or _SCHEMA_NAME, "schema": output.schema}
    if output.description is not None:
        schema["description"] = output.description
    if output.is_strict is not None:
        schema["strict"] = output.is_strict
    return {"type": "json_schema", "json_schema": schema}


def _effort(thinking: Thinking | None) -> str | None:
    """That it is on, and no more, is every reasoning model's default."""
    if thinking is None:
        return None
    return "none" if thinking.is_on is False else thinking.effort
