"""Deadlines on Fastly: as asked, a tenth later at most; and a cut is a cut however late it is."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.component.conftest import NewPeer
from tests.component.gateways import Gateway, in_order, make_policy
from tests.component.peers import (
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
from tests.component.viceroy import FastlyHost
from tests.fastly.started import ALONE, needs_viceroy, started

pytestmark = needs_viceroy

GOOD = completion("from the second")
SLACK_S = 0.4  # of a machine that does other things too; a tenth of the deadline comes on top


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """One with a sandbox for each request."""
    folder: Path = tmp_path_factory.mktemp("kv")
    with started(folder, ALONE) as made:
        yield made


@pytest.fixture(scope="module")
def late(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """One whose sandboxes end before any backend's own timeout would."""
    folder: Path = tmp_path_factory.mktemp("kv")
    with started(folder, {**ALONE, "MAX_RUN_SECONDS": 6.0}) as made:
        yield made


def _silent(connection: Connection) -> None:
    connection.wait_gone(15)


def _stalls(connection: Connection) -> None:
    connection.send(SSE_HEAD, framed(data(delta("Hi"))))
    connection.wait_gone(15)


def _stalls_whole(connection: Connection) -> None:
    connection.send(whole(GOOD, cut=10))
    connection.wait_gone(15)


@pytest.mark.parametrize(
    ("script", "stream", "timeouts", "asked_ms", "outcome"),
    [
        (_silent, True, {"connect_ms": 5000, "first_content_ms": 1100}, 1100, "silent"),
        (_silent, True, {"connect_ms": 1100, "first_content_ms": 1100}, 1100, "silent"),
        (_silent, True, {"connect_ms": 300, "first_content_ms": 2200}, 2200, "silent"),
        (_silent, False, {"connect_ms": 1100, "total_ms": 1100}, 1100, "silent"),
        (_stalls, True, {"between_bytes_ms": 1100}, 1100, "stalled"),
        (_stalls, True, {"between_bytes_ms": 2200}, 2200, "stalled"),
        (_stalls, True, {"between_bytes_ms": 300}, 300, "stalled"),
        (_stalls_whole, False, {"total_ms": 1100}, 1100, "stalled"),
    ],
)
def test_a_deadline_is_kept(
    gateway: Gateway,
    new_peer: NewPeer,
    script: object,
    stream: bool,  # noqa: FBT001 - a parameter of the table
    timeouts: dict[str, int],
    asked_ms: int,
    outcome: str,
) -> None:
    """A provider that says nothing has failed when its time is up, not twice as late."""
    peer = new_peer(script)  # type: ignore[arg-type]
    gateway.use(make_policy({"up": peer.url}, "up/a", timeouts=timeouts))
    answer = gateway.chat(stream=stream)
    (attempt,) = gateway.record_of(answer)["attempts"]
    assert attempt["outcome"] == outcome
    assert 0.9 * asked_ms <= attempt["ms"] <= 1.1 * asked_ms + SLACK_S * 1000


def test_a_deadline_leaves_time_for_the_next(gateway: Gateway, new_peer: NewPeer) -> None:
    """What a silent provider takes of a request's time is no more than its own."""
    urls = {
        "bad": new_peer(_silent).url,
        "good": new_peer(says(SSE_HEAD, framed(b"".join(stream_of("Hi"))), LAST_CHUNK)).url,
    }
    timeouts = {"first_content_ms": 1100, "total_ms": 1700}
    gateway.use(make_policy(urls, *in_order("bad/a", "good/b"), timeouts=timeouts))
    answer = gateway.chat(stream=True)
    assert answer.headers["x-tiergate-fallback"] == "bad/a;silent"
    assert answer.content == b"".join(stream_of("Hi"))


CHUNKED = head(200, {"content-type": "application/json", "transfer-encoding": "chunked"})
UNTYPED = head(200, {"transfer-encoding": "chunked"})
CUTS = {
    "with its length": whole(GOOD, cut=10),
    "chunked": CHUNKED + framed(GOOD[:-10]),
    "chunked, in a chunk": CHUNKED + framed(GOOD)[:-20],
    "chunked, before its end": UNTYPED + framed(GOOD),
}


