"""OpenAI Chat Completions, for all values: what is written is read again, bytes raise nothing."""

import json
from contextlib import suppress
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from gateway.core.answers import Answer, ChatEvent, Choice, Done, Finish
from gateway.core.conversation import (
    Conversation,
    Reasoning,
    Refusal,
    Text,
    Thinking,
    ToolCall,
    Turn,
)
from gateway.core.dialect import Malformed
from gateway.core.dialects.openai_chat import DIALECT
from gateway.core.dialects.openai_chat.answers import write_answer
from gateway.core.dialects.openai_chat.requests_out import write_request
from gateway.core.dialects.parts import fold, unfold
from gateway.core.errors import BadRequest
from gateway.core.sse import SseDecoder, SseError, SseEvent
from tests.core.dialects import strategies
from tests.core.dialects.strategies import BASE64, TEXT, WORDS
from tests.core.samples import chat

NAME = DIALECT.name

# --- This dialect's own words ------------------------------------------------

FORMATS = st.sampled_from(["", "anthropic-claude-v1", "google-gemini-v1"])
IDS = st.none() | WORDS


def detail(
    word: str, form: str, signature: str, text: str, id: str | None, *, redacted: bool
) -> Reasoning:
    if redacted:
        return Reasoning("", None, f"{form}|{signature or 'AAAA'}", id, NAME)
    return Reasoning(text, f"{word}|{form}|{signature}", None, id, NAME)


DETAILS = st.lists(
    st.builds(
        detail, st.sampled_from(["text", "summary"]), FORMATS, st.just("") | BASE64, TEXT, IDS,
        redacted=st.booleans(),
    ),
    max_size=3,
)  # fmt: skip
PLAIN = st.builds(
    Reasoning,
    TEXT,
    st.sampled_from(["reasoning_content", "reasoning", "thinking"]),
    origin=st.just(NAME),
)
# One place a message: where a provider has details, its plain text is the same once more.
REASONING = PLAIN.map(lambda part: [part]) | DETAILS


@st.composite
def calls(draw: st.DrawFn) -> list[ToolCall]:
    """Calls, some with Google's signature."""
    found = draw(strategies.calls())
    signatures = [draw(st.none() | BASE64) for _ in found]
    return [
        replace(call, signature=signature, origin=NAME) if signature else call
        for call, signature in zip(found, signatures, strict=True)
    ]


CALLS = calls()
THINKING = st.sampled_from([None, Thinking(is_on=False)]) | WORDS.filter(
    lambda word: word != "none"
).map(lambda word: Thinking(effort=word))
OWN = {"reasoning": REASONING, "calls": CALLS, "thinking": THINKING}


def joined(turn: Turn) -> Turn:
    """A turn of text alone is one string here."""
    said = [part for part in turn.parts if not isinstance(part, (Reasoning, ToolCall, Refusal))]
    has_thinking = any(
        isinstance(part, Reasoning) and part.signature == "thinking" for part in turn.parts
    )
    texts = [part.text for part in said if isinstance(part, Text)]
    if len(texts) != len(said) or not texts or has_thinking:
        return turn
    text = Text(("" if turn.role == "assistant" else "\n\n").join(texts))
    first = turn.parts.index(said[0])
    rest = [part for part in turn.parts[first:] if not isinstance(part, Text)]
    return replace(turn, parts=(*turn.parts[:first], text, *rest))


def as_spoken(conversation: Conversation) -> Conversation:
    """The conversation as this dialect can say it: texts joined, no word on tools without any."""
    has_tools = bool(conversation.tools)
    return replace(
        conversation,
        turns=tuple(joined(turn) for turn in conversation.turns),
        one_tool_at_most=conversation.one_tool_at_most if has_tools else None,
    )


@given(strategies.conversations(DIALECT.carries, OWN).map(as_spoken))
def test_a_request_that_is_written_is_read_again(conversation: Conversation) -> None:
    """A provider that reads what is written for it finds the same conversation, and no feature
    beyond those the dialect says it carries."""
    body = write_request(conversation, "m").body
    found = DIALECT.read_conversation(DIALECT.parse_request(body, None, None))
    assert replace(found, uses={}) == conversation
    assert set(found.uses) <= DIALECT.carries


# --- Answers -----------------------------------------------------------------

FOREIGN = st.builds(
    Reasoning, TEXT, BASE64, id=IDS, origin=st.just("anthropic-messages")
) | st.builds(Reasoning, st.just(""), st.none(), BASE64, IDS, st.just("anthropic-messages"))
STREAMED = st.builds(Reasoning, TEXT, st.just("reasoning_content"), origin=st.just(NAME))


