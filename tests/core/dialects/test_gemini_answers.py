"""Gemini: whole answers, both ways."""

import json
from base64 import b64decode
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from gateway.core.answers import Answer, Choice, Finish, Started
from gateway.core.chat import Usage
from gateway.core.conversation import (
    Citation,
    Image,
    Json,
    Media,
    Part,
    Reasoning,
    Refusal,
    Text,
    ToolCall,
)
from gateway.core.dialect import Malformed
from gateway.core.dialects.gemini import DIALECT
from gateway.core.dialects.gemini.answers import write_answer
from gateway.core.outcomes import Outcome
from gateway.core.translate import Translation


def candidate(*parts: Mapping[str, object], finish: object = "STOP", **members: object) -> Json:
    return {"content": {"parts": list(parts), "role": "model"}, "finishReason": finish, **members}


def read(*candidates: Mapping[str, object], **members: object) -> Answer:
    return DIALECT.read_answer(json.dumps({"candidates": candidates, **members}).encode())


def written(*parts: Part, finish: Finish | None = "stop") -> Any:  # noqa: ANN401 - JSON
    body = json.loads(write_answer(Answer((Choice(parts, finish),))))
    return body["candidates"][0]


# --- Read ----------------------------------------------------------------------


def test_a_whole_answer() -> None:
    """Parts, reason, names and usage of an answer as Gemini 3 gives it."""
    found = read(
        candidate(
            {"text": "Let me see.", "thought": True},
            {"text": "So: "},
            {"text": "4", "thoughtSignature": "QUJD"},
            index=0,
            safetyRatings=[],
        ),
        usageMetadata={
            "promptTokenCount": 9,
            "candidatesTokenCount": 2,
            "thoughtsTokenCount": 30,
            "cachedContentTokenCount": 4,
            "totalTokenCount": 41,
            "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 9}],
        },
        modelVersion="gemini-3-flash",
        responseId="x",
    )
    parts = (
        Reasoning("Let me see.", origin="gemini"),
        Text("So: 4"),
        Reasoning("", "QUJD", origin="gemini"),
    )
    choice = Choice(parts, "stop")
    assert found == Answer((choice,), "x", "gemini-3-flash", None, Usage(9, 32, 4, 30))


def test_calls() -> None:
    """A call ends with `STOP` as any answer; without an id it gets one, of its own each time."""
    signed = {"functionCall": {"name": "f", "args": {"a": 1}}, "thoughtSignature": "QUJD"}
    named = {"functionCall": {"id": "1", "name": "g"}}
    found = read(candidate(signed, named, signed), responseId="x")
    first, second, third = found.choices[0].parts
    assert found.choices[0].finish == "tool_calls"
    assert isinstance(first, ToolCall)
    assert isinstance(third, ToolCall)
    assert first == ToolCall(first.id, "f", '{"a": 1}', "QUJD", "gemini")
    assert second == ToolCall("1", "g")
    assert first.id.startswith("call_")
    assert first.id != third.id
    assert read(candidate(signed, named, signed), responseId="x") == found
    assert read(candidate(signed), responseId="y").choices[0].parts[0] != first


def test_several_answers() -> None:
    """Candidates are in the order of their indexes, which the first may leave out."""
    found = read(candidate({"text": "b"}, index=1), candidate({"text": "a"}, index=0))
    assert [choice.parts for choice in found.choices] == [(Text("a"),), (Text("b"),)]
    found = read(candidate({"text": "a"}), candidate({"text": "b"}))
    assert [choice.parts for choice in found.choices] == [(Text("a"),), (Text("b"),)]


@pytest.mark.parametrize(
    ("reason", "finish"),
    [
        ("STOP", "stop"),
        ("MAX_TOKENS", "length"),
        ("SAFETY", "content_filter"),
        ("RECITATION", "content_filter"),
        ("LANGUAGE", "content_filter"),
        ("BLOCKLIST", "content_filter"),
        ("PROHIBITED_CONTENT", "content_filter"),
        ("SPII", "content_filter"),
        ("OTHER", "content_filter"),
        ("SOMETHING_NEW", "content_filter"),
        ("CONTINUATION", "pause"),
        (None, None),
    ],
)
def test_finish_reasons(reason: str | None, finish: Finish | None) -> None:
    """What is neither the model's end nor a limit is the provider's doing."""
    assert read(candidate({"text": "a"}, finish=reason)).choices[0].finish == finish


