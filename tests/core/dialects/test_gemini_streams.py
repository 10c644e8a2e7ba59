"""Gemini: streams, both ways."""

import json
from typing import Any

import pytest

from gateway.core.answers import (
    ChatEvent,
    Cited,
    Done,
    Failed,
    Finished,
    Logprobs,
    PartDelta,
    PartEnded,
    PartSigned,
    PartStarted,
    Started,
    Used,
)
from gateway.core.chat import Usage
from gateway.core.conversation import Citation, Json, Reasoning, Refusal, Text, ToolCall
from gateway.core.dialect import Malformed
from gateway.core.dialects.gemini import DIALECT
from gateway.core.sse import SseCut, SseDecoder, SseEvent, encode

CHAT = DIALECT.parse_request(b'{"contents": [{"parts": [{"text": "hi"}]}]}', "m", True)  # noqa: FBT003
ABOUT: Json = {"modelVersion": "m", "responseId": "x"}
STARTED = Started("x", "m")


def chunk(*parts: Json, finish: str | None = None, index: int | None = 0, **members: Any) -> bytes:  # noqa: ANN401
    candidate: Json = {"content": {"parts": list(parts), "role": "model"}}
    if finish is not None:
        candidate["finishReason"] = finish
    if index is not None:
        candidate["index"] = index
    candidate.update(members.pop("candidate", {}))
    return encode(json.dumps({"candidates": [candidate], **members, **ABOUT}).encode())


def read(raw: bytes, *, to_end: bool = True) -> list[ChatEvent]:
    decoder, reader = SseDecoder(), DIALECT.reader()
    events = decoder.feed(raw)
    try:
        events += decoder.finish()
    except SseCut as cut:
        events.append(cut.event)
    found = [said for event in events for said in reader.read(event)]
    return found + reader.end() if to_end else found


# --- Read ----------------------------------------------------------------------


def test_a_text() -> None:
    """Pieces of one text are one part; the end is said when the bytes end, with all that held. The
    prompt's count is said before the first piece: some clients are told it at once."""
    counts = {"promptTokenCount": 9, "candidatesTokenCount": 2, "totalTokenCount": 11}
    raw = (
        chunk({"text": "Hel"}, usageMetadata={"promptTokenCount": 9, "totalTokenCount": 9})
        + chunk({"text": "lo"})
        + chunk({"text": ""}, finish="STOP", usageMetadata=counts)
    )
    assert read(raw, to_end=False) == [
        STARTED,
        Used(Usage(9, 0)),
        PartStarted(0, 0, Text("")),
        PartDelta(0, 0, "Hel"),
        PartDelta(0, 0, "lo"),
        Used(Usage(9, 2)),
    ]
    assert read(raw)[-3:] == [PartEnded(0, 0), Finished(0, "stop"), Done()]


def test_thoughts_calls_and_signatures() -> None:
    """Thoughts and texts follow each other; calls come whole; a signature ends what it signs."""
    call = {"functionCall": {"id": "1", "name": "f", "args": {"a": 1}}}
    raw = (
        chunk({"text": "h", "thought": True})
        + chunk({"text": "m", "thought": True, "thoughtSignature": "S"})
        + chunk({"text": "more", "thought": True})
        + chunk({"text": "so"}, {**call, "thoughtSignature": "T"})
        + chunk({"functionCall": {"id": "2", "name": "g"}}, index=None)
        + chunk({"text": "done"})
        + chunk({"text": "", "thoughtSignature": "U"}, finish="STOP")
    )
    assert read(raw) == [
        STARTED,
        PartStarted(0, 0, Reasoning(origin="gemini")),
        PartDelta(0, 0, "h"),
        PartDelta(0, 0, "m"),
        PartSigned(0, 0, "S"),
        PartEnded(0, 0),
        PartStarted(0, 1, Reasoning(origin="gemini")),
        PartDelta(0, 1, "more"),
        PartEnded(0, 1),
        PartStarted(0, 2, Text("")),
        PartDelta(0, 2, "so"),
        PartEnded(0, 2),
        PartStarted(0, 3, ToolCall("1", "f", "", "T", "gemini")),
        PartDelta(0, 3, '{"a": 1}'),
        PartEnded(0, 3),
        PartStarted(0, 4, ToolCall("2", "g")),
        PartEnded(0, 4),
        PartStarted(0, 5, Text("")),
        PartDelta(0, 5, "done"),
        PartEnded(0, 5),
        PartStarted(0, 6, Reasoning(origin="gemini")),
        PartSigned(0, 6, "U"),
        PartEnded(0, 6),
        Finished(0, "tool_calls"),
        Done(),
    ]


