"""The gateway's own endpoints, and the headers of every answer."""

import re

import pytest

from tests.component.conftest import Mock, NewGateway
from tests.component.gateways import SECRETS, Gateway, error_of, in_order, judged, make_policy

ALWAYS = {"x-tiergate-schema", "x-tiergate-request-id", "server-timing", "content-type"}
KEYED = {"authorization": f"Bearer {SECRETS['E2E_CLIENT_KEY']}"}


def test_healthz(gateway: Gateway, mock: Mock) -> None:
    """`/healthz` answers without a key and without a look at the policy."""
    gateway.use(judged(mock.url, client={"keys": ["E2E_CLIENT_KEY"]}))
    answer = gateway.http.get("/healthz")
    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})
    assert set(answer.headers) >= ALWAYS
    assert "x-tiergate-policy" not in answer.headers


def test_without_a_policy(fresh: Gateway) -> None:
    """Before anything was published the gateway is alive, not ready, and says what to do."""
    assert fresh.http.get("/healthz").status_code == 200
    for answer in (fresh.http.get("/readyz"), fresh.chat(), fresh.http.get("/v1/models")):
        assert answer.status_code == 503
        assert "tiergate policy publish" in error_of(answer)["message"]
        assert "x-tiergate-policy" not in answer.headers


def test_readyz_tells_clients_more(gateway: Gateway, mock: Mock) -> None:
    """`/readyz` names the policy and what is missing to those who have the key, to them alone."""
    row = {"base_url": mock.url, "key": "E2E_ABSENT_KEY"}
    policy = make_policy(
        {"mock": mock.url, "up": row},
        *in_order("mock/small", "up/a"),
        client={"keys": ["E2E_CLIENT_KEY"]},
    )
    label = gateway.use(policy)
    stranger = gateway.http.get("/readyz")
    assert (stranger.status_code, stranger.json()) == (200, {"status": "ready"})
    client = gateway.http.get("/readyz", headers=KEYED).json()
    assert client["status"] == "ready"
    assert f"{client['policy']['name']}@{client['policy']['version']}" == label
    assert client["missing_secrets"] == ["E2E_ABSENT_KEY"]
    assert client["unusable_targets"] == ["up/a"]
    assert client["problem"] is None


def test_models_need_the_key(gateway: Gateway, mock: Mock) -> None:
    """What the gateway has is for its clients."""
    gateway.use(judged(mock.url, client={"keys": ["E2E_CLIENT_KEY"]}))
    assert gateway.http.get("/v1/models").status_code == 401
    assert gateway.http.get("/v1/models", headers=KEYED).json()["object"] == "list"


def test_route(gateway: Gateway, mock: Mock) -> None:
    """`/v1/route` decides and plans as for a chat request, and forwards nothing."""
    gateway.use(judged(mock.url))
    body = {"model": "auto", "messages": [{"role": "user", "content": "Prove it, by induction."}]}
    before = mock.received()
    answer = gateway.http.post("/v1/route", json=body)
    assert answer.status_code == 200
    told = answer.json()
    assert told["decision"] == {
        "tier": "reasoning",
        "by": "model",
        "confidence": None,
        "reason": None,
    }
    assert told["plan"] == [
        {
            "target": "mock/reasoner",
            "provider": "mock",
            "model": "reasoner",
            "tier": "reasoning",
            "open_until": None,
        }
    ]
    assert told["classifier"]["outcome"] == "answered"
    assert answer.headers["x-tiergate-decision"] == "model"
    assert "x-tiergate-provider" not in answer.headers
    assert mock.received() == before + 1
    assert mock.last()[0]["body"]["model"] == "judge"


def test_route_of_a_plan_without_targets(gateway: Gateway, mock: Mock) -> None:
    """`/v1/route` says why each target was left out."""
    row = {"base_url": mock.url, "key": "E2E_ABSENT_KEY"}
    gateway.use(make_policy({"up": row}, "up/a"))
    told = gateway.http.post("/v1/route", json={"messages": [{"role": "user", "content": "x"}]})
    assert told.status_code == 200
    assert told.json()["plan"] == []
    assert told.json()["left_out"] == [
        {"target": "up/a", "reason": "the secret E2E_ABSENT_KEY is not set"}
    ]


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/v1",
        "/v1/",
        "/v2/chat/completions",
        "/v1/chat/completions/",
        "/v1//chat/completions",
        "/v1/chat/completions/../../../etc/passwd",
        "/v1/chat%2Fcompletions",
        "/%",
        "/%00",
        "/%zz/%ff",
        "/kv/policy/active",
        "/" + "a" * 3000,
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_no_such_endpoint(gateway: Gateway, mock: Mock, method: str, path: str) -> None:
    """Any other path is a 404 in OpenAI's shape, and nothing is forwarded."""
    gateway.use(judged(mock.url))
    before = mock.received()
    with gateway.connect() as sock:
        sock.sendall(
            f"{method} {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n"
            "content-length: 0\r\n\r\n".encode()
        )
        said = b""
        while got := sock.recv(65536):
            said += got
    assert said.startswith(b"HTTP/1.1 404 ")
    assert b'"code": "not_found"' in said
    assert mock.received() == before


