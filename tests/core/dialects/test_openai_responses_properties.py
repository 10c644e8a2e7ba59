"""OpenAI Responses: what must hold for every conversation, answer and stream."""

import contextlib
import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.answers import Answer, ChatEvent, Choice, Done, Finish, PartEnded, PartStarted
from gateway.core.conversation import (
    Conversation,
    Image,
    Json,
    Part,
    Reasoning,
    Refusal,
    Text,
    ToolCall,
    ToolResult,
)
from gateway.core.dialect import Malformed
from gateway.core.dialects.openai_responses import DIALECT
from gateway.core.dialects.openai_responses.answers import write_answer
from gateway.core.dialects.openai_responses.proofs import pack
from gateway.core.dialects.openai_responses.requests_out import write_request
from gateway.core.dialects.parts import fold, unfold
from gateway.core.errors import BadRequest
from gateway.core.sse import SseCut, SseDecoder, SseEvent
from tests.core.dialects import strategies as any_

NAME = "openai-responses"
IDS = any_.WORDS.map(lambda word: f"rs_{word}")


@st.composite
def proven(draw: st.DrawFn) -> Reasoning:
    """Reasoning as this dialect's provider gives it: its id is part of its proof."""
    id_ = draw(IDS)
    signature = pack(id_, draw(any_.BASE64))
    return Reasoning(draw(st.just("") | any_.TEXT), signature, id=id_, origin=NAME)


OWN = {
    "reasoning": st.lists(proven(), max_size=1),
    "tool": any_.tools(st.booleans()),  # what is not said to be strict is said not to be
    "thinking": st.builds(
        any_.thinking,
        st.sampled_from(["none", "low", "high"]),
        st.sampled_from([None, True]),
    ),
}


def detailed[T: Part](part: T) -> T:
    """An image as it is said here: with a detail."""
    match part:
        case Image(detail=None):
            return replace(part, detail="auto")
        case ToolResult():
            return replace(part, parts=tuple(detailed(inner) for inner in part.parts))
    return part


def as_said(conversation: Conversation) -> Conversation:
    turns = [
        replace(turn, parts=tuple(detailed(part) for part in turn.parts))
        for turn in conversation.turns
    ]
    return replace(conversation, turns=tuple(turns))


@given(any_.conversations(DIALECT.carries, OWN).map(as_said))
def test_a_conversation_survives(conversation: Conversation) -> None:
    """What is written for a provider reads as the same conversation, and uses no more than this
    dialect carries."""
    request = write_request(conversation, "m")
    found = DIALECT.read_conversation(DIALECT.parse_request(request.body, None, None))
    assert set(found.uses) <= DIALECT.carries
    assert replace(found, uses={}) == conversation


@st.composite
def answers(draw: st.DrawFn) -> Answer:
    """An answer that this dialect can say in full."""
    parts: list[Part] = draw(st.lists(proven(), max_size=1))
    parts += draw(st.lists(any_.cited_texts(), max_size=2))
    logprobs = draw(any_.tokens()) if parts and isinstance(parts[-1], Text) else ()
    finish: Finish = "stop"
    if not logprobs and draw(st.booleans()):
        parts += draw(any_.calls())
        if isinstance(parts[-1] if parts else None, ToolCall):
            finish = "tool_calls"
    elif draw(st.booleans()):
        parts.insert(0, Refusal(draw(any_.TEXT)))
        finish = "refusal"
    if draw(st.booleans()):
        finish = draw(st.sampled_from(["length", "content_filter", "pause"]))
    return Answer(
        (Choice(tuple(parts), finish, logprobs=logprobs),),
        draw(any_.WORDS.map(lambda word: f"resp_{word}")),
        draw(any_.WORDS),
        draw(st.integers(0, 2**32)),
        draw(st.none() | any_.USAGES),
    )


def streamed(answer: Answer) -> bytes:
    chat = DIALECT.parse_request(b'{"input": "hi", "stream": true}', None, None)
    writer = DIALECT.writer(chat)
    return b"".join([writer.write(event) for event in unfold(answer)])


def read(raw: bytes) -> list[ChatEvent]:
    """All that a stream says, however it ends."""
    decoder, reader = SseDecoder(), DIALECT.reader()
    events = decoder.feed(raw)
    with contextlib.suppress(SseCut):  # half an event is none
        events += decoder.finish()
    found = [said for event in events for said in reader.read(event)]
    return found + reader.end()


@given(answers())
def test_an_answer_survives(answer: Answer) -> None:
    """A whole answer that is written reads as the same."""
    assert DIALECT.read_answer(write_answer(answer)) == answer


@given(answers())
def test_a_streamed_answer_survives(answer: Answer) -> None:
    """A stream that is written reads as the same answer, and ends with its end."""
    events = read(streamed(answer))
    assert fold(events) == answer
    assert isinstance(events[-1], Done)
    assert sum(isinstance(event, Done) for event in events) == 1


@given(answers())
def test_the_stream_s_last_event_is_the_whole_answer(answer: Answer) -> None:
    """The response of the last event is the one that a whole answer would have been."""
    *_, last = SseDecoder().feed(streamed(answer))
    whole = json.loads(write_answer(answer))
    assert json.loads(last.data)["response"] == whole