def test_a_reason_with_every_event() -> None:
    """Older models say why they end with every event: nothing ends before the bytes do."""
    raw = chunk({"text": "a"}, finish="STOP") + chunk({"text": "b"}, finish="MAX_TOKENS")
    assert read(raw)[2:] == [
        PartDelta(0, 0, "a"),
        PartDelta(0, 0, "b"),
        PartEnded(0, 0),
        Finished(0, "length"),
        Done(),
    ]


def test_several_answers() -> None:
    """A stream of several is whole when each of them has ended."""
    raw = chunk({"text": "a"}) + chunk({"text": "b"}, index=1) + chunk(finish="STOP")
    assert not any(isinstance(event, (Finished, Done)) for event in read(raw))
    assert read(raw + chunk(finish="STOP", index=1))[-4:] == [
        Finished(0, "stop"),
        PartEnded(1, 0),
        Finished(1, "stop"),
        Done(),
    ]


def test_a_blocked_prompt() -> None:
    """A prompt that was blocked is a whole answer of nothing."""
    raw = encode(b'{"promptFeedback": {"blockReason": "SAFETY"}}')
    assert read(raw) == [Started(), Finished(0, "content_filter"), Done()]


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b": keep-alive\n\n",
        chunk({"text": "a"}),
        encode(b'{"usageMetadata": {"promptTokenCount": 1}}'),
        chunk({"text": "a"}, finish="STOP") + chunk({"text": "b"}, index=1),
    ],
)
def test_a_stream_without_an_end(raw: bytes) -> None:
    """Without a reason for each candidate a stream is cut, however cleanly its bytes end."""
    assert not any(isinstance(event, (Finished, Done)) for event in read(raw))


ERROR = b'{"error": {"code": 503, "message": "overloaded", "status": "UNAVAILABLE"}}'


@pytest.mark.parametrize(
    "tail",
    [
        encode(ERROR),
        ERROR,
        ERROR + b"\n",
        b"[" + ERROR + b"]\r\n\r\n",
        json.dumps(json.loads(ERROR), indent=2).encode() + b"\n\n",
    ],
)
def test_errors(tail: bytes) -> None:
    """An error is one in an event or bare, and after a reason to end too: then nothing is whole."""
    found = read(chunk({"text": "a"}) + chunk({"text": ""}, finish="STOP") + tail)
    assert found[-1] == Failed("overloaded", "service_unavailable_error", "UNAVAILABLE")
    assert not any(isinstance(event, (Finished, Done)) for event in found)


def test_an_answer_that_its_provider_calls_broken() -> None:
    """A call that the model did not get right is a failure, and no end follows."""
    raw = chunk({"text": "a"}) + chunk(finish="MALFORMED_FUNCTION_CALL")
    found = read(raw)
    assert isinstance(found[-1], Failed)
    assert (found[-1].type, found[-1].code) == ("server_error", "malformed_function_call")
    raw = chunk(finish="MALFORMED_FUNCTION_CALL", candidate={"finishMessage": "Bad call."})
    assert read(raw)[-1] == Failed("Bad call.", "server_error", "malformed_function_call")


def grounding(*segments: tuple[int, int] | None) -> Json:
    supports = [
        {
            "groundingChunkIndices": [0],
            **(
                {} if place is None else {"segment": {"startIndex": place[0], "endIndex": place[1]}}
            ),
        }
        for place in segments
    ]
    chunks = [{"web": {"uri": "https://a.test"}}]
    return {"groundingMetadata": {"groundingChunks": chunks, "groundingSupports": supports}}


def test_sources() -> None:
    """Sources come with the last event, placed in all the text; repeated ones are said once."""
    raw = (
        chunk({"text": "abc"})
        + chunk({"text": "dé!"}, candidate=grounding((1, 3), (3, 6)))
        + chunk({"text": ""}, finish="STOP", candidate=grounding((1, 3), (3, 7)))
    )
    cited = [event for event in read(raw) if isinstance(event, Cited)]
    assert cited == [
        Cited(0, 0, Citation("https://a.test", None, None, 1, 3)),
        Cited(0, 0, Citation("https://a.test", None, None, 3, 5)),
        Cited(0, 0, Citation("https://a.test", None, None, 3, 6)),
    ]


