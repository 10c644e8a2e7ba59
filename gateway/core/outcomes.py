"""How an attempt at a target can end, and what follows from it.

The provider's status decides first (RFC 9110 for its meaning, the providers' documents for 402, 429
and 529). Failures without a status come from the host's HTTP client or from reading the answer.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from gateway.core.errors import UpstreamError


class Outcome(StrEnum):
    """The end of one attempt, as records and headers name it."""

    ANSWERED = "answered"
    REJECTED = "rejected"  # the request itself is wrong: the client gets the provider's answer
    UNAUTHORIZED = "unauthorized"  # our key's fault, not the client's
    RATE_LIMITED = "rate_limited"
    SERVER_ERROR = "server_error"
    UNREACHABLE = "unreachable"  # DNS, TCP, TLS
    SILENT = "silent"  # no head in time
    STALLED = "stalled"  # it began and stopped sending
    CUT = "cut"  # it ended before its end
    MALFORMED = "malformed"  # not what its dialect says
    ERROR_IN_STREAM = "error_in_stream"
    TOO_LARGE = "too_large"
    DEADLINE = "deadline"  # the whole request's time was up
    CLIENT_GONE = "client_gone"


_OUT_OF_TIME = frozenset({Outcome.SILENT, Outcome.STALLED, Outcome.DEADLINE})


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt, ended. `ms` until its outcome was known; `retry_after` as the provider said."""

    target: str
    outcome: Outcome
    ms: float
    status: int | None = None
    retry_after: str | None = None


def of_status(status: int) -> Outcome:
    """What a provider's status means. A redirect is a failure: no other host is ever asked."""
    if 200 <= status < 300:
        return Outcome.ANSWERED
    if status in {401, 402, 403}:
        return Outcome.UNAUTHORIZED
    if status == 429:
        return Outcome.RATE_LIMITED
    if 400 <= status < 500 and status != 408:
        return Outcome.REJECTED
    return Outcome.SERVER_ERROR


def all_failed(attempts: Sequence[Attempt]) -> UpstreamError:
    """The error for a plan whose every attempt failed: it names each target and outcome."""
    outcomes = {attempt.outcome for attempt in attempts}
    tried = ", ".join(f"{attempt.target} ({attempt.outcome})" for attempt in attempts)
    if outcomes == {Outcome.UNAUTHORIZED}:
        return UpstreamError(
            502,
            f"No provider accepted the gateway's key: {tried}.",
            code="upstream_credentials_exhausted",
        )
    if outcomes == {Outcome.RATE_LIMITED}:
        error = UpstreamError(
            429, f"Every provider is rate limited: {tried}.", code="rate_limit_exceeded"
        )
        error.type = "rate_limit_error"
        waits = [attempt.retry_after for attempt in attempts if attempt.retry_after]
        seconds = [
            int(wait) for wait in waits if wait.isascii() and wait.isdigit() and len(wait) < 10
        ]
        if seconds:  # the first target to be free again decides
            error.headers.append(("retry-after", str(min(seconds))))
        elif waits and len(waits[0]) < 64:  # a date (RFC 9110, section 10.2.3)
            error.headers.append(("retry-after", waits[0]))
        return error
    if outcomes <= _OUT_OF_TIME:
        return UpstreamError(
            504, f"No provider answered in time: {tried}.", code="upstream_timeout"
        )
    return UpstreamError(502, f"No provider could answer: {tried}.")
