"""Who is asked next: again, another, a higher tier; and what is said when nobody answers."""

import json
from typing import Any

import pytest

from gateway.hosts.memory import Canned, Script
from gateway.ports import Silent, Unreachable
from tests.core.samples import target
from tests.flow.world import World, answer, body, refusal, slow_world, streamed, text, whole, world

LONG = {"error": {"message": "too long", "code": "context_length_exceeded", "type": "t"}}


def alone(*upstreams: Script, **changes: Any) -> World:  # noqa: ANN401
    """A gateway whose tier has one target."""
    tiers = [{"name": "only", "description": "d", "targets": [target("alpha/m")]}]
    settings: dict[str, Any] = {"default_tier": "only", "models": {}, "prices": {}, "retries": 2}
    return world(*upstreams, tiers=tiers, **{**settings, **changes})


@pytest.mark.parametrize("script", [refusal(503), refusal(500), refusal(429), Unreachable()])
def test_a_target_is_asked_again(script: Script) -> None:
    """What may pass by itself is tried again, after a while that doubles."""
    gateway = alone(script, script, whole("third"), draws=[0.0, 0.0, 0.0, 0.5])
    got = gateway.ask()
    assert got.status == 200
    assert len(gateway.asked) == 3
    assert got.headers["x-tiergate-attempts"] == "3"
    first, second = gateway.clock.slept
    assert 125 <= first <= 250
    assert 250 <= second <= 500


@pytest.mark.parametrize("status", [400, 401, 403, 404, 413, 422])
def test_what_is_not_asked_again(status: int) -> None:
    """A refusal of the request or of our key is the same the next time."""
    gateway = alone(refusal(status), whole())
    assert gateway.ask().status != 200
    assert gateway.asked == ["alpha.test"]
    assert gateway.clock.slept == []


@pytest.mark.parametrize(
    "script", [Silent(), Canned(200, {}, [b"{"]), Canned(200, {}, [answer()[:40]])]
)
def test_what_may_have_cost_something_is_not_sent_twice(script: Script) -> None:
    """A target that took the request and did not answer it is not sent it again."""
    gateway = alone(script, whole())
    assert gateway.ask().status in {502, 504}
    assert len(gateway.asked) == 1


def test_no_more_than_the_policy_allows() -> None:
    """`retries` bounds a target, `max_attempts` all of them together."""
    gateway = alone(*[refusal(503)] * 9)
    gateway.ask()
    assert len(gateway.asked) == 3
    gateway = world(*[refusal(503)] * 9, retries=5, max_attempts=5)
    gateway.ask()
    assert gateway.asked == ["alpha.test", "beta.test", "alpha.test", "beta.test", "alpha.test"]


def test_the_others_are_asked_first() -> None:
    """Another target of the tier answers sooner than the same one after a wait."""
    gateway = world(refusal(503), whole("second"), retries=3)
    assert gateway.ask().json["choices"][0]["message"]["content"] == "second"
    assert gateway.asked == ["alpha.test", "beta.test"]
    assert gateway.clock.slept == []


@pytest.mark.parametrize(
    ("headers", "waited"),
    [
        ({"retry-after": "2"}, 2_000),
        ({"retry-after": "0.5"}, 500),
        ({"retry-after": "0"}, 0),
        ({"retry-after-ms": "120", "retry-after": "7"}, 120),
        ({"retry-after": "Tue, 14 Nov 2023 22:13:23 GMT"}, 3_000),
        ({"retry-after": "Tue, 14 Nov 2023 22:13:00 GMT"}, 0),
    ],
)
def test_a_short_wait_is_waited(headers: dict[str, str], waited: int) -> None:
    """A provider that says when is asked then: in seconds, as a date, in milliseconds."""
    gateway = alone(refusal(429, headers=headers), whole())
    assert gateway.ask().status == 200
    assert gateway.clock.slept == [waited]


@pytest.mark.parametrize("value", ["soon", "-1", "9" * 400, "Tue, 99 Nov 2023 22:13:23 GMT", ""])
def test_a_wait_in_no_known_words(value: str) -> None:
    """What makes no sense is as if it were not there."""
    gateway = alone(refusal(429, headers={"retry-after": value}), whole())
    assert gateway.ask().status == 200
    assert 125 <= gateway.clock.slept[0] <= 250


