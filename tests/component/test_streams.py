"""Streams: each event as it comes, wherever its bytes are cut; a broken one has no clean end."""

import json
import socket
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.component.conftest import Mock, NewPeer
from tests.component.gateways import Gateway, events_of, in_order, make_policy, text_of
from tests.component.peers import (
    DONE,
    LAST_CHUNK,
    SSE_HEAD,
    Connection,
    completion,
    data,
    delta,
    framed,
    head,
    says,
    stream_of,
    whole,
)


def _ends_broken(body: bytes, text: str) -> None:
    """The stream shows this text, then one error event, and nothing after it."""
    *events, last = events_of(body)
    assert "[DONE]" not in events
    assert [event for event in events if "error" in event] == []
    assert set(last["error"]) == {"message", "type", "param", "code"}
    assert last["error"]["code"] == "upstream_stream_broken"
    assert text_of(body.rpartition(b'data: {"error"')[0]) == text
    assert body.endswith(b"\n\n")


def _cut(connection: Connection) -> None:
    connection.send(SSE_HEAD, framed(data(delta("one "))), framed(data(delta("two"))), pause=0.02)


def _reset(connection: Connection) -> None:
    _cut(connection)
    time.sleep(0.1)
    connection.reset()


def _mid_event(connection: Connection) -> None:
    _cut(connection)
    connection.send(framed(data(delta("three"))[:-20]))


def _clean_end(connection: Connection) -> None:
    _cut(connection)
    connection.send(LAST_CHUNK)


def _clean_end_mid_event(connection: Connection) -> None:
    _mid_event(connection)
    connection.send(LAST_CHUNK)


def _early_done(connection: Connection) -> None:
    _cut(connection)
    connection.send(framed(DONE), LAST_CHUNK)


def _malformed(connection: Connection) -> None:
    _cut(connection)
    connection.send(framed(b'data: {"choices": [\n\n' + b"".join(stream_of("x"))), LAST_CHUNK)


def _too_deep(connection: Connection) -> None:
    _cut(connection)
    connection.send(framed(b'data: {"choices": ' + b"[" * 100_000 + b"\n\n"), LAST_CHUNK)


def _error(connection: Connection) -> None:
    _cut(connection)
    error = {"error": {"message": "overloaded", "type": "t", "code": None, "param": None}}
    connection.send(framed(data(error) + DONE), LAST_CHUNK)


def _stalled(connection: Connection) -> None:
    _cut(connection)
    connection.wait_gone(20)


def _garbage_chunk(connection: Connection) -> None:
    _cut(connection)
    connection.send(b"this is no chunk\r\n")


BREAKS: dict[str, tuple[Callable[[Connection], None], str]] = {
    "cut": (_cut, "cut"),
    "reset": (_reset, "cut"),
    "cut in an event": (_mid_event, "cut"),
    "clean end": (_clean_end, "cut"),
    "clean end in an event": (_clean_end_mid_event, "cut"),
    "done without a finish": (_early_done, "cut"),
    "malformed": (_malformed, "malformed"),
    "too deep": (_too_deep, "malformed"),
    "an error": (_error, "error_in_stream"),
    "stalled": (_stalled, "stalled"),
    "no chunk": (_garbage_chunk, "cut"),
}


@pytest.mark.parametrize("how", BREAKS)
def test_broken_after_content(gateway: Gateway, new_peer: NewPeer, how: str) -> None:
    """What breaks after its content keeps that content, then says that it broke; no `[DONE]`."""
    script, outcome = BREAKS[how]
    spare = new_peer(says(whole(completion())))
    gateway.use(
        make_policy(
            {"up": new_peer(script).url, "spare": spare.url},
            *in_order("up/a", "spare/b"),
            timeouts={"between_bytes_ms": 500},
        )
    )
    answer, body = gateway.streamed()
    assert answer.status_code == 200
    _ends_broken(body, "one two")
    assert spare.accepted == 0
    record = gateway.record_of(answer)
    assert record["attempts"][-1]["outcome"] == outcome
    assert record["error"] == "upstream_stream_broken"


