"""Each kind of failure reaches the official client as the exception that its users catch."""

import json

import openai
import pytest
from openai import OpenAI
from openai.types.chat import ChatCompletionMessageParam
from pytest_httpserver import HTTPServer

from tests.component.conftest import Mock, NewPeer
from tests.component.gateways import SECRETS, Gateway, in_order, make_policy
from tests.component.peers import LAST_CHUNK, SSE_HEAD, data, delta, framed, says, stream_of

HELLO: list[ChatCompletionMessageParam] = [{"role": "user", "content": "Hello"}]


def _provider(server: HTTPServer) -> str:
    return server.url_for("/v1").replace("localhost", "127.0.0.1")


def _ask(sdk: OpenAI, model: str = "auto") -> None:
    with sdk:
        sdk.chat.completions.create(model=model, messages=HELLO)


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, openai.BadRequestError),
        (404, openai.NotFoundError),
        (409, openai.ConflictError),
        (413, openai.APIStatusError),
        (422, openai.UnprocessableEntityError),
    ],
)
def test_a_refused_request(
    gateway: Gateway, httpserver: HTTPServer, status: int, kind: type[openai.APIStatusError]
) -> None:
    """A provider's refusal of the request is given back with its status, type, code and param; a
    model that is missing is looked for elsewhere first."""
    error = {"message": "no such thing", "type": "odd_type", "code": "odd_code", "param": "top_p"}
    httpserver.expect_request("/v1/chat/completions").respond_with_json(
        {"error": error}, status=status, headers={"x-request-id": "req_up_1"}
    )
    gateway.use(make_policy({"up": _provider(httpserver)}, *in_order("up/a", "up/b")))
    with pytest.raises(kind) as raised:
        _ask(gateway.sdk())
    assert raised.value.status_code == status
    assert (raised.value.type, raised.value.code, raised.value.param) == (
        "odd_type",
        "odd_code",
        "top_p",
    )
    assert raised.value.body == error
    asked = 2 if status == 404 else 1
    assert raised.value.response.headers["x-tiergate-attempts"] == str(asked)
    assert raised.value.response.headers["x-tiergate-upstream-x-request-id"] == "req_up_1"
    assert len(httpserver.log) == asked


@pytest.mark.parametrize(
    "body",
    [
        b'{"object": "error", "message": "top level", "type": "t", "code": 1234, "param": "p"}',
        b'{"error": "top level"}',
        b'[{"error": {"message": "top level", "code": 400, "status": "INVALID"}}]',
        b'{"detail": "top level"}',
    ],
)
def test_a_refusal_in_another_shape(gateway: Gateway, httpserver: HTTPServer, body: bytes) -> None:
    """Errors in the shapes that other providers use keep their message."""
    httpserver.expect_request("/v1/chat/completions").respond_with_data(
        body, status=400, content_type="application/json"
    )
    gateway.use(make_policy({"up": _provider(httpserver)}, "up/a"))
    with pytest.raises(openai.BadRequestError, match="top level"):
        _ask(gateway.sdk())


@pytest.mark.parametrize("body", [b"", b"<html>Bad</html>", b"[" * 5000, b"\xff\xfe", b"null"])
def test_a_refusal_that_says_nothing(gateway: Gateway, httpserver: HTTPServer, body: bytes) -> None:
    """A refusal without a readable error becomes one that names the status."""
    httpserver.expect_request("/v1/chat/completions").respond_with_data(body, status=400)
    gateway.use(make_policy({"up": _provider(httpserver)}, "up/a"))
    with pytest.raises(openai.BadRequestError, match="status 400"):
        _ask(gateway.sdk())


@pytest.mark.parametrize(
    ("status", "kind", "answered", "code"),
    [
        (401, openai.InternalServerError, 502, "upstream_credentials_exhausted"),
        (402, openai.InternalServerError, 502, "upstream_credentials_exhausted"),
        (403, openai.InternalServerError, 502, "upstream_credentials_exhausted"),
        (408, openai.InternalServerError, 502, "all_targets_failed"),
        (429, openai.RateLimitError, 429, "rate_limit_exceeded"),
        (500, openai.InternalServerError, 502, "all_targets_failed"),
        (503, openai.InternalServerError, 503, "upstream_overloaded"),
        (529, openai.InternalServerError, 503, "upstream_overloaded"),
    ],
)
def test_no_target_left(
    gateway: Gateway,
    httpserver: HTTPServer,
    status: int,
    kind: type[openai.APIStatusError],
    answered: int,
    code: str,
) -> None:
    """When every target fails, the error says how, and which were tried."""
    httpserver.expect_request("/v1/chat/completions").respond_with_json(
        {"error": {"message": "internal detail", "type": "t", "code": None, "param": None}},
        status=status,
    )
    gateway.use(make_policy({"up": _provider(httpserver)}, *in_order("up/a", "up/b")))
    with pytest.raises(kind) as raised:
        _ask(gateway.sdk())
    assert (raised.value.status_code, raised.value.code) == (answered, code)
    assert "up/a" in raised.value.message
    assert "up/b" in raised.value.message
    assert raised.value.response.headers["x-tiergate-attempts"] == "2"


