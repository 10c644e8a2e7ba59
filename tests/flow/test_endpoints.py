"""What each endpoint answers, and what is refused before anyone is asked."""

import gzip
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.endpoints import ENDPOINTS, METHODS
from tests.core.samples import TIERS, provider
from tests.flow.world import CHAT, KEYS, body, whole, world


def test_chat() -> None:
    """A chat request goes through: classified, planned, forwarded, answered, recorded."""
    gateway = world(whole("four"), permissions__tier="allow")
    got = gateway.ask(body(model="tiergate/fast"))
    assert got.status == 200
    assert got.json["choices"][0]["message"]["content"] == "four"
    assert gateway.asked == ["alpha.test"]
    assert gateway.http.requests[0].path == "/v1/chat/completions"
    assert gateway.sent() == {**json.loads(body()), "model": "small"}
    assert got.headers["x-tiergate-tier"] == "fast"
    assert got.headers["x-tiergate-decision"] == "forced"
    assert got.headers["x-tiergate-provider"] == "alpha"
    assert got.headers["x-tiergate-model"] == "small"
    assert got.headers["x-tiergate-attempts"] == "1"
    assert got.headers["x-tiergate-policy"].startswith("test@")
    assert "x-tiergate-fallback" not in got.headers
    assert [record["status"] for record in gateway.records] == [200]


def test_healthz() -> None:
    """Alive is alive: without a policy, a key or a store."""
    gateway = world(client_keys=["CLIENT_KEY"])
    gateway.kv.is_broken = True
    got = gateway.get("/healthz")
    assert (got.status, got.json) == (200, {"status": "ok"})
    assert gateway.log.lines == []


def test_readyz() -> None:
    """Ready with a policy; those with the client's key also learn which, and what is missing."""
    secrets = {"CLIENT_KEY": KEYS["CLIENT_KEY"], "BETA_KEY": KEYS["BETA_KEY"]}
    gateway = world(secrets=secrets, client_keys=["CLIENT_KEY", "OTHER_KEY"])
    assert gateway.get("/readyz").json == {"status": "ready"}
    got = gateway.get("/readyz", {"authorization": f"Bearer {KEYS['CLIENT_KEY']}"})
    assert got.json["status"] == "ready"
    assert got.json["policy"]["name"] == "test"
    assert got.headers["x-tiergate-policy"] == "test@" + got.json["policy"]["version"]
    assert got.json["problem"] is None
    assert got.json["missing_secrets"] == ["OTHER_KEY", "ALPHA_KEY", "JUDGE_KEY"]
    assert got.json["unusable_targets"] == ["alpha/small", "alpha/medium", "alpha/extra"]


def test_readyz_of_an_open_gateway() -> None:
    """Where no key is asked of clients, anyone learns it."""
    got = world().get("/readyz")
    assert got.json["missing_secrets"] == []
    assert got.json["unusable_targets"] == []


def test_models() -> None:
    """The names a client may send, in OpenAI's list shape."""
    gateway = world()
    got = gateway.get("/v1/models")
    assert got.json["object"] == "list"
    assert [item["id"] for item in got.json["data"]] == [
        "auto",
        *(f"tiergate/{tier}" for tier in TIERS),
        "alpha/small",
        "alpha/medium",
        "beta/medium",
        "beta/org/large",
        "alpha/extra",
    ]
    for item in got.json["data"]:
        assert set(item) == {"id", "object", "created", "owned_by"}
        assert item["object"] == "model"
    assert gateway.record["endpoint"] == "models"


@pytest.mark.parametrize("model", ["auto", "tiergate/quality", "beta/medium"])
def test_every_listed_model_can_be_asked_for(model: str) -> None:
    """A name from the list is a name a chat request may use."""
    assert world(whole()).ask(body(model=model)).status == 200


def test_route() -> None:
    """The decision and the plan of a chat request, with nothing forwarded."""
    secrets = {name: value for name, value in KEYS.items() if name != "BETA_KEY"}
    gateway = world(secrets=secrets)
    got = gateway.ask(body(model="tiergate/quality"), path="/v1/route")
    assert got.json["decision"] == {
        "tier": "quality",
        "by": "forced",
        "confidence": None,
        "reason": None,
    }
    assert got.json["classifier"] is None
    assert got.json["plan"] == [
        {
            "target": "alpha/medium",
            "provider": "alpha",
            "model": "medium",
            "tier": "quality",
            "open_until": None,
        }
    ]
    [left_out] = got.json["left_out"]
    assert left_out["target"] == "beta/org/large"
    assert "BETA_KEY" in left_out["reason"]
    assert gateway.asked == []
    assert gateway.record["endpoint"] == "route"
    assert got.headers["x-tiergate-decision"] == "forced"