@pytest.mark.parametrize(
    "reason", ["MALFORMED_FUNCTION_CALL", "UNEXPECTED_TOOL_CALL", "MISSING_THOUGHT_SIGNATURE"]
)
def test_an_answer_that_its_provider_calls_broken(reason: str) -> None:
    """What the model wrote was thrown away: that is no answer, and another target may be asked; a
    client of this dialect reads it itself."""
    body = json.dumps({"candidates": [{"finishReason": reason, "finishMessage": "x"}]}).encode()
    with pytest.raises(Malformed):
        DIALECT.read_answer(body)
    assert DIALECT.peek_answer(body)[0] is Outcome.ANSWERED
    chat = DIALECT.parse_request(b'{"contents": [{"parts": []}]}', "m", None)
    own = Translation(chat, DIALECT)
    assert own.read_whole(body, DIALECT, Started())[0] is Outcome.ANSWERED
    foreign = Translation(chat, replace(DIALECT, name="other"))
    assert foreign.read_whole(body, DIALECT, Started()) == (Outcome.MALFORMED, None, b"")


def test_a_blocked_prompt() -> None:
    """A blocked prompt is an answer that was filtered before it began."""
    feedback = {"blockReason": "SAFETY", "safetyRatings": []}
    counts = {"promptTokenCount": 9, "totalTokenCount": 9}
    body = json.dumps({"promptFeedback": feedback, "usageMetadata": counts}).encode()
    found = DIALECT.read_answer(body)
    assert found.choices == (Choice((), "content_filter"),)
    assert found.usage == Usage(9, 0)
    assert DIALECT.peek_answer(body) == (Outcome.ANSWERED, Usage(9, 0))


@pytest.mark.parametrize(
    ("counts", "usage"),
    [
        (None, None),
        ({}, None),
        ({"promptTokenCount": "9"}, None),
        ({"promptTokenCount": True}, None),
        ({"promptTokenCount": -1}, None),
        ({"promptTokenCount": 10**400}, None),
        ({"promptTokenCount": 9}, Usage(9, 0)),
        ({"promptTokenCount": 9, "totalTokenCount": 11}, Usage(9, 2)),
        ({"promptTokenCount": 9, "candidatesTokenCount": 2}, Usage(9, 2)),
        ({"promptTokenCount": 9, "thoughtsTokenCount": 5}, Usage(9, 5, None, 5)),
        (
            {"promptTokenCount": 9, "thoughtsTokenCount": 5, "totalTokenCount": 14},
            Usage(9, 5, None, 5),
        ),
        (
            {"promptTokenCount": 9, "candidatesTokenCount": 2, "thoughtsTokenCount": 5},
            Usage(9, 7, None, 5),
        ),
        (  # a server that counts thoughts among the candidates
            {
                "promptTokenCount": 9,
                "candidatesTokenCount": 7,
                "thoughtsTokenCount": 5,
                "totalTokenCount": 16,
            },
            Usage(9, 7, None, 5),
        ),
        (
            {
                "promptTokenCount": 9,
                "toolUsePromptTokenCount": 20,
                "candidatesTokenCount": 2,
                "totalTokenCount": 31,
            },
            Usage(29, 2),
        ),
        ({"promptTokenCount": 9, "cachedContentTokenCount": 4}, Usage(9, 0, 4)),
    ],
)
def test_usage(counts: object, usage: Usage | None) -> None:
    """Output includes thoughts, whatever way they are counted; input what tools gave; what
    protobuf leaves out is zero, but only beside a count."""
    assert read(candidate({"text": "a"}), usageMetadata=counts).usage == usage


def test_logprobs() -> None:
    """One object a token in OpenAI's shape; a missing number is a zero, an infinite one a word."""
    result = {
        "chosenCandidates": [{"token": "a", "tokenId": 1, "logProbability": -0.5}, {"token": "b"}],
        "topCandidates": [
            {"candidates": [{"token": "a", "logProbability": -0.5}]},
            {"candidates": [{"token": "c", "logProbability": "-Infinity"}]},
        ],
    }
    found = read(candidate({"text": "ab"}, logprobsResult=result)).choices[0].logprobs
    a: Json = {"token": "a", "logprob": -0.5, "bytes": None}
    c: Json = {"token": "c", "logprob": -9999.0, "bytes": None}
    b: Json = {"token": "b", "logprob": 0.0, "bytes": None}
    assert found == ({**a, "top_logprobs": [a]}, {**b, "top_logprobs": [c]})


