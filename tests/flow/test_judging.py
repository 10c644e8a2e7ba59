"""The embedded model and rules in the flow: when they decide, and what is said of it."""

import json
from typing import Any

import pytest

from gateway.ports import Unreachable
from gateway.weights import RETRY_SECONDS, stored
from tests.core.test_rules import rule
from tests.flow.world import World, body, judged, whole, world
from tests.weights import leaning

SURE: dict[str, Any] = {"classifier__mode": "local"}
HYBRID: dict[str, Any] = {"classifier__mode": "hybrid", "classifier__model": "judge/mini"}
FACT: dict[str, Any] = {"messages": [{"role": "user", "content": "What is the capital of Peru?"}]}
ANYTHING: dict[str, Any] = {"messages": [{"role": "user", "content": "something"}]}


def own(data: bytes, **changes: Any) -> World:  # noqa: ANN401
    """A gateway whose policy names these weights."""
    label = data_label(data)
    gateway = world(*[whole()] * 3, **changes, classifier__weights=label)
    gateway.kv.values[f"classifier/{label}"] = stored(data)
    return gateway


def data_label(data: bytes) -> str:
    return data[-32:].hex()[:12]


def test_it_judges_without_a_call() -> None:
    """Mode local asks nobody: tier, confidence and all probabilities are said."""
    gateway = world(whole(), **SURE)
    got = gateway.ask(body(**FACT))
    assert got.headers["x-tiergate-decision"] == "local"
    assert got.headers["x-tiergate-tier"] == "fast"
    assert float(got.headers["x-tiergate-confidence"]) > 0.5
    record = gateway.record
    assert record["judged"]["fast"] == pytest.approx(record["confidence"], abs=1e-3)
    assert sum(record["judged"].values()) == pytest.approx(1, abs=1e-3)
    assert gateway.asked == ["alpha.test"]


def test_hybrid_asks_only_where_it_is_not_sure() -> None:
    """Above the policy's confidence nobody is called, below it the classifier model is."""
    sure = world(whole(), **HYBRID, classifier__min_confidence=0.1)
    assert sure.ask(body(**FACT)).headers["x-tiergate-decision"] == "local"
    unsure = world(judged("quality"), whole(), **HYBRID, classifier__min_confidence=1.0)
    got = unsure.ask(body(**FACT))
    assert (got.headers["x-tiergate-decision"], got.headers["x-tiergate-tier"]) == (
        "model",
        "quality",
    )
    assert "judged" in unsure.record


def test_a_dead_classifier_leaves_it_to_the_embedded_one() -> None:
    """What the embedded model says is better than the default tier, and why is said."""
    gateway = world(Unreachable(), whole(), **HYBRID, classifier__min_confidence=1.0)
    got = gateway.ask(body(**FACT))
    assert (got.headers["x-tiergate-decision"], got.headers["x-tiergate-tier"]) == ("local", "fast")
    assert gateway.record["reason"] == "classifier_unreachable"


@pytest.mark.parametrize("text", ["???", "\u10d0\u10d1\u10d2"])
def test_no_evidence_is_not_simple(text: str) -> None:
    """What it cannot read goes to the default tier, with a reason of its own."""
    gateway = world(whole(), **SURE)
    got = gateway.ask(body(messages=[{"role": "user", "content": text}]))
    assert (got.headers["x-tiergate-decision"], got.headers["x-tiergate-tier"]) == (
        "default",
        "balanced",
    )
    assert gateway.record["reason"] == "no_evidence"
    assert "judged" not in gateway.record


def test_a_level_without_a_tier_goes_up() -> None:
    """The sample policy has no tier for `reasoning`: the highest serves it, never a cheaper one."""
    gateway = own(leaning(reasoning=9), **SURE)
    assert gateway.ask(body(**ANYTHING)).headers["x-tiergate-tier"] == "quality"


def test_a_tool_loop_keeps_its_tier() -> None:
    """As results come back the turn that asked is judged, and so says the same, in any instance."""
    question = {"role": "user", "content": "Refactor this service and write the tests."}
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    turns: list[Any] = [question]
    tiers = []
    for _ in range(3):
        gateway = world(whole(), **SURE)
        tools = [{"type": "function", "function": {"name": "f"}}]
        got = gateway.ask(body(messages=turns, tools=tools))
        tiers.append((got.headers["x-tiergate-tier"], got.headers["x-tiergate-confidence"]))
        turns += [
            {"role": "assistant", "content": None, "tool_calls": [call]},
            {"role": "tool", "tool_call_id": "c", "content": "ok thanks what is 2 + 2"},
        ]
    assert len(set(tiers)) == 1


def test_a_harness_changes_nothing_while_a_turn_goes_on() -> None:
    """Reminders and images that come with the results of tools do not move the turn."""
    question = {"role": "user", "content": "add a test for the parser"}
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    image = {"type": "image_url", "image_url": {"url": "https://x.test/a.png"}}
    reminder = {"type": "text", "text": "<system-reminder>mind the todo list</system-reminder>"}
    turns: list[Any] = [question]
    said = set()
    for _ in range(3):
        gateway = world(whole(), **SURE)
        got = gateway.ask(body(messages=turns))
        said.add((got.headers["x-tiergate-tier"], got.headers["x-tiergate-confidence"]))
        turns += [
            {"role": "assistant", "content": None, "tool_calls": [call]},
            {"role": "tool", "tool_call_id": "c", "content": "ok"},
            {"role": "user", "content": [reminder, image]},
        ]
    assert len(said) == 1