def test_dots_are_a_name(gateway: Gateway, mock: Mock) -> None:
    """What comes behind `/v1/models/` is a model's name, however it looks, and no path."""
    gateway.use(judged(mock.url))
    answer = gateway.http.get("/v1/models/%2e%2e/healthz")
    assert (answer.status_code, error_of(answer)["code"]) == (404, "model_not_found")


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("GET", "/v1/chat/completions", "POST"),
        ("DELETE", "/v1/chat/completions", "POST"),
        ("PUT", "/v1/route", "POST"),
        ("PATCH", "/v1/models", "GET"),
        ("POST", "/v1/models", "GET"),
        ("POST", "/healthz", "GET"),
        ("BREW", "/readyz", "GET"),
    ],
)
def test_method_not_allowed(gateway: Gateway, method: str, path: str, allowed: str) -> None:
    """A wrong method is a 405 that names the right one."""
    answer = gateway.http.request(method, path)
    assert answer.status_code == 405
    assert error_of(answer)["code"] == "method_not_allowed"
    assert allowed in answer.headers["allow"].split(", ")


def test_head(gateway: Gateway, mock: Mock) -> None:
    """HEAD is GET without a body."""
    gateway.use(judged(mock.url))
    for path in ("/healthz", "/readyz", "/v1/models"):
        answer = gateway.http.head(path)
        assert (answer.status_code, answer.content) == (200, b"")


@pytest.mark.parametrize("query", ["?a=b", "?%zz", "?" + "x" * 2000, "?/v1/models"])
def test_a_query_changes_nothing(gateway: Gateway, mock: Mock, query: str) -> None:
    """Some clients add a query (Azure's api-version): it neither routes nor reaches a provider."""
    gateway.use(judged(mock.url))
    answer = gateway.http.post(
        f"/v1/chat/completions{query}",
        json={"messages": [{"role": "user", "content": "Hello"}]},
    )
    assert answer.status_code == 200
    assert mock.last()[0]["path"] == "/v1/chat/completions"


def test_headers_of_an_answer(gateway: Gateway, mock: Mock) -> None:
    """A whole answer has exactly the headers of the contract."""
    prices = {"mock/medium": {"input": 0.5, "output": 2.0}}
    label = gateway.use(judged(mock.url, prices=prices))
    answer = gateway.chat()
    own = {name for name in answer.headers if name.startswith("x-tiergate-")}
    assert own == {
        "x-tiergate-schema",
        "x-tiergate-request-id",
        "x-tiergate-policy",
        "x-tiergate-tier",
        "x-tiergate-decision",
        "x-tiergate-provider",
        "x-tiergate-model",
        "x-tiergate-attempts",
        "x-tiergate-cost-usd",
        "x-tiergate-upstream-x-request-id",
    }
    assert answer.headers["x-tiergate-schema"] == "1"
    assert answer.headers["x-tiergate-policy"] == label
    assert answer.headers["x-tiergate-attempts"] == "1"
    assert re.fullmatch("[0-9a-f]{32}", answer.headers["x-tiergate-request-id"])
    usage = answer.json()["usage"]
    cost = (usage["prompt_tokens"] * 0.5 + usage["completion_tokens"] * 2.0) / 1e6
    assert float(answer.headers["x-tiergate-cost-usd"]) == pytest.approx(cost)
    steps = re.findall(r"(\w+);dur=(\d+\.\d)", answer.headers["server-timing"])
    assert [name for name, _ in steps] == ["policy", "classify", "upstream", "total"]
    assert float(steps[-1][1]) >= float(steps[1][1]) + float(steps[2][1]) - 0.3