def test_a_long_wait_is_not_waited() -> None:
    """A target that asks for a long time is left alone for it, by the next requests too."""
    gateway = alone(refusal(429, headers={"retry-after": "60"}), whole(), whole())
    got = gateway.ask()
    assert (got.status, got.headers["retry-after"]) == (429, "60")
    assert gateway.clock.slept == []
    assert gateway.kv.values["health/alpha/m"]
    got = gateway.get("/readyz")
    assert [each["target"] for each in got.json["open_targets"]] == ["alpha/m"]


def test_a_wait_is_no_longer_than_the_request() -> None:
    """A wait that would end with the request is not begun: the client hears at once how long."""
    gateway = alone(refusal(429, headers={"retry-after": "4"}), whole())
    got = gateway.ask(headers={"x-tiergate-timeout-ms": "1500"})
    assert (got.status, got.headers["retry-after"]) == (429, "4")
    assert gateway.clock.slept == []


def test_a_higher_tier_instead_of_a_wait() -> None:
    """Where there is no time to wait, a higher tier is asked."""
    limited = refusal(429, headers={"retry-after": "4"})
    gateway = world(limited, whole("up"), escalate=True, retries=1)
    got = gateway.ask(body(model="tiergate/fast"), {"x-tiergate-timeout-ms": "1500"})
    assert got.json["choices"][0]["message"]["content"] == "up"


# --- a higher tier -----------------------------------------------------------


def test_a_higher_tier_answers() -> None:
    """Where the decided tier has nobody, a higher one answers, and the headers say from where."""
    gateway = world(refusal(503), whole("up"), escalate=True)
    got = gateway.ask(body(model="tiergate/fast"))
    assert got.json["choices"][0]["message"]["content"] == "up"
    assert gateway.asked == ["alpha.test", "alpha.test"]
    assert got.headers["x-tiergate-tier"] == "balanced"
    assert got.headers["x-tiergate-tier-from"] == "fast"
    assert got.headers["x-tiergate-model"] == "medium"
    assert (gateway.record["tier"], gateway.record["tier_from"]) == ("balanced", "fast")


def test_never_a_lower_tier() -> None:
    """The highest tier's failure is an error, however well the others are."""
    gateway = world(refusal(500), refusal(500), whole(), escalate=True)
    got = gateway.ask(body(model="tiergate/quality"))
    assert got.status == 502
    assert got.headers["x-tiergate-tier"] == "quality"
    assert "x-tiergate-tier-from" not in got.headers


def test_no_higher_tier_where_the_policy_says_no() -> None:
    """`escalate = false` keeps a request in its tier."""
    gateway = world(refusal(503), whole(), escalate=False)
    assert gateway.ask(body(model="tiergate/fast")).status == 503
    assert gateway.asked == ["alpha.test"]


def test_a_model_asked_for_by_name_stays() -> None:
    """Who names a model gets that one or an error."""
    gateway = world(refusal(503), whole(), escalate=True)
    assert gateway.ask(body(model="alpha/small")).status == 503


def test_a_tier_that_cannot_take_it() -> None:
    """What no target of the tier takes is taken by a higher one."""
    gateway = world(
        whole("up"),
        escalate=True,
        models={"alpha/small": {"images": True, "tools": False}},
    )
    tools = [{"type": "function", "function": {"name": "f"}}]
    got = gateway.ask(body(model="tiergate/fast", tools=tools))
    assert got.status == 200
    assert got.headers["x-tiergate-tier-from"] == "fast"


# --- a conversation that is too long -------------------------------------------


def windows(**sizes: int) -> dict[str, Any]:
    return {
        f"{name}/medium": {"images": True, "tools": True, "context": size}
        for name, size in sizes.items()
    }


def too_long() -> Canned:
    return Canned(400, {"content-type": "application/json"}, [json.dumps(LONG).encode()])


