"""Anthropic Messages, for all values: what is written is read again, bytes raise nothing."""

import json
from contextlib import suppress
from dataclasses import replace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from gateway.core.answers import Answer, ChatEvent, Choice, Done, Finish
from gateway.core.chat import ChatRequest, Usage
from gateway.core.conversation import (
    Citation,
    Conversation,
    File,
    Image,
    Json,
    Output,
    Part,
    Reasoning,
    Text,
    Thinking,
    ToolCall,
    ToolChoice,
    ToolResult,
    Turn,
)
from gateway.core.dialect import Malformed
from gateway.core.dialects.anthropic_messages import DIALECT
from gateway.core.dialects.anthropic_messages.answers import write_answer
from gateway.core.dialects.anthropic_messages.requests_out import MAX_TOKENS, write_request
from gateway.core.dialects.anthropic_messages.schemas import fits_strict_mode
from gateway.core.dialects.parts import fold, unfold
from gateway.core.errors import BadRequest
from gateway.core.sse import SseDecoder, SseError, SseEvent
from tests.core.dialects import strategies
from tests.core.dialects.strategies import BASE64, TEXT, URLS, WORDS

NAME = DIALECT.name

# --- This dialect's own words ------------------------------------------------

SIGNED = st.builds(Reasoning, st.just("") | TEXT, BASE64, origin=st.just(NAME))
REDACTED = st.builds(Reasoning, redacted=BASE64, origin=st.just(NAME))
ARGUMENTS = st.sampled_from(["{}", '{"a": 1}', '{"q": "é \\"x\\""}', '{"n": [1, {}]}'])
CALLS = strategies.calls(ARGUMENTS)
EFFORTS = st.sampled_from(["low", "medium", "high", "xhigh", "max"])
SHOWS = st.sampled_from([None, True, False])
THINKING = st.one_of(
    st.builds(Thinking, st.just(True), st.none() | EFFORTS, st.none(), SHOWS),  # noqa: FBT003
    st.builds(Thinking, st.just(True), st.none() | EFFORTS, st.integers(1024, 9999), SHOWS),  # noqa: FBT003
    st.builds(Thinking, st.just(False), st.none() | EFFORTS),  # noqa: FBT003
)
OWN = {
    "reasoning": st.lists(SIGNED | REDACTED, max_size=2),
    "calls": CALLS,
    "tool": strategies.tools(st.sampled_from([None, True])),
    "thinking": THINKING,
}
MARKERS: st.SearchStrategy[Json | None] = st.sampled_from(
    [None, {"type": "ephemeral"}, {"type": "ephemeral", "ttl": "1h"}]
)


def marked(draw: st.DrawFn, part: Part) -> Part:
    """A part as this dialect says it: with or without a marker, its images without detail."""
    match part:
        case ToolResult():
            parts = tuple(marked(draw, inner) for inner in part.parts)
            shown = tuple(one for one in parts if isinstance(one, (Text, Image, File)))
            return replace(part, parts=shown, cache=draw(MARKERS))
        case Image():
            return replace(part, detail=None, cache=draw(MARKERS))
        case File():
            media = replace(part.media, type="application/pdf")
            return replace(part, media=media, cache=draw(MARKERS))
        case Text() | ToolCall():
            return replace(part, cache=draw(MARKERS))
        case _:
            return part


@st.composite
def conversations(draw: st.DrawFn) -> Conversation:
    """Any conversation that this dialect can say."""
    found = draw(strategies.conversations(DIALECT.carries, OWN))
    turns = [
        Turn(
            "system" if turn.role == "developer" else turn.role,
            tuple(marked(draw, part) for part in turn.parts),
        )
        for turn in found.turns
    ]
    if draw(st.booleans()):
        turns.append(Turn("assistant", (Text(draw(TEXT)),)))
    choice = found.tool_choice
    one_tool = found.tools and found.one_tool_at_most and choice != ToolChoice("none")
    schema = found.output.schema if found.output else None
    output = None if schema is None else Output(schema, is_strict=fits_strict_mode(schema) or None)
    budget = found.thinking.budget if found.thinking else None
    return replace(
        found,
        turns=tuple(turns),
        tools=tuple(replace(tool, cache=draw(MARKERS)) for tool in found.tools),
        tool_choice=choice or (ToolChoice("auto") if one_tool else None),
        one_tool_at_most=one_tool or None,
        output=output,
        max_tokens=found.max_tokens or MAX_TOKENS + (budget or 0),
    )


def read_back(body: bytes) -> Conversation:
    return DIALECT.read_conversation(DIALECT.parse_request(body, None, None))


@given(conversations())
def test_a_request_that_is_written_is_read_again(conversation: Conversation) -> None:
    """A provider that reads what is written for it finds the same conversation, and no feature
    beyond those the dialect says it carries."""
    found = read_back(write_request(conversation, "m").body)
    assert replace(found, uses={}) == conversation
    assert set(found.uses) <= DIALECT.carries


# --- Answers -----------------------------------------------------------------

