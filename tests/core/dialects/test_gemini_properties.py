"""Gemini: what must hold for every conversation, answer and stream."""

import contextlib
import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.answers import (
    Answer,
    ChatEvent,
    Choice,
    Done,
    Finish,
    PartDelta,
    PartEnded,
    PartStarted,
)
from gateway.core.chat import Usage
from gateway.core.conversation import (
    Citation,
    Conversation,
    File,
    Image,
    Json,
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
from gateway.core.dialects.gemini import DIALECT
from gateway.core.dialects.gemini.answers import write_answer
from gateway.core.dialects.gemini.requests_out import write_request
from gateway.core.dialects.parts import fold, unfold
from gateway.core.errors import BadRequest
from gateway.core.sse import SseCut, SseDecoder, SseEvent, encode
from tests.core.dialects import strategies as any_

NAME = "gemini"
CHAT = DIALECT.parse_request(b'{"contents": [{"parts": [{"text": "hi"}]}]}', "m", True)  # noqa: FBT003
# Arguments are an object here: as text they are as Python writes them.
ARGUMENTS = st.dictionaries(any_.WORDS, any_.JSON, max_size=3).map(
    lambda args: json.dumps(args, ensure_ascii=False)
)


@st.composite
def signed_calls(draw: st.DrawFn) -> list[ToolCall]:
    """Calls, of which the first is signed, as Gemini's are."""
    made: list[ToolCall] = draw(any_.calls(ARGUMENTS))
    if made:
        made[0] = replace(made[0], signature=draw(any_.BASE64), origin=NAME)
    return made


@st.composite
def thoughts(draw: st.DrawFn) -> list[Reasoning]:
    """What Gemini thought: signed or not, or only signed. Unsigned, it is nobody's."""
    signature = draw(st.none() | any_.BASE64)
    text = draw(any_.TEXT) if signature is None else draw(st.just("") | any_.TEXT)
    return [Reasoning(text, signature, origin=NAME if signature else None)]


OWN = {
    "calls": signed_calls(),
    "reasoning": st.just([]) | thoughts(),
    "tool": any_.tools(st.none()),
    "thinking": st.builds(
        Thinking, st.none(), st.sampled_from(["minimal", "low", "high"]), shows=st.none()
    )
    | st.builds(Thinking, st.just(value=False), shows=st.sampled_from([None, True, False]))
    | st.builds(Thinking, st.just(value=True), shows=st.booleans())
    | st.builds(Thinking, budget=st.integers(1, 9)),
}


def expressible(conversation: Conversation) -> Conversation:
    """What of a conversation this dialect has a place for: no details of images, no names of files
    and schemas, a type with each URL, one text in a result, which says whose it is; strictness is
    all tools' or none's."""
    names = {
        part.id: part.name
        for turn in conversation.turns
        for part in turn.parts
        if isinstance(part, ToolCall)
    }

    def shown[T: Part](part: T) -> T:
        if isinstance(part, Image):
            media = replace(part.media, type=part.media.type or "image/png")
            return replace(part, media=media, detail=None)
        if isinstance(part, File):
            kind = part.media.type or "application/pdf"
            return replace(part, media=replace(part.media, type=kind, name=None))
        if isinstance(part, ToolResult):
            texts = [item.text for item in part.parts if isinstance(item, Text)]
            shows = [shown(item) for item in part.parts if not isinstance(item, Text)]
            said = [Text("\n\n".join(texts))] if texts else []
            is_error = part.is_error and bool(texts)
            return replace(part, parts=(*said, *shows), name=names.get(part.id), is_error=is_error)
        return part

    output = conversation.output
    choice = conversation.tool_choice
    return replace(
        conversation,
        turns=tuple(
            [
                Turn(turn.role, tuple([shown(part) for part in turn.parts]))
                for turn in conversation.turns
            ]
        ),
        output=output and replace(output, name=None, description=None, is_strict=None),
        tools=tuple(
            [
                replace(tool, is_strict=True if choice == ToolChoice("auto") else None)
                for tool in conversation.tools
            ]
        ),
    )  # fmt: skip


@given(any_.conversations(DIALECT.carries, OWN).map(expressible))
def test_a_conversation_survives(conversation: Conversation) -> None:
    """What is written for a provider reads as the same conversation, and uses no more than this
    dialect carries."""
    request = write_request(conversation, "gemini-3-flash")
    is_stream = ":stream" in request.path
    found = DIALECT.read_conversation(DIALECT.parse_request(request.body, None, is_stream))
    assert set(found.uses) <= DIALECT.carries
    assert found.others == ()
    assert replace(found, uses={}) == conversation


@st.composite
def cited(draw: st.DrawFn) -> Text:
    """A text with sources that have a place: without one they are written as of all of it."""
    text = draw(any_.TEXT)
    places = st.integers(0, len(text) - 1)
    found = draw(st.lists(st.tuples(any_.URLS, st.none() | any_.WORDS, places), max_size=2))
    citations = [Citation(url, title, None, start, len(text)) for url, title, start in found]
    return Text(text, tuple(dict.fromkeys(citations)))


@st.composite
def usages(draw: st.DrawFn) -> Usage:
    reasoning = draw(st.none() | any_.COUNTS)
    output = draw(any_.COUNTS) + (reasoning or 0)
    return Usage(draw(any_.COUNTS), output, draw(st.none() | any_.COUNTS), reasoning)


TOKENS = any_.tokens().map(
    lambda tokens: tuple(
        [
            {
                **token,
                "bytes": None,
                "top_logprobs": [{**other, "bytes": None} for other in token["top_logprobs"]],  # type: ignore[attr-defined]
            }
            for token in tokens
        ]
    )
)


@st.composite
def choices(draw: st.DrawFn) -> Choice:
    """One of the answers that this dialect can say in full."""
    parts: list[Part] = []
    if draw(st.booleans()):
        parts.append(Reasoning(draw(any_.TEXT), draw(st.none() | any_.BASE64), origin=NAME))
    if draw(st.booleans()):
        parts.append(draw(cited()))
    made: list[ToolCall] = draw(any_.calls(ARGUMENTS))
    is_signed: bool = draw(st.booleans())
    if made and is_signed:
        made[0] = replace(made[0], signature=draw(any_.BASE64), origin=NAME)
    finish: Finish = "tool_calls" if made else "stop"
    parts += made
    if parts and isinstance(parts[-1], Text) and draw(st.booleans()):
        parts.append(Reasoning("", draw(any_.BASE64), origin=NAME))
    if draw(st.booleans()):
        finish = draw(st.sampled_from(["length", "content_filter"]))
    return Choice(tuple(parts), finish, logprobs=draw(TOKENS))


def answers() -> st.SearchStrategy[Answer]:
    return st.builds(
        Answer,
        st.lists(choices(), min_size=1, max_size=2).map(tuple),
        st.none() | any_.WORDS,
        st.none() | any_.WORDS,
        st.none(),
        st.none() | usages(),
    )


def last_cited(answer: Answer) -> Answer:
    """Sources come with a stream's last event: they find their text if nothing follows it."""

    def kept(choice: Choice) -> Choice:
        *before, last = choice.parts or (Reasoning(),)
        plain = [replace(part, citations=()) if isinstance(part, Text) else part for part in before]
        return replace(choice, parts=(*plain, last) if choice.parts else ())

    return replace(answer, choices=tuple([kept(choice) for choice in answer.choices]))


STREAMED = answers().map(last_cited)


def streamed(answer: Answer) -> bytes:
    writer = DIALECT.writer(CHAT)
    return b"".join([writer.write(event) for event in unfold(answer)])


def read(raw: bytes) -> list[ChatEvent]:
    """All that a stream says, however it ends."""
    decoder, reader = SseDecoder(), DIALECT.reader()
    events = decoder.feed(raw)
    with contextlib.suppress(SseCut):  # half an event is none
        events += decoder.finish()
    found = [said for event in events for said in reader.read(event)]
    return found + reader.end()


def has_end(events: list[ChatEvent]) -> bool:
    return any(isinstance(event, Done) for event in events)


@given(answers())
def test_an_answer_survives(answer: Answer) -> None:
    """A whole answer that is written reads as the same."""
    assert DIALECT.read_answer(write_answer(answer)) == answer


@given(STREAMED)
def test_a_streamed_answer_survives(answer: Answer) -> None:
    """A stream that is written reads as the same answer, and ends with its end."""
    events = read(streamed(answer))
    assert fold(events) == answer
    assert isinstance(events[-1], Done)
    assert sum(isinstance(event, Done) for event in events) == 1


@given(STREAMED, st.data())
def test_a_stream_in_pieces_survives(answer: Answer, data: st.DataObject) -> None:
    """However many pieces a text or its arguments come in, the answer is the same."""
    writer = DIALECT.writer(CHAT)
    raw = b""
    for event in unfold(answer):
        pieces: list[ChatEvent] = [event]
        if isinstance(event, PartDelta) and data.draw(st.booleans()):
            at = data.draw(st.integers(0, len(event.text)))
            pieces = [replace(event, text=event.text[:at]), replace(event, text=event.text[at:])]
        raw += b"".join([writer.write(piece) for piece in pieces])
    assert fold(read(raw)) == answer


@given(answers(), st.data())
def test_a_cut_stream_is_never_whole(answer: Answer, data: st.DataObject) -> None:
    """Cut at any byte before its last event's end, it says a prefix of what it said, never Done."""
    raw = streamed(answer)
    cut = data.draw(st.integers(0, len(raw.rstrip(b"\n")) - 1))
    found = read(raw[:cut])
    assert not has_end(found)
    assert found == read(raw)[: len(found)]


@pytest.mark.parametrize("newline", [b"\n", b"\r\n", b"\r"])
def test_every_cut_of_one_stream(newline: bytes) -> None:
    """Cut at every byte, in the middle of UTF-8 and of CRLF too, the chunks say the same."""
    parts = (
        Reasoning("hm", "QUJD", origin=NAME),
        Text("Grüße 🙂"),
        ToolCall("1", "f", '{"q": "ü"}'),
    )
    answer = Answer((Choice(parts, "tool_calls"),), "x", "m", None, Usage(1, 2))
    raw = streamed(answer).replace(b"\\u00fc", "ü".encode()).replace(b"\n", newline)
    whole = read(raw)
    assert has_end(whole)
    for cut in range(len(raw)):
        decoder, reader = SseDecoder(), DIALECT.reader()
        events = [*decoder.feed(raw[:cut]), *decoder.feed(raw[cut:]), *decoder.finish()]
        found = [said for event in events for said in reader.read(event)]
        assert found + reader.end() == whole
        assert not has_end(read(raw[:cut])) or cut >= len(raw.rstrip(b"\r\n"))


NAMES = [
    "contents", "parts", "role", "text", "thought", "thoughtSignature", "thought_signature",
    "functionCall", "functionResponse", "function_response", "name", "id", "args", "response",
    "output", "error", "inlineData", "fileData", "mimeType", "data", "fileUri", "displayName",
    "systemInstruction", "tools", "functionDeclarations", "parameters", "parametersJsonSchema",
    "type", "properties", "items", "anyOf", "nullable", "enum", "propertyOrdering", "minItems",
    "toolConfig", "functionCallingConfig", "mode", "allowedFunctionNames", "generationConfig",
    "stopSequences", "candidateCount", "maxOutputTokens", "topK", "temperature", "logprobs",
    "responseLogprobs", "responseMimeType", "responseSchema", "responseJsonSchema",
    "thinkingConfig", "thinkingBudget", "thinkingLevel", "candidates", "content", "index",
    "finishReason", "finishMessage", "promptFeedback", "blockReason", "usageMetadata",
    "promptTokenCount", "candidatesTokenCount", "thoughtsTokenCount", "totalTokenCount",
    "logprobsResult", "chosenCandidates", "topCandidates", "token", "logProbability",
    "groundingMetadata", "groundingChunks", "groundingSupports", "groundingChunkIndices", "web",
    "retrievedContext", "uri", "title", "segment", "startIndex", "endIndex", "partIndex",
    "citationMetadata", "citationSources", "responseId", "modelVersion", "code", "message",
    "status", "details", "mediaResolution", "level", "labels", "behavior", "description",
]  # fmt: skip
VALUES = [
    "user", "model", "STOP", "MAX_TOKENS", "SAFETY", "MALFORMED_FUNCTION_CALL", "AUTO", "ANY",
    "VALIDATED", "application/json", "image/png", "video/mp4", "https://a.test/b", "OBJECT",
    "dGllcmdhdGUu", "dGllcmdhdGUueC57fQ==", "f",
]  # fmt: skip
ANY = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-2, 2)
    | st.floats()
    | st.text(max_size=4)
    | st.sampled_from(VALUES),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=5)
    ),
    max_leaves=14,
)
OBJECTS: st.SearchStrategy[Json] = st.dictionaries(st.sampled_from(NAMES), ANY, max_size=6)
TEXTS = st.builds(lambda text, rest: {"text": text, **rest}, ANY, OBJECTS)
PARTS = st.lists(OBJECTS | TEXTS, max_size=3)
REQUESTS = st.builds(
    lambda parts, tools, config, rest: {
        "contents": [{"parts": parts}],
        "tools": [{"functionDeclarations": tools}],
        "generationConfig": config,
        **rest,
    },
    PARTS,
    st.lists(OBJECTS, max_size=2),
    OBJECTS,
    st.just({}) | OBJECTS,
)
ANSWERS = st.builds(
    lambda parts, candidate, rest: {
        "candidates": [{"content": {"parts": parts}, **candidate}],
        **rest,
    },
    PARTS,
    OBJECTS,
    st.just({}) | OBJECTS,
)


