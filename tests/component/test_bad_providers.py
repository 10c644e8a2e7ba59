"""Odd things that providers send: none of them harms the answer, the record or the instance."""

import gzip
import json
import time
from typing import Any

import pytest

from tests.component.conftest import NewPeer
from tests.component.gateways import Gateway, error_of, in_order, make_policy
from tests.component.peers import (
    DONE,
    LAST_CHUNK,
    SSE_HEAD,
    completion,
    data,
    delta,
    framed,
    head,
    says,
    stream_of,
    whole,
)

PRICED = {"prices": {"up/a": {"input": 1.0, "output": 2.0, "cached_input": 0.5}}}
GOOD = completion("from the second")

USAGES: dict[str, Any] = {
    "null": None,
    "a list": [],
    "a word": "many",
    "empty": {},
    "half": {"prompt_tokens": 5},
    "negative": {"prompt_tokens": -5, "completion_tokens": 3},
    "floats": {"prompt_tokens": 5.5, "completion_tokens": 3.0},
    "words": {"prompt_tokens": "5", "completion_tokens": "3"},
    "booleans": {"prompt_tokens": True, "completion_tokens": False},
    "more cached than sent": {
        "prompt_tokens": 5,
        "completion_tokens": 3,
        "prompt_tokens_details": {"cached_tokens": 500},
    },
    "odd details": {
        "prompt_tokens": 5,
        "completion_tokens": 3,
        "prompt_tokens_details": [],
        "completion_tokens_details": "none",
    },
    "beyond a double": {"prompt_tokens": 10**400, "completion_tokens": 10**400},
    "near a double's end": {"prompt_tokens": 10**307, "completion_tokens": 10**308},
}


def _strictly(line: str) -> dict[str, Any]:
    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is not JSON")

    value: dict[str, Any] = json.loads(line, parse_constant=refuse)
    return value


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("what", USAGES)
def test_usage(gateway: Gateway, new_peer: NewPeer, what: str, *, stream: bool) -> None:
    """Whatever a provider says of its usage, the answer is delivered and the record is JSON."""
    body = completion("Hi", usage=USAGES[what])
    events = [*stream_of("Hi")[:-1], data({**delta("x"), "usage": USAGES[what]}), DONE]
    script = says(SSE_HEAD, framed(b"".join(events)), LAST_CHUNK) if stream else says(whole(body))
    gateway.use(make_policy({"up": new_peer(script).url}, "up/a", **PRICED))
    answer = gateway.chat(stream=stream)
    assert answer.status_code == 200
    assert answer.content == (b"".join(events) if stream else body)
    record = gateway.record_of(answer)
    (line,) = (line for line in gateway.running.lines if record["request_id"] in line)
    record = _strictly(line)
    cost = answer.headers.get("x-tiergate-cost-usd")
    assert cost is None or float(cost) >= 0
    if "prompt_tokens" not in str(USAGES[what]) or what in {"half", "negative", "floats", "words"}:
        assert "usage" not in record
        assert "cost_usd" not in record


HEADS: dict[str, bytes] = {
    "a large request id": head(
        200, {"x-request-id": "a" * 20_000, "content-length": str(len(GOOD))}
    ),
    "many limits": head(
        200,
        {"content-length": str(len(GOOD))} | {f"x-ratelimit-{n}": "x" * 300 for n in range(60)},
    ),
    "other bytes": head(
        200,
        {
            "content-length": str(len(GOOD)),
            "x-request-id": "\xff\xfe gr\xf6\xdfe",
            "retry-after": "\xb2",
        },
    ),
    "an empty type": head(200, {"content-type": "", "content-length": str(len(GOOD))}),
    "a tab": head(200, {"content-length": str(len(GOOD)), "x-request-id": "a\tb"}),
    "repeated": b"HTTP/1.1 200 OK\r\nx-request-id: 1\r\nX-Request-Id: 2\r\n"
    + f"content-length: {len(GOOD)}\r\n\r\n".encode(),
    "100 before": b"HTTP/1.1 100 Continue\r\n\r\n" + head(200, {"content-length": str(len(GOOD))}),
    "103 before": b"HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n"
    + head(200, {"content-length": str(len(GOOD))}),
    "HTTP/1.0": b"HTTP/1.0 200 OK\r\n\r\n",
    "201": head(201, {"content-length": str(len(GOOD))}),
}


@pytest.mark.parametrize("what", HEADS)
def test_heads(gateway: Gateway, new_peer: NewPeer, what: str) -> None:
    """Odd but valid heads bring their answers."""
    gateway.use(make_policy({"up": new_peer(says(HEADS[what] + GOOD)).url}, "up/a"))
    answer = gateway.chat()
    assert answer.status_code == 200
    assert answer.content == GOOD


