"""How an attempt at a target can end, and what follows from it: the one table of both.

The provider's status decides first (RFC 9110 for its meaning, the providers' documents for 402, 429
and 529). Failures without a status come from the host's HTTP client or from reading the answer.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

from gateway.core.errors import UpstreamError


class Outcome(StrEnum):
    """The end of one attempt, as records and headers name it."""

    ANSWERED = "answered"
    REFUSED = "refused"
    REJECTED = "rejected"
    CONTEXT_EXCEEDED = "context_exceeded"
    NOT_FOUND = "not_found"
    UNAUTHORIZED = "unauthorized"
    RATE_LIMITED = "rate_limited"
    OVERLOADED = "overloaded"
    SERVER_ERROR = "server_error"
    UNREACHABLE = "unreachable"
    SILENT = "silent"
    STALLED = "stalled"
    TOO_SLOW = "too_slow"
    CUT = "cut"
    MALFORMED = "malformed"
    EMPTY = "empty"
    ERROR_IN_STREAM = "error_in_stream"
    TOO_LARGE = "too_large"
    DEADLINE = "deadline"
    CLIENT_GONE = "client_gone"


type Then = Literal["done", "give back", "next", "retry"]
type Health = Literal["good", "bad", "broken", "no sign"]


@dataclass(frozen=True, slots=True)
class Rule:
    """What an outcome means, and what follows as long as the client was sent nothing.

    then: `retry` is the next target, and this one again once there is no other. health: whether it
    counts for or against the target; `broken` closes it at once.
    """

    meaning: str
    then: Then
    health: Health


RULES: dict[Outcome, Rule] = {
    Outcome.ANSWERED: Rule("it answered", "done", "good"),
    Outcome.REFUSED: Rule(
        "the gateway did not ask it: the request cannot be said in its dialect", "next", "no sign"
    ),
    Outcome.REJECTED: Rule("it refused the request itself (its 4xx)", "give back", "good"),
    Outcome.CONTEXT_EXCEEDED: Rule("the conversation is longer than it takes", "next", "good"),
    Outcome.NOT_FOUND: Rule("it does not have the model (404)", "next", "no sign"),
    Outcome.UNAUTHORIZED: Rule(
        "it refused our key, or wants money (401, 402, 403, or a 400 that says so)",
        "next",
        "broken",
    ),
    Outcome.RATE_LIMITED: Rule("429", "retry", "bad"),
    Outcome.OVERLOADED: Rule("503, 529", "retry", "bad"),
    Outcome.SERVER_ERROR: Rule(
        "another 5xx, 408, a redirect, or an error object under 200", "retry", "bad"
    ),
    Outcome.UNREACHABLE: Rule("no connection: name, network, TLS", "retry", "bad"),
    Outcome.SILENT: Rule(
        "no response head, or no first content of a stream, in time", "next", "bad"
    ),
    Outcome.STALLED: Rule("it began and stopped sending", "next", "bad"),
    Outcome.TOO_SLOW: Rule("its stream hardly moves", "next", "bad"),
    Outcome.CUT: Rule("it ended before its end", "next", "bad"),
    Outcome.MALFORMED: Rule("not what its dialect says", "next", "bad"),
    Outcome.EMPTY: Rule("it ended well and said nothing", "next", "no sign"),
    Outcome.ERROR_IN_STREAM: Rule("an error as an event of its stream", "next", "bad"),
    Outcome.TOO_LARGE: Rule("its answer is over the gateway's limit", "next", "no sign"),
    Outcome.DEADLINE: Rule("the request's time was up meanwhile", "give back", "no sign"),
    Outcome.CLIENT_GONE: Rule("the client went away; in the record only", "done", "no sign"),
}

_OUT_OF_TIME = frozenset({Outcome.SILENT, Outcome.STALLED, Outcome.TOO_SLOW, Outcome.DEADLINE})
_BUSY = frozenset({Outcome.OVERLOADED, Outcome.RATE_LIMITED})


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt, ended. `ms` until its outcome was known; `wait_ms` as the provider asked for;
    `key`: the name of a secret that it refused."""

    target: str
    outcome: Outcome
    ms: float
    status: int | None = None
    wait_ms: int | None = None
    key: str | None = None


def of_status(status: int) -> Outcome:
    """What a provider's status means. A redirect is a failure: no other host is ever asked."""
    if 200 <= status < 300:
        return Outcome.ANSWERED
    if status in {401, 402, 403}:
        return Outcome.UNAUTHORIZED
    if status == 429:
        return Outcome.RATE_LIMITED
    if status in {503, 529}:
        return Outcome.OVERLOADED
    if 400 <= status < 500 and status != 408:
        return Outcome.REJECTED
    return Outcome.SERVER_ERROR


def all_failed(attempts: Sequence[Attempt]) -> UpstreamError:
    """The error for a plan whose every attempt failed: it names each target and outcome."""
    outcomes = {attempt.outcome for attempt in attempts} - {Outcome.REFUSED}
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
        return _with_wait(error, attempts)
    if outcomes <= _BUSY:
        error = UpstreamError(503, f"Every provider is busy: {tried}.", code="upstream_overloaded")
        return _with_wait(error, attempts)
    if outcomes <= _OUT_OF_TIME:
        return UpstreamError(
            504, f"No provider answered in time: {tried}.", code="upstream_timeout"
        )
    return UpstreamError(502, f"No provider could answer: {tried}.")


def _with_wait(error: UpstreamError, attempts: Sequence[Attempt]) -> UpstreamError:
    """The first target to be free again decides how long to wait, in whole seconds."""
    waits = [attempt.wait_ms for attempt in attempts if attempt.wait_ms is not None]
    if waits:
        error.headers.append(("retry-after", str(max(1, -(-min(waits) // 1000)))))
    return error
