"""Which policy serves: changes, deletions, torn and missing ones, a store that cannot be read."""

from dataclasses import replace
from typing import cast

import pytest

from gateway.core.http import Headers, Request
from gateway.flow import respond
from gateway.hosts.memory import MemoryKv, run
from gateway.policies import ACTIVE, GOOD
from gateway.ports import Entry, KvUnavailable, Remembered, Stamp, Unchanged
from tests.core.samples import compiled
from tests.flow.world import World, whole, world

FIRST, SECOND = compiled(name="first"), compiled(name="second")
BAD = [b"", b"{}", b"[" * 100_000, FIRST[:-1], FIRST.replace(b"first", b"third"), b"\xff"]
# Values that JSON can spell and a policy cannot mean.
STRANGE = [
    compiled(prices={"alpha/small": {"input": 10**400, "output": 1, "cached_input": None}}),
    FIRST.replace(b'"first"', b'"\\ud800"'),
]


def gateway_with(**values: bytes) -> World:
    """A gateway whose store holds these values of `active` and `good`."""
    found = world(*[whole()] * 9)
    found.kv.values.clear()
    found.kv.values.update({f"policy/{name}": value for name, value in values.items()})
    return found


def reborn(gateway: World) -> World:
    """A new instance at the same store: it remembers nothing."""
    ports = replace(gateway.ports, remembered=Remembered())
    return World(ports, gateway.kv, gateway.http, gateway.clock, gateway.log)


def serving(gateway: World) -> str:
    """The name of the policy that serves the next request."""
    got = gateway.ask()
    assert got.status == 200
    return got.headers["x-tiergate-policy"].partition("@")[0]


def problem(gateway: World) -> str | None:
    found: str | None = gateway.get("/readyz").json["problem"]
    return found


def complaints(gateway: World) -> list[str]:
    return [line["problem"] for line in gateway.news if line["event"] == "policy_not_loaded"]


def test_a_change_is_used_by_the_next_request() -> None:
    """A published policy serves the next request, and the one after a change back too."""
    gateway = gateway_with(active=FIRST)
    assert serving(gateway) == "first"
    gateway.kv.values[ACTIVE] = SECOND
    assert serving(gateway) == "second"
    gateway.kv.values[ACTIVE] = FIRST
    assert serving(gateway) == "first"
    assert complaints(gateway) == []


def test_a_policy_is_parsed_once() -> None:
    """While the store says that nothing changed, the same policy object serves."""
    gateway = gateway_with(active=FIRST)
    serving(gateway)
    remembered = gateway.ports.remembered.policy
    serving(gateway)
    assert gateway.ports.remembered.policy is remembered


@pytest.mark.parametrize("bad", [*BAD, *STRANGE])
def test_what_does_not_load_never_replaces_what_works(bad: bytes) -> None:
    """A bad policy changes nothing but `/readyz` and one line of the log."""
    gateway = gateway_with(active=FIRST, good=FIRST)
    assert serving(gateway) == "first"
    gateway.kv.values[ACTIVE] = bad
    assert [serving(gateway) for _ in range(3)] == ["first"] * 3
    assert len(complaints(gateway)) == 1
    assert "does not load" in str(problem(gateway))
    gateway.kv.values[ACTIVE] = SECOND
    assert serving(gateway) == "second"
    assert problem(gateway) is None


@pytest.mark.parametrize("bad", [*BAD, *STRANGE])
def test_an_instance_born_after_it_went_bad(bad: bytes) -> None:
    """A new instance serves by the last good policy from its first request."""
    gateway = gateway_with(active=bad, good=FIRST)
    assert serving(gateway) == "first"
    assert serving(gateway) == "first"
    assert "does not load" in str(problem(gateway))
    assert len(complaints(gateway)) == 1


def test_without_a_good_one_memory_serves() -> None:
    """An instance that knows a good policy keeps it when the store has none left that loads."""
    gateway = gateway_with(active=FIRST)
    assert serving(gateway) == "first"
    gateway.kv.values.update({ACTIVE: b"{}", GOOD: b"torn"})
    assert serving(gateway) == "first"
    assert "policy/good does not load" in str(problem(gateway))


def test_another_bad_policy_is_another_line() -> None:
    """Each change for the worse is logged once."""
    gateway = gateway_with(active=FIRST, good=FIRST)
    for bad in (b"{}", b"{}", b"[]", b"[]"):
        gateway.kv.values[ACTIVE] = bad
        serving(gateway)
    assert len(complaints(gateway)) == 2


def test_deletion() -> None:
    """A deleted policy is not served from memory: the store's good one is, or none."""
    gateway = gateway_with(active=SECOND, good=FIRST)
    assert serving(gateway) == "second"
    del gateway.kv.values[ACTIVE]
    assert serving(gateway) == "first"
    assert "not in the store" in str(problem(gateway))
    del gateway.kv.values[GOOD]
    assert gateway.ask().status == 503
    gateway.kv.values[ACTIVE] = SECOND
    assert serving(gateway) == "second"
    assert problem(gateway) is None


