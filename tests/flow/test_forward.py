"""Whole answers: failover, refusals, deadlines, what passes in headers."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.hosts.memory import Canned, Script, run
from gateway.ports import AttemptTimeouts, Cut, Limits, Silent, Stalled, TransportError, Unreachable
from tests.core.samples import provider
from tests.flow.world import (
    COUNTS,
    KEYS,
    answer,
    body,
    refusal,
    slow_world,
    whole,
    world,
)

FAILURES: list[tuple[Script, str, int | None]] = [
    (Unreachable(), "unreachable", None),
    (Silent(), "silent", None),
    (Canned(200, {}, [answer()[:50]], Cut()), "cut", 200),
    (Canned(200, {}, [], Stalled()), "stalled", 200),
    (Canned(200, {}, [answer()[:50]]), "malformed", 200),
    (Canned(200, {}, []), "malformed", 200),
    (Canned(200, {}, [b"<html>busy</html>"]), "malformed", 200),
    (Canned(200, {}, [b"[" * 100_000]), "malformed", 200),
    (Canned(200, {}, [b'{"error": {"message": "overloaded"}}']), "server_error", 200),
    (Canned(200, {}, [b" " * (Limits().answer // 2)] * 3), "too_large", 200),
    (refusal(301), "server_error", 301),
    (refusal(408), "server_error", 408),
    (refusal(429), "rate_limited", 429),
    (refusal(401), "unauthorized", 401),
    (refusal(402), "unauthorized", 402),
    (refusal(403), "unauthorized", 403),
    (refusal(500), "server_error", 500),
    (refusal(502), "server_error", 502),
    (refusal(503), "overloaded", 503),
    (refusal(529), "overloaded", 529),
]


@pytest.mark.parametrize(("script", "outcome", "status"), FAILURES)
def test_the_next_target_answers(script: Script, outcome: str, status: int | None) -> None:
    """However the first target fails, the next one serves, and headers and record say so."""
    gateway = world(script, whole("second"))
    got = gateway.ask()
    assert got.status == 200
    assert got.json["choices"][0]["message"]["content"] == "second"
    assert gateway.asked == ["alpha.test", "beta.test"]
    assert got.headers["x-tiergate-provider"] == "beta"
    assert got.headers["x-tiergate-attempts"] == "2"
    assert got.headers["x-tiergate-fallback"] == f"alpha/medium;{outcome}"
    first, second = gateway.record["attempts"]
    assert (first["outcome"], first.get("status")) == (outcome, status)
    assert (second["outcome"], second["status"]) == ("answered", 200)
    assert "error" not in gateway.record
    assert all(upstream.is_closed for upstream in gateway.http.opened)


@pytest.mark.parametrize(("script", "outcome", "status"), FAILURES)
def test_all_targets_fail(script: Script, outcome: str, status: int | None) -> None:
    """When all fail there is one error in the client's shape that names each target."""
    gateway = world(script, script)
    got = gateway.ask()
    expected = {
        "unauthorized": (502, "upstream_credentials_exhausted"),
        "rate_limited": (429, "rate_limit_exceeded"),
        "overloaded": (503, "upstream_overloaded"),
        "silent": (504, "upstream_timeout"),
        "stalled": (504, "upstream_timeout"),
    }.get(outcome, (502, "all_targets_failed"))
    assert (got.status, got.error["code"]) == expected
    assert f"alpha/medium ({outcome})" in got.error["message"]
    assert f"beta/medium ({outcome})" in got.error["message"]
    assert got.headers["x-tiergate-attempts"] == "2"
    assert "x-tiergate-provider" not in got.headers
    assert [attempt.get("status") for attempt in gateway.record["attempts"]] == [status] * 2
    assert gateway.record["error"] == expected[1]
    assert "usage" not in gateway.record


@pytest.mark.parametrize("status", [400, 409, 413, 415, 422, 451])
def test_the_requests_own_fault_is_given_back(status: int) -> None:
    """Another 4xx goes back with status, type, code and param; no other target is asked."""
    gateway = world(refusal(status, "temperature is too hot"), whole())
    got = gateway.ask()
    assert got.status == status
    assert got.error == {
        "message": "temperature is too hot",
        "type": "their_type",
        "code": "their_code",
        "param": "temperature",
    }
    assert gateway.asked == ["alpha.test"]
    assert got.headers["x-tiergate-provider"] == "alpha"
    assert got.headers["x-tiergate-attempts"] == "1"
    assert "x-tiergate-fallback" not in got.headers
    [attempt] = gateway.record["attempts"]
    assert (attempt["outcome"], attempt["status"]) == ("rejected", status)
    assert gateway.record["status"] == status
    assert gateway.http.opened[0].is_closed


