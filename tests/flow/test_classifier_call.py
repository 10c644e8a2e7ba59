"""The classifier call: its answer, its failures, its breaker. It never costs the request."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from gateway.core.http import Outgoing
from gateway.hosts.memory import Canned, MemoryHttp, Script
from gateway.ports import Cut, Silent, Stalled, TransportError, Unreachable
from tests.core.samples import provider
from tests.flow.world import (
    KEYS,
    PROMPT,
    World,
    answer,
    body,
    judged,
    refusal,
    slow_world,
    whole,
    world,
)

COOLDOWN = 30.0
KEY = "health/classifier"


def gateway_with(*upstreams: Script, **changes: Any) -> World:  # noqa: ANN401
    """A gateway that asks judge/mini for the tier."""
    model = {"classifier__mode": "model", "classifier__model": "judge/mini"}
    return world(*upstreams, **{**model, **changes})


def sibling(gateway: World, *upstreams: Script) -> World:
    """Another instance at the same store."""
    other = gateway_with(*upstreams, kv=gateway.kv)
    other.clock.time = gateway.clock.time
    return other


def asks(gateway: World) -> int:
    """How often the classifier was asked."""
    return gateway.asked.count("judge.test")


def judge_first(script: Script) -> Callable[[World], None]:
    """Queues a classifier's answer and then the model's."""

    def queue(gateway: World) -> None:
        gateway.http.upstreams += [script, whole()]

    return queue


def fail_once(gateway: World, script: Script | None = None) -> None:
    """One request whose classifier call fails; it is served all the same."""
    judge_first(script or Unreachable())(gateway)
    got = gateway.ask()
    assert (got.status, got.headers["x-tiergate-decision"]) == (200, "default")


@pytest.mark.parametrize(
    ("tier", "host"), [("fast", "alpha.test"), ("balanced", "alpha.test"), ("quality", "beta.test")]
)
def test_the_answer_decides(tier: str, host: str) -> None:
    """The tier that the classifier names serves, and the record says what the call took."""
    gateway = gateway_with(judged(tier), whole())
    got = gateway.ask()
    assert gateway.asked == ["judge.test", host]
    assert got.headers["x-tiergate-tier"] == tier
    assert got.headers["x-tiergate-decision"] == "model"
    assert "x-tiergate-confidence" not in got.headers
    assert "classify;dur=" in got.headers["server-timing"]
    assert gateway.record["classifier"] == {
        "target": "judge/mini",
        "outcome": "answered",
        "ms": 0.0,
        "status": 200,
        "usage": {"input": 1_000, "output": 500},
    }
    assert gateway.record["decision"] == "model"
    assert "reason" not in gateway.record
    assert gateway.kv.writes == []


def test_what_is_sent() -> None:
    """One request with our key, the policy's options and the prompt; no header of the client."""
    gateway = gateway_with(
        judged("fast"), whole(), classifier__options={"reasoning_effort": "instant"}
    )
    gateway.ask(headers={"idempotency-key": "k", "accept": "a/b", "x-title": "t"})
    request = gateway.http.requests[0]
    assert (request.scheme, request.authority) == ("https", "judge.test")
    assert request.headers == [
        ("content-type", "application/json"),
        ("accept-encoding", "identity"),
        ("authorization", f"Bearer {KEYS['JUDGE_KEY']}"),
    ]
    question = gateway.sent(0)
    assert question["model"] == "mini"
    assert question["reasoning_effort"] == "instant"
    assert "stream" not in question
    assert json.loads(question["messages"][1]["content"])["last_user_turn"] == PROMPT