def test_the_total_ends_a_stream(gateway: Gateway, new_peer: NewPeer) -> None:
    """A stream that is still running when the total is over ends with an error."""

    def endless(connection: Connection) -> None:
        connection.send(SSE_HEAD)
        for _ in range(400):
            connection.send(framed(data(delta("x"))))
            time.sleep(0.05)

    peer = new_peer(endless)
    gateway.use(make_policy({"up": peer.url}, "up/a", timeouts={"total_ms": 800}))
    started = time.monotonic()
    answer, body = gateway.streamed()
    assert 0.7 <= time.monotonic() - started < 4
    assert gateway.record_of(answer)["attempts"][-1]["outcome"] == "deadline"
    _ends_broken(body, text_of(body.rpartition(b'data: {"error"')[0]))


def test_no_done(gateway: Gateway, new_peer: NewPeer) -> None:
    """A stream that said why it finished and ended properly is whole, `[DONE]` or not."""
    peer = new_peer(says(SSE_HEAD, framed(b"".join(stream_of("Hi")[:-1])), LAST_CHUNK))
    gateway.use(make_policy({"up": peer.url}, "up/a"))
    answer, body = gateway.streamed()
    assert body == b"".join(stream_of("Hi"))
    assert gateway.record_of(answer)["attempts"][0]["outcome"] == "answered"


def test_a_cut_after_the_finish(gateway: Gateway, new_peer: NewPeer) -> None:
    """A connection that breaks before the stream's end is a broken stream, finish or not."""
    peer = new_peer(says(SSE_HEAD, framed(b"".join(stream_of("Hi")[:-1])), pause=0.05))
    gateway.use(make_policy({"up": peer.url}, "up/a"))
    _, body = gateway.streamed()
    _ends_broken(body, "Hi")


def test_one_choice_of_two_finished(gateway: Gateway, new_peer: NewPeer) -> None:
    """Of several choices each must finish: one that did does not make a clean end."""
    events = [
        data(delta("A", index=0)),
        data(delta("B", index=1)),
        data(delta(finish="stop", index=0)),
        data(delta(" and more", index=1)),
    ]
    peer = new_peer(says(SSE_HEAD, framed(b"".join(events)), LAST_CHUNK))
    gateway.use(make_policy({"up": peer.url}, "up/a"))
    _, body = gateway.streamed(n=2)
    assert events_of(body)[-1] != "[DONE]"


def test_nothing_after_done(gateway: Gateway, new_peer: NewPeer) -> None:
    """`[DONE]` is the end: the answer ends with it although the provider goes on."""

    def going_on(connection: Connection) -> None:
        connection.send(SSE_HEAD, *map(framed, stream_of("Hi")))
        connection.send(framed(data(delta("and another thing"))))
        connection.wait_gone(20)

    peer = new_peer(going_on)
    gateway.use(make_policy({"up": peer.url}, "up/a"))
    started = time.monotonic()
    _, body = gateway.streamed()
    assert time.monotonic() - started < 5
    assert body == b"".join(stream_of("Hi"))


def test_each_event_as_it_comes(gateway: Gateway, new_peer: NewPeer) -> None:
    """An event reaches the client while the provider has not written the next one yet."""
    events = stream_of("one", "two", "three", "four")
    may_go_on = threading.Semaphore(0)

    def patient(connection: Connection) -> None:
        connection.send(SSE_HEAD)
        for event in events:
            connection.send(framed(event))
            assert may_go_on.acquire(timeout=5), "the client did not get it"
        connection.send(LAST_CHUNK)

    peer = new_peer(patient)
    gateway.use(make_policy({"up": peer.url}, "up/a"))
    got, seen = b"", 0
    with gateway.streaming() as answer:
        for chunk in answer.iter_raw():
            got += chunk
            for _ in range(got.count(b"\n\n") - seen):
                may_go_on.release()
            seen = got.count(b"\n\n")
    assert got == b"".join(events)


TEXTS = ("größe ", "漢字 😀", " ende\r\n")