def test_grounding() -> None:
    """Sources with the place in characters of what they are for, whatever its bytes; a source that
    is for nothing in particular has none."""
    metadata = {
        "groundingChunks": [
            {"web": {"uri": "https://a.test", "title": "A"}},
            {"retrievedContext": {"uri": "https://b.test", "title": "B", "text": "quoted"}},
            {"maps": {"uri": "https://c.test"}},
            {"image": {"sourceUri": "https://d.test", "imageUri": "https://d.test/1.png"}},
        ],
        "groundingSupports": [
            {
                "segment": {"partIndex": 1, "startIndex": 3, "endIndex": 8, "text": "Grüß"},
                "groundingChunkIndices": [0, 1, 7],
            },
            {"segment": {"partIndex": 1, "endIndex": 5}, "groundingChunkIndices": [0]},
        ],
        "webSearchQueries": ["q"],
    }
    thought = {"text": "hm", "thought": True}
    found = read(candidate(thought, {"text": "äGrüße"}, groundingMetadata=metadata))
    a = Citation("https://a.test", "A")
    assert found.choices[0].parts[1] == Text(
        "äGrüße",
        (  # the first begins in the middle of no character, the second ends in one
            Citation("https://a.test", "A", None, 2, 5),
            Citation("https://b.test", "B", "quoted", 2, 5),
            a,
            Citation("https://c.test"),
            Citation("https://d.test"),
        ),
    )


@pytest.mark.parametrize("name", ["citationSources", "citations"])
def test_citations(name: str) -> None:
    """Attributions of recited text are citations too, under both names that servers use."""
    sources = {name: [{"startIndex": 1, "endIndex": 3, "uri": "https://a.test", "license": "x"}]}
    found = read(candidate({"text": "abcd"}, citationMetadata=sources))
    citation = Citation("https://a.test", None, None, 1, 3)
    assert found.choices[0].parts == (Text("abcd", (citation,)),)


@pytest.mark.parametrize(
    "part",
    [
        {"executableCode": {"code": "1"}},
        {"codeExecutionResult": {"output": "1"}},
        {"toolCall": {}},
        {"somethingNew": 1},
        {"text": ""},
        {"text": "", "thought": True},
    ],
)
def test_parts_that_say_nothing_to_others(part: Json) -> None:
    """What Google's own tools did, and what is not known, is left out."""
    assert read(candidate({"text": "a"}, part)).choices[0].parts == (Text("a"),)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"[]",
        b"[{}, {}]",
        b"{}",
        b"null",
        b"[" * 100_000,
        b'{"candidates": []}',
        b'{"candidates": {}}',
        b'{"candidates": [1]}',
        b'{"candidates": [{"content": []}]}',
        b'{"candidates": [{"content": {"parts": {}}}]}',
        b'{"candidates": [{"content": {"parts": [1]}}]}',
        b'{"candidates": [{"content": {"parts": [{"text": 1}]}}]}',
        b'{"candidates": [{"content": {"parts": [{"text": "a", "thoughtSignature": 1}]}}]}',
        b'{"candidates": [{"content": {"parts": [{"functionCall": {}}]}}]}',
        b'{"candidates": [{"content": {"parts": [{"functionCall": {"name": "f", "args": 1}}]}}]}',
        b'{"candidates":[{"content":{"parts":[{"functionCall":{"name":"f","args":{"a":NaN}}}]}}]}',
        b'{"candidates": [{"content": {"parts": [{"inlineData": {"mimeType": "image/png"}}]}}]}',
        b'{"candidates": [{"index": -1}]}',
        b'{"candidates": [{"finishReason": 1}]}',
        b'{"candidates": [{"logprobsResult": {"chosenCandidates": [{"logProbability": NaN}]}}]}',
        b'{"candidates": [{"groundingMetadata": {"groundingChunks": [1]}}]}',
        b'{"usageMetadata": {"promptTokenCount": 1}}',
        b'{"error": {"code": 500}}',
        b'[{"error": {"code": 500}}]',
    ],
)
def test_no_answer(body: bytes) -> None:
    """What is not of this dialect, or an error under status 200, is no answer."""
    with pytest.raises(Malformed):
        DIALECT.read_answer(body)


# --- Written -------------------------------------------------------------------


def test_what_is_written() -> None:
    """Parts, reason, names and usage, in the members that the official SDKs know."""
    answer = Answer(
        (
            Choice((Reasoning("hm"), Text("4")), "stop"),
            Choice((ToolCall("1", "f", "{}"),), "tool_calls"),
        ),
        "x",
        "m",
        7,
        Usage(9, 32, 4, 30, 5),
    )
    assert json.loads(write_answer(answer)) == {
        "candidates": [
            {
                "content": {
                    "parts": [{"text": "hm", "thought": True}, {"text": "4"}],
                    "role": "model",
                },
                "finishReason": "STOP",
                "index": 0,
            },
            {
                "content": {
                    "parts": [{"functionCall": {"id": "1", "name": "f", "args": {}}}],
                    "role": "model",
                },
                "finishReason": "STOP",
                "index": 1,
            },
        ],
        "usageMetadata": {
            "promptTokenCount": 9,
            "candidatesTokenCount": 2,
            "totalTokenCount": 41,
            "cachedContentTokenCount": 4,
            "thoughtsTokenCount": 30,
        },
        "modelVersion": "m",
        "responseId": "x",
    }


