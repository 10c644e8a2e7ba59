"""How long a provider asks to be left alone, and how long is waited without its word."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.http import Headers
from gateway.core.waiting import FIRST_BACKOFF_MS, MAX_BACKOFF_MS, backoff_ms, retry_after_ms

NOW = 1_767_225_600.0  # Thu, 01 Jan 2026 00:00:00 GMT
LATIN = st.text(st.characters(max_codepoint=255), max_size=40)
ALMOST = st.from_regex(
    r"(\d{0,12}(\.\d{0,12})?|[A-Z][a-z]{2}, \d\d (Jan|Feb|Foo) \d{4} \d\d:\d\d:\d\d GMT)",
    fullmatch=True,
)


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, None),
        ({"retry-after": "7"}, 7_000),
        ({"retry-after": " 0.25 "}, 250),
        ({"retry-after-ms": "120", "retry-after": "7"}, 120),
        ({"retry-after-ms": "soon", "retry-after": "7"}, 7_000),
        ({"retry-after": "Thu, 01 Jan 2026 00:00:30 GMT"}, 30_000),
        ({"retry-after": "Wed, 31 Dec 2025 23:59:00 GMT"}, 0),
        ({"retry-after": "Thu, 30 Feb 2026 00:00:00 GMT"}, None),
        ({"retry-after": "Thu, 01 Foo 2026 00:00:00 GMT"}, None),
        ({"retry-after": "-1"}, None),
        ({"retry-after": "1e9"}, None),
        ({"retry-after": "\u0667"}, None),
    ],
)
def test_what_a_provider_asks_for(headers: dict[str, str], expected: int | None) -> None:
    """Seconds, a date or OpenAI's milliseconds; a word that is not known asks for nothing."""
    assert retry_after_ms(Headers(headers.items()), NOW) == expected


@given(st.dictionaries(st.sampled_from(["retry-after", "retry-after-ms"]), LATIN | ALMOST))
def test_any_words(headers: dict[str, str]) -> None:
    """Whatever a provider writes there is a wait that is not negative, or none."""
    wait = retry_after_ms(Headers(headers.items()), NOW)
    assert wait is None or wait >= 0


@given(st.integers(0, 20), st.floats(0, 1, exclude_max=True))
def test_backoff(retry: int, draw: float) -> None:
    """Without its word the wait doubles to a bound, and at least half of it is waited."""
    most = min(MAX_BACKOFF_MS, FIRST_BACKOFF_MS * 2**retry)
    assert most // 2 <= backoff_ms(retry, draw) <= most