def _sse(end: bytes) -> bytes:
    events = [data(delta(text), end=end + end) for text in TEXTS]
    events.append(data(delta(finish="stop"), end=end + end))
    return b": hello" + end + end + b"".join(events) + b"data: [DONE]" + end + end


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"], ids=["LF", "CRLF", "CR"])
def test_cut_at_every_byte(gateway: Gateway, new_peer: NewPeer, end: bytes) -> None:
    """Wherever the network cuts a stream in two, the client gets the same bytes."""
    stream = _sse(end)
    cuts = range(1, len(stream))

    def script(connection: Connection) -> None:
        at = int(connection.request.json()["user"])
        connection.send(SSE_HEAD, framed(stream[:at]))
        time.sleep(0.03)  # so that the gateway reads the halves one after the other
        connection.send(framed(stream[at:]), LAST_CHUNK)

    peer = new_peer(script)
    gateway.use(make_policy({"up": peer.url}, "up/a"))

    def body_of(at: int) -> bytes:
        return gateway.streamed(user=str(at))[1]

    # every byte of the multi-byte texts and line ends, every third of the rest
    chosen = [at for at in cuts if at % 3 == 0 or stream[at] >= 0x80 or stream[at] in b"\r\n"]
    with ThreadPoolExecutor(12) as pool:
        for at, body in zip(chosen, pool.map(body_of, chosen), strict=True):
            # a last CR may have been half of a CRLF: line ends that settle it make no other event
            rest = body.removeprefix(stream)
            assert rest.strip(b"\r\n") == b"" if end == b"\r" else body == stream, f"cut at {at}"


def test_byte_by_byte(gateway: Gateway, new_peer: NewPeer) -> None:
    """A stream that comes one byte a packet arrives whole."""
    stream = _sse(b"\r\n")
    pieces = [framed(stream[at : at + 1]) for at in range(len(stream))]
    peer = new_peer(says(SSE_HEAD, *pieces, LAST_CHUNK, pause=0.001))
    gateway.use(make_policy({"up": peer.url}, "up/a"))
    assert gateway.streamed()[1] == stream


def test_many_events_in_one_write(gateway: Gateway, new_peer: NewPeer) -> None:
    """Thousands of events in few large chunks all arrive, in order."""
    events = stream_of(*(f"{number} " for number in range(5000)))
    peer = new_peer(says(SSE_HEAD, framed(b"".join(events)), LAST_CHUNK))
    gateway.use(make_policy({"up": peer.url}, "up/a"))
    assert gateway.streamed()[1] == b"".join(events)


def test_a_large_event(gateway: Gateway, new_peer: NewPeer) -> None:
    """An event of some megabytes, an inline image say, goes through."""
    events = stream_of("x" * 5_000_000)
    peer = new_peer(says(SSE_HEAD, framed(b"".join(events)), LAST_CHUNK))
    gateway.use(make_policy({"up": peer.url}, "up/a"))
    assert gateway.streamed()[1] == b"".join(events)


def test_a_stream_without_chunks(gateway: Gateway, new_peer: NewPeer) -> None:
    """A stream with a content-length, or ended by its connection, is a stream as well."""
    stream = b"".join(stream_of("Hi"))
    for script in (
        says(whole(stream, headers={"content-type": "text/event-stream"})),
        says(head(200, {"content-type": "text/event-stream"}), stream),
    ):
        gateway.use(make_policy({"up": new_peer(script).url}, "up/a"))
        assert gateway.streamed()[1] == stream


def test_no_content_at_all(gateway: Gateway, new_peer: NewPeer) -> None:
    """A stream that finishes without a word is an answer."""
    events = [data(delta(finish="content_filter")), DONE]
    peer = new_peer(says(SSE_HEAD, framed(b"".join(events)), LAST_CHUNK))
    gateway.use(make_policy({"up": peer.url}, "up/a"))
    assert gateway.streamed()[1] == b"".join(events)


