"""Operators change the policy while requests run: the next one uses it, and none fails."""

import json
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from gateway.core.compiled import canonical, version_of
from gateway.operator.stores import publish, rollback
from tests.component.conftest import Mock, NewPeer
from tests.component.gateways import Gateway, compiled, error_of, judged, make_policy, tier
from tests.component.peers import (
    LAST_CHUNK,
    SSE_HEAD,
    Connection,
    framed,
    stream_of,
)

ACTIVE, GOOD = "policy/active", "policy/good"
CONNECTIONS = 16


def test_the_next_request_uses_it(gateway: Gateway, mock: Mock) -> None:
    """What is published is used by the very next request, twenty times over."""
    for number in range(20):
        label = gateway.use(make_policy({"mock": mock.url}, f"mock/m{number}"))
        answer = gateway.chat()
        assert answer.headers["x-tiergate-policy"] == label
        assert answer.json()["model"] == f"m{number}"


def test_a_deleted_tier_and_model_are_gone(gateway: Gateway, mock: Mock) -> None:
    """What a new policy leaves out cannot be reached any more."""
    both = [tier("low", "mock/small"), tier("high", "mock/large")]
    policy = judged(mock.url, tiers=both, default_tier="low", unknown_model="reject")
    gateway.use(policy)
    assert gateway.chat(model="mock/large").status_code == 200
    assert gateway.chat(model="tiergate/high").status_code == 200
    gateway.use({**policy, "tiers": both[:1]})
    assert gateway.chat(model="mock/large").status_code == 404
    assert gateway.chat(model="tiergate/high").status_code == 404
    assert gateway.chat(headers={"x-tiergate-tier": "high"}).status_code == 400
    names = [row["id"] for row in gateway.http.get("/v1/models").json()["data"]]
    assert names == ["auto", "tiergate/low", "mock/small"]


def test_keys_change(gateway: Gateway, mock: Mock) -> None:
    """A client key that a new policy leaves out is refused by the next request."""
    sent = {"authorization": "Bearer tg-client-0d3adb33f0"}
    policy = make_policy({"mock": mock.url}, "mock/small", client={"keys": ["E2E_CLIENT_KEY"]})
    gateway.use(policy)
    assert gateway.chat(headers=sent).status_code == 200
    gateway.use({**policy, "client": {"keys": ["E2E_OTHER_CLIENT_KEY"]}})
    assert gateway.chat(headers=sent).status_code == 401


def test_rollback(gateway: Gateway, mock: Mock) -> None:
    """After a rollback the next request uses the policy of before."""
    first = gateway.use(make_policy({"mock": mock.url}, "mock/one"))
    gateway.use(make_policy({"mock": mock.url}, "mock/two"))
    assert rollback(gateway.store).policy.label == first
    answer = gateway.chat()
    assert (answer.headers["x-tiergate-policy"], answer.json()["model"]) == (first, "one")


def test_a_running_stream_keeps_its_policy(gateway: Gateway, new_peer: NewPeer) -> None:
    """A stream that has begun is not touched by a new policy, even one without its provider."""
    may_end = threading.Event()
    events = stream_of("one", "two")

    def script(connection: Connection) -> None:
        connection.send(SSE_HEAD, framed(events[0]))
        assert may_end.wait(10)
        connection.send(*map(framed, events[1:]), LAST_CHUNK)

    old = gateway.use(make_policy({"up": new_peer(script).url}, "up/a"))
    with gateway.streaming() as answer:
        chunks = answer.iter_raw()
        got = next(chunks)
        gateway.use(make_policy({"other": "http://127.0.0.1:9/v1"}, "other/b"))
        may_end.set()
        got += b"".join(chunks)
    assert got == b"".join(events)
    assert gateway.record_of(answer)["policy"] == old == answer.headers["x-tiergate-policy"]


def _edited(data: bytes) -> bytes:
    edited = data.replace(b'"max_attempts":4', b'"max_attempts":5')
    assert edited != data
    return edited


def _with(data: bytes, **fields: object) -> bytes:
    value = json.loads(data) | fields
    return canonical(value | {"version": version_of(value)})


BAD: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda _: b"",
    "not JSON": lambda _: b"name = 'toml'",
    "torn": lambda data: data[: len(data) // 2],
    "not UTF-8": lambda data: b"\xff" + data,
    "too deep": lambda _: b"[" * 100_000,
    "deep inside": lambda data: data[:-1] + b',"x":' + b"[" * 5000 + b"]" * 5000 + b"}",
    "edited by hand": _edited,
    "an unknown field": lambda data: _with(data, surprise=1),
    "another format": lambda data: _with(data, format=99),
    "no tiers": lambda data: _with(data, tiers=[]),
    "a wrong reference": lambda data: _with(data, default_tier="nowhere"),
    "an array": lambda _: b"[]",
}


