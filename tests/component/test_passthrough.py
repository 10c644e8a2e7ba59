"""What reaches the provider and what comes back: the client's own bytes, and few headers."""

import json
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.component.conftest import NewPeer
from tests.component.gateways import HELLO, SECRETS, Gateway, Json, events_of, make_policy
from tests.component.peers import (
    DONE,
    LAST_CHUNK,
    SSE_HEAD,
    Connection,
    Peer,
    completion,
    data,
    delta,
    framed,
    says,
    stream_of,
    whole,
)

# Odd on purpose: white space, order, escapes, numbers that a parser would change.
ODD = (
    '{ "zeta":1e2,\r\n\t"messages" : [{"content":"gr\\u00f6\\u00dfe \\/ 漢字 \\ud83d\\ude00",'
    '"role":"user" , "name":"n"}],"model"  :\t"auto" ,"temperature":1.0,'
    '"big":123456789012345678901,'
    '"tiny":1.0000000000000000001e-300, "null":null, "model_":"auto", "nested":{"model":"auto"}}'
)


@pytest.fixture
def answering(new_peer: NewPeer) -> Peer:
    return new_peer(says(whole(completion())))


@pytest.fixture
def streaming(new_peer: NewPeer) -> Peer:
    return new_peer(says(SSE_HEAD, framed(b"".join(stream_of("Hi"))), LAST_CHUNK))


def test_only_the_model_changes(gateway: Gateway, answering: Peer) -> None:
    """The provider gets the client's bytes with another model, and not one byte else."""
    gateway.use(make_policy({"up": answering.url}, "up/the-model"))
    assert gateway.post(ODD.encode()).status_code == 200
    expected = ODD.replace('"model"  :\t"auto"', '"model"  :\t"the-model"')
    assert answering.received[0].body == expected.encode()
    assert answering.received[0].line == "POST /v1/chat/completions HTTP/1.1"


def test_a_missing_model_is_added(gateway: Gateway, answering: Peer) -> None:
    """A request that names no model gets the target's, after its own members in their order."""
    gateway.use(make_policy({"up": answering.url}, "up/the-model"))
    gateway.post(json.dumps({"b": 1, "messages": HELLO, "a": 2}).encode())
    received = json.loads(answering.received[0].body)
    assert list(received) == ["b", "messages", "a", "model"]
    assert received["model"] == "the-model"


def test_a_model_with_odd_characters(gateway: Gateway, answering: Peer) -> None:
    """A target's name is written as JSON, whatever it holds."""
    gateway.use(make_policy({"up": answering.url}, 'up/a/b:"c"\\d'))
    answer = gateway.chat()
    assert answer.headers["x-tiergate-model"] == 'a/b:"c"\\d'
    assert answering.received[0].json()["model"] == 'a/b:"c"\\d'


def test_answers_come_back_byte_true(gateway: Gateway, new_peer: NewPeer) -> None:
    """A whole answer is given back as the provider wrote it, large ones too."""
    body = completion("größe 漢字 " * 60_000, odd={"zeta": 1e2, "a": None}, größe=[1.0, -0.0])
    peer = new_peer(says(whole(body)))
    gateway.use(make_policy({"up": peer.url}, "up/a"))
    assert gateway.chat().content == body


def test_large_requests(gateway: Gateway, answering: Peer) -> None:
    """A request of almost the host's limit goes through whole."""
    gateway.use(make_policy({"up": answering.url}, "up/a", classifier={"mode": "off"}))
    text = "0123456789abcdef" * 64 * (gateway.host.max_body // 1024 - 1024)
    assert gateway.chat(messages=[{"role": "user", "content": text}]).status_code == 200
    assert answering.received[0].json()["messages"][0]["content"] == text


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (..., {"include_usage": True}),
        (None, {"include_usage": True}),
        ({}, {"include_usage": True}),
        ({"include_usage": False, "x": 1}, {"include_usage": True, "x": 1}),
        ({"x": [1]}, {"x": [1], "include_usage": True}),
    ],
)
def test_usage_is_asked_for(
    gateway: Gateway, new_peer: NewPeer, options: object, expected: Json
) -> None:
    """A stream is asked for its usage; the chunk that brings it is read and not shown."""
    usage = {"prompt_tokens": 7, "completion_tokens": 5, "total_tokens": 12}
    extra = data({**delta("x"), "choices": [], "usage": usage})
    events = [*stream_of("Hi")[:-1], extra, DONE]
    peer = new_peer(says(SSE_HEAD, *(framed(event) for event in events), LAST_CHUNK))
    gateway.use(make_policy({"up": peer.url}, "up/a"))
    more = {} if options is ... else {"stream_options": options}
    answer, body = gateway.streamed(**more)
    assert body == b"".join(stream_of("Hi"))
    assert peer.received[0].json()["stream_options"] == expected
    assert gateway.record_of(answer)["usage"] == {"input": 7, "output": 5}