@pytest.mark.parametrize(
    ("part", "expected"),
    [
        (Refusal("no"), {"text": "no"}),
        (ToolCall("1", "f"), {"functionCall": {"id": "1", "name": "f", "args": {}}}),
        (Reasoning("a"), {"text": "a", "thought": True}),
        (Reasoning("", "S", origin="gemini"), {"text": "", "thoughtSignature": "S"}),
        (Image(Media("image/png", "AA")), {"inlineData": {"mimeType": "image/png", "data": "AA"}}),
    ],
)  # fmt: skip
def test_parts(part: Part, expected: Json) -> None:
    """Each kind of part has its form; a call always has arguments, as Gemini's own do."""
    assert written(part)["content"]["parts"] == [expected]


def test_foreign_proofs_are_sealed() -> None:
    """A foreign proof stands where Gemini's own do, as base64, and never as an answer's text."""
    withheld = Reasoning("", None, "R", "rs_1", "openai-responses")
    signed = ToolCall("1", "f", "{}", "S", "openai-chat")
    thought, call = written(withheld, signed)["content"]["parts"]
    assert (thought["text"], thought["thought"]) == ("", True)
    sealed = b'tiergate.openai-responses.{"redacted": "R", "id": "rs_1"}'
    assert b64decode(thought["thoughtSignature"], validate=True) == sealed
    sealed = b'tiergate.openai-chat.{"signature": "S"}'
    assert b64decode(call["thoughtSignature"], validate=True) == sealed


@pytest.mark.parametrize(
    ("finish", "reason"),
    [
        ("stop", "STOP"),
        ("tool_calls", "STOP"),
        ("length", "MAX_TOKENS"),
        ("content_filter", "SAFETY"),
        ("refusal", "SAFETY"),
        ("pause", "OTHER"),
    ],
)
def test_written_finish_reasons(finish: Finish, reason: str) -> None:
    """Each neutral word has its own, or the nearest."""
    assert written(Text("a"), finish=finish)["finishReason"] == reason


def test_an_answer_without_an_end_or_parts() -> None:
    """What the provider did not say is not said."""
    assert written(finish=None) == {"content": {"role": "model"}, "index": 0}


@pytest.mark.parametrize("arguments", ["{", "[]", "1", '{"a": 1}{'])
def test_a_call_that_was_cut_off(arguments: str) -> None:
    """A call whose arguments are no object is none, and the reason says why."""
    call = ToolCall("1", "f", arguments)
    found = written(Text("a"), call, finish="tool_calls")
    assert found["content"]["parts"] == [{"text": "a"}]
    assert found["finishReason"] == "MALFORMED_FUNCTION_CALL"
    assert written(call, finish="length")["finishReason"] == "MAX_TOKENS"


def test_written_citations() -> None:
    """Each source once; places in bytes of their part, and what stands there. A source without a
    place is one of all of its part."""
    found = written(
        Text("äö", (Citation("https://a.test", "A", None, 1, 2), Citation("https://b.test"))),
        Reasoning("hm"),
        Text("x", (Citation("https://a.test", "A", None, 0, 1), Citation(None, "C", "quoted"))),
    )["groundingMetadata"]
    assert found == {
        "groundingChunks": [
            {"web": {"uri": "https://a.test", "title": "A"}},
            {"web": {"uri": "https://b.test"}},
            {"retrievedContext": {"title": "C", "text": "quoted"}},
        ],
        "groundingSupports": [
            {
                "groundingChunkIndices": [0],
                "segment": {"startIndex": 2, "endIndex": 4, "text": "ö"},
            },
            {
                "groundingChunkIndices": [1],
                "segment": {"startIndex": 0, "endIndex": 4, "text": "äö"},
            },
            {
                "groundingChunkIndices": [0],
                "segment": {"partIndex": 2, "startIndex": 0, "endIndex": 1, "text": "x"},
            },
            {
                "groundingChunkIndices": [2],
                "segment": {"partIndex": 2, "startIndex": 0, "endIndex": 1, "text": "x"},
            },
        ],
    }


def test_written_logprobs() -> None:
    """Tokens with their alternatives; none where none were asked for."""
    token: Json = {"token": "a", "logprob": -0.5, "bytes": [97]}
    choice = Choice((Text("a"),), "stop", logprobs=({**token, "top_logprobs": [token]},))
    found = json.loads(write_answer(Answer((choice,))))["candidates"][0]["logprobsResult"]
    candidate_ = {"token": "a", "logProbability": -0.5}
    assert found == {
        "chosenCandidates": [candidate_],
        "topCandidates": [{"candidates": [candidate_]}],
    }
    bare = Choice((Text("a"),), "stop", logprobs=({**token, "top_logprobs": []},))
    found = json.loads(write_answer(Answer((bare,))))["candidates"][0]["logprobsResult"]
    assert found == {"chosenCandidates": [candidate_]}