CITATIONS = st.builds(Citation, URLS, st.none() | WORDS, st.none() | WORDS)
TEXTS = st.builds(Text, TEXT, st.lists(CITATIONS, max_size=2).map(tuple))
NAMES = st.none() | WORDS


@st.composite
def answers(draw: st.DrawFn) -> Answer:
    """Any answer that this dialect can say."""
    parts = [*draw(st.lists(SIGNED | REDACTED | TEXTS, max_size=4)), *draw(CALLS)]
    parts = draw(st.permutations(parts))
    finish: Finish = draw(st.sampled_from(["length", "refusal", "pause"]))
    stopped_by: str | None = None
    if any(isinstance(part, ToolCall) for part in parts):
        finish = draw(st.sampled_from(["tool_calls", finish]))
    elif draw(st.booleans()):
        finish, stopped_by = "stop", draw(NAMES)
    usage = draw(st.none() | strategies.USAGES)
    if usage:
        whole = usage.input + (usage.cached_input or 0) + (usage.cache_written or 0)
        usage = replace(usage, input=whole)
    choice = Choice(tuple(parts), finish, stopped_by)
    return Answer((choice,), draw(NAMES), draw(NAMES), None, usage)


@given(answers())
def test_an_answer_that_is_written_is_read_again(answer: Answer) -> None:
    """A whole answer survives."""
    assert DIALECT.read_answer(write_answer(answer)) == answer


def asked() -> ChatRequest:
    body = b'{"max_tokens": 9, "messages": [{"role": "user", "content": "x"}], "stream": true}'
    return DIALECT.parse_request(body, None, None)


def written(events: list[ChatEvent]) -> bytes:
    writer = DIALECT.writer(asked())
    return b"".join(writer.write(event) for event in events)


def read(data: bytes) -> list[ChatEvent]:
    """The events in the bytes of a stream that ends there, cut or not."""
    reader, decoder = DIALECT.reader(), SseDecoder()
    found = [event for raw in decoder.feed(data) for event in reader.read(raw)]
    try:
        found += [event for raw in decoder.finish() for event in reader.read(raw)]
    except (SseError, Malformed):
        return found  # the relay calls it a cut
    return found + reader.end()


def counted(answer: Answer) -> Answer:
    """A stream begins with counts of nothing: one that never counts has those."""
    return replace(answer, usage=None) if answer.usage == Usage(0, 0) else answer


@given(answers())
def test_a_stream_that_is_written_is_read_again(answer: Answer) -> None:
    """A streamed answer folds into the whole one."""
    events = read(written(unfold(answer)))
    assert events[-1] == Done()
    assert counted(fold(events)) == answer


@given(answers(), st.data())
def test_a_cut_stream_is_never_done(answer: Answer, data: st.DataObject) -> None:
    """Cut anywhere, a stream gives a beginning of its events and never Done; nor does it pass."""
    whole = written(unfold(answer))
    events = read(whole)
    at = data.draw(st.integers(0, len(whole) - 3))  # the last two end the last event's line
    found = read(whole[:at])
    assert found == events[: len(found)]
    assert Done() not in found
    watcher, decoder = DIALECT.watcher(asked()), SseDecoder()
    for raw in decoder.feed(whole[:at]):
        assert watcher.watch(raw) is not None
    assert watcher.end() is None


@given(answers(), st.data())
def test_parts_side_by_side(answer: Answer, data: st.DataObject) -> None:
    """However the events of calls are mixed, each is written whole, in the order they start."""
    calls = [part for part in answer.choices[0].parts if isinstance(part, ToolCall)]
    only = replace(answer, choices=(Choice(tuple(calls), "tool_calls"),))
    started, *events = unfold(only)
    streams = [
        [event for event in events if getattr(event, "part", None) == n] for n in range(len(calls))
    ]
    mixed: list[ChatEvent] = [started, *[stream.pop(0) for stream in streams]]
    while left := [stream for stream in streams if stream]:
        mixed.append(data.draw(st.sampled_from(left)).pop(0))
    mixed += [event for event in events if not hasattr(event, "part")]
    assert counted(fold(read(written(mixed)))) == only


# --- A client's next turn ----------------------------------------------------

FOREIGN = st.one_of(
    st.builds(Reasoning, TEXT, BASE64, id=NAMES, origin=st.just("openai-responses")),
    st.builds(Reasoning, TEXT, st.just("reasoning_content"), origin=st.just("openai-chat")),
    st.builds(Reasoning, TEXT, st.none(), st.none() | BASE64, NAMES, st.just("openai-chat")),
    st.builds(Reasoning, st.just(""), st.none(), BASE64, NAMES, st.just("openai-chat")),
    st.builds(Reasoning, TEXT),
)
FOREIGN_CALLS = CALLS.map(
    lambda calls: [replace(call, signature="c2ln", origin="gemini") for call in calls]
)
KEPT = st.tuples(st.lists(SIGNED | REDACTED | FOREIGN, max_size=3), CALLS | FOREIGN_CALLS).map(
    lambda found: (*found[0], Text("so"), *found[1])
)


