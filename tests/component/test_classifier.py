"""A classifier that fails costs a header's value: never the request, and little of its time."""

import json
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.component.conftest import Mock, NewPeer
from tests.component.gateways import Gateway, Json, judged
from tests.component.peers import (
    SSE_HEAD,
    Connection,
    Script,
    completion,
    dumps,
    framed,
    head,
    refusing,
    says,
    whole,
)

TIMEOUT_MS = 400
# What a busy machine of two cores may add to a deadline.
NOISE = 0.8
HEALTH = "health/classifier"


def _policy(mock: Mock, judge_url: str, *, cooldown_ms: int = 60_000) -> Json:
    classifier = {"model": "judge/x", "timeout_ms": TIMEOUT_MS, "cooldown_ms": cooldown_ms}
    policy = judged(mock.url, classifier=classifier)
    policy["providers"]["judge"] = {"base_url": judge_url}
    return policy


def _reply(text: str) -> bytes:
    return whole(completion(text))


def _silent(connection: Connection) -> None:
    connection.wait_gone(20)


def _head_only(connection: Connection) -> None:
    connection.send(head(200, {"content-length": "500"}))
    connection.wait_gone(20)


def _trickle(connection: Connection) -> None:
    body = completion('{"tier": "fast"}')
    connection.send(head(200, {"content-length": str(len(body))}))
    for number in range(len(body)):
        connection.send(body[number : number + 1])
        time.sleep(0.1)


def _trickling_head(connection: Connection) -> None:
    for byte in head(200, {"content-length": "500"}) * 3:
        connection.send(bytes([byte]))
        time.sleep(0.1)


def _endless(connection: Connection) -> None:
    connection.send(SSE_HEAD)
    while True:
        connection.send(framed(b" " * 1000))
        time.sleep(0.01)


SLOW: dict[str, tuple[Script, set[str]]] = {
    "silent": (_silent, {"classifier_silent"}),
    "a head, then silence": (_head_only, {"classifier_silent", "classifier_stalled"}),
    "a head, then a byte at a time": (_trickle, {"classifier_silent"}),
    "a head a byte at a time": (_trickling_head, {"classifier_silent"}),
    "an endless body": (_endless, {"classifier_silent", "classifier_cut"}),
}


@pytest.mark.parametrize("how", SLOW)
def test_slow(fresh: Gateway, mock: Mock, new_peer: NewPeer, how: str) -> None:
    """However a classifier spends its time, it costs no more than `timeout_ms`, and once only."""
    script, reasons = SLOW[how]
    peer = new_peer(script)
    fresh.use(_policy(mock, peer.url))
    assert fresh.chat(headers={"x-tiergate-bypass": "true"}).status_code == 200  # warm
    started = time.monotonic()
    answer = fresh.chat()
    took = time.monotonic() - started
    assert answer.status_code == 200
    assert answer.headers["x-tiergate-decision"] == "default"
    assert answer.headers["x-tiergate-tier"] == "balanced"
    assert fresh.record_of(answer)["reason"] in reasons
    assert TIMEOUT_MS / 1000 - 0.05 <= took < TIMEOUT_MS / 1000 + NOISE
    assert fresh.store.read(HEALTH) is not None

    started = time.monotonic()
    second = fresh.chat()
    assert time.monotonic() - started < TIMEOUT_MS / 1000
    assert fresh.record_of(second)["reason"] == "classifier_cooling_down"
    assert len(peer.received) == 1


def test_just_in_time(fresh: Gateway, mock: Mock, new_peer: NewPeer) -> None:
    """A classifier that answers within its time is heard, and nobody waits for the rest of it."""

    def script(connection: Connection) -> None:
        time.sleep(0.15)
        connection.send(_reply('{"tier": "quality"}'))

    policy = _policy(mock, new_peer(script).url)
    policy["classifier"]["timeout_ms"] = 8000
    fresh.use(policy)
    started = time.monotonic()
    answer = fresh.chat()
    assert time.monotonic() - started < 4
    assert answer.headers["x-tiergate-tier"] == "quality"
    assert fresh.store.read(HEALTH) is None