def test_the_provider_learns_that_the_client_is_gone(gateway: Gateway, new_peer: NewPeer) -> None:
    """When the client leaves, the provider's connection is closed at the next event."""
    gone = threading.Event()

    def endless(connection: Connection) -> None:
        connection.send(SSE_HEAD)
        try:
            for _ in range(200):
                connection.send(framed(data(delta("x"))))
                if connection.wait_gone(0.05):
                    break
        except OSError:
            pass
        else:
            if connection.gone_at is None:
                return
        gone.set()

    peer = new_peer(endless)
    gateway.use(make_policy({"up": peer.url}, "up/a"))
    with gateway.streaming() as answer:
        next(answer.iter_raw())
        assert not gone.is_set()
    assert gone.wait(3)
    record = gateway.record_of(answer)
    assert record["attempts"][-1]["outcome"] == "client_gone"


def test_who_reads_to_the_end_is_not_gone(gateway: Gateway, mock: Mock) -> None:
    """A client that closes its connection right after `[DONE]` has had a whole answer."""
    gateway.use(make_policy({"mock": mock.url}, "mock/small"))
    body = json.dumps({"messages": [{"role": "user", "content": "Hi"}], "stream": True}).encode()
    request = (
        b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
        + f"content-length: {len(body)}\r\n\r\n".encode()
        + body
    )
    ids = [_read_until_done(gateway.connect(), request) for _ in range(30)]
    outcomes = {gateway.record(id_)["attempts"][-1]["outcome"] for id_ in ids}
    assert outcomes == {"answered"}


def _read_until_done(sock: socket.socket, request: bytes) -> str:
    said = b""
    with sock:
        sock.sendall(request)
        while b"[DONE]\n\n" not in said:
            said += sock.recv(65536)
    return said.partition(b"x-tiergate-request-id: ")[2][:32].decode()


def test_a_slow_reader(gateway: Gateway, new_peer: NewPeer) -> None:
    """A client that reads slowly holds up its own stream only, and loses nothing."""
    events = stream_of(*("x" * 60_000 for _ in range(60)))
    peer = new_peer(says(SSE_HEAD, *map(framed, events), LAST_CHUNK))
    gateway.use(make_policy({"up": peer.url}, "up/a"))
    got = b""
    with gateway.streaming() as answer:
        chunks = answer.iter_raw()
        got += next(chunks)
        time.sleep(0.5)
        started = time.monotonic()
        assert gateway.http.get("/healthz").status_code == 200
        assert time.monotonic() - started < 1
        got += b"".join(chunks)
    assert got == b"".join(events)


def test_a_hundred_streams(gateway: Gateway, mock: Mock) -> None:
    """A hundred streams at the same time all come to their ends."""
    gateway.use(make_policy({"mock": mock.url}, "mock/small"))
    mock.order("small", "chunk_ms=20")

    def ends(_: int) -> bool:
        return gateway.streamed()[1].endswith(DONE)

    with ThreadPoolExecutor(100) as pool:
        assert all(pool.map(ends, range(100)))


@pytest.mark.parametrize("stream", [False, True])
def test_a_client_that_leaves_early(gateway: Gateway, new_peer: NewPeer, *, stream: bool) -> None:
    """A client that leaves before the provider has answered disturbs nobody."""
    left = threading.Event()

    def script(connection: Connection) -> None:
        left.wait(10)
        if connection.request.json().get("stream"):
            connection.send(SSE_HEAD, *map(framed, stream_of("late")), LAST_CHUNK, pause=0.02)
        else:
            connection.send(whole(completion()))

    peer = new_peer(script)
    gateway.use(make_policy({"up": peer.url}, "up/a"))
    body = json.dumps({"messages": [{"role": "user", "content": "Hi"}], "stream": stream}).encode()
    for number in range(5):
        left.clear()
        with gateway.connect() as sock:
            sock.sendall(
                b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\n"
                + f"content-length: {len(body)}\r\n\r\n".encode()
                + body
            )
            deadline = time.monotonic() + 10
            while len(peer.received) <= number and time.monotonic() < deadline:
                time.sleep(0.02)
        left.set()
        time.sleep(0.1)
    assert len(peer.received) == 5
    assert gateway.chat().status_code == 200
