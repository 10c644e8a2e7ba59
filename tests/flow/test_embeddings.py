"""Embeddings and counts of tokens: passed to those who can, and to nobody in their place."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.hosts.memory import Canned
from tests.core.samples import provider, target
from tests.flow.exchanges import REQUESTS
from tests.flow.world import Got, World, refusal, world

VECTORS = {
    "object": "list",
    "data": [{"object": "embedding", "index": 0, "embedding": [0.1, -0.2]}],
    "model": "small",
    "usage": {"prompt_tokens": 5, "total_tokens": 5},
}
ANSWERS: st.SearchStrategy[dict[str, object]] = st.fixed_dictionaries(
    {},
    optional={
        "data": st.none() | st.lists(st.none() | st.just({}), max_size=2),
        "usage": st.none() | st.dictionaries(st.just("prompt_tokens"), st.integers() | st.text()),
        "error": st.none() | st.text(max_size=3),
    },
)
PRICE = {"input": 2.0, "output": 0.0, "cached_input": None, "cache_write": None}


def answer(value: object) -> Canned:
    return Canned(200, {"content-type": "application/json"}, [json.dumps(value).encode()])


def gateway_of(*upstreams: Any, targets: tuple[str, ...] = ("alpha/small", "beta/small")) -> World:  # noqa: ANN401
    rows = [target(id_, int(not number)) for number, id_ in enumerate(targets)]
    return world(*upstreams, embeddings=rows, prices={"alpha/small": PRICE})


def embed(gateway: World, **members: object) -> Got:
    body = json.dumps({"input": "PROMPT-MARKER", **members}).encode()
    return gateway.ask(body, path="/v1/embeddings")


def test_embeddings() -> None:
    """The client's text reaches the first target, the answer the client, to the byte."""
    gateway = gateway_of(answer(VECTORS))
    got = embed(gateway, model="auto", dimensions=2)
    assert got.json == VECTORS
    assert gateway.http.requests[0].path == "/v1/embeddings"
    assert gateway.sent() == {"input": "PROMPT-MARKER", "model": "small", "dimensions": 2}
    assert got.headers["x-tiergate-model"] == "small"
    assert got.headers["x-tiergate-decision"] == "default"
    assert got.headers["x-tiergate-cost-usd"] == "0.00001"
    assert gateway.record["usage"] == {"input": 5, "output": 0}
    assert gateway.record["endpoint"] == "embeddings"


def test_the_same_model_elsewhere_stands_in() -> None:
    """A target that fails is followed by another with the same model, and by no other model."""
    targets = ("alpha/small", "beta/small", "alpha/large")
    gateway = gateway_of(refusal(503), answer(VECTORS), targets=targets)
    got = embed(gateway)
    assert got.status == 200
    assert gateway.asked == ["alpha.test", "beta.test"]
    gateway = gateway_of(refusal(503), refusal(503), answer(VECTORS), targets=targets)
    assert embed(gateway).status == 503
    assert gateway.asked == ["alpha.test", "beta.test"]


@pytest.mark.parametrize(
    ("model", "asked"),
    [
        (None, "alpha.test"),
        ("auto", "alpha.test"),
        ("small", "alpha.test"),
        ("beta/small", "beta.test"),
        ("large", "beta.test"),
    ],
)
def test_which_model(model: str | None, asked: str) -> None:
    """A target's id, or its model's own name; without either the first."""
    gateway = gateway_of(answer(VECTORS), targets=("alpha/small", "beta/small", "beta/large"))
    assert embed(gateway, **({} if model is None else {"model": model})).status == 200
    assert gateway.asked == [asked]


def test_no_model_in_anothers_place() -> None:
    """A model that is not there is a 404 that names those that are: its vectors would not fit."""
    got = embed(gateway_of(), model="text-embedding-3-large")
    assert (got.status, got.error["code"]) == (404, "model_not_found")
    assert "alpha/small" in got.error["message"]
    got = embed(world(), model="auto")
    assert (got.status, got.error["code"]) == (404, "no_embeddings")


@pytest.mark.parametrize(
    ("members", "param"),
    [({"input": None}, "input"), ({"input": 7}, "input"), ({"model": 7}, "model")],
)
def test_bad_requests(members: dict[str, object], param: str) -> None:
    """A wrong member is named."""
    got = embed(gateway_of(), **members)
    assert (got.status, got.error["param"]) == (400, param)


@pytest.mark.parametrize("value", [{}, {"data": []}, {"error": {"message": "no"}}, []])
def test_what_is_no_answer(value: object) -> None:
    """Status 200 is no answer by itself: the next target is asked."""
    gateway = gateway_of(answer(value), answer(VECTORS))
    assert embed(gateway).json == VECTORS


# --- counts ------------------------------------------------------------------------


def counting(*upstreams: Any, **dialects: str) -> World:  # noqa: ANN401
    rows: dict[str, Any] = {
        f"providers__{name}": provider(name, dialect=dialect) for name, dialect in dialects.items()
    }
    return world(*upstreams, **rows)


def count(gateway: World, **members: object) -> Got:
    body = json.dumps({**REQUESTS["anthropic-messages"], **members}).encode()
    return gateway.ask(body, path="/v1/messages/count_tokens")


def test_tokens_are_counted_by_who_can() -> None:
    """Of a tier's targets those of Anthropic's dialect count; the judge is not asked."""
    gateway = counting(answer({"input_tokens": 14}), beta="anthropic-messages")
    got = count(gateway)
    assert got.json == {"input_tokens": 14}
    assert gateway.asked == ["beta.test"]
    assert gateway.http.requests[0].path == "/v1/messages/count_tokens"
    assert gateway.sent()["model"] == "medium"
    assert gateway.record["endpoint"] == "count_tokens"
    assert gateway.record["reason"] == "only_counted"


def test_nobody_who_can_count() -> None:
    """Nothing is estimated: 501, in Anthropic's shape."""
    got = count(world())
    assert got.status == 501
    assert got.json["type"] == "error"
    assert got.json["error"]["details"]["error_code"] == "not_supported"


def test_a_count_that_is_none() -> None:
    """An answer without a count is no answer."""
    gateway = counting(answer({"tokens": 1}), beta="anthropic-messages")
    assert count(gateway).status == 502


@given(st.binary(max_size=60) | ANSWERS.map(lambda value: json.dumps(value).encode()))
def test_any_answer(said: bytes) -> None:
    """Whatever a provider says for vectors is passed on as it is, or is its failure."""
    gateway = gateway_of(
        Canned(200, {"content-type": "application/json"}, [said]), targets=("alpha/small",)
    )
    got = gateway.ask(b'{"input": "a"}', path="/v1/embeddings")
    assert got.status in {200, 502}
    assert got.status != 200 or got.body == said
    assert not any(line["event"] == "defect" for line in gateway.news)
