"""Rules before judgement: which conditions hold, and which rule decides."""

from typing import Any

import pytest

from gateway.core.chat import ChatRequest
from gateway.core.dialects import DIALECTS
from gateway.core.errors import PolicyError
from gateway.core.http import Headers
from gateway.core.policy import Policy
from gateway.core.rules import facts_of, first_that_holds
from tests.core.samples import body, chat, policy

NO_WHEN: dict[str, Any] = {
    "images": None,
    "tools": None,
    "json_schema": None,
    "tokens_over": None,
    "languages": None,
    "headers": {},
    "metadata": {},
}


def rule(name: str, tier: str | None = "quality", model: str | None = None, **when: Any) -> Any:  # noqa: ANN401
    return {"name": name, "tier": tier, "model": model, "when": {**NO_WHEN, **when}}


def policy_of(*rules: Any) -> Policy:  # noqa: ANN401
    return policy(rules=list(rules))


def decided(found: Policy, request: ChatRequest, **headers: str) -> str | None:
    pairs = Headers([(name.replace("_", "-"), value) for name, value in headers.items()])
    rule = first_that_holds(found, facts_of(found, request), pairs)
    return rule.name if rule else None


IMAGE = [{"type": "image_url", "image_url": {"url": "https://x.test/a.png"}}]
TOOLS = [{"type": "function", "function": {"name": "f"}}]
SCHEMA = {"type": "json_schema", "json_schema": {"name": "x", "schema": {}}}


@pytest.mark.parametrize(
    ("when", "holds", "fails"),
    [
        ({"images": True}, {"messages": [{"role": "user", "content": IMAGE}]}, {}),
        ({"images": False}, {}, {"messages": [{"role": "user", "content": IMAGE}]}),
        ({"tools": True}, {"tools": TOOLS}, {}),
        ({"json_schema": True}, {"response_format": SCHEMA}, {"response_format": {"type": "text"}}),
        ({"json_schema": False}, {}, {"response_format": SCHEMA}),
        (
            {"metadata": {"app": "x"}},
            {"metadata": {"app": "x", "b": "y"}},
            {"metadata": {"app": 1}},
        ),
        ({"metadata": {"app": "x"}}, {"metadata": {"app": "x"}}, {"metadata": {}}),
        ({"tokens_over": 100}, {"user": "x" * 400}, {"user": "x" * 200}),
        (
            {"languages": ["de", "ja"]},
            {
                "messages": [
                    {"role": "user", "content": "Was ist das, und wie kann ich es reparieren?"}
                ]
            },
            {"messages": [{"role": "user", "content": "What is that and how do I mend it?"}]},
        ),
        ({"tools": True, "images": False}, {"tools": TOOLS}, {}),
    ],
)
def test_conditions(when: Any, holds: Any, fails: Any) -> None:  # noqa: ANN401
    """Each condition is asked of the request itself; all that are written must hold."""
    found = policy_of(rule("it", **when))
    assert decided(found, chat(**holds)) == "it"
    assert decided(found, chat(**fails)) is None


def test_headers_must_equal() -> None:
    """A header's value is compared whole."""
    found = policy_of(rule("it", headers={"x-team": "support"}))
    assert decided(found, chat(), x_team="support") == "it"
    assert decided(found, chat(), x_team="support2") is None
    assert decided(found, chat()) is None


def test_the_first_that_holds_decides() -> None:
    """Rules are asked in their order."""
    found = policy_of(rule("a", tools=True), rule("b", images=False), rule("c", images=False))
    assert decided(found, chat()) == "b"
    assert decided(found, chat(tools=TOOLS)) == "a"


@pytest.mark.parametrize(
    ("dialect", "members"),
    [
        ("openai-chat", {"response_format": SCHEMA}),
        ("openai-responses", {"input": "x", "text": {"format": {"type": "json_schema"}}}),
        ("anthropic-messages", {"output_format": {"type": "json_schema"}}),
        ("anthropic-messages", {"output_config": {"format": {"type": "json_schema"}}}),
        (
            "gemini",
            {
                "contents": [{"role": "user", "parts": [{"text": "x"}]}],
                "generationConfig": {"responseSchema": {"type": "OBJECT"}},
            },
        ),
    ],
)
def test_a_schema_in_each_dialect(dialect: str, members: Any) -> None:  # noqa: ANN401
    """Whoever asks for an answer by a schema is known to do so, wherever its dialect says it."""
    request = DIALECTS[dialect].parse_request(body(**members), None, None)
    assert request.wants_schema
    plain = {name: value for name, value in members.items() if name in {"input", "contents"}}
    assert not DIALECTS[dialect].parse_request(body(**plain), None, None).wants_schema


def test_the_language_is_looked_at_only_where_a_rule_asks() -> None:
    """What nobody asks costs nothing."""
    german = chat(messages=[{"role": "user", "content": "Was ist das, und wie ist es zu tun?"}])
    assert facts_of(policy_of(rule("a", tools=True)), german).language is None
    assert facts_of(policy_of(rule("a", languages=["de"])), german).language == "de"


@pytest.mark.parametrize(
    ("broken", "path"),
    [
        (rule("a", tier="none"), "rules[0].tier"),
        (rule("a", tier=None, model="alpha/none"), "rules[0].model"),
        (rule("a", tier=None, model=None), "rules[0].tier"),
        (rule("a", model="alpha/small"), "rules[0].tier"),
        (rule("a", headers={"x": 1}), "rules[0].when.headers.x"),
        (rule("a b"), "rules[0].name"),
    ],
)
def test_a_rule_that_leads_nowhere(broken: Any, path: str) -> None:  # noqa: ANN401
    """A rule names one tier or one model of its policy, or the policy does not load."""
    with pytest.raises(PolicyError) as caught:
        policy_of(broken)
    assert caught.value.path == path
