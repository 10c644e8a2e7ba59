"""A client's request, read in full: what it uses, and what has no neutral form.

Facts: https://platform.openai.com/docs/api-reference/chat/create; `reasoning` and `top_k` are
OpenRouter's (https://openrouter.ai/docs/api-reference/parameters). What is not known here is
listed: nobody can say whether it may be left out.
"""

from gateway.core.chat import ChatRequest
from gateway.core.conversation import Conversation, Json, Output, Thinking
from gateway.core.dialects import fields
from gateway.core.dialects.fields import wrong_value
from gateway.core.dialects.notes import Notes
from gateway.core.dialects.openai_chat.messages_in import read_turns
from gateway.core.dialects.openai_chat.tools_in import read_choice, read_one_tool, read_tools
from gateway.core.features import Feature

_READ = {
    "model", "messages", "stream", "tools", "functions", "tool_choice", "function_call",
    "parallel_tool_calls", "response_format", "reasoning_effort", "reasoning", "max_tokens",
    "max_completion_tokens", "stop", "temperature", "top_p", "top_k", "presence_penalty",
    "frequency_penalty", "seed", "n", "logprobs", "top_logprobs", "user", "safety_identifier",
    "metadata", "prompt_cache_options",
}  # fmt: skip
_HARMLESS = {
    "stream_options",  # how the stream is written, which is the gateway's work
    "prompt_cache_key",  # both say how OpenAI's cache finds the prompt again: they change a price,
    "prompt_cache_retention",  # never an answer
}
# The values of other members that ask for nothing: the API's defaults, and no trace at OpenAI.
_NOTHING: dict[str, tuple[object, ...]] = {
    "store": (False,),
    "service_tier": ("auto", "default"),
    "modalities": (["text"],),
    "verbosity": ("medium",),
    "logit_bias": ({},),
}


def read_conversation(chat: ChatRequest) -> Conversation:
    """The whole request. Raises BadRequest with the path of what is wrong."""
    values, notes = chat.source.values, Notes()
    notes.rest(values, _READ | _HARMLESS, nothing=_NOTHING)
    path = "prompt_cache_options"  # which change a price, like the two above
    notes.rest(fields.members(values.get(path), path) or {}, {"mode", "ttl"}, path)
    return Conversation(
        turns=read_turns(values.get("messages"), notes),
        tools=read_tools(values, notes),
        tool_choice=read_choice(values, notes),
        one_tool_at_most=read_one_tool(values, notes),
        output=_output(values, notes),
        thinking=_thinking(values, notes),
        max_tokens=_max_tokens(values, notes),
        stop=_stop(values, notes),
        temperature=_number(values, "temperature", Feature.TEMPERATURE, notes),
        top_p=_number(values, "top_p", Feature.TOP_P, notes),
        top_k=_integer(values, "top_k", Feature.TOP_K, notes),
        presence_penalty=_penalty(values, "presence_penalty", notes),
        frequency_penalty=_penalty(values, "frequency_penalty", notes),
        seed=_integer(values, "seed", Feature.SEED, notes),
        answers=_answers(chat, notes),
        logprobs=_logprobs(values, notes),
        user=_user(values, notes),
        metadata=_metadata(values, notes),
        is_stream=chat.is_stream,
        uses=notes.uses,
        others=notes.others,
        extras=notes.extras,
    )


# --- Single members ----------------------------------------------------------


def _number(values: Json, name: str, feature: Feature, notes: Notes) -> float | None:
    value = fields.number(values.get(name), name)
    if value is not None:
        notes.use(feature, name)
    return value


def _integer(values: Json, name: str, feature: Feature, notes: Notes) -> int | None:
    value = fields.integer(values.get(name), name)
    if value is not None:
        notes.use(feature, name)
    return value


def _penalty(values: Json, name: str, notes: Notes) -> float | None:
    value = fields.number(values.get(name), name)
    if value:  # 0, the default, is none
        notes.use(Feature.PENALTIES, name)
    return value


def _max_tokens(values: Json, notes: Notes) -> int | None:
    newer = _integer(values, "max_completion_tokens", Feature.MAX_TOKENS, notes)
    older = _integer(values, "max_tokens", Feature.MAX_TOKENS, notes)
    return older if newer is None else newer