FAILURES: list[tuple[Script, str, str]] = [
    (Unreachable(), "unreachable", "classifier_unreachable"),
    (Silent(), "silent", "classifier_silent"),
    (Stalled(), "stalled", "classifier_stalled"),
    (Cut(), "cut", "classifier_cut"),
    (Canned(200, {}, [b"x" * 300_000]), "cut", "classifier_cut"),
    (Canned(200, {}, [answer()], Stalled()), "silent", "classifier_silent"),
    (refusal(500), "server_error", "classifier_server_error"),
    (refusal(503), "overloaded", "classifier_overloaded"),
    (refusal(302), "server_error", "classifier_server_error"),
    (refusal(429), "rate_limited", "classifier_rate_limited"),
    (refusal(401), "unauthorized", "classifier_unauthorized"),
    (refusal(400), "rejected", "classifier_rejected"),
]
NO_JUDGEMENT: list[Script] = [
    Canned(200, {}, [b""]),
    Canned(200, {}, [b"<html>"]),
    Canned(200, {}, [b"[" * 100_000]),
    Canned(200, {}, [answer("I would say fast, or quality.")]),
    Canned(200, {}, [b'{"error": {"message": "overloaded"}}']),
    judged("best"),
]


@pytest.mark.parametrize(("script", "outcome", "reason"), FAILURES)
def test_failures_end_in_the_default_tier(script: Script, outcome: str, reason: str) -> None:
    """However the call fails, the default tier serves, and the record says why."""
    gateway = gateway_with(script, whole())
    got = gateway.ask()
    assert got.status == 200
    assert got.headers["x-tiergate-tier"] == "balanced"
    assert got.headers["x-tiergate-decision"] == "default"
    assert got.headers["x-tiergate-attempts"] == "1"
    assert gateway.record["reason"] == reason
    assert gateway.record["classifier"]["outcome"] == outcome
    assert asks(gateway) == 1
    # A refusal is about this client's words: others are judged as before.
    assert gateway.kv.writes == ([] if outcome == "rejected" else [KEY])


@pytest.mark.parametrize("script", NO_JUDGEMENT)
def test_answers_that_name_no_tier(script: Script) -> None:
    """An answer without a tier's name is no judgement, and no reason to stop asking."""
    gateway = gateway_with(script, whole())
    assert gateway.ask().status == 200
    assert gateway.record["decision"] == "default"
    assert gateway.record["reason"] == "classifier_unreadable"
    assert gateway.kv.writes == []


@pytest.mark.parametrize(
    ("data", "changes", "reason"),
    [
        (body(), {"classifier__mode": "off"}, "classifier_off"),
        (
            body(messages=[{"role": "system", "content": "rules"}]),
            {},
            "no_user_text",
        ),
        (
            body(messages=[{"role": "user", "content": "<system-reminder>x</system-reminder>"}]),
            {},
            "no_user_text",
        ),
        (body(), {"secrets": {"ALPHA_KEY": "sk-alpha-SECRET"}}, "classifier_key_missing"),
    ],
)
def test_when_it_is_not_asked(data: bytes, changes: dict[str, Any], reason: str) -> None:
    """Off, nothing to judge or no key: nobody is asked, and the default tier serves."""
    gateway = gateway_with(whole(), **changes)
    got = gateway.ask(data)
    assert (got.status, got.headers["x-tiergate-decision"]) == (200, "default")
    assert asks(gateway) == 0
    assert gateway.record["reason"] == reason
    assert "classifier" not in gateway.record


@pytest.mark.parametrize(
    ("model", "headers"),
    [
        ("tiergate/fast", {}),
        ("alpha/small", {}),
        ("auto", {"x-tiergate-bypass": "true"}),
        ("auto", {"x-tiergate-tier": "fast"}),
    ],
)
def test_when_it_is_not_needed(model: str, headers: dict[str, str]) -> None:
    """A forced, bypassed or direct request pays for no classifier."""
    gateway = gateway_with(whole())
    assert gateway.ask(body(model=model), headers).status == 200
    assert asks(gateway) == 0