def test_headers_of_a_stream(gateway: Gateway, mock: Mock) -> None:
    """A stream's head has the same, but its cost is in the record only."""
    prices = {"mock/medium": {"input": 0.5, "output": 2.0}}
    gateway.use(judged(mock.url, prices=prices))
    answer, _ = gateway.streamed()
    assert "x-tiergate-cost-usd" not in answer.headers
    assert answer.headers["x-tiergate-model"] == "medium"
    record = gateway.record_of(answer)
    assert record["cost_usd"] == pytest.approx(
        (record["usage"]["input"] * 0.5 + record["usage"]["output"] * 2.0) / 1e6
    )
    assert 0 < record["first_content_ms"] <= record["total_ms"]


def test_an_unknown_price_is_absent(gateway: Gateway, mock: Mock) -> None:
    """Where the price is not known there is no cost, neither in headers nor in the record."""
    gateway.use(judged(mock.url))
    answer = gateway.chat()
    assert "x-tiergate-cost-usd" not in answer.headers
    record = gateway.record_of(answer)
    assert "cost_usd" not in record
    assert record["usage"]["input"] > 0


def test_headers_of_errors(gateway: Gateway, mock: Mock) -> None:
    """An error has the headers of the steps that were reached before it."""
    label = gateway.use(judged(mock.url, escalate=False))
    lost = gateway.http.get("/nowhere")
    assert set(lost.headers) >= ALWAYS
    assert "x-tiergate-policy" not in lost.headers
    bad = gateway.post(b"not json")
    assert bad.headers["x-tiergate-policy"] == label
    assert "x-tiergate-decision" not in bad.headers
    mock.order("medium", "status=500")
    failed = gateway.chat()
    assert failed.status_code == 502
    assert failed.headers["x-tiergate-tier"] == "balanced"
    assert failed.headers["x-tiergate-decision"] == "model"
    assert failed.headers["x-tiergate-attempts"] == "1"
    assert failed.headers["x-tiergate-fallback"] == "mock/medium;server_error"
    assert "x-tiergate-provider" not in failed.headers
    ids = {one.headers["x-tiergate-request-id"] for one in (lost, bad, failed)}
    assert len(ids) == 3
    for one in (lost, bad, failed):
        assert gateway.record_of(one)["status"] == one.status_code


def test_the_record(gateway: Gateway, mock: Mock) -> None:
    """One line a request says what was decided and done, and not what was said."""
    label = gateway.use(judged(mock.url))
    answer = gateway.chat()
    record = gateway.record_of(answer)
    assert {
        name: record[name]
        for name in ("event", "schema", "endpoint", "status", "policy", "tier", "decision")
    } == {
        "event": "request",
        "schema": 1,
        "endpoint": "chat",
        "status": 200,
        "policy": label,
        "tier": "balanced",
        "decision": "model",
    }
    assert record["classifier"]["target"] == "mock/judge"
    (attempt,) = record["attempts"]
    assert (attempt["target"], attempt["outcome"], attempt["status"]) == (
        "mock/medium",
        "answered",
        200,
    )
    lines = "".join(gateway.running.lines)
    assert "größe" not in lines
    assert "gr\\u00f6" not in lines
    assert "mock model happy" not in lines
    same_id = [one for one in gateway.records() if one["request_id"] == record["request_id"]]
    assert len(same_id) == 1


def test_pages_of_other_origins(gateway: Gateway, mock: Mock) -> None:
    """A browser's page may call only if the policy lists its origin; its preflight says so."""
    before = mock.received()
    page = {"origin": "https://evil.example"}
    gateway.use(judged(mock.url))
    refused = gateway.chat(headers=page)
    assert refused.status_code == 403
    assert error_of(refused)["code"] == "origin_not_allowed"
    assert "access-control-allow-origin" not in refused.headers
    assert mock.received() == before
    gateway.use(judged(mock.url, cors={"origins": ["https://chat.example"]}))
    assert gateway.chat(headers=page).status_code == 403
    page = {"origin": "https://chat.example"}
    preflight = gateway.http.options(
        "/v1/chat/completions",
        headers=page | {"access-control-request-headers": "authorization,x-stainless-os"},
    )
    assert (preflight.status_code, preflight.content) == (204, b"")
    assert preflight.headers["access-control-allow-origin"] == "https://chat.example"
    assert preflight.headers["access-control-allow-headers"] == "authorization,x-stainless-os"
    answer = gateway.chat(headers=page)
    assert answer.status_code == 200
    assert answer.headers["access-control-allow-origin"] == "https://chat.example"


def test_two_gateways_share_nothing(new_gateway: NewGateway, mock: Mock) -> None:
    """A policy published for one gateway is not another's."""
    first, second = new_gateway(), new_gateway()
    first.use(judged(mock.url))
    assert first.http.get("/readyz").status_code == 200
    assert second.http.get("/readyz").status_code == 503