def test_a_loop_with_reminders_is_not_asked_again() -> None:
    """What the classifier model said of a turn holds, whatever a harness adds to the results."""
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    turns: list[Any] = [{"role": "user", "content": "add a test for the parser"}]
    tools = [{"type": "function", "function": {"name": "f"}}]
    gateway = world(judged("quality"), whole(), whole(), **HYBRID, classifier__min_confidence=1.0)
    assert gateway.ask(body(messages=turns, tools=tools)).headers["x-tiergate-decision"] == "model"
    turns += [
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c", "content": "ok"},
        {"role": "user", "content": "<system-reminder>mind the todo list</system-reminder>"},
    ]
    got = gateway.ask(body(messages=turns, tools=tools))
    assert got.headers["x-tiergate-decision"] == "session"
    assert got.headers["x-tiergate-tier"] == "quality"


def test_confidence_is_the_tiers() -> None:
    """Where one tier serves several levels, doubt between them is none."""
    torn = leaning(quality=5, reasoning=5)
    gateway = own(torn, **HYBRID, classifier__min_confidence=0.9)
    got = gateway.ask(body(**ANYTHING))
    assert got.headers["x-tiergate-decision"] == "local"
    assert got.headers["x-tiergate-tier"] == "quality"
    assert float(got.headers["x-tiergate-confidence"]) > 0.95


def test_weights_are_looked_for_again() -> None:
    """A store that was away for a moment, or behind, costs an instance its weights for a while."""
    gateway = own(leaning(quality=9), **SURE)
    [key] = [key for key in gateway.kv.values if key.startswith("classifier/")]
    kept = gateway.kv.values.pop(key)
    assert gateway.ask(body(**FACT)).headers["x-tiergate-tier"] == "fast"
    gateway.kv.values[key] = kept
    assert gateway.ask(body(**FACT)).headers["x-tiergate-tier"] == "fast"
    gateway.clock.time += RETRY_SECONDS
    assert gateway.ask(body(**FACT)).headers["x-tiergate-tier"] == "quality"


def test_weights_of_ones_own() -> None:
    """The file that the policy names judges; it is read once by an instance."""
    gateway = own(leaning(quality=9), **SURE)
    assert gateway.ask(body(**FACT)).headers["x-tiergate-tier"] == "quality"
    del gateway.kv.values[next(key for key in gateway.kv.values if key.startswith("classifier/"))]
    assert gateway.ask(body(**FACT)).headers["x-tiergate-tier"] == "quality"


@pytest.mark.parametrize(
    "found",
    [None, b"", b"no Base64 \xff", stored(b"tiergate-weights 1\n"), stored(leaning(fast=1))],
)
def test_weights_that_cannot_be_used(found: bytes | None) -> None:
    """Missing, torn or another's: the built-in ones judge, and the log says so once."""
    gateway = own(leaning(quality=9), **SURE)
    [key] = [key for key in gateway.kv.values if key.startswith("classifier/")]
    if found is None:
        del gateway.kv.values[key]
    else:
        gateway.kv.values[key] = found
    for _ in range(2):
        assert gateway.ask(body(**FACT)).headers["x-tiergate-tier"] == "fast"
    said = [line for line in gateway.news if line["event"] == "weights_not_loaded"]
    assert len(said) == 1
    assert key in said[0]["problem"]


def test_a_rule_decides_before_any_judge() -> None:
    """Its name is the reason; nobody is asked."""
    gateway = world(whole(), **HYBRID, rules=[rule("short", images=False)])
    got = gateway.ask(body(**FACT))
    assert got.headers["x-tiergate-decision"] == "rule"
    assert got.headers["x-tiergate-tier"] == "quality"
    assert gateway.record["reason"] == "short"
    assert gateway.record["facts"] == {
        "images": False,
        "tools": False,
        "json_schema": False,
        "tokens": len(body(**FACT)) // 4,
    }


def test_a_rule_may_name_a_model() -> None:
    """Then exactly that one is asked."""
    gateway = world(whole(), **SURE, rules=[rule("it", None, "alpha/small", images=False)])
    got = gateway.ask(body(**FACT))
    assert (got.headers["x-tiergate-decision"], got.headers["x-tiergate-model"]) == (
        "rule",
        "small",
    )


def test_what_a_client_forces_goes_before_rules() -> None:
    """A rule is asked only where something is to be decided."""
    gateway = world(*[whole()] * 2, rules=[rule("it", images=False)])
    forced = gateway.ask(body(**FACT), headers={"x-tiergate-tier": "fast"})
    assert forced.headers["x-tiergate-decision"] == "forced"
    assert gateway.ask(body(**FACT, model="alpha/small")).headers["x-tiergate-decision"] == "direct"
    assert "facts" not in gateway.record


def test_the_record_is_json_that_its_schema_allows() -> None:
    """With all of it, the line is one that readers of records know."""
    gateway = world(judged("fast"), whole(), **HYBRID, classifier__min_confidence=1.0)
    gateway.ask(body(**FACT))
    assert json.dumps(gateway.record)  # `records` has checked it against the schema
    assert set(gateway.record["judged"]) == {"fast", "balanced", "quality", "reasoning"}