def test_sources_whose_place_is_not_known() -> None:
    """Where no character begins, or behind the text, a source has no place."""
    places = (0, 2), (1, 2), (0, 9), None
    raw = chunk({"text": "é"}) + chunk({"text": "b"}, candidate=grounding(*places))
    assert [event for event in read(raw) if isinstance(event, Cited)] == [
        Cited(0, 0, Citation("https://a.test", None, None, 0, 1)),
        Cited(0, 0, Citation("https://a.test")),
    ]


def test_sources_of_no_open_text() -> None:
    """A source that comes when no text is open stands at an empty one."""
    raw = chunk({"text": "hm", "thought": True}) + chunk(candidate=grounding(None))
    assert read(raw)[-3:] == [
        PartEnded(0, 0),
        PartStarted(0, 1, Text("")),
        Cited(0, 1, Citation("https://a.test")),
    ]


def test_logprobs() -> None:
    """Each event has those of its own tokens."""
    result = {"chosenCandidates": [{"token": "a", "logProbability": -1}]}
    found = read(chunk({"text": "a"}, candidate={"logprobsResult": result}))
    token: Json = {"token": "a", "logprob": -1, "bytes": None, "top_logprobs": []}
    assert found[-1] == Logprobs(0, (token,))


@pytest.mark.parametrize(
    "data", [b"hello", b"{", b"[DONE]", b"1", b"{}", b'{"candidates": 1}', b"\xff"]
)
def test_what_is_no_event(data: bytes) -> None:
    """Data that is not of this dialect is Malformed."""
    with pytest.raises(Malformed):
        DIALECT.reader().read(SseEvent(data, encode(data)))


# --- Written -------------------------------------------------------------------


def written(*events: ChatEvent) -> list[Any]:
    writer = DIALECT.writer(CHAT)
    raw = b"".join([writer.write(event) for event in (STARTED, *events)])
    return [json.loads(event.data) for event in SseDecoder().feed(raw)]


def event(*parts: Json, index: int = 0, **members: object) -> Json:
    candidate: Json = {"content": {"parts": list(parts), "role": "model"}, "index": index}
    return {"candidates": [{**candidate, **members}], **ABOUT}


END = (Finished(0, "stop"), Done())
LAST = event({"text": ""}, finishReason="STOP")


def test_a_written_text() -> None:
    """Every event has a part, as the official SDKs' sessions demand; the last one has the reason
    and the usage, wherever they came."""
    assert written(
        Used(Usage(9, 0)),
        PartStarted(0, 0, Text("")),
        PartDelta(0, 0, "a"),
        PartDelta(0, 0, "b"),
        PartEnded(0, 0),
        Finished(0, "length"),
        Used(Usage(9, 5, 4, 3)),
        Done(),
    ) == [
        event({"text": "a"}),
        event({"text": "b"}),
        {
            **event({"text": ""}, finishReason="MAX_TOKENS"),
            "usageMetadata": {
                "promptTokenCount": 9,
                "candidatesTokenCount": 2,
                "totalTokenCount": 14,
                "cachedContentTokenCount": 4,
                "thoughtsTokenCount": 3,
            },
        },
    ]


def test_nothing_ends_before_the_answer_does() -> None:
    """A reason alone is not shown: what comes after it may be an error."""
    assert written(PartStarted(0, 0, Text("")), PartEnded(0, 0), Finished(0, "stop")) == []


def test_written_calls_and_thoughts() -> None:
    """Arguments are kept until they are whole, calls side by side too; proofs follow thoughts."""
    found = written(
        PartStarted(0, 0, Reasoning(origin="anthropic-messages")),
        PartDelta(0, 0, "hm"),
        PartSigned(0, 0, "a"),
        PartSigned(0, 0, "b"),
        PartEnded(0, 0),
        PartStarted(0, 1, ToolCall("1", "f")),
        PartStarted(0, 2, ToolCall("2", "g", "", "S", "gemini")),
        PartDelta(0, 1, '{"a"'),
        PartDelta(0, 2, "{}"),
        PartDelta(0, 1, ": 1}"),
        PartEnded(0, 1),
        PartEnded(0, 2),
        Finished(0, "tool_calls"),
        Done(),
    )
    sealed = found[1]["candidates"][0]["content"]["parts"][0].pop("thoughtSignature")
    assert sealed.startswith("dGllcmdhdGUu")
    assert found == [
        event({"text": "hm", "thought": True}),
        event({"text": "", "thought": True}),
        event({"functionCall": {"id": "1", "name": "f", "args": {"a": 1}}}),
        event({"functionCall": {"id": "2", "name": "g", "args": {}}, "thoughtSignature": "S"}),
        LAST,
    ]


