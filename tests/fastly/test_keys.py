"""No key is left behind by a gateway that was used with keys: not in what is deployed, not in the
store, not in the log. The search itself is shown to find one in each of these places."""

import base64
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from gateway.operator.viceroy import find_viceroy
from tests.component.gateways import HELLO, SECRETS, Gateway, Json, make_policy
from tests.component.hosts import BUILD
from tests.component.peers import (
    LAST_CHUNK,
    SSE_HEAD,
    Connection,
    Peer,
    completion,
    dumps,
    framed,
    stream_of,
    whole,
)
from tests.component.viceroy import SHIPPED, FastlyHost

needs_viceroy = pytest.mark.skipif(not find_viceroy(), reason="there is no Viceroy")

MANIFEST = BUILD.parent / "deploy/fastly/fastly.toml"
KEY = SECRETS["E2E_PROVIDER_KEY"]
CLIENT = {"authorization": f"Bearer {SECRETS['E2E_CLIENT_KEY']}"}

# How keys look that providers give out, and tokens of Fastly's API: whoever pastes one into a
# source or the manifest pastes one of these.
ISSUED = re.compile(rb"\b(?:sk-|gsk_|xai-|AIza)[A-Za-z0-9_-]{20,}")
# The manifest is all words: a long one with digits in it is none.
UNREADABLE = re.compile(rb"(?=[A-Za-z_+=-]*\d)(?=[\d_+=-]*[A-Za-z])[A-Za-z0-9_+=-]{20,}")


def _traces(secret: str) -> Iterator[bytes]:
    """A secret as it is, and as it may be hidden in other text."""
    yield secret.encode()
    for shift in range(3):  # base64 has three faces, by where in its groups the secret begins
        encoded = base64.b64encode(b" " * shift + secret.encode())
        yield encoded[4 if shift else 0 : -4]


def keys_in(places: Mapping[str, bytes]) -> list[str]:
    """The places that have a key in them."""
    known = [trace for secret in SECRETS.values() for trace in _traces(secret)]
    return [
        name
        for name, content in places.items()
        if any(trace in content for trace in known)
        or ISSUED.search(content)
        or (name == "manifest" and UNREADABLE.search(content))
    ]


def _deployed() -> dict[str, bytes]:
    return {"component": SHIPPED.read_bytes(), "manifest": MANIFEST.read_bytes()}


def _left_by(gateway: Gateway) -> dict[str, bytes]:
    """What a used gateway has left: what everybody sees, stored, logged."""
    store = gateway.store
    words = "".join(gateway.running.lines) + gateway.running.complaints()
    return {
        "Viceroy's manifest and command line": gateway.running.visible().encode(),
        "store": b"\n".join(store.read(key) or b"" for key in store.keys("")),
        "log": words.encode(),
    }


def _answer(connection: Connection) -> None:
    """As asked by the model: an answer, a stream, our key in an error."""
    body = connection.request.json()
    if body["model"] == "tells":
        key = connection.request.all("authorization")
        connection.send(whole(dumps({"error": {"message": f"{key} is wrong"}}), 401))
    elif body.get("stream"):
        connection.send(SSE_HEAD, *map(framed, stream_of("Hi")), LAST_CHUNK)
    else:
        connection.send(whole(completion("fast")))


def _policy(url: str) -> Json:
    row = {"base_url": url, "key": "E2E_PROVIDER_KEY"}
    return make_policy(
        {"up": row},
        "up/a",
        client={"keys": ["E2E_CLIENT_KEY"]},
        classifier={"model": "up/judge", "timeout_ms": 5000},
        models={"up/tells": {}},
    )


@pytest.fixture
def used(tmp_path: Path) -> Iterator[Gateway]:
    """A gateway, and clients and a provider that have both used its keys."""
    with Peer(_answer) as peer:
        gateway = Gateway(FastlyHost(), tmp_path)
        gateway.use(_policy(peer.url))
        for model in ("auto", "up/tells"):
            for stream in (False, True):
                body = {"model": model, "messages": HELLO, "stream": stream}
                for headers in (CLIENT, {"authorization": "Bearer wrong"}):
                    gateway.http.post("/v1/chat/completions", json=body, headers=headers)
        assert sum(f"Bearer {KEY}" in one.all("authorization") for one in peer.received) > 4
        yield gateway
        gateway.stop()


@needs_viceroy
def test_no_key_is_left_anywhere(used: Gateway) -> None:
    """Keys were sent to the provider and asked of clients, and are in none of the places."""
    places = _deployed() | _left_by(used)
    assert all(places.values())
    assert b"E2E_PROVIDER_KEY" in places["store"]
    assert places["log"].count(b'"status"') >= 8
    assert keys_in(places) == []


def test_no_key_is_deployed() -> None:
    """What is deployed has none, whoever built it."""
    assert keys_in(_deployed()) == []


@needs_viceroy
def test_a_key_in_the_store_or_the_log_is_found(used: Gateway) -> None:
    """The search finds a key that does get there: as a policy's value, as a model's name."""
    assert keys_in(_left_by(used)) == []
    used.store.write("policy/history/000009", f'{{"key": "{KEY}"}}'.encode())
    assert keys_in(_left_by(used)) == ["store"]
    used.store.delete("policy/history/000009")
    policy = _policy("http://127.0.0.1:9/v1")
    used.use({**policy, "client": {"keys": ["E2E_CLIENT_KEY"]}, "models": {f"up/{KEY}": {}}})
    body = {"model": f"up/{KEY}", "messages": HELLO}
    used.http.post("/v1/chat/completions", json=body, headers=CLIENT)
    assert keys_in(_left_by(used)) == ["store", "log"]


PLANTED = [
    *SECRETS.values(),
    base64.b64encode(f"Bearer {KEY}".encode()).decode(),
    "sk-proj-abcdefghijklmnopqrstuvwxyz",
    "gsk_abcdefghijklmnopqrstuvwxyzABCD",
    "AIzaSyA-abcdefghijklmnopqrstuvwxyz",
]


@pytest.mark.parametrize("place", ["component", "manifest"])
@pytest.mark.parametrize("key", PLANTED)
def test_a_key_in_what_is_deployed_is_found(place: str, key: str) -> None:
    """The search finds a key of ours, in base64 too, and what looks like a provider's."""
    places = _deployed()
    middle = len(places[place]) // 2
    content = places[place]
    places[place] = content[:middle] + f'"{key}"'.encode() + content[middle:]
    assert keys_in(places) == [place]


def test_a_value_in_the_manifest_is_found() -> None:
    """There a key of any other provider is found too: it is no word."""
    content = MANIFEST.read_bytes().replace(b'"Your key at Groq."', b'"w6xk7Qm2Zt9Rv4Lb8Ns3Yc5H"')
    assert keys_in({"manifest": content}) == ["manifest"]