@pytest.mark.parametrize(
    "canned",
    [
        Canned(400, {"content-type": "text/html"}, [b"<html>no</html>"]),
        Canned(400, {}, []),
        Canned(400, {}, [b'{"error"'], Cut()),
        Canned(400, {}, [], Stalled()),
        Canned(400, {}, [b'{"error": {"message": "', b"x" * 70_000, b'"}}']),
    ],
)
def test_a_refusal_that_cannot_be_read(canned: Canned) -> None:
    """A refusal whose text is no message is still a refusal, in the client's shape."""
    gateway = world(canned, whole())
    got = gateway.ask()
    assert got.status == 400
    assert got.error["message"] == "The provider refused the request with status 400."
    assert got.error["type"] == "invalid_request_error"
    assert gateway.asked == ["alpha.test"]


def test_a_refusal_after_a_failure() -> None:
    """A refusal by the second target ends the plan too, and the first one's failure is named."""
    got = world(refusal(500), refusal(422), whole()).ask()
    assert got.status == 422
    assert got.headers["x-tiergate-fallback"] == "alpha/medium;server_error"
    assert got.headers["x-tiergate-attempts"] == "2"


@pytest.mark.parametrize("member", ["message", "type", "code", "param"])
def test_a_key_in_a_refusal_is_redacted(member: str) -> None:
    """A provider that repeats our key does not show it to the client, nor to the log."""
    error = {"message": "m", "type": "t", "code": "c", "param": "p"}
    error[member] = f"the key {KEYS['ALPHA_KEY']} is wrong"
    gateway = world(Canned(400, {}, [json.dumps({"error": error}).encode()]))
    got = gateway.ask()
    assert got.status == 400
    assert "SECRET" not in got.body.decode()


def test_a_key_at_the_end_of_a_long_refusal_is_redacted() -> None:
    """A message is shortened after its keys are gone, so that no half of one is left."""
    for length in range(3_980, 4_001):
        gateway = world(refusal(400, "x" * length + KEYS["ALPHA_KEY"]))
        assert "sk-a" not in gateway.ask().error["message"]


def test_a_whole_answer_that_stops_late() -> None:
    """Once part of the time is gone, a read has what is left, not what there was at the start."""
    gateway = slow_world(1.5, whole())
    got = gateway.ask(headers={"x-tiergate-timeout-ms": "2500"})
    assert (got.status, got.error["code"]) == (504, "deadline_exceeded")
    assert gateway.record["total_ms"] == 2_500, "it is not waited for longer than that"


@pytest.mark.parametrize(
    ("waits", "expected"), [(("30", "7"), "7"), ((None, "9"), "9"), ((None, None), None)]
)
def test_rate_limited_everywhere(waits: tuple[str | None, ...], expected: str | None) -> None:
    """Come back when the first target is free again."""
    scripts = [
        refusal(429, headers={} if wait is None else {"retry-after": wait}) for wait in waits
    ]
    got = world(*scripts).ask()
    assert (got.status, got.error["type"]) == (429, "rate_limit_error")
    assert got.headers.get("retry-after") == expected


def test_an_absurd_retry_after() -> None:
    """A number of thousands of digits in a provider's header is not our failure."""
    got = world(*[refusal(429, headers={"retry-after": "9" * 5_000})] * 2).ask()
    assert got.status == 429


def test_no_target_is_tried_twice() -> None:
    """A plan with one target is one attempt."""
    gateway = world(Unreachable(), whole())
    assert gateway.ask(body(model="alpha/medium")).status == 502
    assert gateway.asked == ["alpha.test"]


@pytest.mark.parametrize(("limit", "attempts"), [(1, 1), (2, 2), (9, 2)])
def test_max_attempts(limit: int, attempts: int) -> None:
    """The policy bounds how many targets are tried."""
    gateway = world(max_attempts=limit)
    assert gateway.ask().status == 502
    assert len(gateway.asked) == attempts


