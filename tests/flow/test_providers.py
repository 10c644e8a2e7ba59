"""How each provider's row shapes what it is sent: where, with which key, headers and words."""

import json
from typing import Any

import pytest

from gateway.core.providers import PROVIDERS
from tests.core.samples import provider, target
from tests.flow.exchanges import ANSWERS, REQUESTS
from tests.flow.test_dialects import path_of, whole
from tests.flow.world import KEYS, World, world


def gateway_of(name: str, *upstreams: Any, **columns: Any) -> World:  # noqa: ANN401
    """A gateway whose one provider has the row of a known one, as far as `columns` let it."""
    row = PROVIDERS[name]
    known = {
        "dialect": row.dialect,
        "other_dialects": list(row.other_dialects),
        "key_header": row.key_header,
        "key_prefix": row.key_prefix or None,
        "headers": list(row.headers),
        "passes": list(row.passes),
        "path": row.path or None,
        "query": row.query or None,
        "limit_member": row.limit_member,
        "has_developer": row.has_developer,
        "sends_usage_on_request": row.sends_usage_on_request,
    }
    rows = {"alpha": provider("alpha", **{**known, **columns})}
    tiers = [{"name": "only", "description": "d", "targets": [target("alpha/m-1")]}]
    settings: dict[str, Any] = {"default_tier": "only", "models": {}, "prices": {}}
    return world(*upstreams, providers=rows, tiers=tiers, **settings)


def sent(gateway: World, client: str, headers: dict[str, str] | None = None) -> dict[str, str]:
    """The headers of the provider's request for a client of this dialect."""
    path, _ = path_of(client, is_stream=False)
    got = gateway.ask(json.dumps(REQUESTS[client]).encode(), headers, path=path)
    assert got.status == 200, got.body
    pairs = gateway.http.requests[0].headers
    assert len(dict(pairs)) == len(pairs)
    return dict(pairs)


@pytest.mark.parametrize(
    ("name", "header", "value"),
    [
        ("openai", "authorization", f"Bearer {KEYS['ALPHA_KEY']}"),
        ("anthropic", "x-api-key", KEYS["ALPHA_KEY"]),
        ("google", "x-goog-api-key", KEYS["ALPHA_KEY"]),
        ("azure-openai", "api-key", KEYS["ALPHA_KEY"]),
    ],
)
def test_the_key_where_each_provider_wants_it(name: str, header: str, value: str) -> None:
    """Each provider gets our key in its own header, and no other."""
    gateway = gateway_of(name, whole(ANSWERS[PROVIDERS[name].dialect]))
    headers = sent(gateway, "openai-chat")
    assert headers[header] == value
    keys = {"authorization", "x-api-key", "x-goog-api-key", "api-key"}
    assert keys & set(headers) == {header}


def test_anthropic_is_told_a_version() -> None:
    """A client of another dialect sends none: the row's stands in; Anthropic's own client's passes,
    and so do its betas."""
    answer = whole(ANSWERS["anthropic-messages"])
    assert sent(gateway_of("anthropic", answer), "openai-chat")["anthropic-version"] == "2023-06-01"
    headers = sent(
        gateway_of("anthropic", answer),
        "anthropic-messages",
        {"anthropic-version": "2024-01-01", "anthropic-beta": "x-2025"},
    )
    assert (headers["anthropic-version"], headers["anthropic-beta"]) == ("2024-01-01", "x-2025")


def test_azures_paths() -> None:
    """A model is its deployment's name in the path, and the version stands behind it."""
    gateway = gateway_of(
        "azure-openai",
        whole(ANSWERS["openai-chat"]),
        base_url="https://house.openai.azure.test/openai",
    )
    sent(gateway, "openai-chat")
    request = gateway.http.requests[0]
    assert request.authority == "house.openai.azure.test"
    assert request.path == "/openai/deployments/m-1/chat/completions?api-version=2024-10-21"