def test_a_judge_without_a_key() -> None:
    """A classifier whose provider needs no key is asked without one."""
    gateway = gateway_with(
        judged("fast"), whole(), secrets={}, providers__judge=provider("judge", key=None),
        providers__alpha=provider("alpha", key=None),
    )  # fmt: skip
    assert gateway.ask().headers["x-tiergate-tier"] == "fast"
    assert "authorization" not in dict(gateway.http.requests[0].headers)


def test_route_asks_it_too() -> None:
    """`/v1/route` asks the classifier as a chat request would, and forwards nothing."""
    gateway = gateway_with(judged("quality"))
    got = gateway.ask(path="/v1/route")
    assert got.json["decision"]["by"] == "model"
    assert got.json["classifier"] == {"target": "judge/mini", "outcome": "answered", "ms": 0.0}
    assert [item["target"] for item in got.json["plan"]] == ["beta/org/large", "alpha/medium"]
    assert gateway.asked == ["judge.test"]


# --- deadlines ---------------------------------------------------------------


@dataclass
class WatchedHttp(MemoryHttp):
    """Keeps the deadline of each whole exchange."""

    deadlines: list[int] = field(default_factory=list)

    async def fetch(self, request: Outgoing, timeout_ms: int, limit: int) -> tuple[int, bytes]:
        self.deadlines.append(timeout_ms)
        return await super().fetch(request, timeout_ms, limit)


@pytest.mark.parametrize(("timeout", "expected"), [("9000", 800), ("300", 300)])
def test_its_deadline_is_the_policys_or_the_clients(timeout: str, expected: int) -> None:
    """The call has `timeout_ms`, or what the client leaves of it."""
    http = WatchedHttp()
    gateway = gateway_with(judged("fast"), whole(), http=http)
    assert gateway.ask(headers={"x-tiergate-timeout-ms": timeout}).status == 200
    assert http.deadlines == [pytest.approx(expected, abs=1)]


@pytest.mark.parametrize(("timeout", "opens"), [("300", False), ("5000", True)])
def test_a_hurried_client_says_nothing_about_it(timeout: str, *, opens: bool) -> None:
    """A deadline that the client shortened does not open the breaker for the others."""
    gateway = gateway_with(Silent(), whole())
    gateway.ask(headers={"x-tiergate-timeout-ms": timeout})
    assert gateway.record["reason"] == "classifier_silent"
    assert bool(gateway.kv.writes) is opens


def test_its_time_is_the_requests_time() -> None:
    """What the classifier takes is missing for the answer: a total of 504 when all is gone."""
    gateway = gateway_with()
    gateway.http.upstreams.append(gateway.after(0.5, judged("fast")))
    got = gateway.ask(headers={"x-tiergate-timeout-ms": "400"})
    assert (got.status, got.error["code"]) == (504, "deadline_exceeded")
    assert gateway.asked == ["judge.test"]
    assert got.headers["x-tiergate-tier"] == "fast"
    assert "x-tiergate-attempts" not in got.headers


# --- the breaker -------------------------------------------------------------


def test_an_outage_is_paid_once() -> None:
    """After one failure nobody asks for the cooldown; it is written once."""
    gateway = gateway_with(*[whole()] * 4)
    gateway.http.upstreams.insert(0, Unreachable())
    for _ in range(4):
        assert gateway.ask().status == 200
        gateway.clock.time += COOLDOWN / 5
    assert asks(gateway) == 1
    assert gateway.kv.writes == [KEY]
    reasons = [record["reason"] for record in gateway.records]
    assert reasons == ["classifier_unreachable", *["classifier_cooling_down"] * 3]
    assert "classifier" not in gateway.record


def test_it_is_shared_through_the_store() -> None:
    """Another instance does not pay for an outage that one has found, and learns of its end."""
    first = gateway_with()
    fail_once(first)
    second = sibling(first, whole())
    assert second.ask().status == 200
    assert asks(second) == 0
    assert second.record["reason"] == "classifier_cooling_down"
    first.clock.time += COOLDOWN
    judge_first(judged("fast"))(first)
    assert first.ask().headers["x-tiergate-decision"] == "model"
    judge_first(judged("fast"))(second)
    assert second.ask().headers["x-tiergate-decision"] == "model"