def test_weights_choose_the_first() -> None:
    """The order is drawn by weight."""
    assert world(whole(), draws=[0.0]).ask().headers["x-tiergate-provider"] == "alpha"
    assert world(whole(), draws=[0.99]).ask().headers["x-tiergate-provider"] == "beta"


# --- what is missing ---------------------------------------------------------


def test_a_target_without_its_key_is_left_out() -> None:
    """A provider whose secret is not set is not asked; the others serve."""
    gateway = world(whole(), secrets={"BETA_KEY": KEYS["BETA_KEY"]})
    got = gateway.ask()
    assert gateway.asked == ["beta.test"]
    assert got.headers["x-tiergate-attempts"] == "1"
    assert "x-tiergate-fallback" not in got.headers


def test_no_target_has_its_key() -> None:
    """When no target can be used the error names each and its secret, never its value."""
    gateway = world(secrets={})
    got = gateway.ask()
    assert (got.status, got.error["code"]) == (503, "no_usable_target")
    for name in ("alpha/medium", "ALPHA_KEY", "beta/medium", "BETA_KEY"):
        assert name in got.error["message"]
    assert gateway.asked == []
    assert gateway.record["tier"] == "balanced"


def test_no_target_can_do_it() -> None:
    """What the client asks for and no target takes is the client's error."""
    tools = [{"type": "function", "function": {"name": "f"}}]
    got = world().ask(body(model="alpha/extra", tools=tools))
    assert (got.status, got.error["code"]) == (400, "unsupported_by_targets")
    assert got.error["param"] == "tools"


# --- time --------------------------------------------------------------------


@pytest.mark.parametrize(("whole_ms", "bound"), [(600_000, 600_000), (90_000, 90_000)])
def test_timeouts_of_a_whole_answer(whole_ms: int, bound: int) -> None:
    """A whole answer is silent while the model thinks: a deadline of its own bounds it, and what
    remains of the total."""
    gateway = world(whole(), timeouts__whole_ms=whole_ms)
    gateway.ask()
    assert gateway.http.timeouts == [AttemptTimeouts(5_000, bound, bound)]


def test_a_whole_answer_that_trickles() -> None:
    """However slowly a whole answer comes, its attempt is over in time for another target."""
    chunks = [answer()[at : at + 1] for at in range(len(answer()))]
    gateway = slow_world(0.6, Canned(200, {}, chunks), whole(), timeouts__whole_ms=2_000)
    assert gateway.ask().status == 200
    first, second = gateway.record["attempts"]
    assert (first["outcome"], first["ms"]) == ("stalled", 2_000.0)
    assert second["outcome"] == "answered"


def test_a_refusal_that_stalls() -> None:
    """A refusal whose body does not come is given back all the same, without its words."""
    gateway = slow_world(70.0, refusal(400, "No."), timeouts__between_bytes_ms=2_000)
    got = gateway.ask()
    assert (got.status, got.error["code"]) == (400, None)
    assert gateway.record["total_ms"] == 2_000.0


def test_timeouts_of_a_stream() -> None:
    """A stream has its own deadlines, each within what remains of the total."""
    gateway = world(Unreachable(), Unreachable())
    gateway.ask(body(stream=True))
    assert gateway.http.timeouts[0] == AttemptTimeouts(5_000, 60_000, 60_000)


@pytest.mark.parametrize("is_stream", [False, True])
@pytest.mark.parametrize("timeout", [1, 900, 2_000])
def test_no_timeout_is_longer_than_the_requests(timeout: int, *, is_stream: bool) -> None:
    """The client's total bounds every step of every attempt."""
    gateway = world()
    gateway.http.upstreams += [gateway.after(0.0005, Unreachable())] * 2
    gateway.ask(body(stream=is_stream), {"x-tiergate-timeout-ms": str(timeout)})
    for given_ in gateway.http.timeouts:
        assert 0 < given_.connect_ms <= timeout
        assert 0 < given_.first_byte_ms <= timeout
        assert 0 < given_.between_bytes_ms <= timeout


def test_a_client_cannot_lengthen_the_total() -> None:
    """The policy's total holds, whatever the header says."""
    gateway = world(whole(), timeouts__total_ms=5_000)
    gateway.ask(headers={"x-tiergate-timeout-ms": "900000"})
    assert gateway.http.timeouts[0].first_byte_ms == 5_000