def test_usage_that_was_asked_for_is_shown(gateway: Gateway, new_peer: NewPeer) -> None:
    """A client that asks for usage gets every byte of the provider's stream."""
    usage = {"prompt_tokens": 7, "completion_tokens": 5, "total_tokens": 12}
    events = [*stream_of("Hi")[:-1], data({**delta("x"), "choices": [], "usage": usage}), DONE]
    peer = new_peer(says(SSE_HEAD, framed(b"".join(events)), LAST_CHUNK))
    gateway.use(make_policy({"up": peer.url}, "up/a"))
    _, body = gateway.streamed(stream_options={"include_usage": True})
    assert body == b"".join(events)
    assert peer.received[0].json()["stream_options"] == {"include_usage": True}


def test_usage_is_not_asked_of_everyone(gateway: Gateway, streaming: Peer) -> None:
    """A provider that does not know `include_usage` gets the request as it was."""
    row = {"base_url": streaming.url, "sends_usage_on_request": False}
    gateway.use(make_policy({"up": row}, "up/a"))
    gateway.streamed()
    assert "stream_options" not in streaming.received[0].json()


def test_streams_come_back_byte_true(gateway: Gateway, new_peer: NewPeer) -> None:
    """Comments, other fields, line ends and odd spacing of a stream are passed on as they came."""
    stream = (
        b": keep-alive\r\n\r\n"
        b"id: 1\r\nevent: message\r\ndata:" + data(delta("gr\u00f6\u00dfe"))[6:-2] + b"\r\n\r\n"
        b'retry: 10\ndata: {"choices":\ndata: [{"delta":{"content":"x"}}]}\n\n'
        b": half-way\n\n" + data(delta(finish="stop"), end=b"\r\n\r\n") + b"data: [DONE]\r\n\r\n"
    )
    peer = new_peer(says(SSE_HEAD, framed(stream), LAST_CHUNK))
    gateway.use(make_policy({"up": peer.url}, "up/a"))
    answer, body = gateway.streamed()
    assert body == stream
    assert answer.headers["content-type"] == "text/event-stream"


SENT = {
    "accept": "application/json, text/event-stream",
    "idempotency-key": "key-17",
    "authorization": "Bearer sk-the-clients-own-provider-key",
    "x-api-key": "sk-the-clients-own-provider-key",
    "api-key": "sk-the-clients-own-provider-key",
    "cookie": "session=sk-the-clients-own-provider-key",
    "accept-encoding": "gzip, br",
    "user-agent": "an-app/1",
    "x-forwarded-for": "10.0.0.1",
    "forwarded": "for=10.0.0.1",
    "openai-organization": "org-1",
    "http-referer": "https://app.example",
    "x-tiergate-bypass": "true",
    "x-tiergate-tier": "only",
    "x-stainless-os": "Linux",
    "te": "trailers",
    "proxy-authorization": "Basic c2VjcmV0",
    "x-anything": "else",
}


@pytest.mark.parametrize("stream", [False, True])
def test_headers_upstream(
    gateway: Gateway, answering: Peer, streaming: Peer, *, stream: bool
) -> None:
    """Exactly the allowed headers of a client reach the provider, and our key instead of its."""
    peer = streaming if stream else answering
    row = {"base_url": peer.url, "key": "E2E_PROVIDER_KEY", "passes": ["http-referer"]}
    gateway.use(make_policy({"up": row}, "up/a"))
    assert gateway.chat(headers=SENT, stream=stream).status_code == 200
    received = peer.received[0]
    assert sorted(name for name, _ in received.headers) == [
        "accept",
        "accept-encoding",
        "authorization",
        "content-length",
        "content-type",
        "host",
        "http-referer",
        "idempotency-key",
    ]
    assert received.all("authorization") == [f"Bearer {SECRETS['E2E_PROVIDER_KEY']}"]
    assert received.all("accept-encoding") == ["identity"]
    assert received.all("accept") == [SENT["accept"]]
    assert received.all("host") == [peer.url.removeprefix("http://").removesuffix("/v1")]
    assert "sk-the-clients-own-provider-key" not in str(received)


def test_a_key_in_another_header(gateway: Gateway, answering: Peer) -> None:
    """A provider's key goes into the header that its row names, and into no other."""
    row = {
        "base_url": answering.url,
        "key": "E2E_PROVIDER_KEY",
        "key_header": "api-key",
        "key_prefix": "",
    }
    gateway.use(make_policy({"up": row}, "up/a"))
    gateway.chat(headers={"api-key": "mine", "authorization": "Bearer mine"})
    assert answering.received[0].all("api-key") == [SECRETS["E2E_PROVIDER_KEY"]]
    assert answering.received[0].all("authorization") == []


