"""Every client's dialect to every provider's, through the whole flow: paths, keys, shapes, ends."""

import json
from typing import Any

import pytest

from gateway.core.dialects import DIALECTS
from gateway.core.sse import SseDecoder
from gateway.hosts.memory import Canned
from gateway.ports import Stalled
from tests.core.samples import provider, target
from tests.flow.exchanges import ANSWERS, ENDS, PATHS, REQUESTS, STREAMS, TEXT, TOOL, words
from tests.flow.world import KEYS, World, world

NAMES = tuple(DIALECTS)
PAIRS = [(client, name) for client in NAMES for name in NAMES]
MODEL = "up/m-1"
ASKED_AT = {
    "openai-chat": "/v1/chat/completions",
    "openai-responses": "/v1/responses",
    "anthropic-messages": "/v1/messages",
    "gemini": "/v1/models/m-1:generateContent",
}


def gateway_of(name: str, *upstreams: Canned, **changes: Any) -> World:  # noqa: ANN401
    """A gateway whose one target's provider speaks this dialect."""
    tiers = [{"name": "only", "description": "d", "targets": [target(MODEL)]}]
    rows = {"up": provider("up", dialect=name, key=None)}
    return world(
        *upstreams,
        providers=rows,
        tiers=tiers,
        default_tier="only",
        models={},
        prices={},
        **changes,
    )


def whole(content: dict[str, Any]) -> Canned:
    data = json.dumps(content).encode()
    return Canned(200, {"content-type": "application/json"}, [data[:30], data[30:]])


def streamed(*events: bytes, failure: Stalled | None = None) -> Canned:
    return Canned(200, {"content-type": "text/event-stream"}, events, failure)


def path_of(client: str, *, is_stream: bool, model: str = "auto") -> tuple[str, str]:
    path, query = PATHS[client][is_stream].format(model=model).partition("?")[::2]
    return path, query


@pytest.mark.parametrize(("client", "name"), PAIRS)
def test_a_whole_answer(client: str, name: str) -> None:
    """The client's text and tool call reach the provider, its text and call the client."""
    gateway = gateway_of(name, whole(ANSWERS[name]))
    path, query = path_of(client, is_stream=False)
    got = gateway.ask(json.dumps(REQUESTS[client]).encode(), path=path, query=query)
    assert got.status == 200, got.body
    assert got.headers["content-type"] == "application/json"
    assert got.headers["x-tiergate-model"] == "m-1"
    sent = gateway.http.requests[0]
    assert "PROMPT-MARKER" in sent.body.decode()
    assert TOOL in sent.body.decode()
    assert sent.path == ASKED_AT[name]
    assert words(client, got.json) == (TEXT, [(TOOL, {"city": "Köln"})])
    assert gateway.record["usage"]["input"] == 11
    assert gateway.record["usage"]["output"] == 7
    assert gateway.record["endpoint"] != "unknown"


@pytest.mark.parametrize(("client", "name"), PAIRS)
def test_a_stream(client: str, name: str) -> None:
    """The same streamed, cut in the middle of each event, with the end of the client's dialect."""
    events = STREAMS[name]
    cut = [piece for event in events for piece in (event[:9], event[9:])]
    gateway = gateway_of(name, streamed(*cut))
    path, query = path_of(client, is_stream=True)
    request = REQUESTS[client] | ({} if client == "gemini" else {"stream": True})
    got = gateway.ask(json.dumps(request).encode(), path=path, query=query)
    assert got.status == 200, got.body
    assert got.headers["content-type"] == "text/event-stream"
    assert words(client, ENDS[client].gathered(got.body)) == (TEXT, [(TOOL, {"city": "Köln"})])
    assert ENDS[client].is_clean(got.body)
    assert gateway.record["usage"]["output"] == 7


@pytest.mark.parametrize(("client", "name"), PAIRS)
@pytest.mark.parametrize("failure", [None, Stalled()], ids=["cut", "stalled"])
def test_a_stream_that_breaks(client: str, name: str, failure: Stalled | None) -> None:
    """After content a break is one error event of the client's dialect, and no clean end."""
    gateway = gateway_of(name, streamed(*STREAMS[name][: ENDS[name].content], failure=failure))
    path, query = path_of(client, is_stream=True)
    request = REQUESTS[client] | ({} if client == "gemini" else {"stream": True})
    got = gateway.ask(json.dumps(request).encode(), path=path, query=query)
    assert got.status == 200
    assert not ENDS[client].is_clean(got.body)
    last = SseDecoder().feed(got.body)[-1]
    said = json.loads(last.data)
    assert "broke off" in json.dumps(said)
    assert ENDS[client].is_error(said)
    assert gateway.record["error"] == "upstream_stream_broken"


@pytest.mark.parametrize(("client", "name"), PAIRS)
def test_a_stream_that_fails_before_content(client: str, name: str) -> None:
    """Frames without content are held: a failure behind them is a real status, in the client's
    shape."""
    gateway = gateway_of(name, streamed(*STREAMS[name][: ENDS[name].frames], failure=Stalled()))
    path, query = path_of(client, is_stream=True)
    request = REQUESTS[client] | ({} if client == "gemini" else {"stream": True})
    got = gateway.ask(json.dumps(request).encode(), path=path, query=query)
    assert got.status == 504
    assert ENDS[client].is_error(got.json)