def test_the_time_is_up_before_the_next_attempt() -> None:
    """When the first attempt takes all the time there is no second: 504, and both facts named."""
    gateway = world()
    gateway.http.upstreams += [gateway.after(1.1, Silent()), whole()]
    got = gateway.ask(headers={"x-tiergate-timeout-ms": "1000"})
    assert (got.status, got.error["code"]) == (504, "deadline_exceeded")
    assert "alpha/medium (silent)" in got.error["message"]
    assert gateway.asked == ["alpha.test"]
    assert gateway.record["attempts"] == [
        {"target": "alpha/medium", "outcome": "silent", "ms": 1_100.0}
    ]
    assert gateway.record["total_ms"] == 1_100.0


def test_the_time_is_up_within_an_answer() -> None:
    """A whole answer that trickles past the total is a 504, not an answer."""
    gateway = slow_world(0.6, Canned(200, {}, [answer()[:9], answer()[9:]]), whole())
    got = gateway.ask(headers={"x-tiergate-timeout-ms": "1000"})
    assert (got.status, got.error["code"]) == (504, "deadline_exceeded")
    assert gateway.record["attempts"][0]["outcome"] == "deadline"
    assert gateway.http.opened[0].is_closed


def test_failures_count_against_the_total() -> None:
    """Each attempt has what the ones before it left."""
    gateway = world()
    gateway.http.upstreams += [gateway.after(2.0, Unreachable()), whole()]
    gateway.ask(headers={"x-tiergate-timeout-ms": "5000"})
    first, second = gateway.http.timeouts
    assert first.first_byte_ms == pytest.approx(5_000, abs=1)
    assert second.first_byte_ms == pytest.approx(3_000, abs=1)
    assert [attempt["ms"] for attempt in gateway.record["attempts"]] == [2_000.0, 0.0]


@pytest.mark.parametrize("failure", [Silent(), Stalled()])
def test_nobody_answers_in_time(failure: TransportError) -> None:
    """Silence everywhere is a 504."""
    assert world(failure, failure).ask().status == 504


# --- cost and usage ----------------------------------------------------------


def test_cost() -> None:
    """A whole answer with usage and a price says what it cost."""
    gateway = world(whole(usage={**COUNTS, "prompt_tokens_details": {"cached_tokens": 400}}))
    got = gateway.ask()
    assert got.headers["x-tiergate-cost-usd"] == "0.0058"
    assert gateway.record["cost_usd"] == pytest.approx(0.0058)
    assert gateway.record["usage"] == {"input": 1_000, "output": 500, "cached_input": 400}


@pytest.mark.parametrize(
    ("model", "usage"),
    [("alpha/medium", None), ("alpha/medium", {}), ("alpha/small", COUNTS), ("beta/org/large", {})],
)
def test_an_unknown_cost_is_absent(model: str, usage: object) -> None:
    """Without usage or price there is no cost anywhere."""
    gateway = world(whole(usage=usage))
    got = gateway.ask(body(model=model))
    assert got.status == 200
    assert "x-tiergate-cost-usd" not in got.headers
    assert "cost_usd" not in gateway.record


def test_the_cost_is_that_of_who_answered() -> None:
    """After a failover the price is the second target's."""
    got = world(refusal(500), whole()).ask()
    assert got.headers["x-tiergate-cost-usd"] == "0.012"


@pytest.mark.parametrize("count", [10**18, 10**308, 10**400], ids=["18", "308", "400"])
def test_absurd_usage(count: int) -> None:
    """A provider that counts more tokens than a number can hold harms nothing but its record."""
    gateway = world(whole(usage={**COUNTS, "prompt_tokens": count}), whole())
    got = gateway.ask()
    assert got.status == 200
    assert "inf" not in got.headers.get("x-tiergate-cost-usd", "")


# --- bytes and headers -------------------------------------------------------


def test_the_answer_is_passed_on_to_the_byte() -> None:
    """A whole answer is not rewritten: what the gateway does not know stays in it."""
    data = b'{ "choices":[ {} ],"x": 1.50,\n"s":"\\u00e9\\/" }\n'
    got = world(Canned(200, {"content-type": "application/json"}, [data[:7], data[7:]])).ask()
    assert got.body == data


