"""A client that leaves has exactly one decision record, whenever it leaves."""

import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cannot import lack
from tests.component.conftest import NewPeer
from tests.component.gateways import HELLO, Gateway, Json, make_policy
from tests.component.peers import (
    SSE_HEAD,
    Connection,
    completion,
    data,
    delta,
    dumps,
    framed,
    says,
    stream_of,
    whole,
)
from tests.fastly.started import needs_viceroy, started

pytestmark = needs_viceroy


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[Gateway]:
    """One that has written nothing yet."""
    with started(tmp_path) as made:
        yield made


def _post(gateway: Gateway, **more: object) -> socket.socket:
    body = dumps({"messages": HELLO, **more})
    sock = gateway.connect()
    sock.sendall(
        b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\n"
        + f"content-length: {len(body)}\r\n\r\n".encode()
        + body
    )
    return sock


def _records(gateway: Gateway, seconds: float = 3) -> list[Json]:
    """All that there are once no more comes."""
    deadline = time.monotonic() + seconds
    while not gateway.records() and time.monotonic() < deadline:
        time.sleep(0.05)
    time.sleep(0.3)
    return gateway.records()


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_before_the_head(
    request: pytest.FixtureRequest, gateway: Gateway, new_peer: NewPeer, *, stream: bool
) -> None:
    """A client that leaves before its answer's head has its record."""
    has_asked: list[float] = []

    def slow(connection: Connection) -> None:
        has_asked.append(time.monotonic())
        time.sleep(0.8)
        if stream:
            connection.send(SSE_HEAD, *map(framed, stream_of("Hi")))
        else:
            connection.send(whole(completion()))

    gateway.use(make_policy({"up": new_peer(slow).url}, "up/a"))
    with _post(gateway, stream=stream):
        while not has_asked:
            time.sleep(0.02)
    expected = 0 if lack("fastly", request.node.name) else 1
    assert len(_records(gateway)) == expected
    assert gateway.http.get("/healthz").status_code == 200


def test_a_refusal_that_nobody_reads(gateway: Gateway, new_peer: NewPeer) -> None:
    """So has one whose request is refused when it has gone."""
    peer = new_peer(says(whole(completion())))
    gateway.use(make_policy({"up": peer.url}, "up/a"))
    with gateway.connect() as sock:
        sock.sendall(
            b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n"
            + framed(dumps({"messages": HELLO}))
        )
        time.sleep(0.2)
    (record,) = _records(gateway)
    assert record["error"] == "incomplete_body"
    assert not peer.received


def test_in_the_middle(gateway: Gateway, new_peer: NewPeer) -> None:
    """So has one that leaves in the middle of its stream: gone, and not answered."""

    def drips(connection: Connection) -> None:
        connection.send(SSE_HEAD)
        for _ in range(100):
            connection.send(framed(data(delta("x" * 1000))))
            time.sleep(0.05)

    gateway.use(make_policy({"up": new_peer(drips).url}, "up/a"))
    with _post(gateway, stream=True) as sock:
        assert sock.recv(15) == b"HTTP/1.1 200 OK"
    (record,) = _records(gateway)
    assert record["attempts"][0]["outcome"] == "client_gone"


def test_one_that_stays(gateway: Gateway, new_peer: NewPeer) -> None:
    """One that reads to the end has one record too, and it says what the answer says."""
    gateway.use(make_policy({"up": new_peer(says(whole(completion()))).url}, "up/a"))
    answer = gateway.chat()
    (record,) = _records(gateway)
    assert record["request_id"] == answer.headers["x-tiergate-request-id"]
    assert record["status"] == 200