@pytest.mark.parametrize("client", NAMES)
def test_a_refusal_is_given_in_the_clients_shape(client: str) -> None:
    """A provider's message and status pass; its shape is the client's own."""
    told = {"type": "error", "error": {"type": "invalid_request_error", "message": "top_k: no."}}
    data = json.dumps(told).encode()
    gateway = gateway_of(
        "anthropic-messages", Canned(400, {"content-type": "application/json"}, [data])
    )
    path, query = path_of(client, is_stream=False)
    got = gateway.ask(json.dumps(REQUESTS[client]).encode(), path=path, query=query)
    assert got.status == 400
    assert got.json["error"]["message"] == "top_k: no."
    assert ENDS[client].is_error(got.json)


@pytest.mark.parametrize("client", NAMES)
def test_errors_of_our_own(client: str) -> None:
    """A body that is not JSON is a 400 in the client's shape."""
    path, query = path_of(client, is_stream=False)
    got = world().ask(b"{", path=path, query=query)
    assert got.status == 400
    assert ENDS[client].is_error(got.json)


@pytest.mark.parametrize("header", ["authorization", "x-api-key", "x-goog-api-key"])
def test_the_key_where_each_sdk_puts_it(header: str) -> None:
    """The gateway's key is read where OpenAI's, Anthropic's and Google's clients send it, and goes
    to no provider."""
    gateway = gateway_of("openai-chat", whole(ANSWERS["openai-chat"]), client_keys=["CLIENT_KEY"])
    value = KEYS["CLIENT_KEY"]
    sent = f"Bearer {value}" if header == "authorization" else value
    path, _ = path_of("anthropic-messages", is_stream=False)
    request = json.dumps(REQUESTS["anthropic-messages"]).encode()
    assert gateway.ask(request, path=path).status == 401
    assert gateway.ask(request, {header: f"{sent}x"}, path=path).status == 401
    assert gateway.ask(request, {header: sent}, path=path).status == 200
    assert all(value not in text for pair in gateway.http.requests[0].headers for text in pair)


def test_models_in_each_shape() -> None:
    """Each SDK lists the models, and finds one, in its own shape."""
    gateway = gateway_of("openai-chat")
    openai = gateway.get("/v1/models").json
    assert [each["id"] for each in openai["data"]] == ["auto", "tiergate/only", MODEL]
    anthropic = gateway.get("/v1/models", {"anthropic-version": "2023-06-01"}).json
    assert (anthropic["first_id"], anthropic["last_id"]) == ("auto", MODEL)
    assert {each["type"] for each in anthropic["data"]} == {"model"}
    assert {each["lifecycle"] for each in anthropic["data"]} == {"active"}
    key = {"x-goog-api-key": "any"}
    for start, sent in (("/v1beta", {}), ("/v1", key)):
        google = gateway.get(f"{start}/models", sent).json
        assert [each["name"] for each in google["models"]][-1] == f"models/{MODEL}"
        one = gateway.get(f"{start}/models/{MODEL}", sent).json
        assert one["name"] == f"models/{MODEL}"
    assert gateway.get(f"/v1/models/{MODEL}").json["id"] == MODEL
    assert gateway.get("/v1/models/nothing").status == 404
    assert gateway.get("/v1/models/nothing", key).json["error"]["status"] == "NOT_FOUND"


@pytest.mark.parametrize("start", ["/v1", "/v1beta"])
@pytest.mark.parametrize("is_stream", [False, True], ids=["whole", "stream"])
def test_both_of_geminis_versions(start: str, *, is_stream: bool) -> None:
    """Google's clients ask the stable version or the beta: here they are one."""
    answer = streamed(*STREAMS["gemini"]) if is_stream else whole(ANSWERS["gemini"])
    gateway = gateway_of("gemini", answer)
    path, query = path_of("gemini", is_stream=is_stream)
    request = json.dumps(REQUESTS["gemini"]).encode()
    got = gateway.ask(request, path=path.replace("/v1beta", start), query=query)
    assert got.status == 200
    assert TEXT[:4].encode() in got.body
    refused = gateway.ask(b"{", path=path.replace("/v1beta", start), query=query)
    assert refused.json["error"]["status"] == "INVALID_ARGUMENT"


def test_geminis_stream_without_sse() -> None:
    """A stream that could only be a JSON array is refused with the remedy."""
    path, _ = path_of("gemini", is_stream=True)
    got = gateway_of("gemini").ask(json.dumps(REQUESTS["gemini"]).encode(), path=path)
    assert got.status == 400
    assert "?alt=sse" in got.json["error"]["message"]


def test_a_model_named_in_geminis_path() -> None:
    """The path names the model, escaped or not."""
    for written in (MODEL, MODEL.replace("/", "%2F")):
        gateway = gateway_of("gemini", whole(ANSWERS["gemini"]))
        path, _ = path_of("gemini", is_stream=False, model=written)
        got = gateway.ask(json.dumps(REQUESTS["gemini"]).encode(), path=path)
        assert got.headers["x-tiergate-decision"] == "direct"
        assert gateway.http.requests[0].path.endswith("/models/m-1:generateContent")
