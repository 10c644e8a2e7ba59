"""What the platform ends a sandbox for: it takes no request that would reach it."""

import re
import socket
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from gateway.operator.schema import MOST_ATTEMPTS
from tests.component.conftest import NewPeer
from tests.component.gateways import HELLO, Gateway, error_of, make_policy
from tests.component.peers import (
    SSE_HEAD,
    Connection,
    completion,
    data,
    delta,
    dumps,
    framed,
    says,
    whole,
)
from tests.component.viceroy import AT_ONCE
from tests.docs.test_hosts import constants
from tests.fastly.started import needs_viceroy, started

pytestmark = needs_viceroy

# https://docs.fastly.com/products/compute-resource-limits, as of October 2025.
DOCUMENTED = {"seconds": 120, "vcpu_ms": 50, "sends": 32, "mib": 128}
SHIPPED = constants("fastly.py")
ENDURING = {**AT_ONCE, "MAX_VCPU_MS": 1e9, "MAX_AGE_SECONDS": 60.0}


@pytest.fixture
def gateway(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Gateway]:
    """One with the settings of the test."""
    with started(tmp_path, getattr(request, "param", AT_ONCE)) as made:
        yield made


def with_settings(**settings: float) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("gateway", [{**ENDURING, **settings}], indirect=True, ids=[""])


def _sandboxes(gateway: Gateway, count: int, pause: float = 0.3) -> int:
    """How many sandboxes serve so many requests that come one after the other."""
    seen = []
    for _ in range(count):
        time.sleep(pause)  # one that has answered takes a moment until it asks for the next
        seen.append(gateway.http.get("/test/sandbox").text)
    return len(set(seen))


def test_the_numbers_are_below_the_platform_s() -> None:
    """The most that a policy lets a request do fits into what a sandbox has left for it."""
    assert SHIPPED["MAX_SENDS"] + MOST_ATTEMPTS + 1 <= DOCUMENTED["sends"]
    assert SHIPPED["MAX_AGE_SECONDS"] + SHIPPED["MAX_TOTAL_MS"] / 1000 <= SHIPPED["MAX_RUN_SECONDS"]
    assert SHIPPED["MAX_RUN_SECONDS"] < DOCUMENTED["seconds"]
    assert SHIPPED["MAX_VCPU_MS"] < DOCUMENTED["vcpu_ms"]
    assert SHIPPED["MAX_HEAP_MIB"] < DOCUMENTED["mib"]


@with_settings()
def test_a_sandbox_is_used_again(gateway: Gateway) -> None:
    """One that has everything left takes another request: six, as Viceroy lets it."""
    assert _sandboxes(gateway, 6) <= 2


@with_settings(MAX_VCPU_MS=0)
def test_one_that_has_used_its_cpu_time_retires(gateway: Gateway) -> None:
    """CPU time that was used is used up: nothing more is asked of that sandbox."""
    assert _sandboxes(gateway, 4) == 4


@with_settings(MAX_HEAP_MIB=1)
def test_one_that_has_used_its_memory_retires(gateway: Gateway) -> None:
    """So is memory, which a sandbox never gives back."""
    assert _sandboxes(gateway, 4) == 4


@with_settings(MAX_AGE_SECONDS=0.6)
def test_one_that_is_old_retires(gateway: Gateway) -> None:
    """A sandbox waits for a request until it is so old, and not from each one anew."""
    assert _sandboxes(gateway, 6) >= 2
    assert _sandboxes(gateway, 3, pause=1.0) == 3


@with_settings()
def test_the_sends_of_a_request_fit(gateway: Gateway, new_peer: NewPeer) -> None:
    """A sandbox that takes a request can make all its attempts, and ask the classifier."""
    bad, judge = new_peer(says(whole(b"{}", 500))), new_peer(says(whole(completion("only"))))
    targets = [f"bad/m{number}" for number in range(MOST_ATTEMPTS)]
    classifier = {"model": "judge/j", "timeout_ms": 5000}
    urls = {"bad": bad.url, "judge": judge.url}
    gateway.use(make_policy(urls, *targets, max_attempts=MOST_ATTEMPTS, classifier=classifier))
    before = []
    for _ in range(6):
        assert gateway.chat().status_code == 502
        time.sleep(0.3)
        before.append(int(gateway.http.get("/test/sends").text))
        time.sleep(0.3)
    assert len(bad.received) == 6 * MOST_ATTEMPTS
    assert len(judge.received) == 6
    assert max(before) == MOST_ATTEMPTS + 1, "none was used again"
    assert max(before) + MOST_ATTEMPTS + 1 <= DOCUMENTED["sends"]


def _silent(connection: Connection) -> None:
    connection.wait_gone(20)


def _drips(connection: Connection) -> None:
    connection.send(SSE_HEAD)
    for _ in range(200):
        connection.send(framed(data(delta("x"))))
        time.sleep(0.1)


@with_settings(MAX_TOTAL_MS=1500)
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_a_request_has_its_total(gateway: Gateway, new_peer: NewPeer, *, stream: bool) -> None:
    """However much the policy allows, a request ends when the host's time for it is up."""
    peer = new_peer(_drips if stream else _silent)
    gateway.use(make_policy({"up": peer.url}, "up/a", timeouts={"total_ms": 600_000}))
    started_at = time.monotonic()
    answer = gateway.chat(stream=stream)
    assert 1.4 < time.monotonic() - started_at < 2.2
    record = gateway.record_of(answer)
    if stream:
        assert b"(deadline)" in answer.content
        assert record["attempts"][0]["outcome"] == "deadline"
    else:
        assert (answer.status_code, error_of(answer)["code"]) == (504, "deadline_exceeded")


