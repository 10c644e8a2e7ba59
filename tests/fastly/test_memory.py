"""A sandbox has 128 MiB: what is too large for it has a name, and nothing ends it."""

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.component.conftest import NewPeer
from tests.component.gateways import Gateway, error_of, in_order, make_policy
from tests.component.peers import (
    LAST_CHUNK,
    SSE_HEAD,
    Script,
    completion,
    data,
    delta,
    framed,
    says,
    stream_of,
    whole,
)
from tests.component.viceroy import AT_ONCE
from tests.fastly.started import ALONE, needs_viceroy, started

pytestmark = needs_viceroy

MIB = 1024 * 1024
LARGE = int(7.9 * MIB)
EMOJI = "\U0001f600"  # makes each character of the text that it is in four bytes
GOOD = completion("from the second")
GOOD_STREAM = stream_of("from", " the second")


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """One whose sandboxes serve one request each."""
    folder: Path = tmp_path_factory.mktemp("kv")
    with started(folder, ALONE) as made:
        yield made


def _text(length: int, start: str = EMOJI) -> str:
    return start + "x" * length


def _request(*parts: object) -> bytes:
    body = {"model": "auto", "messages": [{"role": "user", "content": list(parts)}]}
    return json.dumps(body, ensure_ascii=False).encode()


def _said(text: str) -> dict[str, str]:
    return {"type": "text", "text": text}


REQUESTS = {
    "a long text": _request(_said(_text(LARGE))),
    "a long text beside an emoji": _request(_said(_text(LARGE, "")), _said(EMOJI)),
    "an image": _request(
        _said(EMOJI),
        {"type": "image_url", "image_url": {"url": "data:image/png;base64," + "A" * LARGE}},
    ),
    "many texts": _request(*[_said(_text(80_000)) for _ in range(LARGE // 80_100)]),
    "Chinese": _request(_said("漢" * (LARGE // 3))),
}


@pytest.mark.parametrize("what", REQUESTS)
def test_a_large_request(gateway: Gateway, new_peer: NewPeer, what: str) -> None:
    """A body up to the limit is served, though a character of it takes four bytes."""
    peer = new_peer(says(whole(completion())))
    gateway.use(make_policy({"up": peer.url}, "up/a"))
    body = REQUESTS[what]
    answer = gateway.post(body)
    assert answer.status_code == 200, answer.text
    assert peer.received[-1].body == body.replace(b'"auto"', b'"a"', 1)


def test_a_request_of_too_many_values(gateway: Gateway, new_peer: NewPeer) -> None:
    """A body of so many small values that they do not fit is too large, and its client reads so."""
    peer = new_peer(says(whole(completion())))
    gateway.use(make_policy({"up": peer.url}, "up/a"))
    text = b'{"messages": [{"role": "user", "content": "x"}], "x": ['
    answer = gateway.post(text + b'"\\n",' * (LARGE // 5) + b"0]}")
    assert answer.status_code in {400, 413}
    assert error_of(answer)["code"] in {"request_too_large", "invalid_json"}
    assert gateway.record_of(answer)["status"] == answer.status_code
    assert not peer.received


def _streams(text: str) -> bytes:
    return b"".join(stream_of(text))


@pytest.mark.parametrize("start", ["", EMOJI], ids=["plain", "emoji"])
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_a_large_answer(gateway: Gateway, new_peer: NewPeer, start: str, *, stream: bool) -> None:
    """An answer or an event up to the limit passes as it is."""
    text = _text(LARGE, start)
    sent = _streams(text) if stream else completion(text)
    script = says(SSE_HEAD, framed(sent), LAST_CHUNK) if stream else says(whole(sent))
    gateway.use(make_policy({"up": new_peer(script).url}, "up/a"))
    answer = gateway.chat(stream=stream)
    assert answer.status_code == 200, answer.text[:500]
    assert answer.content == sent


MANY_VALUES = b'{"choices": [{}], "x": [' + b'{"":1},' * (LARGE // 7) + b"0]}"


def _second(*, stream: bool) -> Script:
    if stream:
        return says(SSE_HEAD, *map(framed, GOOD_STREAM), LAST_CHUNK)
    return says(whole(GOOD))


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_an_answer_that_does_not_fit(gateway: Gateway, new_peer: NewPeer, *, stream: bool) -> None:
    """An answer that takes more memory than there is, is a failed attempt: the next one serves."""
    event = b"data: " + MANY_VALUES + b"\n\n"
    bad = says(SSE_HEAD, framed(event), LAST_CHUNK) if stream else says(whole(MANY_VALUES))
    urls = {"bad": new_peer(bad).url, "good": new_peer(_second(stream=stream)).url}
    gateway.use(make_policy(urls, *in_order("bad/a", "good/b")))
    answer = gateway.chat(stream=stream)
    assert answer.status_code == 200, answer.text
    assert answer.headers["x-tiergate-fallback"] == "bad/a;too_large"
    assert answer.content == (b"".join(GOOD_STREAM) if stream else GOOD)
    outcomes = [attempt["outcome"] for attempt in gateway.record_of(answer)["attempts"]]
    assert outcomes == ["too_large", "answered"]


def test_an_event_that_does_not_fit_after_content(gateway: Gateway, new_peer: NewPeer) -> None:
    """Once content was sent, such an event ends the stream with an error, as any failure does."""
    events = data(delta("Hi")), b"data: " + MANY_VALUES + b"\n\n"
    peer = new_peer(says(SSE_HEAD, *map(framed, events), LAST_CHUNK))
    gateway.use(make_policy({"up": peer.url}, "up/a"))
    answer = gateway.chat(stream=True)
    assert answer.content.startswith(events[0])
    assert b"upstream_stream_broken" in answer.content
    assert b"(too_large)" in answer.content
    (attempt,) = gateway.record_of(answer)["attempts"]
    assert attempt["outcome"] == "too_large"


def test_a_large_request_leaves_less_for_its_answer(gateway: Gateway, new_peer: NewPeer) -> None:
    """Body and answer are in memory at the same time: together they have the answer's limit, and an
    answer has a MiB in any case."""
    body = _request(_said(_text(7 * MIB)))
    small = new_peer(says(whole(completion("y" * (MIB - 1000)))))
    gateway.use(make_policy({"up": small.url}, "up/a"))
    assert gateway.post(body).status_code == 200
    large = new_peer(says(whole(completion("y" * (MIB + 1000)))))
    gateway.use(make_policy({"up": large.url, "good": small.url}, *in_order("up/a", "good/b")))
    answer = gateway.post(body)
    assert answer.headers["x-tiergate-fallback"] == "up/a;too_large"
    assert gateway.chat().headers.get("x-tiergate-fallback") is None


def test_a_sandbox_that_has_used_much_takes_no_other(tmp_path: Path, new_peer: NewPeer) -> None:
    """Memory that was used stays used, in pieces: after a large request comes another sandbox."""
    peer = new_peer(says(whole(completion())))
    with started(tmp_path, {**AT_ONCE, "MAX_VCPU_MS": 1e9, "MAX_AGE_SECONDS": 60.0}) as gateway:
        gateway.use(make_policy({"up": peer.url}, "up/a"))
        for length in (LARGE, LARGE, MIB, LARGE, 2 * MIB, 3 * MIB, LARGE):
            time.sleep(0.3)  # one that has answered takes a moment until it asks for the next
            answer = gateway.post(_request(_said(_text(length))))
            assert answer.status_code == 200, (length, answer.text)