@pytest.mark.parametrize(
    "path",
    ["/", "/v1", "/v1/chat", "/chat/completions", "/v1/chat/completions/", "/v1/../healthz", ""],
)
@pytest.mark.parametrize("method", ["GET", "POST", "DELETE", "OTHER"])
def test_no_such_endpoint(path: str, method: str) -> None:
    """A path that is no endpoint is a 404 that names those there are."""
    gateway = world()
    got = gateway.ask(body(), path=path, method=method)
    assert got.status == 404
    assert (got.error["type"], got.error["code"]) == ("invalid_request_error", "not_found")
    assert all(endpoint in got.error["message"] for endpoint in METHODS)
    assert gateway.record["endpoint"] == "unknown"


@pytest.mark.parametrize("path", ENDPOINTS)
@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE", "PATCH", "TRACE", "OTHER"])
def test_methods(path: str, method: str) -> None:
    """An endpoint asked with another method is a 405 that says which it takes."""
    right = ENDPOINTS[path].method
    if method == right:
        return
    gateway = world(whole())
    got = gateway.ask(body(), path=path, method=method)
    assert got.status == 405
    assert "takes" in got.json["error"]["message"]
    assert got.headers["allow"].split(", ")[0] == right
    assert gateway.asked == []


@pytest.mark.parametrize("path", [path for path, row in ENDPOINTS.items() if row.method == "GET"])
def test_head(path: str) -> None:
    """HEAD is GET without the body."""
    gateway = world()
    got, full = gateway.get(path, method="HEAD"), gateway.get(path)
    assert (got.status, got.body) == (200, b"")
    assert full.body
    assert set(got.headers) == set(full.headers)


def test_head_of_what_is_not_there() -> None:
    """An error to HEAD has no body either."""
    got = world().get("/nothing", method="HEAD")
    assert (got.status, got.body) == (404, b"")
    assert world().get(CHAT, method="HEAD").status == 405


LIMIT = 32 * 1024 * 1024


@pytest.mark.parametrize(
    ("request_", "headers", "status", "code", "param"),
    [
        ({"over_limit": LIMIT}, {}, 413, "request_too_large", None),
        ({"is_broken": True}, {}, 400, "incomplete_body", None),
        (
            {},
            {"content-encoding": "gzip"},
            400,
            "unsupported_content_encoding",
            "content-encoding",
        ),
        ({}, {"content-encoding": "br"}, 400, "unsupported_content_encoding", "content-encoding"),
    ],
)
@pytest.mark.parametrize("path", [CHAT, "/v1/route"])
def test_bodies_that_cannot_be_read(
    path: str,
    request_: dict[str, Any],
    headers: dict[str, str],
    status: int,
    code: str,
    param: str | None,
) -> None:
    """Too large, broken off or compressed: a clear error and no attempt."""
    gateway = world(whole())
    got = gateway.ask(gzip.compress(body()), headers, path, **request_)
    assert (got.status, got.error["code"], got.error["param"]) == (status, code, param)
    assert gateway.asked == []


@pytest.mark.parametrize(
    ("data", "code", "param"),
    [
        (b"", "invalid_json", None),
        (b"not json", "invalid_json", None),
        (b"[" * 100_000, "invalid_json", None),
        (body(messages=[]), "empty_array", "messages"),
        (body(messages=[{"role": "robot", "content": "x"}]), "invalid_value", "messages[0].role"),
        (body(temperature="hot"), "invalid_type", "temperature"),
    ],
)
def test_malformed_requests(data: bytes, code: str, param: str | None) -> None:
    """A request that cannot be read is a 400 with code and param, and no attempt."""
    gateway = world(whole())
    got = gateway.ask(data)
    assert (got.status, got.error["code"], got.error["param"]) == (400, code, param)
    assert got.error["type"] == "invalid_request_error"
    assert gateway.asked == []
    assert gateway.record["error"] == code
    assert got.headers["x-tiergate-policy"] == gateway.record["policy"]


@given(st.binary(max_size=50), st.dictionaries(st.sampled_from(
    ["x-tiergate-tier", "x-tiergate-bypass", "x-tiergate-timeout-ms", "x-tiergate-stream-guard",
     "authorization", "content-encoding", "origin"]
), st.text(st.characters(max_codepoint=255), max_size=10)))  # fmt: skip
def test_any_request(data: bytes, headers: dict[str, str]) -> None:
    """Whatever bytes and header values come, there is an answer, and it is the client's error."""
    got = world().ask(data, headers)
    assert 400 <= got.status < 500


JSON_BODIES = st.dictionaries(
    st.sampled_from(["model", "messages", "input", "contents", "max_tokens", "stream", "tools"]),
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=2)
            | st.dictionaries(st.sampled_from(["role", "content", "parts", "type"]), inner)
        ),
        max_leaves=4,
    ),
).map(lambda value: json.dumps(value).encode())
PATHS = st.sampled_from(sorted(METHODS)) | st.builds(
    "/v1beta/models/{}{}".format,
    st.text(st.characters(max_codepoint=255), max_size=8) | st.just("auto"),
    st.sampled_from([":generateContent", ":streamGenerateContent", ":", ""]),
)