def test_a_larger_window_is_asked() -> None:
    """A conversation that is too long for one goes to another that takes more."""
    gateway = world(too_long(), whole("second"), models=windows(alpha=8_000, beta=128_000))
    got = gateway.ask()
    assert got.status == 200
    assert got.headers["x-tiergate-fallback"] == "alpha/medium;context_exceeded"


def test_a_window_that_is_no_larger_is_not_asked() -> None:
    """One that takes no more is not asked: the provider's own refusal goes back."""
    gateway = world(too_long(), whole(), models=windows(alpha=8_000, beta=8_000))
    got = gateway.ask()
    assert (got.status, got.error["code"]) == (400, "context_length_exceeded")
    assert gateway.asked == ["alpha.test"]


def test_windows_that_nobody_knows() -> None:
    """Without facts the next target is asked."""
    assert world(too_long(), whole(), models={}).ask().status == 200


@pytest.mark.parametrize(
    "message",
    [
        "prompt is too long: 210000 tokens > 200000 maximum",
        "The input token count (1200000) exceeds the maximum number of tokens allowed (1048576).",
        "This model's maximum context length is 8192 tokens. However, your messages have 9000.",
    ],
)
def test_each_providers_words_for_it(message: str) -> None:
    """Providers without a code say it in words."""
    gateway = world(refusal(400, message), whole("second"), models={})
    assert gateway.ask().status == 200
    assert gateway.record["attempts"][0]["outcome"] == "context_exceeded"


@pytest.mark.parametrize(
    "message",
    [
        "API key not valid. Please pass a valid API key.",
        "Incorrect API key provided: sk-1***",
        "Your credit balance is too low to access the Anthropic API.",
    ],
)
def test_a_wrong_key_that_is_told_as_a_bad_request(message: str) -> None:
    """Our own key's fault is never the client's, whichever status tells it."""
    gateway = world(refusal(400, message), whole("second"))
    assert gateway.ask().status == 200
    assert gateway.record["attempts"][0]["outcome"] == "unauthorized"
    gateway = world(refusal(400, f"You wrote: {message}"), whole())
    assert gateway.ask().status == 400


# --- a model that is not there ----------------------------------------------------


def test_a_model_that_is_gone() -> None:
    """A provider that does not have its model is no reason to fail: another one is asked."""
    gateway = world(refusal(404), whole("second"))
    got = gateway.ask()
    assert got.json["choices"][0]["message"]["content"] == "second"
    assert got.headers["x-tiergate-fallback"] == "alpha/medium;not_found"


def test_nobody_has_the_model() -> None:
    """Where nobody has it, the provider's own word is given back."""
    gateway = world(refusal(404, "No such model."), refusal(404, "Nor here."))
    got = gateway.ask()
    assert (got.status, got.error["message"]) == (404, "Nor here.")
    assert got.headers["x-tiergate-provider"] == "beta"
    assert gateway.asked == ["alpha.test", "beta.test"]


def test_a_missing_model_is_not_the_whole_story() -> None:
    """Where another target failed otherwise, the client may try again: no 404."""
    assert world(refusal(404), refusal(503)).ask().status == 502


# --- answers that say nothing ----------------------------------------------------


def test_a_record_says_which_key_was_refused() -> None:
    """The name of the secret is in the record, its value nowhere."""
    gateway = world(refusal(401), whole())
    gateway.ask()
    assert gateway.record["attempts"][0]["key"] == "ALPHA_KEY"


def test_a_stream_that_hardly_moves() -> None:
    """A stream under the floor is broken off, before its content as well as after."""
    slow = streamed(*[text(f"{number} ") for number in range(60)])
    timeouts = {
        "connect_ms": 5_000,
        "first_content_ms": 60_000,
        "between_bytes_ms": 50_000,
        "whole_ms": 600_000,
        "total_ms": 600_000,
        "min_tokens_per_second": 2.0,
    }
    gateway = slow_world(1.0, slow, timeouts=timeouts)
    got = gateway.ask(body(stream=True))
    assert b"too_slow" in got.body
    assert gateway.record["attempts"][0]["outcome"] == "too_slow"
    assert 10_000 <= gateway.record["total_ms"] <= 13_000