def test_the_probe_closes_it() -> None:
    """After the cooldown one request asks; its success closes the breaker for all."""
    gateway = gateway_with()
    fail_once(gateway)
    gateway.clock.time += COOLDOWN
    gateway.http.upstreams += [judged("fast"), whole(), judged("quality"), whole()]
    assert gateway.ask().headers["x-tiergate-tier"] == "fast"
    assert gateway.ask().headers["x-tiergate-tier"] == "quality"
    assert asks(gateway) == 3
    assert KEY not in gateway.kv.values
    assert gateway.kv.writes == [KEY] * 3  # open, probe, closed; none for the last request


def test_the_probe_is_one_request() -> None:
    """While one probes, the others do not ask: the probe opens it once more for its own time."""
    gateway = gateway_with()
    fail_once(gateway)
    gateway.clock.time += COOLDOWN
    other = sibling(gateway, whole())

    def probing(_: object) -> Canned:
        assert other.ask().headers["x-tiergate-decision"] == "default"
        return judged("fast")

    gateway.http.upstreams += [probing, whole()]
    assert gateway.ask().headers["x-tiergate-tier"] == "fast"
    assert asks(other) == 0


def test_a_probe_that_never_ended() -> None:
    """If the probing instance is lost, the next probe comes when its time is over."""
    gateway = gateway_with()
    fail_once(gateway)
    gateway.clock.time += COOLDOWN
    later = sibling(gateway, judged("fast"), whole())
    gateway.kv.values[KEY] = json.dumps(
        {"open_until": gateway.clock.time + 0.8, "target": "judge/mini"}
    ).encode()
    later.clock.time += 0.8
    assert later.ask().headers["x-tiergate-tier"] == "fast"


def test_a_failed_probe_opens_it_again() -> None:
    """A probe that fails costs one request, and the next cooldown begins."""
    gateway = gateway_with()
    fail_once(gateway)
    gateway.clock.time += COOLDOWN
    fail_once(gateway)
    gateway.clock.time += COOLDOWN - 1
    gateway.http.upstreams.append(whole())
    assert gateway.ask().status == 200
    assert asks(gateway) == 2


def test_a_broken_store_is_neutral() -> None:
    """Without a store the instance's own memory is the breaker; no request is harmed."""
    gateway = gateway_with(judged("fast"), whole())
    assert gateway.ask().headers["x-tiergate-decision"] == "model"
    gateway.kv.is_broken = True
    judge_first(judged("quality"))(gateway)
    assert gateway.ask().headers["x-tiergate-decision"] == "model"
    fail_once(gateway)
    gateway.http.upstreams.append(whole())
    assert gateway.ask().status == 200
    assert asks(gateway) == 3
    gateway.clock.time += COOLDOWN
    judge_first(judged("fast"))(gateway)
    assert gateway.ask().headers["x-tiergate-decision"] == "model"
    judge_first(judged("fast"))(gateway)
    assert gateway.ask().headers["x-tiergate-decision"] == "model"


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"nonsense",
        b"\xff",
        b"{}",
        b"[]",
        b'{"target": "judge/mini", "open_until": null}',
        b'{"target": "judge/mini", "open_until": "later"}',
        b'{"target": "judge/mini", "open_until": 0}',
        b'{"target": "judge/mini", "open_until": 1e300}',
        b'{"target": "judge/mini", "open_until": 1' + b"0" * 400 + b"}",
        b"[" * 100_000,
    ],
)
def test_nonsense_in_the_store_is_neutral(value: bytes) -> None:
    """What cannot be read, is long past or ages ahead does not keep the classifier from work."""
    gateway = gateway_with(judged("fast"), whole())
    gateway.kv.values[KEY] = value
    got = gateway.ask()
    assert (got.status, got.headers["x-tiergate-decision"]) == (200, "model")