def _stop(values: Json, notes: Notes) -> tuple[str, ...]:
    value = values.get("stop")
    if isinstance(value, str):
        value = [value]
    found = fields.items(value, "stop") or []
    stops: list[str] = []
    for index, item in enumerate(found):
        path = f"stop[{index}]"
        stops.append(fields.required(fields.string(item, path), path))
    if stops:
        notes.use(Feature.STOP, "stop")
    return tuple(stops)


def _answers(chat: ChatRequest, notes: Notes) -> int:
    if chat.answers < 1:
        raise wrong_value("n", "must be at least 1")
    if chat.answers > 1:
        notes.use(Feature.N, "n")
    return chat.answers


def _logprobs(values: Json, notes: Notes) -> int | None:
    wanted = fields.boolean(values.get("logprobs"), "logprobs")
    most = fields.integer(values.get("top_logprobs"), "top_logprobs")
    if not wanted:
        if most:
            raise wrong_value("top_logprobs", "needs 'logprobs': true")
        return None
    notes.use(Feature.LOGPROBS, "logprobs")
    return most or 0


def _user(values: Json, notes: Notes) -> str | None:
    """`safety_identifier` replaces `user` as the name of the person who asks; where both are given,
    `user` only helps the cache."""
    older = fields.string(values.get("user"), "user")
    newer = fields.string(values.get("safety_identifier"), "safety_identifier")
    if newer is not None:
        notes.use(Feature.USER, "safety_identifier")
        return newer
    if older is not None:
        notes.use(Feature.USER, "user")
    return older


def _metadata(values: Json, notes: Notes) -> Json | None:
    metadata = fields.members(values.get("metadata"), "metadata")
    if not metadata:
        return None
    notes.use(Feature.METADATA, "metadata")
    return metadata


# --- Output and reasoning ----------------------------------------------------


def _output(values: Json, notes: Notes) -> Output | None:
    path = "response_format"
    wanted = fields.members(values.get(path), path)
    if wanted is None:
        return None
    match fields.required(fields.string(wanted.get("type"), f"{path}.type"), f"{path}.type"):
        case "text":
            return None
        case "json_object":
            notes.use(Feature.JSON_MODE, path)
            return Output()
        case "json_schema":
            return _schema(wanted, f"{path}.json_schema", notes)
        case _:  # a grammar of some server's own
            notes.other(path)
            return None


def _schema(wanted: Json, path: str, notes: Notes) -> Output:
    given = fields.required(fields.members(wanted.get("json_schema"), path), path)
    notes.rest(given, {"name", "description", "schema", "strict"}, path)
    schema = fields.members(given.get("schema"), f"{path}.schema")
    notes.use(Feature.JSON_MODE if schema is None else Feature.JSON_SCHEMA, "response_format")
    return Output(
        schema,
        fields.string(given.get("name"), f"{path}.name"),
        fields.string(given.get("description"), f"{path}.description"),
        fields.boolean(given.get("strict"), f"{path}.strict"),
    )


def _thinking(values: Json, notes: Notes) -> Thinking | None:
    """`exclude` uses no feature: reasoning that is shown all the same changes no answer."""
    path = "reasoning"
    reasoning = fields.members(values.get(path), path) or {}
    notes.rest(reasoning, {"effort", "max_tokens", "exclude", "enabled"}, path)
    is_on = fields.boolean(reasoning.get("enabled"), f"{path}.enabled")
    at = f"{path}.effort" if reasoning.get("effort") is not None else "reasoning_effort"
    effort = fields.string(reasoning.get("effort"), f"{path}.effort") or fields.string(
        values.get("reasoning_effort"), "reasoning_effort"
    )
    budget = fields.integer(reasoning.get("max_tokens"), f"{path}.max_tokens")
    excludes = fields.boolean(reasoning.get("exclude"), f"{path}.exclude")
    if is_on is not None:
        notes.use(Feature.EFFORT, f"{path}.enabled")
    if effort is not None:
        notes.use(Feature.EFFORT, at)
    if budget is not None:
        notes.use(Feature.BUDGET, f"{path}.max_tokens")
    if effort == "none":
        is_on, effort = False, None
    thinking = Thinking(is_on, effort, budget, None if excludes is None else not excludes)
    return None if thinking == Thinking() else thinking