def accumulated(data: bytes) -> list[Json]:
    """The content of a stream as the SDKs put it together."""
    content: list[dict[str, Any]] = []
    inputs: dict[int, str] = {}
    for event in SseDecoder().feed(data):
        value = json.loads(event.data)
        if value["type"] == "content_block_start":
            assert value["index"] == len(content)
            content.append(value["content_block"])
        elif value["type"] == "content_block_delta":
            block, delta = content[value["index"]], value["delta"]
            assert block is content[-1]
            match delta["type"]:
                case "text_delta":
                    block["text"] += delta["text"]
                case "thinking_delta":
                    block["thinking"] += delta["thinking"]
                case "signature_delta":
                    block["signature"] = delta["signature"]
                case "input_json_delta":
                    inputs.setdefault(value["index"], "")
                    inputs[value["index"]] += delta["partial_json"]
    for index, text in inputs.items():
        content[index]["input"] = json.loads(text)
    return content


def returned(content: object) -> tuple[Part, ...]:
    body = {"messages": [{"role": "assistant", "content": content}], "max_tokens": 9}
    return read_back(json.dumps(body).encode()).turns[0].parts


@given(KEPT)
def test_proofs_survive_a_client(parts: tuple[Part, ...]) -> None:
    """What a client returns in its next turn is what any provider gave, with every proof; and of
    it only Anthropic's own goes to Anthropic, by either way."""
    answer = Answer((Choice(parts, "length"),))
    whole = json.loads(write_answer(answer))["content"]
    streamed = accumulated(written(unfold(answer)))
    assert returned(whole) == parts
    assert returned(streamed) == parts
    own = [part for part in parts if not isinstance(part, Reasoning) or part.origin == NAME]
    own = [
        replace(part, signature=None, origin=None) if isinstance(part, ToolCall) else part
        for part in own
    ]
    conversation = Conversation((Turn("assistant", parts),))
    sent = read_back(write_request(conversation, "m").body)
    assert sent.turns[0].parts == tuple(own)
    body = json.dumps({"messages": [{"role": "assistant", "content": whole}]}).encode()
    request = DIALECT.parse_request(body, None, None)
    passed = DIALECT.pass_request(request, "m", False).body  # noqa: FBT003
    assert read_back(passed).turns[0].parts == tuple(own)


# --- Any bytes ---------------------------------------------------------------

KEYS = [
    "type", "index", "message", "content", "content_block", "delta", "text", "thinking", "data",
    "signature", "id", "name", "input", "partial_json", "citations", "citation", "url", "source",
    "usage", "stop_reason", "stop_sequence", "stop_details", "explanation", "error", "details",
    "media_type", "tool_use_id", "is_error", "cache_control", "title", "role", "enabled",
]  # fmt: skip
WORD_VALUES = [
    "text", "thinking", "redacted_thinking", "tool_use", "tool_result", "image", "document",
    "base64", "url", "content", "text_delta", "input_json_delta", "citations_delta", "end_turn",
    "web_search_result_location", "char_location", "tiergate.x.{", 'tiergate.x.{"call": "a"}',
]  # fmt: skip
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.sampled_from(WORD_VALUES),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=5)
    ),
    max_leaves=15,
)
EVENTS = st.fixed_dictionaries(
    {
        "type": st.sampled_from(
            ["content_block_start", "content_block_delta", "content_block_stop", "message_delta",
             "message_stop", "error", "ping"]
        )
    },
    optional={
        "index": st.integers(0, 1),
        "content_block": VALUES,
        "delta": VALUES,
        "usage": VALUES,
        "error": VALUES,
    },
)  # fmt: skip


def dumped(value: object) -> bytes:
    return json.dumps(value).encode()


@given(st.lists(st.binary(max_size=40) | (EVENTS | VALUES).map(dumped), max_size=6))
def test_readers_raise_nothing_but_malformed(bodies: list[bytes]) -> None:
    """Whatever a provider sends is read, or Malformed."""
    reader, watcher = DIALECT.reader(), DIALECT.watcher(asked())
    for body in [b'{"type": "message_start", "message": {}}', *bodies]:
        event = SseEvent(body, body)
        DIALECT.read_error(400, body)
        DIALECT.peek_answer(body)
        watcher.watch(event)
        with suppress(Malformed):
            DIALECT.read_answer(body)
        with suppress(Malformed):
            reader.read(event)
    reader.end()


MEMBERS = [
    "system", "tools", "tool_choice", "thinking", "output_config", "output_format", "metadata",
    "stop_sequences", "max_tokens", "temperature", "top_k", "cache_control", "x_own",
]  # fmt: skip


@given(
    st.lists(
        st.fixed_dictionaries(
            {"role": st.sampled_from(["system", "user", "assistant"]), "content": VALUES}
        ),
        min_size=1,
        max_size=3,
    ),
    st.dictionaries(st.sampled_from(MEMBERS), VALUES, max_size=4),
)
def test_any_request_is_read_or_refused(messages: list[object], members: Json) -> None:
    """Any members of a request are read, or a BadRequest that names one."""
    refused: str | None = "-"
    try:
        read_back(dumped({"messages": messages, **members}))
    except BadRequest as error:
        refused = error.param
    assert refused