@pytest.mark.parametrize("how", BAD)
@pytest.mark.parametrize("when", ["while it runs", "before it starts"])
def test_a_bad_policy_changes_nothing(fresh: Gateway, mock: Mock, how: str, when: str) -> None:
    """What does not load never replaces what works; readiness and the log say why."""
    data = compiled(make_policy({"mock": mock.url}, "mock/small"))
    label = publish(fresh.store, data).policy.label
    if when == "while it runs":
        assert fresh.chat().headers["x-tiergate-policy"] == label
    fresh.store.write(ACTIVE, BAD[how](data))
    for _ in range(3):
        answer = fresh.chat()
        assert answer.status_code == 200
        assert answer.headers["x-tiergate-policy"] == label
    ready = fresh.http.get("/readyz")
    assert ready.status_code == 200
    assert ACTIVE in ready.json()["problem"]
    lines = [line for line in fresh.running.lines if "policy_not_loaded" in line]
    assert len(set(lines)) == 1
    assert len(lines) <= fresh.host.sandboxes  # once in each, not at every request
    assert json.loads(lines[0])["serving"] == label

    mended = fresh.use(make_policy({"mock": mock.url}, "mock/large"))
    assert fresh.chat().headers["x-tiergate-policy"] == mended
    assert fresh.http.get("/readyz").json()["problem"] is None


def test_a_deleted_active_policy(gateway: Gateway, mock: Mock) -> None:
    """Without `policy/active` the last good one serves, and readiness says so."""
    label = gateway.use(make_policy({"mock": mock.url}, "mock/small"))
    gateway.store.delete(ACTIVE)
    assert gateway.chat().headers["x-tiergate-policy"] == label
    assert "not in the store" in gateway.http.get("/readyz").json()["problem"]


def test_none_loads(fresh: Gateway) -> None:
    """When neither policy loads the gateway says so, and recovers by the next publish."""
    for key in (ACTIVE, GOOD):
        fresh.store.write(key, b"{}")
    answer = fresh.chat()
    assert answer.status_code == 503
    assert error_of(answer)["code"] == "no_policy"
    assert fresh.http.get("/readyz").status_code == 503
    assert fresh.http.get("/healthz").status_code == 200
    fresh.use(make_policy({"ollama": "http://127.0.0.1:9/v1"}, "ollama/x"))
    assert fresh.http.get("/readyz").status_code == 200


@pytest.mark.parametrize(
    "fields",
    [
        {"name": "two\r\nx-injected: 1"},
        {"name": "größe-漢"},
        {"providers": {}},
    ],
    ids=["a name with a line end", "a name that is no header", "no providers"],
)
def test_a_policy_that_was_never_compiled(
    fresh: Gateway, mock: Mock, fields: dict[str, object]
) -> None:
    """A hand-made policy whose version is right still costs no request its proper answer."""
    data = compiled(make_policy({"mock": mock.url}, "mock/small"))
    publish(fresh.store, data)
    fresh.store.write(ACTIVE, _with(data, **fields))
    answer = fresh.chat()
    assert answer.status_code == 200
    assert "x-injected" not in answer.headers


def test_a_store_that_cannot_be_read(fresh: Gateway, mock: Mock) -> None:
    """A store that breaks while the gateway runs costs no request."""
    label = fresh.use(make_policy({"mock": mock.url}, "mock/small"))
    assert fresh.chat().status_code == 200
    fresh.store.delete(ACTIVE)
    fresh.store.write(f"{ACTIVE}/x", b"")  # now it is a folder: neither absent nor readable
    answer = fresh.chat()
    assert answer.status_code == 200
    assert answer.headers["x-tiergate-policy"] == label


def test_publishing_under_load(fresh: Gateway, mock: Mock) -> None:
    """While 16 connections send requests and policies are published, no request fails, and each
    that began after a publish returned uses that policy or a later one."""
    policies = [
        make_policy(
            {"mock": mock.url},
            f"mock/m{number}",
            tiers=[tier(f"t{number}", f"mock/m{number}")],
        )
        for number in range(2)
    ]
    policies[1]["name"] = "another"
    order: list[str] = [fresh.use(policies[0])]
    published = 1  # how many publishes have returned
    stop = threading.Event()
    failures: list[str] = []
    served: set[str] = set()

    def send() -> int:
        count = 0
        with httpx.Client(base_url=fresh.url, timeout=30, trust_env=False) as http:
            while not stop.is_set():
                known = published
                body = {"messages": [{"role": "user", "content": "x"}], "stream": count % 4 == 3}
                answer = http.post("/v1/chat/completions", json=body)
                label = answer.headers.get("x-tiergate-policy", "")
                served.add(label)
                count += 1
                if answer.status_code != 200:
                    failures.append(f"{answer.status_code} {answer.text}")
                elif body["stream"] and not answer.content.endswith(b"[DONE]\n\n"):
                    failures.append("a stream was cut")
                elif label not in order[known - 1 :]:
                    failures.append(f"{label} after {order[known - 1]} was published")
        return count

    with ThreadPoolExecutor(CONNECTIONS) as pool:
        senders = [pool.submit(send) for _ in range(CONNECTIONS)]
        try:
            for number in range(1, 40):
                policy = {**policies[number % 2], "max_attempts": 1 + number % 10}
                policy["timeouts"] = {"total_ms": 500_000 + number}  # a version of its own
                data = compiled(policy)
                order.append(f"{policy['name']}@{json.loads(data)['version']}")
                publish(fresh.store, data)
                published = number + 1
                time.sleep(0.05)
        finally:
            stop.set()
    assert failures == []
    assert sum(sender.result() for sender in senders) > 100
    assert len(served) > 10
    assert len(set(order)) == 40
