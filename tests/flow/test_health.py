"""Targets that are not asked for a while: when they open, who tries them, how they close."""

import json
from typing import Any

import pytest

from gateway.core.policy import Target
from gateway.health import REREAD_SECONDS, key_of
from gateway.hosts.memory import MemoryKv, Script, run
from gateway.ports import Unreachable
from tests.core.samples import compiled, provider
from tests.flow.world import World, body, read, refusal, streamed, text, whole, world

MEDIUM = "health/alpha/medium"
SETTINGS = {
    "min_requests": 3,
    "failure_share": 0.5,
    "window_ms": 60_000,
    "cooldown_ms": 10_000,
}


def gateway_of(*upstreams: Script, **changes: Any) -> World:  # noqa: ANN401
    return world(*upstreams, health=SETTINGS, **changes)


def opened(**changes: Any) -> World:  # noqa: ANN401
    """A gateway whose alpha/medium has just been opened."""
    gateway = gateway_of(*[refusal(500), whole()] * 3, **changes)
    for _ in range(3):
        gateway.ask()
    gateway.http.requests.clear()
    return gateway


def test_a_target_that_keeps_failing_is_left_alone() -> None:
    """After enough failures it is not asked, and costs the next requests nothing."""
    gateway = opened()
    assert json.loads(gateway.kv.values[MEDIUM])["open_until"] == gateway.clock.time + 10
    gateway.http.upstreams += [whole("beta")]
    got = gateway.ask()
    assert gateway.asked == ["beta.test"]
    assert got.headers["x-tiergate-attempts"] == "1"


def test_one_failure_of_many_says_nothing() -> None:
    """A share under the policy's opens nothing, nor do too few requests."""
    gateway = gateway_of(refusal(500), whole(), *[whole()] * 3, refusal(500), whole())
    for _ in range(5):
        gateway.ask()
    assert MEDIUM not in gateway.kv.values


def test_old_failures_are_forgotten() -> None:
    """What was longer ago than the window counts no more."""
    gateway = gateway_of(*[refusal(500), whole()] * 4)
    for _ in range(4):
        gateway.ask()
        gateway.clock.time += 40
    assert MEDIUM not in gateway.kv.values


def test_a_refused_key_opens_at_once() -> None:
    """Nothing but an operator mends that."""
    gateway = gateway_of(refusal(401), whole())
    gateway.ask()
    assert MEDIUM in gateway.kv.values


@pytest.mark.parametrize("status", [400, 404, 422])
def test_the_clients_own_fault_opens_nothing(status: int) -> None:
    """A refusal of a request says nothing against its target."""
    gateway = gateway_of(*[refusal(status)] * 18)  # a missing model is looked for at both
    for _ in range(9):
        gateway.ask()
    assert gateway.kv.values.keys() == {"policy/active", "policy/good"}


def test_one_request_tries_it_after_the_cooldown() -> None:
    """The probe's answer closes it, for all instances."""
    gateway = opened()
    gateway.clock.time += 10.1
    gateway.http.upstreams += [whole(), whole()]
    gateway.ask()
    gateway.ask()
    assert gateway.asked == ["alpha.test", "alpha.test"]
    assert MEDIUM not in gateway.kv.values


def test_a_failed_probe_opens_it_again() -> None:
    """And the request that was the probe is served by another target."""
    gateway = opened()
    gateway.clock.time += 10.1
    gateway.http.upstreams += [Unreachable(), whole(), whole()]
    assert gateway.ask().status == 200
    assert gateway.asked == ["alpha.test", "beta.test"]
    assert json.loads(gateway.kv.values[MEDIUM])["open_until"] == gateway.clock.time + 10
    gateway.ask()
    assert gateway.asked[2:] == ["beta.test"]


def test_all_are_open() -> None:
    """Where nobody is well the best is asked anyway: an error is not made up."""
    gateway = gateway_of(*[refusal(500)] * 6, whole("after all"))
    for _ in range(3):
        gateway.ask()
    assert {MEDIUM, "health/beta/medium"} <= set(gateway.kv.values)
    gateway.http.requests.clear()
    got = gateway.ask()
    assert got.json["choices"][0]["message"]["content"] == "after all"
    assert gateway.asked == ["alpha.test"]


def test_the_well_ones_fail() -> None:
    """A target that is left alone is asked after all when those that were well have failed."""
    gateway = opened()
    gateway.http.upstreams += [refusal(500), whole("after all")]
    got = gateway.ask()
    assert got.json["choices"][0]["message"]["content"] == "after all"
    assert gateway.asked == ["beta.test", "alpha.test"]
    assert got.headers["x-tiergate-fallback"] == "beta/medium;server_error"


def test_a_stream_that_breaks_counts_once() -> None:
    """A stream that began and broke off is one failure, and no success beside it."""
    settings = {**SETTINGS, "failure_share": 1.0}
    gateway = world(*[streamed(text("half"))] * 3, whole("beta"), health=settings)
    for count in range(3):
        assert MEDIUM not in gateway.kv.values, count
        gateway.ask(body(stream=True))
    assert MEDIUM in gateway.kv.values