@pytest.mark.parametrize("pause", [0.0, 0.3], ids=["at once", "later"])
@pytest.mark.parametrize("what", CUTS)
def test_a_late_cut(late: Gateway, new_peer: NewPeer, what: str, pause: float) -> None:
    """An answer that breaks off late in a sandbox's life is cut: the next target serves."""
    cut = CUTS[what]
    bad = new_peer(says(cut[:-5], cut[-5:], b"", pause=pause))
    good = new_peer(says(whole(GOOD)))
    late.use(make_policy({"bad": bad.url, "good": good.url}, *in_order("bad/a", "good/b")))
    answer = late.chat()
    assert answer.content == GOOD
    assert answer.headers.get("x-tiergate-fallback") == "bad/a;cut"


WHOLE = {
    "with its length": [whole(GOOD)],
    "chunked": [CHUNKED, framed(GOOD), LAST_CHUNK],
    "chunked, untyped": [UNTYPED, framed(GOOD), LAST_CHUNK],
    "until it closes": [head(200, {"connection": "close"}), GOOD],
    "with a trailer": [UNTYPED, framed(GOOD), b"0\r\nx-sum: 1\r\n\r\n"],
}


@pytest.mark.parametrize("pause", [0.0, 0.2], ids=["at once", "later"])
@pytest.mark.parametrize("what", WHOLE)
def test_a_late_end(late: Gateway, new_peer: NewPeer, what: str, pause: float) -> None:
    """An answer that ends as it should is no cut, late in a sandbox's life either."""
    late.use(make_policy({"up": new_peer(says(*WHOLE[what], pause=pause)).url}, "up/a"))
    answer = late.chat()
    assert answer.status_code == 200, answer.text
    assert answer.content == GOOD


EVENTS = [data(delta("Hi")), data(delta(finish="stop"))]


@pytest.mark.parametrize("pause", [0.0, 0.2], ids=["at once", "later"])
def test_a_late_cut_of_a_stream(late: Gateway, new_peer: NewPeer, pause: float) -> None:
    """A stream that breaks off after its last event has no clean end, late in its sandbox's life
    either; one that ends there without its last word has."""
    pieces = [SSE_HEAD, *map(framed, EVENTS)]
    for last, is_clean in ((b"", False), (LAST_CHUNK, True)):
        late.use(make_policy({"up": new_peer(says(*pieces, last, pause=pause)).url}, "up/a"))
        answer = late.chat(stream=True)
        assert (b"upstream_stream_broken" not in answer.content) is is_clean, answer.content
        assert answer.content.endswith(b"data: [DONE]\n\n") is is_clean
        (attempt,) = late.record_of(answer)["attempts"]
        assert attempt["outcome"] == ("answered" if is_clean else "cut")


def test_a_late_stall(late: Gateway, new_peer: NewPeer) -> None:
    """A stream that stops ends with an error and its record before its sandbox does."""
    late.use(make_policy({"up": new_peer(_stalls).url}, "up/a"))
    began = time.monotonic()
    answer = late.chat(stream=True)
    assert time.monotonic() - began < 8  # its backend would bear a minute
    assert b"upstream_stream_broken" in answer.content
    # The provider might have gone on: it was the request's own time, the sandbox's, that was up.
    assert late.record_of(answer)["attempts"][0]["outcome"] == "deadline"


def test_a_declared_backend_keeps_them_too(tmp_path: Path, new_peer: NewPeer) -> None:
    """The timeouts of a backend that the service declares do not lengthen the policy's."""
    peer = new_peer(_stalls)
    authority = peer.url.split("/")[2]
    host = FastlyHost(ALONE, {authority: peer.url.removesuffix("/v1")})
    gateway = Gateway(host, tmp_path)
    gateway.use(make_policy({"up": peer.url}, "up/a", timeouts={"between_bytes_ms": 1100}))
    answer = gateway.chat(stream=True)
    (attempt,) = gateway.record_of(answer)["attempts"]
    assert attempt["outcome"] == "stalled"
    assert attempt["ms"] <= 1100 * 1.1 + SLACK_S * 1000
    gateway.stop()
