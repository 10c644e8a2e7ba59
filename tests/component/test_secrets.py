"""Keys are named, fetched and sent to their owner; nobody else ever sees one."""

import json
import os
import re
from urllib.parse import urlsplit

import httpx
import pytest

from tests.component.conftest import Mock, NewPeer
from tests.component.gateways import SECRETS, Gateway, Json, in_order, make_policy, tier
from tests.component.hosts import Host
from tests.component.peers import (
    LAST_CHUNK,
    SSE_HEAD,
    completion,
    data,
    delta,
    framed,
    says,
    stream_of,
    whole,
)

KEY = SECRETS["E2E_PROVIDER_KEY"]


def _has_secret(text: str) -> bool:
    return any(secret in text for secret in SECRETS.values())


def _shown(answer: httpx.Response) -> str:
    return f"{answer.status_code} {answer.headers.raw!r} {answer.text}"


def _keyed(url: str, **fields: object) -> Json:
    row = {"base_url": url, "key": "E2E_PROVIDER_KEY"}
    return make_policy({"up": row}, "up/a", client={"keys": ["E2E_CLIENT_KEY"]}, **fields)


CLIENT = {"authorization": f"Bearer {SECRETS['E2E_CLIENT_KEY']}"}


def test_in_no_answer_and_no_line(fresh: Gateway, new_peer: NewPeer, mock: Mock) -> None:
    """Whatever is asked and however it ends, no answer, header or log line has a key in it."""
    scripts = [
        says(whole(completion())),
        says(SSE_HEAD, framed(b"".join(stream_of("Hi"))), LAST_CHUNK),
        says(SSE_HEAD, framed(data(delta("Hi")))),
        says(whole(b'{"error": {"message": "no"}}', 401)),
        says(whole(b"{}", 500)),
        says(b"garbage"),
    ]
    shown: list[str] = []
    for script in scripts:
        fresh.use(_keyed(new_peer(script).url))
        shown += [
            _shown(fresh.chat(headers=CLIENT)),
            _shown(fresh.chat(headers=CLIENT, stream=True)),
        ]
        shown.append(_shown(fresh.chat(headers={"authorization": "Bearer wrong"})))
        for path in ("/healthz", "/readyz", "/v1/models", "/nowhere"):
            shown += [_shown(fresh.http.get(path)), _shown(fresh.http.get(path, headers=CLIENT))]
    fresh.use(_keyed(mock.url, classifier={"model": "up/judge", "timeout_ms": 5000}))
    body = {"messages": [{"role": "user", "content": "Hi"}]}
    shown.append(_shown(fresh.http.post("/v1/route", json=body, headers=CLIENT)))
    shown.append(_shown(fresh.post(b"{", CLIENT)))
    fresh.store.write("policy/active", b"{}")
    shown.append(_shown(fresh.http.get("/readyz", headers=CLIENT)))
    assert len(shown) > 60
    assert not any(_has_secret(one) for one in shown)
    assert not _has_secret("".join(fresh.running.lines) + fresh.running.complaints())
    assert len(fresh.running.lines) > 20


@pytest.mark.parametrize("member", ["message", "type", "code", "param"])
@pytest.mark.parametrize("status", [400, 401, 422, 500])
def test_a_provider_that_repeats_the_key(
    gateway: Gateway, new_peer: NewPeer, member: str, status: int
) -> None:
    """A provider that puts our key into its error does not tell our clients."""
    error = {"message": "no", "type": "t", "code": "c", "param": "p", member: f"bad key {KEY}!"}
    peer = new_peer(says(whole(json.dumps({"error": error}).encode(), status)))
    gateway.use(_keyed(peer.url))
    for stream in (False, True):
        assert not _has_secret(_shown(gateway.chat(headers=CLIENT, stream=stream)))


def test_a_key_at_the_end_of_a_long_message(gateway: Gateway, new_peer: NewPeer) -> None:
    """A long message that is cut does not leave half of a key behind."""
    message = "x" * (4000 - len(KEY) // 2 - 4) + " " + KEY
    peer = new_peer(says(whole(json.dumps({"error": {"message": message}}).encode(), 400)))
    gateway.use(_keyed(peer.url))
    assert KEY[: len(KEY) // 2] not in gateway.chat(headers=CLIENT).text


def test_a_broken_stream_that_repeats_the_key(gateway: Gateway, new_peer: NewPeer) -> None:
    """An error inside a stream is not passed on in the provider's words."""
    error = framed(data({"error": {"message": f"bad key {KEY}"}}))
    script = says(SSE_HEAD, framed(data(delta("Hi"))), error + LAST_CHUNK, pause=0.1)
    gateway.use(_keyed(new_peer(script).url))
    _, body = gateway.streamed(headers=CLIENT)
    assert b"upstream_stream_broken" in body
    assert not _has_secret(body.decode())


def test_names_only_in_the_store(fresh: Gateway, mock: Mock) -> None:
    """The store holds the names of secrets; values are in none of its files."""
    fresh.use(_keyed(mock.url))
    fresh.chat(headers=CLIENT)
    values = [fresh.store.read(key) or b"" for key in fresh.store.keys("")]
    assert any(b"E2E_PROVIDER_KEY" in value for value in values)
    assert not any(_has_secret(value.decode()) for value in values)


def test_not_in_the_process_list(gateway: Gateway) -> None:
    """Other users of the machine see names, not values."""
    assert "E2E_PROVIDER_KEY" in gateway.running.visible()
    assert not _has_secret(gateway.running.visible())


def test_not_in_the_component(host: Host) -> None:
    """Nothing of the environment in which it was built is in what is deployed."""
    secret = re.compile(r"KEY|TOKEN|SECRET|PASSWORD|CREDENTIAL", re.IGNORECASE)
    values = [value for name, value in os.environ.items() if secret.search(name) and len(value) > 7]
    values += SECRETS.values()
    for path in host.artefacts():
        content = path.read_bytes()
        assert len(content) > 1_000_000
        assert not any(value.encode() in content for value in values)


def test_only_its_owner_gets_a_key(fresh: Gateway, new_peer: NewPeer) -> None:
    """A key is sent to the address of its provider and nowhere else, whatever happens there."""
    others = [new_peer(says(whole(completion()))) for _ in range(2)]
    redirect = f"HTTP/1.1 307 X\r\nlocation: {others[0].url}\r\ncontent-length: 0\r\n\r\n".encode()
    owner = new_peer(says(redirect))
    providers = {
        "owner": {"base_url": owner.url, "key": "E2E_PROVIDER_KEY"},
        "other": {"base_url": others[1].url},
    }
    fresh.use(make_policy(providers, tiers=[tier("only", *in_order("owner/a", "other/b"))]))
    for model in ("auto", f"http://{urlsplit(others[0].url).netloc}/x", "other/b"):
        assert fresh.chat(model=model).status_code == 200
    assert KEY in str(owner.received)
    assert KEY not in str(others[0].received) + str(others[1].received)