def test_the_clients_key_is_not_forwarded(gateway: Gateway, answering: Peer) -> None:
    """The key that opens the gateway goes no further; a provider without a key gets none."""
    gateway.use(make_policy({"up": answering.url}, "up/a", client={"keys": ["E2E_CLIENT_KEY"]}))
    key = SECRETS["E2E_CLIENT_KEY"]
    assert gateway.chat(headers={"authorization": f"Bearer {key}"}).status_code == 200
    assert key not in str(answering.received[0])


def test_each_provider_gets_its_own_key(gateway: Gateway, new_peer: NewPeer) -> None:
    """On the way from one target to the next, no key goes to another provider."""
    first, second = new_peer(says(whole(b"{}", 500))), new_peer(says(whole(completion())))
    providers = {
        "one": {"base_url": first.url, "key": "E2E_PROVIDER_KEY"},
        "two": {"base_url": second.url, "key": "E2E_SECOND_KEY"},
    }
    gateway.use(make_policy(providers, "one/a", {"model": "two/b", "weight": 0}))
    assert gateway.chat().status_code == 200
    assert SECRETS["E2E_SECOND_KEY"] not in str(first.received)
    assert SECRETS["E2E_PROVIDER_KEY"] not in str(second.received)
    assert second.received[0].json() == first.received[0].json() | {"model": "b"}


UPSTREAM = {
    "content-type": "application/json; charset=utf-8",
    "retry-after": "3",
    "x-request-id": "req_17",
    "cf-ray": "ray",
    "x-ratelimit-remaining-tokens": "12",
    "x-ratelimit-reset-requests": "1s",
    "set-cookie": "a=b",
    "server": "up/1",
    "date": "Thu, 01 Jan 1970 00:00:00 GMT",
    "openai-organization": "org-secret",
    "openai-processing-ms": "12",
    "x-tiergate-tier": "forged",
    "x-tiergate-policy": "forged@1",
    "strict-transport-security": "max-age=1",
    "access-control-allow-origin": "*",
    "alt-svc": "h3",
    "x-anything": "else",
}


def test_headers_back(gateway: Gateway, new_peer: NewPeer) -> None:
    """Exactly the allowed headers of a provider come back, request ids and limits prefixed."""
    peer = new_peer(says(whole(completion(), headers=UPSTREAM)))
    gateway.use(make_policy({"up": peer.url}, "up/a"))
    answer = gateway.chat()
    names = {name for name in answer.headers if not name.startswith("x-tiergate-")}
    # date is of whoever sends the head: it is the host's
    assert names - {"date"} == {"content-type", "content-length", "retry-after", "server-timing"}
    assert answer.headers.get("date") != UPSTREAM["date"]
    prefixed = {
        name.removeprefix("x-tiergate-upstream-"): value
        for name, value in answer.headers.items()
        if name.startswith("x-tiergate-upstream-")
    }
    assert prefixed == {
        name: UPSTREAM[name]
        for name in (
            "x-request-id",
            "cf-ray",
            "x-ratelimit-remaining-tokens",
            "x-ratelimit-reset-requests",
        )
    }
    assert answer.headers["content-type"] == UPSTREAM["content-type"]
    assert "forged" not in str(answer.headers)


def test_no_proxy_headers_on_streams(gateway: Gateway, new_peer: NewPeer) -> None:
    """A stream's head is allow-listed as well."""
    named = b"".join(f"{name}: {value}\r\n".encode() for name, value in UPSTREAM.items())
    peer = new_peer(
        says(
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n" + named + b"\r\n",
            framed(b"".join(stream_of("Hi"))),
            LAST_CHUNK,
        )
    )
    gateway.use(make_policy({"up": peer.url}, "up/a"))
    answer, body = gateway.streamed()
    assert "set-cookie" not in answer.headers
    assert "forged" not in str(answer.headers)
    assert answer.headers["x-tiergate-upstream-x-request-id"] == "req_17"
    assert events_of(body)[-1] == "[DONE]"


def _echo(connection: Connection) -> None:
    said = connection.request.json()["messages"][0]["content"]
    connection.send(whole(completion(said)))


def test_requests_do_not_mix(gateway: Gateway, new_peer: NewPeer) -> None:
    """Requests that run side by side each get their own answer."""
    peer = new_peer(_echo)
    gateway.use(make_policy({"up": peer.url}, "up/a"))

    def ask(number: int) -> bool:
        text = f"number {number} " * (1 + number * 37 % 500)
        answer = gateway.chat(messages=[{"role": "user", "content": text}])
        answered: str = answer.json()["choices"][0]["message"]["content"]
        return answered == text

    with ThreadPoolExecutor(24) as pool:
        assert all(pool.map(ask, range(240)))