@with_settings(MAX_RUN_SECONDS=3.0)
def test_a_request_has_what_its_sandbox_has_left(gateway: Gateway, new_peer: NewPeer) -> None:
    """One that comes late in a sandbox's life ends, with its record, before the sandbox does."""
    peer = new_peer(_silent)
    gateway.use(make_policy({"up": peer.url}, "up/a"))
    for _ in range(5):  # Viceroy may give a request to another sandbox: then it tells nothing
        old = gateway.http.get("/test/sandbox").text
        started_at = time.monotonic()
        time.sleep(1.5)
        if gateway.http.get("/test/sandbox").text == old:
            time.sleep(0.3)
            answer = gateway.chat()
            if time.monotonic() - started_at < 3.6:
                assert answer.status_code == 504
                assert gateway.record_of(answer)["total_ms"] < 1800
                return
    raise AssertionError("no sandbox served all of it")


# --- Slow clients ------------------------------------------------------------

CHUNKED = (
    b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nconnection: close\r\n"
    b"transfer-encoding: chunked\r\n\r\n"
)


@with_settings(MAX_UPLOAD_MS=1000)
@pytest.mark.parametrize("dripping", [False, True], ids=["silent", "dripping"])
def test_a_slow_upload(gateway: Gateway, new_peer: NewPeer, *, dripping: bool) -> None:
    """A client that does not get done with its body is refused in time, and nothing is sent on.

    (A body whose length is known reaches the component whole, under Viceroy.)
    """
    peer = new_peer(says(whole(completion())))
    gateway.use(make_policy({"up": peer.url}, "up/a"))
    with gateway.connect() as sock:
        started_at = time.monotonic()
        sock.sendall(CHUNKED)
        sock.settimeout(0.1)
        said = b""
        while not said and time.monotonic() - started_at < 10:
            if dripping:
                sock.sendall(framed(b" "))
            with suppress(TimeoutError):
                said = sock.recv(65536)
        assert said.startswith(b"HTTP/1.1 400 "), said
        assert b"incomplete_body" in said
        assert time.monotonic() - started_at < 2
    (id_,) = re.findall(rb"(?m)^x-tiergate-request-id: (\w+)", said)
    assert gateway.record(id_.decode())["error"] == "incomplete_body"
    assert not peer.received


@pytest.mark.parametrize("rest", [b"", b" "], ids=["at once", "later"])
def test_an_upload_that_comes_in_time(gateway: Gateway, new_peer: NewPeer, rest: bytes) -> None:
    """A chunked body that is whole is served, however its end arrives."""
    peer = new_peer(says(whole(completion())))
    gateway.use(make_policy({"up": peer.url}, "up/a"))
    body = dumps({"messages": HELLO})
    with gateway.connect() as sock:
        sock.sendall(CHUNKED + framed(body[:20]))
        if rest:
            time.sleep(0.3)
        sock.sendall(framed(body[20:]))
        if rest:
            time.sleep(0.3)
        sock.sendall(b"0\r\n\r\n")
        assert sock.recv(65536).startswith(b"HTTP/1.1 200 ")


@with_settings(MAX_RUN_SECONDS=3.0)
def test_a_client_that_does_not_read(gateway: Gateway, new_peer: NewPeer) -> None:
    """A client that reads nothing of its stream is left when the sandbox's time is up, and the
    record says so; its provider learns it."""
    gone: list[bool] = []

    def endless(connection: Connection) -> None:
        event = framed(data(delta("x" * 60_000)))
        connection.send(SSE_HEAD)
        try:
            for _ in range(2000):
                connection.send(event)
        except OSError:
            gone.append(True)

    gateway.use(make_policy({"up": new_peer(endless).url}, "up/a"))
    body = dumps({"messages": HELLO, "stream": True})
    with socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sock.settimeout(10)
        sock.connect(gateway.running.address)
        sock.sendall(
            b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\n"
            + f"content-length: {len(body)}\r\n\r\n".encode()
            + body
        )
        assert sock.recv(15) == b"HTTP/1.1 200 OK"
        deadline = time.monotonic() + 8
        while not gateway.records() and time.monotonic() < deadline:
            time.sleep(0.1)
    (record,) = gateway.records()
    assert record["attempts"][0]["outcome"] == "client_gone"
    assert record["total_ms"] < 5000
    assert gone == [True]


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_limits_leave_ordinary_requests_alone(
    gateway: Gateway, new_peer: NewPeer, *, stream: bool
) -> None:
    """As it is shipped, an answer that takes a moment is an answer."""

    def slow(connection: Connection) -> None:
        time.sleep(1)
        if stream:
            connection.send(SSE_HEAD, framed(data(delta("x", "stop"))), framed(b"data: [DONE]\n\n"))
            connection.send(b"0\r\n\r\n")
        else:
            connection.send(whole(completion()))

    gateway.use(make_policy({"up": new_peer(slow).url}, "up/a"))
    assert gateway.chat(stream=stream).status_code == 200