DEAD: dict[str, tuple[Script, str]] = {
    "500": (says(whole(b"{}", 500)), "classifier_server_error"),
    "429": (says(whole(b"{}", 429)), "classifier_rate_limited"),
    "401": (says(whole(b"{}", 401)), "classifier_unauthorized"),
    "404": (says(whole(b"{}", 404)), "classifier_rejected"),
    "a redirect": (
        says(head(307, {"location": "/v1/chat/completions", "content-length": "0"})),
        "classifier_server_error",
    ),
    "a closed connection": (says(), "classifier_unreachable"),
    "a reset": (lambda connection: connection.reset(), "classifier_unreachable"),
    "garbage": (says(b"\x00\x01\x02\r\n\r\n"), "classifier_unreachable"),
    "a cut answer": (
        says(whole(completion('{"tier": "fast"}'), cut=1)),
        "classifier_cut",
    ),
    "a huge answer": (says(whole(completion("x" * 400_000))), "classifier_cut"),
}


@pytest.mark.parametrize("how", DEAD)
def test_dead(fresh: Gateway, mock: Mock, new_peer: NewPeer, how: str) -> None:
    """A dead classifier is found out once; the breaker keeps the next requests from asking."""
    script, reason = DEAD[how]
    peer = new_peer(script)
    fresh.use(_policy(mock, peer.url))
    first, second = fresh.chat(), fresh.chat()
    for answer in (first, second):
        assert answer.status_code == 200
        assert answer.headers["x-tiergate-decision"] == "default"
        assert answer.json()["model"] == "medium"
    assert fresh.record_of(first)["reason"] == reason
    assert fresh.record_of(second)["reason"] == "classifier_cooling_down"
    assert len(peer.received) == 1
    opened = json.loads(fresh.store.read(HEALTH) or b"")
    assert 50 < opened["open_until"] - time.time() <= 60


def test_refused(fresh: Gateway, mock: Mock) -> None:
    """A classifier that is not there costs next to nothing."""
    with refusing() as url:
        fresh.use(_policy(mock, url))
        started = time.monotonic()
        answer = fresh.chat()
        assert time.monotonic() - started < NOISE
    assert fresh.record_of(answer)["reason"] == "classifier_unreachable"


LIES = [
    "",
    "platinum",
    '{"tier": "platinum"}',
    '{"tier": ["fast"]}',
    '{"tier": null}',
    '{"tier": {"tier": "fast"}}',
    '["fast"]',
    "fast or balanced",
    "{" * 50_000,
    '{"tier": "FAST"}',
    "\ud800",
]


def _lying(text: str) -> Script:
    return says(whole(json.dumps(json.loads(completion()) | _said(text)).encode()))


def _said(text: str) -> Json:
    return {"choices": [{"index": 0, "message": {"content": text}, "finish_reason": "stop"}]}


@pytest.mark.parametrize("text", LIES)
def test_lying(fresh: Gateway, mock: Mock, new_peer: NewPeer, text: str) -> None:
    """A reply that names no tier is no judgement; it opens no breaker, as somebody answered."""
    peer = new_peer(_lying(text))
    fresh.use(_policy(mock, peer.url))
    for _ in range(2):
        answer = fresh.chat()
        assert answer.status_code == 200
        assert answer.headers["x-tiergate-decision"] == "default"
        assert fresh.record_of(answer)["reason"] == "classifier_unreadable"
    assert len(peer.received) == 2
    assert fresh.store.read(HEALTH) is None


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[" * 100_000,
        b'{"choices": []}',
        b'{"choices": [{"message": null}]}',
        b'{"choices": [{"message": {"content": 7}}]}',
        b'\xff{"choices": []}',
        b'{"error": {"message": "fast"}}',
    ],
)
def test_no_completion(fresh: Gateway, mock: Mock, new_peer: NewPeer, body: bytes) -> None:
    """A reply that is no chat completion is no judgement."""
    fresh.use(_policy(mock, new_peer(says(whole(body))).url))
    answer = fresh.chat()
    assert answer.status_code == 200
    assert answer.headers["x-tiergate-decision"] == "default"


@pytest.mark.parametrize(
    "text", ["fast", '"fast"', ' {"tier":"fast"}\n', '{"tier": "fast", "why": 1}']
)
def test_understood(fresh: Gateway, mock: Mock, new_peer: NewPeer, text: str) -> None:
    """A model without structured output that says just the name is understood as well."""
    fresh.use(_policy(mock, new_peer(says(_reply(text))).url))
    assert fresh.chat().headers["x-tiergate-tier"] == "fast"