@given(st.dictionaries(st.sampled_from(["x_a", "x_b", "seed", "logit_bias"]), st.integers(0, 9)))
def test_the_request_is_passed_on(members: dict[str, Any]) -> None:
    """The provider gets the client's own members; only the model is another."""
    gateway = world(whole())
    gateway.ask(body(**members))
    assert gateway.sent() == {**json.loads(body(**members)), "model": "medium"}


def test_headers_to_the_provider() -> None:
    """Only what is on the list goes upstream: ours, and the few of the client's that may."""
    gateway = world(
        whole(), providers__alpha=provider("alpha", passes=["x-title"], key_header="api-key",
                                           key_prefix=None)
    )  # fmt: skip
    gateway.ask(
        headers={
            "Authorization": "Bearer the-clients",
            "Accept": "application/json",
            "Idempotency-Key": "once",
            "X-Title": "app",
            "Cookie": "a=b",
            "Host": "gateway.test",
            "X-Forwarded-For": "10.0.0.1",
            "User-Agent": "test",
            "Content-Length": "7",
            "X-Tiergate-Tier": "balanced",
            "OpenAI-Organization": "org",
            "Accept-Encoding": "gzip",
        }
    )
    assert sorted(gateway.http.requests[0].headers) == [
        ("accept", "application/json"),
        ("accept-encoding", "identity"),
        ("api-key", KEYS["ALPHA_KEY"]),
        ("content-type", "application/json"),
        ("idempotency-key", "once"),
        ("x-title", "app"),
    ]


UPSTREAM_HEADERS = {
    "content-type": "application/json; charset=utf-8",
    "retry-after": "3",
    "x-request-id": "req-1",
    "cf-ray": "ray-1",
    "x-ratelimit-remaining-tokens": "42",
    "anthropic-ratelimit-tokens-reset": "soon",
    "set-cookie": "a=b",
    "server": "nginx",
    "content-length": "7",
    "transfer-encoding": "chunked",
    "connection": "close",
    "content-encoding": "gzip",
    "x-tiergate-tier": "forged",
    "access-control-allow-origin": "*",
    "openai-organization": "org",
}
PASSED = {
    "retry-after": "3",
    "x-tiergate-upstream-x-request-id": "req-1",
    "x-tiergate-upstream-cf-ray": "ray-1",
    "x-tiergate-upstream-x-ratelimit-remaining-tokens": "42",
    "x-tiergate-upstream-anthropic-ratelimit-tokens-reset": "soon",
}
OWN = {
    "content-type",
    "server-timing",
    "x-tiergate-schema",
    "x-tiergate-request-id",
    "x-tiergate-policy",
    "x-tiergate-tier",
    "x-tiergate-decision",
    "x-tiergate-provider",
    "x-tiergate-model",
    "x-tiergate-attempts",
    "x-tiergate-cost-usd",
}


def test_headers_from_the_provider() -> None:
    """Only content-type, retry-after, and prefixed request ids and rate limits come back."""
    headers = {**UPSTREAM_HEADERS, "content-type": "application/json"}
    got = world(Canned(200, headers, [answer()])).ask()
    assert {name: got.headers.get(name) for name in PASSED} == PASSED
    assert set(got.headers) == OWN | set(PASSED)
    assert got.headers["x-tiergate-tier"] == "balanced"


def test_headers_of_a_refusal() -> None:
    """A refusal brings the same few headers, and our own content type."""
    got = world(Canned(400, {**UPSTREAM_HEADERS, "content-type": "text/html"}, [b"no"])).ask()
    assert {name: got.headers.get(name) for name in PASSED} == PASSED
    assert set(got.headers) == (OWN | set(PASSED)) - {"x-tiergate-cost-usd"}
    assert got.headers["content-type"] == "application/json"


def test_a_content_type_is_passed_on() -> None:
    """The answer keeps the content type its provider gave it."""
    gateway = world(Canned(200, UPSTREAM_HEADERS, [answer()]))
    response = run(gateway.begin())
    assert dict(response.headers)["content-type"] == "application/json; charset=utf-8"


def test_every_attempt_has_its_own_key() -> None:
    """Each provider is sent its own key and no other's."""
    gateway = world(refusal(500), whole())
    gateway.ask()
    keys = [dict(request.headers)["authorization"] for request in gateway.http.requests]
    assert keys == [f"Bearer {KEYS['ALPHA_KEY']}", f"Bearer {KEYS['BETA_KEY']}"]
