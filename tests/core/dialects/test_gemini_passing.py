"""Gemini to Gemini: the bytes pass, and are read for what must be known."""

import json
from typing import Any

import pytest

from gateway.core.chat import StreamEvent, Usage
from gateway.core.dialects.gemini import DIALECT
from gateway.core.dialects.gemini.proofs import Proof, write
from gateway.core.outcomes import Outcome
from gateway.core.sse import SseEvent, encode

BODY = b'{ "contents" : [{"parts":[{"text":"h\xc3\xa9"}]}], "x": 1.0 }'
COUNTS = {"promptTokenCount": 9, "candidatesTokenCount": 2}


@pytest.mark.parametrize(
    ("is_stream", "path"),
    [
        (False, "/models/other:generateContent"),
        (True, "/models/other:streamGenerateContent?alt=sse"),
    ],
)
def test_a_request_passes(is_stream: bool, path: str) -> None:  # noqa: FBT001
    """Every byte of the body is the client's; the model is the path's."""
    chat = DIALECT.parse_request(BODY, "auto", is_stream)
    request = DIALECT.pass_request(chat, "other", True)  # noqa: FBT003
    assert (request.path, request.body) == (path, BODY)


def test_a_model_in_the_body_is_replaced() -> None:
    """A body that names a model names the one that is asked."""
    body = BODY.replace(b'"x": 1.0', b'"model": "models/auto"')
    request = DIALECT.pass_request(DIALECT.parse_request(body, "auto", None), "other", False)  # noqa: FBT003
    assert request.body == body.replace(b"models/auto", b"models/other")


FOREIGN = write(Proof("S", origin="anthropic-messages"))
SKIP = "skip_thought_signature_validator"
CALL = {"functionCall": {"name": "f"}}
SNAKE = {"function_call": {"name": "f"}}
THOUGHT = {"text": "hm", "thought": True}
USER = {"role": "user", "parts": [{"text": "hi"}]}


@pytest.mark.parametrize(
    ("model", "parts", "expected"),
    [
        ("m", [[{**THOUGHT, "thoughtSignature": FOREIGN}, CALL]], [[CALL]]),
        ("m", [[{**THOUGHT, "thought_signature": FOREIGN}], [{"text": "a"}]], [[{"text": "a"}]]),
        ("m", [[{"text": "a", "thoughtSignature": FOREIGN}]], [[{"text": "a"}]]),
        ("m", [[{**CALL, "thoughtSignature": FOREIGN}]], [[CALL]]),
        (
            "gemini-3-flash",
            [[{**CALL, "thoughtSignature": FOREIGN}, CALL], [CALL]],
            [[{**CALL, "thoughtSignature": SKIP}, CALL], [CALL]],
        ),
        ("models/gemini-10", [[SNAKE]], [[{**SNAKE, "thoughtSignature": SKIP}]]),
    ],
)
def test_what_another_provider_left(model: str, parts: list[Any], expected: list[Any]) -> None:
    """Another's proof does not go to Google, nor a thought that it proves; where a model wants the
    first call of a step to be signed, it is told that there is no signature."""
    assert passed(model, parts) == [USER, *said(expected), USER, *said(expected)]


@pytest.mark.parametrize(
    ("model", "parts"),
    [
        ("m", [[CALL]]),
        ("gemini-2.5-pro", [[CALL]]),
        ("gemini-3-flash", [[{**CALL, "thoughtSignature": "S"}, CALL], [CALL]]),
        ("gemini-3-flash", [[{**SNAKE, "thought_signature": "S"}]]),
        ("gemini-3-flash", [[{**THOUGHT, "thoughtSignature": "S"}, {"text": "a"}]]),
    ],
)
def test_what_a_model_takes(model: str, parts: list[Any]) -> None:
    """Whatever its model takes passes to the byte."""
    assert passed(model, parts) == [USER, *said(parts), USER, *said(parts)]


def said(parts: list[Any]) -> list[Any]:
    return [{"role": "model", "parts": each} for each in parts]


