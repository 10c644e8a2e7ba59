"""A stream that hardly moves is told from one that moves, whatever its events look like."""

import json

import pytest

from gateway.core.pace import WINDOW_SECONDS, Pace, characters

FRAME = {
    "id": "chatcmpl-" + "x" * 40,
    "object": "chat.completion.chunk",
    "created": 1,
    "model": "a-model-with-a-long-name-2026-01-01",
    "system_fingerprint": "fp_0123456789",
    "obfuscation": "x" * 24,
    "usage": None,
}


def chunk(text: str) -> bytes:
    """As OpenAI frames a token: about 300 bytes."""
    choice = {"index": 0, "delta": {"content": text}, "logprobs": None, "finish_reason": None}
    return json.dumps({**FRAME, "choices": [choice]}).encode()


EVENTS: list[tuple[object, int]] = [
    ({"choices": [{"index": 0, "delta": {"content": "four"}}]}, 4),
    ({"choices": [{"delta": {"tool_calls": [{"index": 0, "function": {"arguments": "{}"}}]}}]}, 2),
    ({"type": "response.output_text.delta", "item_id": "x" * 50, "delta": "four"}, 4),
    ({"type": "content_block_delta", "delta": {"type": "t", "text": "four"}}, 5),
    ({"candidates": [{"content": {"parts": [{"text": "four"}, {"text": "two"}]}}]}, 7),
    ({"choices": [None, 1, {"delta": 3}], "candidates": {}}, 0),
    ([], 0),
]


@pytest.mark.parametrize(("event", "said"), EVENTS)
def test_what_an_event_says(event: object, said: int) -> None:
    """Each dialect's text is counted, its frame is not."""
    assert characters(json.dumps(event).encode()) == said


def test_what_is_no_event() -> None:
    """What cannot be read says nothing."""
    assert characters(b"{oops") == 0


def first_slow(least: float, every: float, text: str) -> float | None:
    """After how many seconds a stream is too slow that says this text so often; None: never."""
    pace = Pace(least)
    for number in range(200):
        if pace.is_too_slow(number * every, chunk(text)):
            return number * every
    return None


@pytest.mark.parametrize(
    ("least", "every", "text", "is_slow"),
    [
        (2.0, 1.0, " a", True),
        (5.0, 0.9, " word", True),
        (2.0, 0.2, " a", False),
        (20.0, 1.0, " a" * 60, False),
        (20.0, 1.0, " a" * 30, True),
        (0.0, 9.0, " a", False),
    ],
)
def test_the_floor(least: float, every: float, text: str, *, is_slow: bool) -> None:
    """One token a second is slow in any frame; a few large events are as good as many small."""
    found = first_slow(least, every, text)
    assert (found is not None) == is_slow
    assert found is None or WINDOW_SECONDS <= found < WINDOW_SECONDS + 2 * every