@given(
    st.sampled_from(["GET", "POST", "HEAD", "OPTIONS", "OTHER"]),
    PATHS,
    st.sampled_from(["", "alt=sse", "alt"]),
    st.binary(max_size=20) | JSON_BODIES,
)
def test_any_endpoint(method: str, path: str, query: str, data: bytes) -> None:
    """Whatever is asked of whichever endpoint has an answer, and is no defect."""
    gateway = world(*[whole()] * 4)
    got = gateway.ask(data, path=path, method=method, query=query)
    assert got.status < 600
    assert not any(line["event"] == "defect" for line in gateway.news)


@pytest.mark.parametrize(
    ("model", "headers", "changes", "status", "code", "param"),
    [
        ("gpt-5", {}, {"unknown_model": "reject"}, 404, "model_not_found", "model"),
        ("tiergate/best", {}, {}, 404, "model_not_found", "model"),
        ("auto", {"x-tiergate-tier": "best"}, {}, 400, "unknown_tier", "x-tiergate-tier"),
        (
            "auto",
            {"x-tiergate-timeout-ms": "soon"},
            {},
            400,
            "invalid_header",
            "x-tiergate-timeout-ms",
        ),
        (
            "auto",
            {"x-tiergate-tier": "fast"},
            {"permissions__tier": "reject"},
            403,
            "header_not_allowed",
            "x-tiergate-tier",
        ),
        (
            "auto",
            {"x-tiergate-bypass": "true"},
            {"permissions__bypass": "reject"},
            403,
            "header_not_allowed",
            "x-tiergate-bypass",
        ),
        ("alpha/small", {}, {"permissions__direct": "reject"}, 403, "direct_not_allowed", "model"),
        ("tiergate/fast", {}, {"permissions__tier": "reject"}, 403, "tier_not_allowed", "model"),
    ],
)
def test_what_the_policy_refuses(
    model: str,
    headers: dict[str, str],
    changes: dict[str, Any],
    status: int,
    code: str,
    param: str,
) -> None:
    """What a policy does not let clients ask is refused by name, and nobody is asked."""
    gateway = world(whole(), **changes)
    got = gateway.ask(body(model=model), headers)
    assert (got.status, got.error["code"], got.error["param"]) == (status, code, param)
    assert gateway.asked == []


@given(st.text(st.characters(codec="utf-8"), max_size=40))
def test_no_text_reaches_a_host_of_its_own(model: str) -> None:
    """Whatever the model is called, only hosts and models of the policy are asked."""
    gateway = world(whole(), whole())
    gateway.ask(body(model=model))
    listed = {"small", "medium", "org/large", "extra"}
    assert set(gateway.asked) <= {"alpha.test", "beta.test"}
    assert all(request.path == "/v1/chat/completions" for request in gateway.http.requests)
    assert all(json.loads(request.body)["model"] in listed for request in gateway.http.requests)


def test_a_base_url_with_a_path() -> None:
    """A provider's address may have any path, with or without a slash at its end."""
    for url in ("http://127.0.0.1:9/openai/v1", "http://127.0.0.1:9/openai/v1/"):
        gateway = world(whole(), providers__alpha=provider("alpha", base_url=url))
        gateway.ask(body(model="alpha/small"))
        [request] = gateway.http.requests
        assert (request.scheme, request.authority) == ("http", "127.0.0.1:9")
        assert request.path == "/openai/v1/chat/completions"
    gateway = world(whole(), providers__alpha=provider("alpha", base_url="https://alpha.test"))
    gateway.ask(body(model="alpha/small"))
    assert gateway.http.requests[0].path == "/chat/completions"


def test_server_timing_names_its_steps() -> None:
    """`server-timing` has the steps that were taken, in their order."""
    got = world(whole()).ask()
    names = [item.partition(";")[0] for item in got.headers["server-timing"].split(", ")]
    assert names == ["policy", "classify", "upstream", "total"]
    got = world().get("/v1/models")
    names = [item.partition(";")[0] for item in got.headers["server-timing"].split(", ")]
    assert names == ["policy", "total"]


def test_a_preflight_of_any_endpoint_is_a_preflight() -> None:
    """OPTIONS is answered alike everywhere, and a 401 says which scheme is asked for."""
    gateway = world(cors_origins=["*"], client_keys=["CLIENT_KEY"])
    for path in ENDPOINTS:
        got = gateway.ask(b"", {"origin": "https://app.test"}, path, "OPTIONS")
        assert (got.status, got.headers["access-control-allow-origin"]) == (
            204,
            "https://app.test",
        )
    assert gateway.get("/v1/models").headers["www-authenticate"] == "Bearer"