def test_instances_share_it() -> None:
    """What one instance opened another does not ask, and what it closed it does."""
    first = opened()
    second = world(whole("beta"), whole("alpha"), kv=first.kv, health=SETTINGS)
    second.clock.time = first.clock.time
    second.ask()
    assert second.asked == ["beta.test"]
    del first.kv.values[MEDIUM]
    second.clock.time += REREAD_SECONDS
    second.ask()
    assert second.asked == ["beta.test", "alpha.test"]


def test_it_is_read_once_a_second() -> None:
    """The store is not asked with each request."""

    class Counting(MemoryKv):
        reads = 0

        async def get(self, key: str, unless: object = None) -> Any:  # noqa: ANN401
            Counting.reads += key == MEDIUM
            return await super().get(key, unless)

    gateway = world(*[whole()] * 4, kv=Counting())
    gateway.kv.values |= world().kv.values
    for _ in range(3):
        gateway.ask(body(model="alpha/medium"))
    assert Counting.reads == 1
    gateway.clock.time += REREAD_SECONDS
    gateway.ask(body(model="alpha/medium"))
    assert Counting.reads == 2


@pytest.mark.parametrize(
    "value", [b"", b"{", b"[]", b'{"open_until": "soon"}', b'{"open_until": 9e99}']
)
def test_nonsense_in_the_store_is_neutral(value: bytes) -> None:
    """What makes no sense closes nobody's target."""
    gateway = gateway_of(whole())
    gateway.kv.values[MEDIUM] = value
    gateway.ask()
    assert gateway.asked == ["alpha.test"]


def test_a_store_that_is_broken_is_neutral() -> None:
    """Without a store an instance goes by what it has seen itself."""
    gateway = gateway_of(whole())
    gateway.ask()
    gateway.kv.is_broken = True
    gateway.http.upstreams += [*[refusal(500), whole()] * 2, *[whole("beta")] * 4]
    for _ in range(5):
        assert gateway.ask().status == 200
    gateway.http.requests.clear()
    assert gateway.ask().status == 200
    assert gateway.asked == ["beta.test"]


def test_a_stream_that_breaks_counts_against_its_target() -> None:
    """Its head was good; its end was not."""
    gateway = gateway_of(*[streamed(text("a"))] * 3, streamed(text("b")))
    for _ in range(3):
        gateway.ask(body(stream=True, model="alpha/medium"))
    assert MEDIUM in gateway.kv.values


def test_one_models_failure_is_its_own() -> None:
    """Another model of the same provider is asked as before."""
    gateway = opened()
    gateway.http.upstreams += [whole()]
    gateway.ask(body(model="alpha/small"))
    assert gateway.asked == ["alpha.test"]


@pytest.mark.parametrize("change", [{"base_url": "https://new.test/v1"}, {"key": "OTHER_KEY"}])
def test_a_mended_target_is_asked_at_once(change: dict[str, object]) -> None:
    """A policy with another address or key for it does not wait for the old one's cooldown."""
    gateway = opened(providers__alpha=provider("alpha"))
    moved = {**provider("alpha"), **change}
    gateway.kv.values["policy/active"] = compiled(health=SETTINGS, providers__alpha=moved)
    gateway.http.upstreams += [whole()]
    assert gateway.ask().headers["x-tiergate-provider"] == "alpha"
    assert gateway.get("/readyz").json["open_targets"] == []


def test_another_places_entry_closes_nothing() -> None:
    """An instance that still has the old policy writes of the old address."""
    gateway = opened()
    value = {"open_until": gateway.clock.time + 5, "at": ["https://old.test/v1", "ALPHA_KEY"]}
    gateway.kv.values[MEDIUM] = json.dumps(value).encode()
    gateway.clock.time += REREAD_SECONDS
    gateway.http.upstreams += [whole("beta")]
    gateway.ask()
    assert gateway.asked == ["beta.test"]


def test_an_attempt_under_the_old_policy_says_nothing_of_the_new() -> None:
    """A stream that breaks at an address that the policy has given up counts for nobody."""
    easily = {**SETTINGS, "min_requests": 1}
    gateway = world(streamed(text("a")), health=easily, providers__alpha=provider("alpha"))
    moved = provider("alpha", base_url="https://new.test/v1")

    async def go() -> None:
        before = await gateway.begin(body(stream=True))
        gateway.kv.values["policy/active"] = compiled(health=easily, providers__alpha=moved)
        gateway.http.upstreams += [whole()]
        await read(await gateway.begin())
        await read(before)

    run(go())
    assert gateway.asked == ["alpha.test", "new.test"]
    assert gateway.records[-1]["attempts"][0]["outcome"] == "cut"
    assert MEDIUM not in gateway.kv.values


def test_a_name_that_would_lead_out() -> None:
    """A key is never above `health/`."""
    assert ".." not in key_of(Target("alpha", "../../policy/active"))


def test_readyz_and_route_show_it() -> None:
    """Operators see which targets rest, and until when."""
    gateway = opened()
    [found] = gateway.get("/readyz").json["open_targets"]
    assert found["target"] == "alpha/medium"
    assert found["open_until"].endswith("+00:00")
    plan = gateway.ask(body(), path="/v1/route").json["plan"]
    assert {item["target"]: item["open_until"] is not None for item in plan} == {
        "alpha/medium": True,
        "beta/medium": False,
    }