@pytest.mark.parametrize("values", [{}, {"active": b"{}"}, {"active": b"{}", "good": b"{}"}])
def test_never_any_policy(values: dict[str, bytes]) -> None:
    """Without a policy that loads there is a 503 that says what to do; alive it is."""
    gateway = gateway_with(**values)
    for path in ("/v1/chat/completions", "/v1/models", "/readyz"):
        method = "POST" if "chat" in path else "GET"
        got = gateway.ask(path=path, method=method)
        assert (got.status, got.error["code"]) == (503, "no_policy")
        assert got.error["type"] == "service_unavailable_error"
        assert "tiergate policy publish" in got.error["message"]
        assert "x-tiergate-policy" not in got.headers
    assert len(complaints(gateway)) == 1
    assert gateway.get("/healthz").status == 200
    gateway.kv.values[ACTIVE] = FIRST
    assert serving(gateway) == "first"


def test_a_store_that_cannot_be_read_changes_nothing() -> None:
    """What is remembered serves while the store is broken, and its changes come afterwards."""
    gateway = gateway_with(active=FIRST)
    assert serving(gateway) == "first"
    gateway.kv.is_broken = True
    assert serving(gateway) == "first"
    gateway.kv.values[ACTIVE] = SECOND
    gateway.kv.is_broken = False
    assert serving(gateway) == "second"


def test_a_store_that_could_never_be_read() -> None:
    """An instance that has read nothing yet says that it is not ready, and tries again."""
    gateway = gateway_with(active=FIRST)
    gateway.kv.is_broken = True
    got = gateway.ask()
    assert (got.status, got.error["code"]) == (503, "no_policy")
    gateway.kv.is_broken = False
    assert serving(gateway) == "first"


class Losing(MemoryKv):
    """A store of which one key cannot be read."""

    lost = ""

    async def get(self, key: str, unless: Stamp | None = None) -> Entry | Unchanged | None:
        if key == self.lost:
            raise KvUnavailable
        return await super().get(key, unless)


def test_a_store_that_fails_halfway() -> None:
    """Active is bad and good cannot be read: what worked until now goes on."""
    store = Losing({ACTIVE: FIRST})
    gateway = world(whole(), whole(), kv=store)
    assert serving(gateway) == "first"
    store.values[ACTIVE] = b"{}"
    store.lost = GOOD
    assert serving(gateway) == "first"


def test_two_instances_see_the_same_change() -> None:
    """Each instance of a store finds the change by itself."""
    first = gateway_with(active=FIRST)
    second = reborn(first)
    assert (serving(first), serving(second)) == ("first", "first")
    first.kv.values[ACTIVE] = SECOND
    assert (serving(first), serving(second)) == ("second", "second")


def test_requests_do_not_write_policies() -> None:
    """The gateway only reads policies: publishing is the operator's."""
    gateway = gateway_with(active=FIRST, good=FIRST)
    serving(gateway)
    gateway.kv.values[ACTIVE] = b"{}"
    serving(gateway)
    assert gateway.kv.writes == []


def test_an_exposed_gateway_serves_no_policy_without_client_keys() -> None:
    """Where other machines reach it, publishing or rolling back cannot open it to all of them."""
    gateway = gateway_with(active=FIRST, good=FIRST)
    ports = replace(gateway.ports, is_exposed=True)
    refused = run(respond(Request("GET", "/readyz", Headers()), ports))
    assert refused.status == 503
    assert b"has no keys" in bytes(cast(bytes, refused.body))
    closed = compiled(name="closed", client_keys=["CLIENT_KEY"])
    gateway.kv.values.update({ACTIVE: closed, GOOD: closed})
    assert run(respond(Request("GET", "/readyz", Headers()), ports)).status == 200
    gateway.kv.values.update({ACTIVE: FIRST, GOOD: FIRST})
    served = run(respond(Request("GET", "/readyz", Headers()), ports))
    assert dict(served.headers)["x-tiergate-policy"].startswith("closed@")


def test_an_instance_that_cannot_read_the_active_policy_serves_the_good_one() -> None:
    """Instances forget: a new one that finds active unreadable is not out of service."""
    gateway = gateway_with(active=FIRST, good=SECOND)
    store = Losing(gateway.kv.values)
    store.lost = ACTIVE
    ports = replace(gateway.ports, kv=store)
    assert serving(World(ports, store, gateway.http, gateway.clock, gateway.log)) == "second"


def test_the_good_policy_is_parsed_once() -> None:
    """While active is missing, each request looks at good, and reads it only when it changed."""
    gateway = gateway_with(good=FIRST)
    assert serving(gateway) == "first"
    first = gateway.ports.remembered.policy
    assert serving(gateway) == "first"
    assert gateway.ports.remembered.policy is first