@pytest.mark.parametrize("size", [60_000, 120_000, 200_000, 400_000])
@pytest.mark.parametrize("pieces", [1, 90])
def test_huge_heads(gateway: Gateway, new_peer: NewPeer, size: int, pieces: int) -> None:
    """A head as large as a host may refuse is an answer or a failed attempt, and no defect."""
    pairs = {f"x-ratelimit-{number}": "x" * (size // pieces) for number in range(pieces)}
    bad = new_peer(says(head(200, {"content-length": str(len(GOOD)), **pairs}) + GOOD))
    good = new_peer(says(whole(GOOD)))
    gateway.use(make_policy({"bad": bad.url, "good": good.url}, *in_order("bad/a", "good/b")))
    answer = gateway.chat()
    assert answer.status_code == 200
    assert answer.content == GOOD


@pytest.mark.parametrize("status", [101, 199, 204, 205, 304, 600, 799, 999])
def test_odd_statuses(gateway: Gateway, new_peer: NewPeer, status: int) -> None:
    """A status that means nothing here leads to the next target."""
    bad, good = new_peer(says(head(status, {"content-length": "0"}))), new_peer(says(whole(GOOD)))
    gateway.use(make_policy({"bad": bad.url, "good": good.url}, *in_order("bad/a", "good/b")))
    answer = gateway.chat()
    assert answer.status_code == 200
    assert answer.content == GOOD
    assert answer.headers["x-tiergate-attempts"] == "2"


@pytest.mark.parametrize("status", [405, 406, 407, 411, 416, 417, 418, 421, 426, 431, 451, 499])
def test_odd_refusals(gateway: Gateway, new_peer: NewPeer, status: int) -> None:
    """Any other 4xx is the provider's word on the request: it goes back."""
    gateway.use(make_policy({"up": new_peer(says(whole(b"{}", status))).url}, "up/a"))
    answer = gateway.chat()
    assert answer.status_code == status
    assert str(status) in error_of(answer)["message"]


def test_a_compressed_answer(gateway: Gateway, new_peer: NewPeer) -> None:
    """A provider that compresses although it was asked not to has not answered."""
    packed = whole(gzip.compress(GOOD), headers={"content-encoding": "gzip"})
    bad, good = new_peer(says(packed)), new_peer(says(whole(GOOD)))
    gateway.use(make_policy({"bad": bad.url, "good": good.url}, *in_order("bad/a", "good/b")))
    assert gateway.chat().content == GOOD


def test_trailers(gateway: Gateway, new_peer: NewPeer) -> None:
    """Trailers after a chunked answer are no part of it."""
    chunked = head(200, {"transfer-encoding": "chunked", "trailer": "x-sum"})
    peer = new_peer(says(chunked, framed(GOOD), b"0\r\nx-sum: 1\r\n\r\n"))
    gateway.use(make_policy({"up": peer.url}, "up/a"))
    assert gateway.chat().content == GOOD


def test_more_than_its_length(gateway: Gateway, new_peer: NewPeer) -> None:
    """What follows an answer's length is no part of it; a host may take it for a broken answer."""
    peer = new_peer(says(whole(GOOD) + b"HTTP/1.1 500 X\r\n"))
    gateway.use(make_policy({"up": peer.url}, "up/a"))
    answer = gateway.chat()
    assert (answer.status_code == 200 and answer.content == GOOD) or answer.status_code == 502


def test_an_answer_before_the_question_was_read(gateway: Gateway, new_peer: NewPeer) -> None:
    """A provider that refuses a large request before it has read it is heard or failed over."""

    def early(connection: Any) -> None:  # noqa: ANN401
        connection.send(whole(b'{"error": {"message": "too large"}}', 413))

    gateway.use(make_policy({"up": new_peer(early).url}, "up/a"))
    answer = gateway.chat(messages=[{"role": "user", "content": "x" * 5_000_000}])
    assert answer.status_code in {413, 502}
    assert error_of(answer)
    assert gateway.http.get("/healthz").status_code == 200


def test_a_duplicate_among_many_keys(fresh: Gateway, new_peer: NewPeer) -> None:
    """A repeated key among 60,000 in a provider's answer does not stop the instance."""
    inner = ",".join(f'"k{number}":0' for number in range(60_000))
    odd = b'{"choices": [], "x": {' + inner.encode() + b',"k":1,"k":2}}'
    peers = new_peer(says(whole(odd))), new_peer(says(whole(GOOD)))
    fresh.use(
        make_policy({"bad": peers[0].url, "good": peers[1].url}, *in_order("bad/a", "good/b"))
    )
    body = {"messages": [{"role": "user", "content": "x"}]}
    started = time.monotonic()
    answer = fresh.http.post("/v1/chat/completions", json=body, timeout=8)
    assert time.monotonic() - started < 3
    assert answer.content in {odd, GOOD}


def test_long_logprobs(gateway: Gateway, new_peer: NewPeer) -> None:
    """An answer of 6,500 tokens with twenty log probabilities each, as OpenAI gives, is whole."""
    top = {"token": "a", "logprob": -1.5, "bytes": [97]}
    tokens = [{**top, "top_logprobs": [top] * 20}] * 6_500
    body = completion("a" * 6_500, logprobs={"content": tokens})
    gateway.use(make_policy({"up": new_peer(says(whole(body))).url}, "up/a"))
    answer = gateway.chat()
    assert answer.status_code == 200, answer.text
    assert answer.content == body