@given(answers(), st.data())
def test_a_cut_stream_is_never_whole(answer: Answer, data: st.DataObject) -> None:
    """Cut at any byte before its last event's end, it says a prefix of what it said, never Done."""
    raw = streamed(answer)
    cut = data.draw(st.integers(0, len(raw.rstrip(b"\n")) - 1))
    found = read(raw[:cut])
    assert not any(isinstance(event, Done) for event in found)
    assert found == read(raw)[: len(found)]


@pytest.mark.parametrize("newline", [b"\n", b"\r\n", b"\r"])
def test_every_cut_of_one_stream(newline: bytes) -> None:
    """Cut at every byte, in the middle of UTF-8 and of CRLF too, the chunks say the same."""
    text = Text("Grüße 🙂")
    answer = Answer((Choice((Reasoning("hm", ":p", origin=NAME), text), "stop"),), "resp_1", "m", 1)
    raw = streamed(answer).replace(b"\\u00fc", "ü".encode()).replace(b"\n", newline)
    whole = read(raw)
    for cut in range(len(raw)):
        decoder, reader = SseDecoder(), DIALECT.reader()
        events = [*decoder.feed(raw[:cut]), *decoder.feed(raw[cut:]), *decoder.finish()]
        assert [said for event in events for said in reader.read(event)] == whole


EVENTS = [
    "response.created", "response.in_progress", "response.output_item.added",
    "response.output_item.done", "response.content_part.added", "response.content_part.done",
    "response.output_text.delta", "response.output_text.done", "response.refusal.delta",
    "response.output_text.annotation.added", "response.function_call_arguments.delta",
    "response.function_call_arguments.done", "response.reasoning_summary_text.delta",
    "response.reasoning_text.delta", "response.completed", "response.incomplete",
    "response.failed", "error", "keepalive",
]  # fmt: skip
TYPES = [
    "message", "reasoning", "function_call", "function_call_output", "output_text", "refusal",
    "input_text", "input_image", "input_file", "input_audio", "function", "allowed_tools",
    "json_schema", "url_citation", "web_search_call", "item_reference",
]  # fmt: skip
NAMES = [
    "type", "input", "output", "content", "role", "item", "part", "delta", "text", "response",
    "status", "usage", "input_tokens", "output_tokens", "input_tokens_details", "cached_tokens",
    "output_index", "content_index", "summary_index", "call_id", "name", "arguments", "summary",
    "encrypted_content", "annotations", "annotation", "logprobs", "error", "message", "id",
    "tools", "tool_choice", "format", "reasoning", "effort", "include", "image_url", "file_data",
    "detail", "schema", "incomplete_details", "reason", "created_at", "prompt_cache_breakpoint",
    "ttl", "instructions", "start_index", "input_audio", "metadata", "top_logprobs",
]  # fmt: skip
ANY = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-2, 2)
    | st.floats()
    | st.text(max_size=4)
    | st.sampled_from(['tiergate.x.{"call": "a"}', "tiergate.x.[", "data:;base64,", "none", "user"])
    | st.sampled_from(TYPES),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(NAMES), inner, max_size=5)
        | st.builds(
            lambda kind, rest: {"type": kind, **rest},
            st.sampled_from(TYPES),
            st.dictionaries(st.sampled_from(NAMES[1:]), inner, max_size=4),
        )
    ),
    max_leaves=14,
)
OBJECTS: st.SearchStrategy[Json] = st.dictionaries(st.sampled_from(NAMES), ANY, max_size=6)
BYTES = st.binary(max_size=40) | OBJECTS.map(lambda value: json.dumps(value).encode())


@given(BYTES)
def test_a_request_raises_only_bad_request(body: bytes) -> None:
    """Whatever a client sends, it is read or refused by name."""
    with contextlib.suppress(BadRequest):
        DIALECT.read_conversation(DIALECT.parse_request(body, None, None))


@given(BYTES)
def test_an_answer_raises_only_malformed(body: bytes) -> None:
    """Whatever a provider sends, it is read or Malformed; errors and peeks always say something."""
    try:
        answer = DIALECT.read_answer(body)
    except Malformed:
        pass
    else:
        write_answer(answer)
    DIALECT.peek_answer(body)
    assert DIALECT.read_error(400, body).message


@given(st.lists(st.tuples(st.sampled_from(EVENTS), OBJECTS), max_size=8), st.binary(max_size=20))
def test_events_raise_only_malformed(events: list[tuple[str, Json]], rest: bytes) -> None:
    """Whatever events come, in whatever order: what is said of them keeps to the grammar, so that a
    writer can write it."""
    chat = DIALECT.parse_request(b'{"input": "hi"}', None, None)
    reader, writer, watcher = DIALECT.reader(), DIALECT.writer(chat), DIALECT.watcher(chat)
    open_parts: set[int] = set()
    datas = [json.dumps({**value, "type": kind}).encode() for kind, value in events]
    try:
        for data in [*datas, rest]:
            watcher.watch(SseEvent(data, data))
            for said in reader.read(SseEvent(data, data)):
                if isinstance(said, PartStarted):
                    open_parts.add(said.part)
                elif isinstance(said, PartEnded):
                    open_parts.remove(said.part)
                elif isinstance(said, Done):
                    assert not open_parts
                writer.write(said)
    except Malformed:
        pass
