"""Requests as no SDK makes them: a clear refusal in OpenAI's shape, and a decision record."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.component.conftest import NewPeer
from tests.component.gateways import Gateway, Json, in_order, make_policy
from tests.component.peers import completion, head, says, whole
from tests.component.viceroy import AT_ONCE
from tests.fastly.started import needs_viceroy, started

pytestmark = needs_viceroy

GOOD = completion("from the second")


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """One that has a policy."""
    folder: Path = tmp_path_factory.mktemp("kv")
    with started(folder) as made:
        made.use(make_policy({"ollama": "http://127.0.0.1:9/v1"}, "ollama/none"))
        yield made


def _ask(gateway: Gateway, line: bytes, host: bytes = b"x", more: bytes = b"") -> bytes:
    """All that comes back."""
    with gateway.connect() as sock:
        sock.sendall(
            line + b" HTTP/1.1\r\nhost: " + host + b"\r\nconnection: close\r\n" + more + b"\r\n"
        )
        return b"".join(iter(lambda: sock.recv(65536), b""))


def _refusal(gateway: Gateway, said: bytes) -> tuple[int, Json]:
    """Status and record of a refusal in the error shape."""
    top, _, body = said.partition(b"\r\n\r\n")
    status = int(top.split()[1])
    assert set(json.loads(body)["error"]) == {"message", "type", "param", "code"}
    (id_,) = (
        line.partition(b":")[2].strip().decode()
        for line in top.split(b"\r\n")
        if line.startswith(b"x-tiergate-request-id:")
    )
    return status, gateway.record(id_)


@pytest.mark.parametrize(
    ("line", "status"),
    [
        (b"PROPFIND /v1/chat/completions", 405),
        (b"post /v1/chat/completions", 405),
        (b"X" * 65 + b" /v1/chat/completions", 405),
        (b"X" * 5000 + b" /v1/chat/completions", 405),
        (b"GET /" + b"x" * 65_000, 404),
        (b"GET /" + b"x" * 65_500, 404),
        (b"GET /?" + b"x" * 65_000, 404),
        (b"GET //v1/models", 404),
        (b"GET /v1/models/%2e%2e", 404),
        (b"GET /v1/models;x", 404),
        (b"OPTIONS /nothing", 404),
    ],
    ids=lambda value: ascii(value)[2:24],
)
def test_methods_and_paths(gateway: Gateway, line: bytes, status: int) -> None:
    """A method or a path that means nothing is told so, however long it is."""
    found, record = _refusal(gateway, _ask(gateway, line, b"a-name-that-is-not-short.example"))
    assert (found, record["status"]) == (status, status)


@pytest.mark.parametrize(
    "host",
    [
        b"",
        b"x:99999",
        b"[::1]",
        b"[v1.x]",
        b"[abc]",
        b"[",
        b"user@x",
        b"a b",
        b"x/y",
        b"x?y",
        b"\xc3\xa9",
        b"\xff",
    ],
    ids=ascii,
)
def test_hosts(gateway: Gateway, host: bytes) -> None:
    """The Host header decides nothing: what the platform lets through is answered by its path."""
    said = _ask(gateway, b"GET /v1/nothing", host)
    if said:  # the platform closes what it cannot read, without a word and without us
        status, record = _refusal(gateway, said)
        assert (status, record["status"]) == (404, 404)
    assert gateway.http.get("/healthz").status_code == 200


def test_a_path_is_read_to_its_end(gateway: Gateway) -> None:
    """What a host or a query looks like does not move the path."""
    for line, host in (
        (b"GET /healthz?x=/v1/models#y", b"x"),
        (b"GET /healthz?", b"x:80"),
        (b"GET http://other.example/healthz", b"x"),
    ):
        assert _ask(gateway, line, host).startswith(b"HTTP/1.1 200 "), line


# Smaller than the platform's, which no peer here can reach.
SMALL = {**AT_ONCE, "fastly_http.MAX_HEADER_BYTES": 100}


def test_a_header_that_cannot_be_read(tmp_path: Path) -> None:
    """A header larger than the platform gives out is too large, and said to be."""
    with started(tmp_path, SMALL) as gateway:
        gateway.use(make_policy({"ollama": "http://127.0.0.1:9/v1"}, "ollama/none"))
        more = b"x-large: " + b"a" * 200 + b"\r\n"
        status, record = _refusal(gateway, _ask(gateway, b"GET /v1/models", more=more))
        assert (status, record["status"]) == (431, 431)


def test_a_head_that_cannot_be_read(tmp_path: Path, new_peer: NewPeer) -> None:
    """A provider's header larger than the platform gives out is a failed attempt."""
    size = {"content-length": str(len(GOOD))}
    bad = new_peer(says(head(200, {**size, "x-large": "a" * 200}) + GOOD))
    good = new_peer(says(whole(GOOD)))
    with started(tmp_path, SMALL) as gateway:
        gateway.use(make_policy({"bad": bad.url, "good": good.url}, *in_order("bad/a", "good/b")))
        answer = gateway.chat()
        assert answer.content == GOOD
        assert answer.headers["x-tiergate-fallback"] == "bad/a;unreachable"


def test_many_headers_are_read_in_parts(tmp_path: Path, new_peer: NewPeer) -> None:
    """What the platform gives out in parts, names and values, arrives whole."""
    limits = {f"x-ratelimit-{number}": f"{number}" * 20 for number in range(10, 40)}
    rows = {**limits, "x-ratelimit-twice": "a" * 60 + "\r\nx-ratelimit-twice: " + "b" * 60}
    peer = new_peer(says(whole(GOOD, headers=rows)))
    with started(tmp_path, SMALL) as gateway:
        gateway.use(make_policy({"up": peer.url}, "up/a"))
        answer = gateway.chat()
        shown = {name: answer.headers[f"x-tiergate-upstream-{name}"] for name in limits}
        assert shown == limits
        twice = answer.headers.get_list("x-tiergate-upstream-x-ratelimit-twice")
        assert twice == ["a" * 60, "b" * 60]