def passed(model: str, parts: list[Any]) -> Any:  # noqa: ANN401 - JSON
    """The contents that a provider gets of a conversation of two turns of these contents."""
    contents = [USER, *said(parts), USER, *said(parts)]
    body = json.dumps({"contents": contents}, indent=1).encode()
    request = DIALECT.pass_request(DIALECT.parse_request(body, "auto", None), model, False)  # noqa: FBT003
    found = json.loads(request.body)["contents"]
    assert (request.body == body) == (found == contents)
    return found


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"candidates": [{}], "usageMetadata": COUNTS}, (Outcome.EMPTY, Usage(9, 2))),
        ({"candidates": [{"finishReason": "STOP"}]}, (Outcome.EMPTY, None)),
        ({"candidates": [{"finishReason": "SAFETY"}]}, (Outcome.ANSWERED, None)),
        ({"candidates": [{"content": {"parts": [{"text": "a"}]}}]}, (Outcome.ANSWERED, None)),
        ({"promptFeedback": {"blockReason": "SAFETY"}}, (Outcome.ANSWERED, None)),
        ({"promptFeedback": {}}, (Outcome.MALFORMED, None)),
        ({"candidates": []}, (Outcome.MALFORMED, None)),
        ({"candidates": [1]}, (Outcome.MALFORMED, None)),
        ({"usageMetadata": COUNTS}, (Outcome.MALFORMED, None)),
        ({"error": {"code": 500}}, (Outcome.SERVER_ERROR, None)),
        ([{"error": {"code": 500}}], (Outcome.SERVER_ERROR, None)),
        ("hello", (Outcome.MALFORMED, None)),
    ],
)
def test_whole_answers(value: object, expected: tuple[Outcome, Usage | None]) -> None:
    """An answer has candidates, or says why it has none."""
    assert DIALECT.peek_answer(json.dumps(value).encode()) == expected


def watch(*values: object) -> tuple[StreamEvent | None, bytes | None]:
    """What the last event says, and then the end."""
    watcher = DIALECT.watcher(DIALECT.parse_request(BODY, "m", True))  # noqa: FBT003
    found: StreamEvent | None = None
    for value in values:
        data = value if isinstance(value, bytes) else json.dumps(value).encode()
        found = watcher.watch(SseEvent(data, encode(data)))
        assert found is None or found.raw == encode(data)
    return found, watcher.end()


@pytest.mark.parametrize(
    ("part", "has_content"),
    [
        ({"text": "a"}, True),
        ({"text": "a", "thought": True}, True),
        ({"functionCall": {"name": "f"}}, True),
        ({"inlineData": {"data": "AA"}}, True),
        ({"text": ""}, False),
        ({"text": "", "thought": True, "thoughtSignature": "S"}, False),
    ],
)
def test_content(part: object, has_content: bool) -> None:  # noqa: FBT001
    """Whatever the model says is content; an empty text is not."""
    found, _ = watch({"candidates": [{"content": {"parts": [part]}}]})
    assert found is not None
    assert found.has_content is has_content


def test_the_end() -> None:
    """A stream is whole when each candidate said why it ended, or the prompt was blocked."""
    begun = {"candidates": [{"content": {"parts": [{"text": "a"}]}}, {"index": 1}]}
    ended = {"candidates": [{"finishReason": "STOP", "index": 0}], "usageMetadata": COUNTS}
    found, end = watch(begun, ended)
    assert found is not None
    assert (found.choices, found.finished, found.usage) == ((0,), (0,), Usage(9, 2))
    assert (found.is_done, found.is_usage_only, end) == (False, False, None)
    assert watch(begun, ended, {"candidates": [{"finishReason": "STOP", "index": 1}]})[1] == b""
    assert watch({"promptFeedback": {"blockReason": "OTHER"}})[1] == b""
    assert watch(begun)[1] is None
    assert watch()[1] is None


def test_other_events() -> None:
    """Usage alone, a keep-alive, an error in an event or bare, and what is no event."""
    found, _ = watch({"usageMetadata": COUNTS})
    assert found is not None
    assert found.is_usage_only
    watcher = DIALECT.watcher(DIALECT.parse_request(BODY, "m", True))  # noqa: FBT003
    assert watcher.watch(SseEvent(b"", b": x\n\n")) == StreamEvent(b": x\n\n")
    found, _ = watch({"error": {"message": "overloaded"}})
    assert found is not None
    assert found.error == "overloaded"
    found = watcher.watch(SseEvent(b"", b'{\n"error": {"message": "overloaded"}\n}\n'))
    assert found is not None
    assert found.error == "overloaded"
    for garbage in (b"hello", b"{}", b"[DONE]", {"candidates": 1}, {"candidates": [1]}, b"\xff"):
        assert watch(garbage)[0] is None