def test_a_written_call_that_was_cut_off() -> None:
    """A call whose arguments are no object is not written, and the reason says why."""
    call = (PartStarted(0, 0, ToolCall("1", "f")), PartDelta(0, 0, "{"), PartEnded(0, 0))
    found = written(*call, Finished(0, "tool_calls"), Done())
    assert found == [event({"text": ""}, finishReason="MALFORMED_FUNCTION_CALL")]
    found = written(*call, Finished(0, "length"), Done())
    assert found == [event({"text": ""}, finishReason="MAX_TOKENS")]


def test_what_a_part_starts_with_is_written() -> None:
    """A part may start with some of its text and sources."""
    citation = Citation("https://a.test", None, None, 0, 1)
    found = written(
        PartStarted(0, 0, Refusal("n")),
        PartDelta(0, 0, "o"),
        PartEnded(0, 0),
        PartStarted(0, 1, Text("a", (citation,))),
        PartEnded(0, 1),
        *END,
    )
    assert found[:3] == [event({"text": "n"}), event({"text": "o"}), event({"text": "a"})]
    supports = found[3]["candidates"][0]["groundingMetadata"]["groundingSupports"]
    segment = {"startIndex": 2, "endIndex": 3, "text": "a"}
    assert supports == [{"groundingChunkIndices": [0], "segment": segment}]


@pytest.mark.parametrize(
    ("text", "place", "segment"),
    [
        ("abc", (1, 2), {"startIndex": 2, "endIndex": 3, "text": "b"}),
        ("äßc", (1, 2), {"startIndex": 3, "endIndex": 5, "text": "ß"}),
        ("äßc", (None, None), {"startIndex": 1, "endIndex": 6, "text": "äßc"}),
    ],
)
def test_written_sources(text: str, place: tuple[int | None, int | None], segment: Json) -> None:
    """Sources stand in the last event, placed in bytes of all the text; one that has no place is
    of all of its part, which may go on behind it."""
    found = written(
        PartStarted(0, 0, Text("-")),
        PartEnded(0, 0),
        PartStarted(0, 1, Text("")),
        Cited(0, 1, Citation("https://a.test", "A", None, *place)),
        PartDelta(0, 1, text),
        PartEnded(0, 1),
        PartStarted(0, 2, Text("-")),
        PartEnded(0, 2),
        *END,
    )
    metadata = found[-1]["candidates"][0]["groundingMetadata"]
    assert metadata["groundingChunks"] == [{"web": {"uri": "https://a.test", "title": "A"}}]
    assert metadata["groundingSupports"] == [{"groundingChunkIndices": [0], "segment": segment}]


def test_written_logprobs() -> None:
    """Logprobs stand in the next event, or the last."""
    token: Json = {"token": "a", "logprob": -1, "bytes": None, "top_logprobs": []}
    result = {"chosenCandidates": [{"token": "a", "logProbability": -1}]}
    found = written(
        PartStarted(0, 0, Text("")),
        Logprobs(0, (token,)),
        PartDelta(0, 0, "a"),
        Logprobs(0, (token,)),
        PartEnded(0, 0),
        *END,
    )
    assert [item["candidates"][0].get("logprobsResult") for item in found] == [result, result]


def test_several_written_answers() -> None:
    """The last event has the reason of each."""
    found = written(
        PartStarted(0, 0, Text("")),
        PartStarted(1, 0, Text("")),
        PartDelta(1, 0, "b"),
        PartEnded(0, 0),
        PartEnded(1, 0),
        Finished(1, "length"),
        Finished(0, "stop"),
        Done(),
    )
    assert found[0] == event({"text": "b"}, index=1)
    reasons = [(item["index"], item["finishReason"]) for item in found[1]["candidates"]]
    assert reasons == [(0, "STOP"), (1, "MAX_TOKENS")]
