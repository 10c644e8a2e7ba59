"""How attempts end, and which error follows when all of them failed."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.outcomes import Attempt, Outcome, all_failed, of_status

STATUSES = {
    Outcome.ANSWERED: [200, 201, 204, 299],
    Outcome.UNAUTHORIZED: [401, 402, 403],
    Outcome.RATE_LIMITED: [429],
    Outcome.REJECTED: [400, 404, 405, 409, 413, 415, 422, 451, 499],
    Outcome.OVERLOADED: [503, 529],
    Outcome.SERVER_ERROR: [100, 301, 302, 304, 307, 408, 500, 502, 504, 599],
}
FAILURES = sorted(
    set(Outcome)
    - {Outcome.ANSWERED, Outcome.REJECTED, Outcome.CLIENT_GONE, Outcome.CONTEXT_EXCEEDED}
)


@pytest.mark.parametrize(
    ("status", "outcome"), [(status, kind) for kind, many in STATUSES.items() for status in many]
)
def test_statuses(status: int, outcome: Outcome) -> None:
    """A key's fault or a broken provider is no answer; the request's own fault is the client's."""
    assert of_status(status) is outcome


@given(st.integers(0, 1_000))
def test_every_status_means_something(status: int) -> None:
    """Only 2xx is an answer, only 4xx can be the client's fault."""
    outcome = of_status(status)
    assert (outcome is Outcome.ANSWERED) is (200 <= status < 300)
    assert outcome is not Outcome.REJECTED or 400 <= status < 500


def failed(*outcomes: Outcome, waits: Sequence[int | None] = ()) -> list[Attempt]:
    given_waits = [*waits, *[None] * len(outcomes)]
    return [
        Attempt(f"p{number}/m", outcome, 1.0, None, given_waits[number])
        for number, outcome in enumerate(outcomes)
    ]


@pytest.mark.parametrize(
    ("outcomes", "status", "code"),
    [
        (["unauthorized"], 502, "upstream_credentials_exhausted"),
        (["unauthorized", "unauthorized"], 502, "upstream_credentials_exhausted"),
        (["rate_limited", "rate_limited"], 429, "rate_limit_exceeded"),
        (["silent"], 504, "upstream_timeout"),
        (["silent", "stalled", "deadline"], 504, "upstream_timeout"),
        (["unreachable"], 502, "all_targets_failed"),
        (["server_error"], 502, "all_targets_failed"),
        (["cut"], 502, "all_targets_failed"),
        (["malformed"], 502, "all_targets_failed"),
        (["error_in_stream"], 502, "all_targets_failed"),
        (["too_large"], 502, "all_targets_failed"),
        (["overloaded"], 503, "upstream_overloaded"),
        (["overloaded", "rate_limited"], 503, "upstream_overloaded"),
        (["rate_limited", "refused"], 429, "rate_limit_exceeded"),
        (["rate_limited", "unauthorized"], 502, "all_targets_failed"),
        (["rate_limited", "server_error"], 502, "all_targets_failed"),
        (["silent", "unreachable"], 502, "all_targets_failed"),
    ],
)
def test_all_failed(outcomes: list[str], status: int, code: str) -> None:
    """When all failed alike the error says so; else it is a bad gateway."""
    error = all_failed(failed(*map(Outcome, outcomes)))
    assert (error.status, error.code) == (status, code)
    assert error.type == ("rate_limit_error" if status == 429 else "upstream_error")


@given(st.lists(st.sampled_from(FAILURES), min_size=1, max_size=5))
def test_every_failure_is_named(outcomes: list[Outcome]) -> None:
    """The error names every target that was tried and how it failed."""
    error = all_failed(failed(*outcomes))
    assert error.status in {429, 502, 503, 504}
    for number, outcome in enumerate(outcomes):
        assert f"p{number}/m ({outcome})" in error.message


@pytest.mark.parametrize(
    ("waits", "expected"),
    [
        ([], None),
        ([30_000], "30"),
        ([30_000, 7_000, 120_000], "7"),
        ([None, 7_000], "7"),
        ([6_001], "7"),
        ([0], "1"),
    ],
)
def test_retry_after(waits: list[int | None], expected: str | None) -> None:
    """Rate limited everywhere: come back when the first target is free; nothing is made up."""
    error = all_failed(failed(*[Outcome.RATE_LIMITED] * max(1, len(waits)), waits=waits))
    assert dict(error.headers).get("retry-after") == expected
