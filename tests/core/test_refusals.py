"""Which refusals are not the request's own fault."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.errors import Rejected
from gateway.core.outcomes import Outcome
from gateway.core.refusals import MAX_READ, outcome_of


def refused(
    message: str, status: int = 400, *, type: str = "x", code: str | None = None
) -> Outcome:
    return outcome_of(Rejected(status, message, type=type, code=code, param=None))


@pytest.mark.parametrize(
    "message",
    [
        "prompt is too long: 210000 tokens > 200000 maximum",
        "The input token count (1200000) exceeds the maximum number of tokens allowed (1048576).",
        "This model's maximum context length is 8192 tokens.",
    ],
)
def test_too_long(message: str) -> None:
    """A conversation over the model's window may fit another's."""
    assert refused(message) is Outcome.CONTEXT_EXCEEDED
    assert refused(message, 403) is Outcome.REJECTED


@given(
    st.integers(400, 499),
    st.text(max_size=60),
    st.text(max_size=10),
    st.none() | st.text(max_size=10),
)
def test_any_refusal(status: int, message: str, type: str, code: str | None) -> None:
    """Whatever a provider says, its refusal is one of four things."""
    outcome = refused(message, status, type=type, code=code)
    assert outcome in {
        Outcome.REJECTED,
        Outcome.CONTEXT_EXCEEDED,
        Outcome.UNAUTHORIZED,
        Outcome.NOT_FOUND,
    }


def test_only_its_beginning_is_read() -> None:
    """Of a message as long as a provider likes, a bounded part is looked at."""
    assert refused("x" * MAX_READ + "prompt is too long") is Outcome.REJECTED