def test_a_query_beside_a_dialects_own() -> None:
    """What Gemini's path has behind `?` is kept."""
    gateway = gateway_of("google", whole(ANSWERS["gemini"]), query="a=b")
    path, query = path_of("gemini", is_stream=True)
    gateway.ask(json.dumps(REQUESTS["gemini"]).encode(), path=path, query=query)
    assert gateway.http.requests[0].path.endswith(":streamGenerateContent?alt=sse&a=b")


def test_the_older_words() -> None:
    """A provider that knows neither `max_completion_tokens` nor the role `developer` is told in the
    words that it knows, where a client of another dialect is translated."""
    request = {
        **REQUESTS["openai-responses"],
        "max_output_tokens": 9,
        "input": [
            {"role": "user", "content": "hi"},
            {"role": "developer", "content": "be brief"},
            {"role": "user", "content": "PROMPT-MARKER"},
        ],
    }
    for name, limit, role in (
        ("openai", "max_completion_tokens", "developer"),
        ("mistral", "max_tokens", "system"),
    ):
        gateway = gateway_of(name, whole(ANSWERS["openai-chat"]), other_dialects=[])
        path, _ = path_of("openai-responses", is_stream=False)
        assert gateway.ask(json.dumps(request).encode(), path=path).status == 200
        found = gateway.sent()
        assert found[limit] == 9
        assert [message["role"] for message in found["messages"]] == ["user", role, "user"]


def test_mistral_is_not_asked_for_usage_in_a_stream() -> None:
    """It answers 422 to the wish, and sends usage anyway."""
    gateway = gateway_of("mistral", whole(ANSWERS["openai-chat"]))
    request = {**REQUESTS["anthropic-messages"], "stream": True}
    gateway.ask(json.dumps(request).encode(), path="/v1/messages")
    assert "stream_options" not in gateway.sent()


def test_openai_is_asked_in_either_of_its_dialects() -> None:
    """A client of a dialect that the provider speaks too is passed, not translated."""
    for client, path in (
        ("openai-chat", "/v1/chat/completions"),
        ("openai-responses", "/v1/responses"),
        ("gemini", "/v1/chat/completions"),
    ):
        answer = "openai-responses" if client == "openai-responses" else "openai-chat"
        gateway = gateway_of("openai", whole(ANSWERS[answer]))
        sent(gateway, client)
        assert gateway.http.requests[0].path == path


@pytest.mark.parametrize("dialect", ["openai-responses", "anthropic-messages", "gemini"])
def test_a_judge_of_any_dialect(dialect: str) -> None:
    """The classifier may be a model of any provider; its options reach it in its own words."""
    texts: dict[str, Any] = {
        "openai-responses": {
            "status": "completed",
            "output": [
                {
                    "type": "message",
                    "role": "assistant",
                    "content": [{"type": "output_text", "text": '{"tier": "quality"}'}],
                }
            ],
        },
        "anthropic-messages": {
            "role": "assistant",
            "content": [{"type": "text", "text": '{"tier": "quality"}'}],
            "stop_reason": "end_turn",
        },
        "gemini": {
            "candidates": [
                {"content": {"parts": [{"text": '{"tier": "quality"}'}]}, "finishReason": "STOP"}
            ]
        },
    }
    gateway = world(
        whole(texts[dialect]),
        whole(ANSWERS["openai-chat"]),
        classifier__mode="model",
        classifier__model="judge/m",
        classifier__options={"generationConfig": {"topK": 1}, "x": 1},
        providers__judge=provider("judge", dialect=dialect),
    )
    got = gateway.ask()
    assert (got.headers["x-tiergate-tier"], got.headers["x-tiergate-decision"]) == (
        "quality",
        "model",
    )
    question = gateway.sent(0)
    assert question["x"] == 1
    assert question["generationConfig"]["topK"] == 1
    if dialect == "gemini":
        assert "responseJsonSchema" in question["generationConfig"], "the rest of it is kept"
    assert "PROMPT-MARKER" in json.dumps(question)