def test_rate_limited_says_when(gateway: Gateway, httpserver: HTTPServer) -> None:
    """When every target is rate limited, the shortest wait is what the client is told."""
    for wait in ("30", "7"):
        httpserver.expect_ordered_request("/v1/chat/completions").respond_with_json(
            {}, status=429, headers={"retry-after": wait}
        )
    gateway.use(make_policy({"up": _provider(httpserver)}, *in_order("up/a", "up/b")))
    with pytest.raises(openai.RateLimitError) as raised:
        _ask(gateway.sdk())
    assert raised.value.response.headers.get_list("retry-after") == ["7"]


@pytest.mark.parametrize("key", ["wrong", "E2E_CLIENT_KEY", "tg-client-0d3adb33f", "None"])
def test_a_wrong_key(gateway: Gateway, mock: Mock, key: str) -> None:
    """A wrong key is an AuthenticationError, and nothing is forwarded."""
    gateway.use(make_policy({"mock": mock.url}, "mock/small", client={"keys": ["E2E_CLIENT_KEY"]}))
    before = mock.received()
    with pytest.raises(openai.AuthenticationError) as raised:
        _ask(gateway.sdk(key))
    assert raised.value.code == "invalid_api_key"
    assert SECRETS["E2E_CLIENT_KEY"] not in str(raised.value)
    assert mock.received() == before


def test_the_right_keys(gateway: Gateway, mock: Mock) -> None:
    """Each of the policy's keys opens the gateway."""
    names = ["E2E_CLIENT_KEY", "E2E_OTHER_CLIENT_KEY"]
    gateway.use(make_policy({"mock": mock.url}, "mock/small", client={"keys": names}))
    for name in names:
        _ask(gateway.sdk(SECRETS[name]))


def test_what_the_policy_rejects(gateway: Gateway, mock: Mock) -> None:
    """A model that the policy lets nobody name is a PermissionDeniedError."""
    gateway.use(make_policy({"mock": mock.url}, "mock/small", headers={"direct": "reject"}))
    with pytest.raises(openai.PermissionDeniedError) as raised:
        _ask(gateway.sdk(), "mock/small")
    assert (raised.value.code, raised.value.param) == ("direct_not_allowed", "model")


def test_an_unknown_model(gateway: Gateway, mock: Mock) -> None:
    """Where the policy rejects unknown models, they are a NotFoundError."""
    gateway.use(make_policy({"mock": mock.url}, "mock/small", unknown_model="reject"))
    with pytest.raises(openai.NotFoundError) as raised:
        _ask(gateway.sdk(), "gpt-nonsense")
    assert (raised.value.code, raised.value.param) == ("model_not_found", "model")


def test_bad_parameters(gateway: Gateway, mock: Mock) -> None:
    """A parameter of a wrong type is a BadRequestError that names it."""
    gateway.use(make_policy({"mock": mock.url}, "mock/small"))
    with gateway.sdk() as sdk, pytest.raises(openai.BadRequestError) as raised:
        sdk.chat.completions.create(model="auto", messages=HELLO, temperature="hot")  # type: ignore[call-overload]
    assert (raised.value.type, raised.value.param) == ("invalid_request_error", "temperature")


def test_no_key_no_target(gateway: Gateway, mock: Mock) -> None:
    """Where no target has its key, the client gets a 503 that names the missing secret."""
    row = {"base_url": mock.url, "key": "E2E_ABSENT_KEY"}
    gateway.use(make_policy({"up": row}, "up/small"))
    with pytest.raises(openai.InternalServerError) as raised:
        _ask(gateway.sdk())
    assert (raised.value.status_code, raised.value.code) == (503, "no_usable_target")
    assert "E2E_ABSENT_KEY" in raised.value.message


def test_an_error_in_a_stream(gateway: Gateway, new_peer: NewPeer) -> None:
    """A stream that breaks after its first content raises in the SDK, after that content."""
    peer = new_peer(says(SSE_HEAD, framed(data(delta("one "))), framed(data(delta("two")))))
    gateway.use(make_policy({"up": peer.url}, "up/a"))
    got: list[str] = []
    with gateway.sdk() as sdk:
        stream = sdk.chat.completions.create(model="auto", messages=HELLO, stream=True)
        pieces = (chunk.choices[0].delta.content or "" for chunk in stream)
        with pytest.raises(openai.APIError, match="incomplete") as raised:
            got.extend(pieces)
    assert got == ["one ", "two"]
    assert raised.value.code == "upstream_stream_broken"


def test_a_whole_stream_by_hand(gateway: Gateway, new_peer: NewPeer) -> None:
    """A stream in one write is a stream."""
    peer = new_peer(says(SSE_HEAD + framed(b"".join(stream_of("Hi"))) + LAST_CHUNK))
    gateway.use(make_policy({"up": peer.url}, "up/a"))
    with gateway.sdk() as sdk:
        stream = sdk.chat.completions.create(model="auto", messages=HELLO, stream=True)
        assert "".join(chunk.choices[0].delta.content or "" for chunk in stream) == "Hi"
    assert json.loads(peer.received[0].body)["stream_options"] == {"include_usage": True}
