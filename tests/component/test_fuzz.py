"""Nothing that a client or a provider sends traps the instance or finds a defect."""

import json
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.component.conftest import Mock
from tests.component.gateways import Gateway, make_policy
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
    head,
    stream_of,
    whole,
)

# The same examples each time: a red run can be run again.
bounded = settings(
    max_examples=150,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)

CHAT = json.dumps(
    {
        "model": "auto",
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": [{"type": "text", "text": "größe"}]},
        ],
        "stream": False,
        "stream_options": {"include_usage": True},
        "tools": [],
    },
    ensure_ascii=False,
).encode()

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(
                [
                    "role",
                    "content",
                    "type",
                    "text",
                    "image_url",
                    "choices",
                    "delta",
                    "finish_reason",
                    "usage",
                    "prompt_tokens",
                    "completion_tokens",
                    "error",
                    "message",
                    "code",
                ]
            )
            | st.text(max_size=5),
            inner,
            max_size=5,
        )
    ),
    max_leaves=12,
)
chats = st.fixed_dictionaries(
    {},
    optional={
        "messages": json_values | st.lists(json_values, max_size=3),
        "model": json_values,
        "stream": json_values,
        "stream_options": json_values,
        "tools": json_values,
        "response_format": json_values,
    },
).map(lambda value: json.dumps(value).encode())


@st.composite
def mutated(draw: st.DrawFn, text: bytes) -> bytes:
    """The text with a few stretches replaced, doubled or taken out."""
    for _ in range(draw(st.integers(1, 3))):
        start = draw(st.integers(0, len(text)))
        stop = draw(st.integers(start, min(len(text), start + 40)))
        piece = draw(
            st.binary(max_size=12)
            | st.sampled_from(
                [b"", b'"', b"\\", b"[" * 300, b"\r\n", b"\n\n", b"\x00", b"\xff", b"1e999"]
            )
        )
        text = text[:start] + piece + text[stop if draw(st.booleans()) else start :]
    return text


def _is_well(gateway: Gateway) -> None:
    assert gateway.http.get("/healthz").status_code == 200
    gateway.check()


@pytest.fixture
def answering(gateway: Gateway, mock: Mock) -> Gateway:
    gateway.use(make_policy({"mock": mock.url}, "mock/small"))
    return gateway


@bounded
@given(body=mutated(CHAT) | chats | st.binary(max_size=200))
def test_client_bodies(answering: Gateway, body: bytes) -> None:
    """Any body gets a chat completion or an error in OpenAI's shape."""
    answer = answering.post(body)
    assert answer.status_code in {200, 400, 404, 413, 422}
    if answer.status_code == 200:
        assert "choices" in answer.text
    else:
        assert set(answer.json()["error"]) == {"message", "type", "param", "code"}
    _is_well(answering)


@bounded
@given(
    sent=mutated(
        b"POST /v1/chat/completions?a=b HTTP/1.1\r\nhost: x\r\nauthorization: Bearer k\r\n"
        b"x-tiergate-tier: only\r\nx-tiergate-timeout-ms: 5000\r\naccept: */*\r\n"
        b"content-type: application/json\r\nconnection: close\r\n"
        + f"content-length: {len(CHAT)}\r\n\r\n".encode()
        + CHAT
    )
)
def test_client_requests(answering: Gateway, sent: bytes) -> None:
    """Any bytes on a connection end in an answer or its close."""
    with answering.connect() as sock:
        try:
            sock.sendall(sent)
            sock.shutdown(1)
            while sock.recv(65536):
                pass
        except ConnectionError:
            pass
    _is_well(answering)


class Parrot:
    """A provider that says what it was told last."""

    def __init__(self) -> None:
        self.said = b""

    def __call__(self, connection: Connection) -> None:
        connection.send(self.said)


@pytest.fixture
def parrot(gateway: Gateway) -> Iterator[Parrot]:
    speaker = Parrot()
    with Peer(speaker) as peer:
        timeouts = {"total_ms": 5000}
        gateway.use(
            make_policy(
                {"up": peer.url},
                "up/a",
                timeouts=timeouts,
                prices={"up/a": {"input": 1.0, "output": 1.0}},
            )
        )
        yield speaker


EVENTS = b"".join(
    [
        b": hi\r\n\r\n",
        *stream_of("größe", "漢字")[:-1],
        data({**delta("x"), "choices": [], "usage": {"prompt_tokens": 1, "completion_tokens": 2}}),
        DONE,
    ]
)
bodies = (
    mutated(completion("größe"))
    | json_values.map(lambda value: json.dumps(value).encode())
    | st.builds(lambda value: completion(usage=value), json_values)
    | st.builds(lambda value: completion(choices=value), json_values)
)
streams = (
    mutated(EVENTS)
    | st.lists(json_values, max_size=5).map(lambda values: b"".join(map(_event, values)))
    | st.lists(json_values, max_size=5).map(
        lambda values: b"".join(_event({"choices": [{"delta": one}]}) for one in values) + DONE
    )
)


def _event(value: object) -> bytes:
    return b"data: " + json.dumps(value).encode() + b"\n\n"


@bounded
@given(body=bodies, status=st.sampled_from([200, 200, 400, 422, 500]))
def test_provider_bodies(gateway: Gateway, parrot: Parrot, body: bytes, status: int) -> None:
    """Any body of a provider becomes an answer or an error in OpenAI's shape."""
    parrot.said = whole(body, status)
    answer = gateway.chat()
    if answer.status_code == 200:
        assert answer.content == body
    else:
        assert answer.status_code in {502, status}
        assert set(answer.json()["error"]) == {"message", "type", "param", "code"}
    _is_well(gateway)


@bounded
@given(stream=streams, how=st.sampled_from(["chunked", "cut", "closed"]))
def test_provider_streams(gateway: Gateway, parrot: Parrot, stream: bytes, how: str) -> None:
    """Any stream of a provider ends in `[DONE]` or in an error, never in neither or both."""
    if how == "closed":
        parrot.said = head(200, {"content-type": "text/event-stream"}) + stream
    else:
        parrot.said = SSE_HEAD + (framed(stream) if stream else b"")
        parrot.said += LAST_CHUNK if how == "chunked" else b""
    answer, body = gateway.streamed()
    if answer.status_code != 200:
        assert answer.status_code == 502
        assert set(json.loads(body)["error"]) == {"message", "type", "param", "code"}
    else:
        is_done = body.rstrip(b"\r\n").endswith(b"[DONE]")
        last = body.rstrip(b"\r\n").rpartition(b"\n")[2]
        assert is_done is not (b'"code": "upstream_stream_broken"' in last)
    _is_well(gateway)


@bounded
@given(
    said=mutated(whole(completion("größe"), headers={"x-request-id": "r", "retry-after": "1"}))
    | mutated(SSE_HEAD + framed(EVENTS) + LAST_CHUNK)
    | st.binary(max_size=100),
    stream=st.booleans(),
)
def test_provider_bytes(gateway: Gateway, parrot: Parrot, said: bytes, *, stream: bool) -> None:
    """Any bytes of a provider end in an answer."""
    parrot.said = said
    answer = gateway.chat(stream=stream)
    assert answer.status_code == 200 or 400 <= answer.status_code < 600
    assert "x-tiergate-request-id" in answer.headers
    _is_well(gateway)