def dumped(value: object) -> bytes:
    return json.dumps(value).encode()


@given(st.binary(max_size=40) | (OBJECTS | REQUESTS).map(dumped))
def test_a_request_raises_only_bad_request(body: bytes) -> None:
    """Whatever a client sends, it is read or refused by name."""
    with contextlib.suppress(BadRequest):
        DIALECT.read_conversation(DIALECT.parse_request(body, None, None))


@given(st.binary(max_size=40) | (OBJECTS | ANSWERS).map(dumped))
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


@given(st.lists(st.binary(max_size=20) | (OBJECTS | ANSWERS).map(dumped), max_size=6))
def test_events_raise_only_malformed(datas: list[bytes]) -> None:
    """Whatever events come, in whatever order: what is said of them keeps to the grammar, so that a
    writer can write it."""
    reader, writer, watcher = DIALECT.reader(), DIALECT.writer(CHAT), DIALECT.watcher(CHAT)
    open_parts: set[tuple[int, int]] = set()
    with contextlib.suppress(Malformed):
        for data in datas:
            watcher.watch(SseEvent(data, encode(data)))
            for said in reader.read(SseEvent(data, encode(data))):
                if isinstance(said, PartStarted):
                    open_parts.add((said.choice, said.part))
                elif isinstance(said, PartEnded):
                    open_parts.remove((said.choice, said.part))
                elif (part := getattr(said, "part", None)) is not None:
                    assert (getattr(said, "choice", None), part) in open_parts
                writer.write(said)
        for said in reader.end():
            if isinstance(said, PartEnded):
                open_parts.remove((said.choice, said.part))
            assert not (isinstance(said, Done) and open_parts)
            writer.write(said)
    watcher.end()