@st.composite
def answers(draw: st.DrawFn, reasoning: st.SearchStrategy[list[Reasoning]]) -> Answer:
    """Any answer that this dialect can say, its parts in its order."""
    choices: list[Choice] = []
    for _ in range(draw(st.integers(1, 3))):
        text = draw(st.none() | strategies.cited_texts())
        refusal = draw(st.none() | st.builds(Refusal, TEXT))
        made = draw(CALLS)
        parts = (*draw(reasoning), *[part for part in (text, refusal) if part], *made)
        finish: Finish = "tool_calls" if made else "refusal" if refusal else "stop"
        finish = draw(st.sampled_from([finish, "length", "content_filter"]))
        choices.append(Choice(parts, finish, None, draw(strategies.tokens())))
    names = st.none() | WORDS
    return Answer(
        tuple(choices), draw(names), draw(names), draw(st.none() | st.integers(1, 2**31)),
        draw(st.none() | strategies.USAGES),
    )  # fmt: skip


WHOLE_REASONING = st.lists(FOREIGN, max_size=2) | REASONING


@given(answers(WHOLE_REASONING))
def test_an_answer_that_is_written_is_read_again(answer: Answer) -> None:
    """A whole answer survives, other providers' proofs of reasoning too."""
    assert DIALECT.read_answer(write_answer(answer)) == answer


def written(events: list[ChatEvent]) -> bytes:
    writer = DIALECT.writer(chat(stream=True, stream_options={"include_usage": True}))
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


@given(answers(st.lists(STREAMED, max_size=1)))
def test_a_stream_that_is_written_is_read_again(answer: Answer) -> None:
    """A streamed answer folds into the whole one."""
    events = read(written(unfold(answer)))
    assert events[-1] == Done()
    assert fold(events) == answer


@given(answers(st.lists(STREAMED, max_size=1)), st.data())
def test_a_cut_stream_is_never_done(answer: Answer, data: st.DataObject) -> None:
    """Cut anywhere, a stream gives a beginning of its events and never Done."""
    whole = written(unfold(answer))
    events = read(whole)
    at = data.draw(st.integers(0, len(whole) - 3))  # the last two are the end of `[DONE]`'s line
    if whole[:at].endswith(b"[DONE]"):
        return
    found = read(whole[:at])
    assert found == events[: len(found)]
    assert Done() not in found


# --- Any bytes ---------------------------------------------------------------

KEYS = [
    "choices", "index", "delta", "message", "role", "content", "type", "text", "refusal", "usage",
    "reasoning", "reasoning_content", "reasoning_details", "signature", "data", "tool_calls", "id",
    "function", "name", "arguments", "function_call", "finish_reason", "logprobs", "annotations",
    "url_citation", "extra_content", "google", "thought_signature", "thinking", "error", "code",
]  # fmt: skip
WORD_VALUES = [
    "text", "thinking", "reasoning.text", "reasoning.encrypted", "url_citation", "stop", "function",
]  # fmt: skip
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.sampled_from(WORD_VALUES),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=5)
    ),
    max_leaves=15,
)
CHUNKS = st.fixed_dictionaries(
    {
        "choices": st.lists(
            st.fixed_dictionaries(
                {},
                optional={
                    "index": st.integers(-1, 3),
                    "delta": VALUES,
                    "message": VALUES,
                    "finish_reason": st.none() | st.sampled_from(["stop", "", "error"]),
                },
            ),
            max_size=2,
        )
    }
)


def dumped(value: object) -> bytes:
    return json.dumps(value).encode()


@given(st.lists(st.binary(max_size=40) | (CHUNKS | VALUES).map(dumped) | st.just(b"[DONE]")))
def test_readers_raise_nothing_but_malformed(bodies: list[bytes]) -> None:
    """Whatever a provider sends is read, or Malformed."""
    reader = DIALECT.reader()
    for body in bodies:
        DIALECT.read_error(400, body)
        DIALECT.peek_answer(body)
        for read_one in (DIALECT.read_answer, lambda data: reader.read(SseEvent(data, data))):
            with suppress(Malformed):
                read_one(body)


MEMBERS = [
    "tools", "tool_choice", "functions", "function_call", "response_format", "reasoning", "stop",
    "reasoning_effort", "metadata", "logprobs", "top_logprobs", "n", "user", "max_tokens", "x_own",
]  # fmt: skip


@given(
    st.lists(
        st.fixed_dictionaries(
            {"role": st.sampled_from(["system", "user", "assistant", "tool", "function"])},
            optional={
                "content": VALUES,
                "name": VALUES,
                "tool_calls": VALUES,
                "tool_call_id": VALUES,
                "reasoning_details": VALUES,
                "function_call": VALUES,
                "refusal": VALUES,
            },
        ),
        min_size=1,
        max_size=3,
    ),
    st.dictionaries(st.sampled_from(MEMBERS), VALUES, max_size=4),
)
def test_any_request_is_read_or_refused(messages: list[object], members: dict[str, object]) -> None:
    """Any members of a request are read, or a BadRequest that names one."""
    refused: str | None = "-"
    try:
        DIALECT.read_conversation(chat(messages=messages, **members))
    except BadRequest as error:
        refused = error.param
    assert refused