def _waits_for(condition: Callable[[], bool], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def test_recovery(fresh: Gateway, mock: Mock, new_peer: NewPeer) -> None:
    """After the cooldown one request tries; if the classifier answers, it is back for all."""
    is_well = False

    def script(connection: Connection) -> None:
        connection.send(_reply('{"tier": "fast"}') if is_well else whole(b"{}", 503))

    peer = new_peer(script)
    fresh.use(_policy(mock, peer.url, cooldown_ms=700))
    assert fresh.chat().headers["x-tiergate-decision"] == "default"
    assert fresh.chat().headers["x-tiergate-decision"] == "default"
    assert len(peer.received) == 1
    time.sleep(0.8)
    assert fresh.chat().headers["x-tiergate-decision"] == "default"  # tries, and fails again
    assert len(peer.received) == 2
    is_well = True
    assert fresh.chat().headers["x-tiergate-decision"] == "default"  # open once more
    assert len(peer.received) == 2
    time.sleep(0.8)
    assert fresh.chat().headers["x-tiergate-tier"] == "fast"
    assert fresh.store.read(HEALTH) is None
    assert fresh.chat().headers["x-tiergate-decision"] == "model"
    assert len(peer.received) == 4


def test_the_breaker_is_shared(fresh: Gateway, mock: Mock, new_peer: NewPeer) -> None:
    """What one instance found out spares the others, and a nonsensical state blocks nobody."""
    peer = new_peer(says(_reply('{"tier": "fast"}')))
    fresh.use(_policy(mock, peer.url))
    fresh.store.write(HEALTH, dumps({"open_until": time.time() + 30, "target": "judge/x"}))
    assert fresh.chat().headers["x-tiergate-decision"] == "default"
    assert peer.accepted == 0
    for nonsense in (
        b"",
        b"null",
        b"[" * 100_000,
        b'{"open_until": "soon", "target": "judge/x"}',
        b"\xff",
    ):
        fresh.store.delete(HEALTH)
        assert fresh.chat().headers["x-tiergate-decision"] == "model"
        fresh.store.write(HEALTH, nonsense)
        assert fresh.chat().headers["x-tiergate-decision"] == "model"
    fresh.store.write(HEALTH, dumps({"open_until": time.time() + 10**8, "target": "judge/x"}))
    fresh.chat()
    assert fresh.chat().headers["x-tiergate-decision"] == "model"


def test_a_missing_key(fresh: Gateway, mock: Mock) -> None:
    """A classifier without its key is not asked; the reason says so, and readiness names it."""
    policy = _policy(mock, mock.url)
    policy["providers"]["judge"]["key"] = "E2E_ABSENT_KEY"
    fresh.use(policy)
    answer = fresh.chat()
    assert answer.status_code == 200
    assert fresh.record_of(answer)["reason"] == "classifier_key_missing"
    assert fresh.http.get("/readyz").json()["missing_secrets"] == ["E2E_ABSENT_KEY"]


def test_a_clients_short_time_blames_nobody(fresh: Gateway, mock: Mock, new_peer: NewPeer) -> None:
    """A deadline that the client made short does not open the breaker for others."""
    fresh.use(_policy(mock, new_peer(_silent).url))
    answer = fresh.chat(headers={"x-tiergate-timeout-ms": "100"})
    assert answer.status_code == 504
    assert fresh.store.read(HEALTH) is None


def test_others_do_not_wait(fresh: Gateway, mock: Mock, new_peer: NewPeer) -> None:
    """Requests that wait for a slow classifier do not slow down those that ask nobody."""

    def script(connection: Connection) -> None:
        time.sleep(1.5)
        connection.send(_reply('{"tier": "fast"}'))

    policy = _policy(mock, new_peer(script).url)
    policy["classifier"]["timeout_ms"] = 6000
    fresh.use(policy)

    def judged_tier(_: int) -> str:
        return fresh.chat().headers["x-tiergate-tier"]

    with ThreadPoolExecutor(12) as pool:
        waiting = [pool.submit(judged_tier, number) for number in range(12)]
        time.sleep(0.5)
        started = time.monotonic()
        for _ in range(10):
            assert fresh.chat(headers={"x-tiergate-bypass": "true"}).status_code == 200
        assert time.monotonic() - started < 1
        assert not any(one.done() for one in waiting)
        assert {one.result() for one in waiting} == {"fast"}
