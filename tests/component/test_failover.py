"""A provider that fails before anything was sent costs an attempt, not the request."""

import time
from collections.abc import Callable

import pytest

from tests.component.conftest import NewPeer
from tests.component.gateways import Gateway, error_of, in_order, make_policy
from tests.component.peers import (
    LAST_CHUNK,
    SSE_HEAD,
    Connection,
    Peer,
    Script,
    completion,
    data,
    delta,
    framed,
    head,
    refusing,
    says,
    stream_of,
    whole,
)

GOOD = completion("from the second")


def _answer(connection: Connection) -> None:
    """Whole or streamed, as asked."""
    if connection.request.json().get("stream"):
        connection.send(SSE_HEAD, *map(framed, stream_of("from", " the second")), LAST_CHUNK)
    else:
        connection.send(whole(GOOD))


@pytest.fixture
def good(new_peer: NewPeer) -> Peer:
    return new_peer(_answer)


def _fails_over(
    gateway: Gateway, first_url: str, good: Peer, outcome: str, *, stream: bool, **fields: object
) -> None:
    """The second target answers, and headers and record say how the first one failed."""
    policy = make_policy(
        {"bad": first_url, "good": good.url}, *in_order("bad/a", "good/b"), **fields
    )
    gateway.use(policy)
    answer = gateway.chat(stream=stream)
    assert answer.status_code == 200, answer.text
    assert answer.headers["x-tiergate-provider"] == "good"
    assert answer.headers["x-tiergate-attempts"] == "2"
    assert answer.headers["x-tiergate-fallback"] == f"bad/a;{outcome}"
    if stream:
        assert answer.content == b"".join(stream_of("from", " the second"))
    else:
        assert answer.content == GOOD
    record = gateway.record_of(answer)
    assert [attempt["outcome"] for attempt in record["attempts"]] == [outcome, "answered"]
    assert record["provider"] == "good"


both = pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])


@both
@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        (401, "unauthorized"),
        (402, "unauthorized"),
        (403, "unauthorized"),
        (408, "server_error"),
        (429, "rate_limited"),
        (500, "server_error"),
        (502, "server_error"),
        (503, "overloaded"),
        (504, "server_error"),
        (529, "overloaded"),
    ],
)
def test_statuses(
    gateway: Gateway, new_peer: NewPeer, good: Peer, status: int, outcome: str, *, stream: bool
) -> None:
    """Statuses that are the provider's or our key's fault lead to the next target."""
    peer = new_peer(says(whole(b'{"error": {"message": "no"}}', status)))
    _fails_over(gateway, peer.url, good, outcome, stream=stream)
    assert len(peer.received) == 1


@both
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308, 300, 304])
def test_redirects_are_not_followed(
    gateway: Gateway, new_peer: NewPeer, good: Peer, status: int, *, stream: bool
) -> None:
    """A redirect is a failure: the host that it names is never asked."""
    elsewhere = new_peer(says(whole(completion("from elsewhere"))))
    location = f"{elsewhere.url}/chat/completions"
    peer = new_peer(says(head(status, {"location": location, "content-length": "0"})))
    _fails_over(gateway, peer.url, good, "server_error", stream=stream)
    assert elsewhere.accepted == 0


def test_refused(gateway: Gateway, good: Peer) -> None:
    """A port that refuses connections is unreachable."""
    with refusing() as url:
        for stream in (False, True):
            _fails_over(gateway, url, good, "unreachable", stream=stream)