def test_bypassed_requests_do_not_touch_it() -> None:
    """A request that needs no judge neither reads nor writes its health."""
    gateway = gateway_with(whole())
    gateway.ask(headers={"x-tiergate-bypass": "true"})
    assert gateway.kv.writes == []
    assert "classify" not in gateway.ask(body(model="alpha/small")).headers["server-timing"]


@pytest.mark.parametrize("failure", [Unreachable(), Silent(), Stalled(), Cut()])
def test_no_failure_of_its_own(failure: TransportError) -> None:
    """A dead classifier in front of dead providers is the providers' error."""
    gateway = gateway_with(failure)
    got = gateway.ask()
    assert (got.status, got.error["code"]) == (502, "all_targets_failed")
    assert gateway.record["classifier"]["outcome"] == failure.outcome


def test_slow_chunks_do_not_change_the_decision() -> None:
    """The decision is made once, before the answer, however long that takes."""
    gateway = slow_world(1.0, judged("fast"), whole(), classifier__mode="model",
                         classifier__model="judge/mini")  # fmt: skip
    assert gateway.ask().headers["x-tiergate-tier"] == "fast"
    assert gateway.record["total_ms"] == 3_000


def test_a_hurried_client_does_not_stop_classification_for_others() -> None:
    """A deadline that one client shortened opens no breaker, however the call failed in it."""
    gateway = gateway_with(Unreachable(), whole(), judged("fast"), whole())
    gateway.ask(headers={"x-tiergate-timeout-ms": "10"})
    assert gateway.kv.writes == []
    assert gateway.ask().headers["x-tiergate-decision"] == "model"


def test_a_new_classifier_is_not_what_the_breaker_is_open_for() -> None:
    """Publishing another judge in place of a dead one is used at once."""
    gateway = gateway_with(Unreachable(), whole(), judged("fast"), whole())
    gateway.ask()
    state = json.loads(gateway.kv.values[KEY])
    gateway.kv.values[KEY] = json.dumps({**state, "target": "another/judge"}).encode()
    assert gateway.ask().headers["x-tiergate-decision"] == "model"


def test_the_instance_that_opened_it_sees_it_closed() -> None:
    """An operator who deletes the state closes it for the instance that wrote it, too."""
    gateway = gateway_with(Unreachable(), whole(), judged("fast"), whole())
    gateway.ask()
    del gateway.kv.values[KEY]
    assert gateway.ask().headers["x-tiergate-decision"] == "model"


def in_a_loop(*results: str) -> bytes:
    """An agent's turn whose tools have been called so often."""
    messages: list[object] = [{"role": "user", "content": PROMPT}]
    for number, result in enumerate(results):
        call = {"id": f"c{number}", "type": "function", "function": {"name": "f", "arguments": ""}}
        messages += [
            {"role": "assistant", "content": None, "tool_calls": [call]},
            {"role": "tool", "tool_call_id": f"c{number}", "content": result},
        ]
    return body(messages=messages, tools=[{"type": "function", "function": {"name": "f"}}])


def test_a_tool_loop_keeps_its_tier() -> None:
    """A turn whose tools' results come back is not judged anew: its judge might change its mind."""
    gateway = gateway_with(judged("quality"), whole(), whole(), judged("fast"), whole())
    first = gateway.ask(in_a_loop())
    again = gateway.ask(in_a_loop("one", "two"))
    assert (first.headers["x-tiergate-tier"], first.headers["x-tiergate-decision"]) == (
        "quality",
        "model",
    )
    assert (again.headers["x-tiergate-tier"], again.headers["x-tiergate-decision"]) == (
        "quality",
        "session",
    )
    gateway.ports.remembered.tiers.clear()
    assert gateway.ask(in_a_loop("one")).headers["x-tiergate-tier"] == "fast"