BREAKING: dict[str, Script] = {
    "reset": lambda connection: connection.reset(),
    "closed": says(),
    "half a status line": says(b"HTTP/1.1 2"),
    "half a head": says(b"HTTP/1.1 200 OK\r\ncontent-type: app"),
    "garbage": says(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" * 30 + b"\r\n\r\n"),
    "another protocol": says(b"220 mail.example ESMTP\r\n"),
    "bad header": says(b"HTTP/1.1 200 OK\r\nna me: x\r\n\x00: y\r\n\r\n{}"),
    "two lengths": says(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\n{}x"),
    "negative length": says(b"HTTP/1.1 200 OK\r\ncontent-length: -2\r\n\r\n{}"),
}


@both
@pytest.mark.parametrize("how", BREAKING)
def test_no_head(
    gateway: Gateway, new_peer: NewPeer, good: Peer, how: str, *, stream: bool
) -> None:
    """A connection that brings no proper head is unreachable."""
    peer = new_peer(BREAKING[how])
    _fails_over(gateway, peer.url, good, "unreachable", stream=stream)


def _cut_chunk(body: bytes) -> bytes:
    return f"{len(body) + 10:x}\r\n".encode() + body


CHUNKED = head(200, {"content-type": "application/json", "transfer-encoding": "chunked"})
CUTS: dict[str, Script] = {
    "short of its length": says(whole(GOOD, cut=1)),
    "short by much": says(whole(GOOD, cut=len(GOOD) - 5)),
    "length and nothing": says(whole(GOOD, cut=len(GOOD))),
    "no last chunk": says(CHUNKED, framed(GOOD)),
    "in a chunk": says(CHUNKED, _cut_chunk(GOOD)),
    "bad chunk size": says(CHUNKED, framed(GOOD), b"xyz\r\n"),
    "last chunk unfinished": says(CHUNKED, framed(GOOD), b"0\r\n"),
}


def _reset_after_all(connection: Connection) -> None:
    connection.send(CHUNKED, framed(GOOD))
    time.sleep(0.1)
    connection.reset()


@pytest.mark.parametrize("how", [*CUTS, "reset"])
def test_a_cut_answer(gateway: Gateway, new_peer: NewPeer, good: Peer, how: str) -> None:
    """A whole answer that ends before its end is never given out, complete as it may look."""
    peer = new_peer(CUTS.get(how, _reset_after_all))
    _fails_over(gateway, peer.url, good, "cut", stream=False)


@pytest.mark.parametrize(
    ("body", "outcome"),
    [
        (b"", "malformed"),
        (b"null", "malformed"),
        (b"[]", "malformed"),
        (b"{}", "malformed"),
        (b'{"choices": {}}', "malformed"),
        (GOOD[:-1], "malformed"),
        (GOOD + GOOD, "malformed"),
        (b"<html>" + b"x" * 1000, "malformed"),
        (b"\xff" + GOOD, "malformed"),
        (b'{"choices": [' + b"[" * 100_000, "malformed"),
        (b'{"error": {"message": "overloaded"}}', "server_error"),
    ],
)
def test_not_an_answer(
    gateway: Gateway, new_peer: NewPeer, good: Peer, body: bytes, outcome: str
) -> None:
    """A body under status 200 that is no chat completion leads to the next target."""
    peer = new_peer(says(whole(body)))
    _fails_over(gateway, peer.url, good, outcome, stream=False)


def test_an_answer_without_length(gateway: Gateway, new_peer: NewPeer, good: Peer) -> None:
    """An answer that ends with its connection is whole if it is JSON, and else it is not."""
    gateway.use(make_policy({"up": new_peer(says(head(200) + GOOD)).url}, "up/a"))
    assert gateway.chat().content == GOOD
    peer = new_peer(says(head(200) + GOOD[:-3]))
    _fails_over(gateway, peer.url, good, "malformed", stream=False)


def test_an_answer_too_large(gateway: Gateway, new_peer: NewPeer, good: Peer) -> None:
    """An answer of more than the host bears is given up, not kept in memory."""
    block = framed(b" " * (1 << 20))

    def endless(connection: Connection) -> None:
        connection.send(CHUNKED)
        for _ in range(200):
            connection.send(block)

    _fails_over(gateway, new_peer(endless).url, good, "too_large", stream=False)


def _silent(connection: Connection) -> None:
    connection.wait_gone(20)


def test_a_silent_stream(gateway: Gateway, new_peer: NewPeer, good: Peer) -> None:
    """A stream has `first_content_ms` for its head, then the next target is asked."""
    peer = new_peer(_silent)
    started = time.monotonic()
    _fails_over(gateway, peer.url, good, "silent", stream=True, timeouts={"first_content_ms": 300})
    assert 0.3 <= time.monotonic() - started < 3


def test_a_silent_whole_answer_has_time(gateway: Gateway, new_peer: NewPeer) -> None:
    """A whole answer is silent while the model thinks: `first_content_ms` is not about it."""

    def thinking(connection: Connection) -> None:
        time.sleep(1)
        connection.send(whole(GOOD))

    timeouts = {"first_content_ms": 200, "between_bytes_ms": 200}
    gateway.use(make_policy({"up": new_peer(thinking).url}, "up/a", timeouts=timeouts))
    assert gateway.chat().content == GOOD


def _trickling(connection: Connection) -> None:
    connection.send(whole(GOOD, cut=len(GOOD)))
    for number in range(len(GOOD)):
        connection.send(GOOD[number : number + 1])
        time.sleep(0.05)


def _stalling(connection: Connection) -> None:
    connection.send(whole(GOOD, cut=10))
    connection.wait_gone(20)


@pytest.mark.parametrize("script", [_silent, _trickling, _stalling])
@pytest.mark.parametrize("how", ["policy", "header"])
def test_the_total(gateway: Gateway, new_peer: NewPeer, script: Script, how: str) -> None:
    """However a provider spends the time, after the total the client gets a 504."""
    timeouts = {"total_ms": 700} if how == "policy" else {}
    headers = {"x-tiergate-timeout-ms": "700"} if how == "header" else {}
    peer = new_peer(script)
    gateway.use(make_policy({"up": peer.url}, *in_order("up/a", "up/b"), timeouts=timeouts))
    started = time.monotonic()
    answer = gateway.chat(headers=headers)
    assert 0.6 <= time.monotonic() - started < 3
    assert answer.status_code == 504
    assert error_of(answer)["code"] in {"deadline_exceeded", "upstream_timeout"}
    assert len(peer.received) == 1


def test_the_total_of_an_answer_that_stops_late(gateway: Gateway, new_peer: NewPeer) -> None:
    """An answer that comes late and then stops has what is left of the total, not all again."""

    def late(connection: Connection) -> None:
        time.sleep(1.6)
        _stalling(connection)

    gateway.use(make_policy({"up": new_peer(late).url}, "up/a", timeouts={"total_ms": 2200}))
    started = time.monotonic()
    answer = gateway.chat()
    assert 2.1 <= time.monotonic() - started < 3.5
    assert answer.status_code == 504


def test_the_total_of_a_handshake(gateway: Gateway, new_peer: NewPeer) -> None:
    """A provider that takes the connection and never greets costs the total, not the time for
    connecting on top of it."""
    row = {"base_url": new_peer(_silent).url.replace("http://", "https://")}
    gateway.use(make_policy({"up": row}, "up/a", timeouts={"total_ms": 3000}))
    started = time.monotonic()
    answer = gateway.chat()
    assert 2.9 <= time.monotonic() - started < 5
    assert answer.status_code == 504


def test_a_client_cannot_have_more_time(gateway: Gateway, new_peer: NewPeer) -> None:
    """`x-tiergate-timeout-ms` shortens the policy's total and never lengthens it."""
    policy = make_policy({"up": new_peer(_silent).url}, "up/a", timeouts={"total_ms": 400})
    gateway.use(policy)
    started = time.monotonic()
    assert gateway.chat(headers={"x-tiergate-timeout-ms": "60000"}).status_code == 504
    assert time.monotonic() - started < 3


def _stalling_stream(connection: Connection) -> None:
    connection.send(SSE_HEAD, framed(data(_role())))
    connection.wait_gone(20)


HELD: dict[str, tuple[Callable[[], Script], str]] = {
    "nothing": (lambda: says(SSE_HEAD, LAST_CHUNK), "cut"),
    "no events": (lambda: says(SSE_HEAD), "cut"),
    "a role and an end": (
        lambda: says(SSE_HEAD, framed(data(_role())), LAST_CHUNK),
        "cut",
    ),
    "a comment and a cut": (lambda: says(SSE_HEAD, framed(b": wait\n\n")), "cut"),
    "done without a finish": (
        lambda: says(SSE_HEAD, framed(data(_role()) + b"data: [DONE]\n\n"), LAST_CHUNK),
        "cut",
    ),
    "not JSON": (lambda: says(SSE_HEAD, framed(b"data: {oops\n\n"), LAST_CHUNK), "malformed"),
    "another shape": (
        lambda: says(SSE_HEAD, framed(b'data: {"a": 1}\n\n'), LAST_CHUNK),
        "malformed",
    ),
    "too deep": (
        lambda: says(SSE_HEAD, framed(b"data: " + b"[" * 100_000 + b"\n\n"), LAST_CHUNK),
        "malformed",
    ),
    "an error": (
        lambda: says(
            SSE_HEAD,
            framed(data(_role()) + data({"error": {"message": "overloaded"}})),
            LAST_CHUNK,
        ),
        "error_in_stream",
    ),
    "JSON instead": (lambda: says(whole(completion())), "cut"),
    "HTML instead": (lambda: says(whole(b"<html>\n\n</html>\n\n")), "cut"),
    "stalled": (lambda: _stalling_stream, "silent"),
}


def _role() -> dict[str, object]:
    chunk = delta()
    chunk["choices"][0]["delta"] = {"role": "assistant", "content": ""}
    return chunk


@pytest.mark.parametrize("how", HELD)
def test_a_stream_that_breaks_before_its_content(
    gateway: Gateway, new_peer: NewPeer, good: Peer, how: str
) -> None:
    """Until its first content nothing of a stream is sent: the next target can take over."""
    make, outcome = HELD[how]
    _fails_over(
        gateway,
        new_peer(make()).url,
        good,
        outcome,
        stream=True,
        timeouts={"first_content_ms": 400, "between_bytes_ms": 400},
    )


def test_an_endless_event(gateway: Gateway, new_peer: NewPeer, good: Peer) -> None:
    """An event that never ends is given up at its bound."""

    def endless(connection: Connection) -> None:
        connection.send(SSE_HEAD, framed(b"data: "))
        for _ in range(100):
            connection.send(framed(b"x" * (1 << 20)))

    _fails_over(gateway, new_peer(endless).url, good, "too_large", stream=True)


def test_the_full_guard(gateway: Gateway, new_peer: NewPeer, good: Peer) -> None:
    """With the full guard a stream that breaks after its content fails over too."""
    peer = new_peer(says(SSE_HEAD, framed(data(delta("half"))), pause=0.05))
    gateway.use(make_policy({"bad": peer.url, "good": good.url}, *in_order("bad/a", "good/b")))
    answer, body = gateway.streamed(headers={"x-tiergate-stream-guard": "full"})
    assert body == b"".join(stream_of("from", " the second"))
    assert answer.headers["x-tiergate-fallback"] == "bad/a;cut"


def test_max_attempts(gateway: Gateway, new_peer: NewPeer, good: Peer) -> None:
    """No more targets are tried than `max_attempts`."""
    peer = new_peer(says(whole(b"{}", 500)))
    targets = in_order("bad/a", "bad/b", "bad/c", "good/d")
    gateway.use(make_policy({"bad": peer.url, "good": good.url}, *targets, max_attempts=3))
    assert gateway.chat().status_code == 502
    assert [one.json()["model"] for one in peer.received] == ["a", "b", "c"]
    gateway.use(make_policy({"bad": peer.url, "good": good.url}, *targets, max_attempts=4))
    assert gateway.chat().status_code == 200


def test_a_rejected_request_is_not_tried_elsewhere(
    gateway: Gateway, new_peer: NewPeer, good: Peer
) -> None:
    """What one provider refuses as wrong is the client's to mend: nobody else is asked."""
    peer = new_peer(says(whole(b'{"error": {"message": "too long"}}', 400)))
    gateway.use(make_policy({"bad": peer.url, "good": good.url}, *in_order("bad/a", "good/b")))
    for stream in (False, True):
        answer = gateway.chat(stream=stream)
        assert answer.status_code == 400
        assert error_of(answer)["message"] == "too long"
        assert answer.headers["x-tiergate-provider"] == "bad"
        assert gateway.record_of(answer)["attempts"][0]["outcome"] == "rejected"
    assert good.accepted == 0


def test_a_target_without_its_key_is_left_out(gateway: Gateway, good: Peer) -> None:
    """A target whose key is missing is no attempt."""
    row = {"base_url": "http://127.0.0.1:9/v1", "key": "E2E_ABSENT_KEY"}
    gateway.use(make_policy({"bad": row, "good": good.url}, *in_order("bad/a", "good/b")))
    answer = gateway.chat()
    assert answer.headers["x-tiergate-attempts"] == "1"
    assert answer.headers["x-tiergate-provider"] == "good"
