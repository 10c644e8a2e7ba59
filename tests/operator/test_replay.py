"""`tiergate replay`: what the real flow wrote, decided again by the same policy and by others."""

import io
import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.decide import Decision
from gateway.core.policy import LEVELS, Policy
from gateway.hosts.memory import memory_ports
from gateway.operator.replay.records import Log, Seen
from gateway.operator.replay.tally import Moved, Tally, notes_of
from gateway.operator.replay.verdicts import Denied, Side
from gateway.ports import Silent
from tests.core.samples import policy, target
from tests.flow.world import World, body, judged, whole, world

TILT = memory_ports().weights.tilt
PROMPTS = [
    "hi",
    "What is the capital of France?",
    "Translate 'good morning' into German.",
    "Write a friendly email to my landlord about the broken heating.",
    "Compare two phone plans for a student.",
    "Review this contract clause for liability risks: " + "the supplier shall " * 40,
    "Refactor this module into a clean architecture and explain each trade-off.",
    "Prove that there are infinitely many primes.",
    "Three switches, one lamp: find the right switch by going upstairs once, and prove it.",
    "Write a unit test for this function",
    "Summarise this contract",
    "sed command to delete blank lines",
    "12345",
    "\u16a0\u16a2\u16a6",  # in no script that the model reads
    "",
]
MODES: list[dict[str, Any]] = [
    {"classifier__mode": "off"},
    {"classifier__mode": "local"},
    {"classifier__mode": "model", "classifier__model": "judge/mini"},
    {"classifier__mode": "hybrid", "classifier__model": "judge/mini"},
]


def when(**conditions: object) -> dict[str, object]:
    nothing: dict[str, object] = dict.fromkeys(("images", "tools", "json_schema", "tokens_over"))
    return {**nothing, "languages": None, "headers": {}, "metadata": {}, **conditions}


def rule(name: str, to: str, **conditions: object) -> dict[str, object]:
    tier, model = (None, to) if "/" in to else (to, None)
    return {"name": name, "when": when(**conditions), "tier": tier, "model": model}


RULES = [
    rule("long", "quality", tokens_over=150),
    rule("team", "fast", headers={"x-team": "a"}),
    rule("french", "alpha/extra", languages=["fr"]),
]


def asked(gateway: World, prompt: str, headers: dict[str, str] | None = None, **more: Any) -> None:  # noqa: ANN401
    messages = [{"role": "user", "content": prompt}]
    gateway.ask(body(**{"messages": messages, **more}), headers)


def served(**changes: Any) -> World:  # noqa: ANN401 - members of the policy
    """A gateway that was asked all the prompts, and in every other way; each is answered."""
    gateway = world(**changes)

    def script(name: str) -> Callable[[object], Any]:
        return lambda request: judged(name) if "judge" in str(request) else whole()

    gateway.http.upstreams += [script("quality") for _ in range(60)]
    for prompt in PROMPTS:
        asked(gateway, prompt)
    asked(gateway, "hi", {"x-team": "a"})
    asked(gateway, "Quelle est la capitale de la France, s'il vous plaît ?")
    asked(gateway, "hi", {"x-tiergate-tier": "quality"})
    asked(gateway, "hi", {"x-tiergate-bypass": "true"})
    asked(gateway, "hi", model="tiergate/fast")
    asked(gateway, "hi", model="beta/medium")
    asked(gateway, "hi", {"x-tiergate-bypass": "true"}, model="beta/medium")
    tools = [{"type": "function", "function": {"name": "f", "parameters": {}}}]
    asked(gateway, "Look it up.", tools=tools)
    call = {"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    loop = [
        {"role": "user", "content": "Look it up."},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "1", "content": "4"},
    ]
    gateway.ask(body(messages=loop, tools=tools))
    gateway.http.upstreams[:] = []
    gateway.http.upstreams += [Silent(), whole(), whole()]
    asked(gateway, "Explain monads to me.")
    return gateway


def read(lines: list[str]) -> list[Seen]:
    return list(Log().read(io.BytesIO("\n".join(lines).encode())))


def replayed(lines: list[str], a: Policy, b: Policy) -> tuple[Tally, list[Moved]]:
    tally = Tally(*[Side(each, TILT, [a, b]) for each in (a, b)])
    return tally, [moved for seen in read(lines) if (moved := tally.add(seen))]


def line(**members: object) -> str:
    """A record that was judged, unless it says otherwise."""
    values: dict[str, object] = {
        "event": "request",
        "schema": 1,
        "request_id": "r",
        "endpoint": "chat",
        "tier": "balanced",
        "decision": "local",
        "facts": {"images": False, "tools": False, "json_schema": False, "tokens": 10},
        "judged": shares(0.2, 0.5, 0.2, 0.1),
        "usage": {"input": 1_000, "output": 100},
        **members,
    }
    return json.dumps({name: value for name, value in values.items() if value is not None})


def shares(*values: float) -> dict[str, float]:
    return dict(zip(LEVELS, values, strict=True))


# --- what the real flow wrote ------------------------------------------------


@pytest.mark.parametrize("rules", [[], RULES])
@pytest.mark.parametrize("mode", MODES)
def test_the_same_policy_moves_nothing(mode: dict[str, Any], rules: list[object]) -> None:
    """Whatever happened, the policy that decided it decides it again."""
    gateway = served(**mode, rules=rules)
    same = policy(**mode, rules=rules)
    tally, moved = replayed(gateway.log.lines, same, same)
    assert tally.requests == len(gateway.records) == tally.changes["unchanged"] == tally.of_a
    assert (moved, tally.otherwise) == ([], 0)
    assert tally.as_asked == 5
    assert all("unknown" not in place for place in tally.places)


@pytest.mark.parametrize("mode", MODES)
def test_a_copy_under_another_name_moves_nothing(mode: dict[str, Any]) -> None:
    """A record of a policy that is neither of the two leaves them equal where they are."""
    gateway = served(**mode, rules=RULES)
    copies = [policy(**mode, rules=RULES, name=name) for name in ("one", "two")]
    tally, _ = replayed(gateway.log.lines, *copies)
    assert tally.changes["unchanged"] == tally.requests
    assert tally.of_a == tally.of_b == 0


@pytest.mark.parametrize("lean", [-1.0, -0.4, 0.4, 1.0])
def test_a_leaning_policy_moves_one_way(lean: float) -> None:
    """A policy that leans to better tiers moves requests up only, to cheaper ones down only."""
    gateway = served(classifier__mode="local")
    a = policy(classifier__mode="local")
    tally, moved = replayed(
        gateway.log.lines, a, policy(classifier__mode="local", classifier__lean=lean)
    )
    assert {each.change for each in moved} <= {"up" if lean > 0 else "down"}
    assert abs(lean) < 1 or moved
    assert tally.requests == tally.changes["unchanged"] + len(moved)


@given(
    st.lists(st.integers(0, 10_000), min_size=4, max_size=4).filter(any),
    st.floats(-1, 1),
    st.floats(-1, 1),
)
def test_no_lean_moves_the_wrong_way(counts: list[int], one: float, other: float) -> None:
    """For any probabilities, a higher lean never chooses a lower tier."""
    judged = shares(*[count / sum(counts) for count in counts])
    a, b = (policy(classifier__mode="local", classifier__lean=lean) for lean in (one, other))
    _, moved = replayed([line(judged=judged)], a, b)
    assert {each.change for each in moved} <= {"up" if other > one else "down"}


@pytest.mark.parametrize(
    "changes",
    [
        {"classifier__mode": "local", "classifier__lean": 0.7},
        {"classifier__mode": "local", "classifier__lean": -1.0},
        {"classifier__mode": "off", "default_tier": "quality"},
        {"classifier__mode": "local", "rules": RULES[:1]},
        {"classifier__mode": "local", "rules": [rule("tools", "alpha/extra", tools=True)]},
        {"classifier__mode": "local", "permissions__tier": "reject"},
        {"classifier__mode": "local", "permissions__direct": "reject"},
        {"classifier__mode": "local", "default_tier": "fast"},
        {"classifier__mode": "local", "permissions__bypass": "reject"},
    ],
)
def test_what_is_replayed_is_what_the_gateway_does(changes: dict[str, Any]) -> None:
    """Records of one policy, replayed against another, say what a gateway with that one decided."""
    a, b = policy(classifier__mode="local"), policy(**changes)
    before, after = served(classifier__mode="local"), served(**changes)
    side = Side(b, TILT, [a, b])
    for seen, fact in zip(read(before.log.lines), after.records, strict=True):
        verdict, _ = side.decide(seen)
        if "error" in fact and "decision" not in fact:
            assert verdict == Denied()
            continue
        assert isinstance(verdict, Decision)
        assert (verdict.tier, verdict.by) == (fact.get("tier"), fact["decision"])


# --- rules -------------------------------------------------------------------


def test_rules_catch_by_what_the_record_knows() -> None:
    """A rule on facts catches; one on headers may, and how many it may have caught is counted."""
    a, b = policy(), policy(rules=RULES)
    facts = {"images": False, "tools": False, "json_schema": False}
    long, short = {**facts, "tokens": 151}, {**facts, "tokens": 150, "language": "de"}
    tally, moved = replayed([line(facts=long), line(facts=short), line(facts=None)], a, b)
    assert tally.caught == {"long": 1}
    assert tally.could == {"long": 1, "team": 2, "french": 1}
    assert [(each.before, each.after, each.why) for each in moved] == [
        ("balanced", "quality", "default classifier_off -> rule long")
    ]
    assert any("team" in note for note in notes_of(a, b))


def test_a_rule_that_decided_is_known_to_have_held() -> None:
    """What a rule on headers did is known of its own policy's records, and of a rule like it."""
    gateway = served(classifier__mode="local", rules=RULES)
    a = policy(classifier__mode="local", rules=RULES)
    moved_rule = [{**RULES[1], "name": "renamed", "tier": "quality"}]
    tally, moved = replayed(
        gateway.log.lines, a, policy(classifier__mode="local", rules=[*RULES[:1], *moved_rule])
    )
    assert tally.caught["renamed"] == 1
    assert tally.could == {}
    assert ("fast", "quality", "rule team -> rule renamed") in [
        (each.before, each.after, each.why) for each in moved
    ]


def test_what_a_rule_caught_was_not_judged() -> None:
    """Without the rule, what it caught would have been judged, which the record cannot tell."""
    gateway = served(classifier__mode="local", rules=RULES)
    a = policy(classifier__mode="local", rules=RULES)
    tally, _ = replayed(gateway.log.lines, a, policy(classifier__mode="local"))
    assert tally.unknown == {"not_judged": 3}


def test_a_rule_may_choose_a_model() -> None:
    """A rule's model counts as its tier, and as aside where it has none to compare."""
    a = policy()
    to_large = policy(rules=[rule("one", "beta/org/large")])
    to_extra = policy(rules=[rule("one", "alpha/extra")])
    assert [each.change for each in replayed([line()], a, to_large)[1]] == ["up"]
    assert [each.change for each in replayed([line()], a, to_extra)[1]] == ["aside"]


# --- the judge ---------------------------------------------------------------

MODEL: dict[str, Any] = {"classifier__mode": "model", "classifier__model": "judge/mini"}
HYBRID: dict[str, Any] = {**MODEL, "classifier__mode": "hybrid"}


def test_the_model_is_not_guessed() -> None:
    """What the classifier model said counts if the record has it; else the request is unknown."""
    a, b = policy(classifier__mode="local"), policy(**MODEL)
    said = line(decision="model", tier="quality", judged=None)
    gone = line(decision="model", tier="best")
    tally, _ = replayed([said, line(), gone], policy(), b)
    assert tally.places == {("balanced", "quality"): 1, ("balanced", "unknown"): 2}
    assert tally.unknown == {"not_asked": 1, "no_such_tier": 1}
    assert replayed([line(decision="session", tier="fast")], a, b)[1][0].after == "fast"


def test_hybrid_is_local_where_it_is_sure() -> None:
    """The embedded model decides at its confidence and over it, else what the other one said."""
    sure, unsure = shares(0.6, 0.2, 0.1, 0.1), shares(0.59, 0.21, 0.1, 0.1)
    b = policy(**HYBRID, classifier__lean=-0.3)
    lines = [line(judged=sure), line(judged=unsure), line(judged=unsure, decision="model")]
    tally, _ = replayed(lines, policy(default_tier="quality"), b)
    assert tally.places == {
        ("quality", "fast"): 1,
        ("quality", "unknown"): 1,
        ("quality", "balanced"): 1,
    }


def test_what_was_in_fact_decided_is_known() -> None:
    """Where the classifier model failed, its own policy's record says what served."""
    a, b = policy(**MODEL), policy(classifier__mode="off", default_tier="fast")
    failed = line(policy=a.label, decision="default", reason="classifier_silent", judged=None)
    _, moved = replayed([failed], a, b)
    assert [(each.before, each.after) for each in moved] == [("balanced", "fast")]
    tally, _ = replayed([failed], policy(**MODEL, name="other"), b)
    assert tally.unknown == {"not_asked": 1}


def test_without_text_or_evidence() -> None:
    """Where nothing could be read, every judge says the default tier."""
    a, b = policy(classifier__mode="local"), policy(classifier__mode="local", default_tier="fast")
    for reason in ("no_user_text", "no_evidence"):
        empty = line(decision="default", reason=reason, judged=None)
        _, (moved,) = replayed([empty], a, b)
        assert (moved.before, moved.after) == ("balanced", "fast")


@pytest.mark.parametrize("share", [1.1, -0.1, float("nan"), float("inf"), "0.5", None, [0.5]])
def test_what_is_no_probability_is_no_judgement(share: object) -> None:
    """A record whose probabilities are none was not judged, as far as anyone can tell."""
    odd = {**shares(0.2, 0.5, 0.2, 0.1), "quality": share}
    local = policy(classifier__mode="local")
    assert replayed([line(judged=odd)], policy(), local)[0].unknown == {"not_judged": 1}


# --- what clients ask for ----------------------------------------------------


def test_what_a_policy_does_not_let_clients_do() -> None:
    """A tier that it rejects or has not is refused; one that it ignores is judged."""
    forced = line(decision="forced", tier="quality", facts=None, judged=None)
    _, (moved,) = replayed([forced], policy(), policy(permissions__tier="reject"))
    assert (moved.before, moved.after, moved.change) == ("quality", None, "refused")
    ignoring = policy(permissions__tier="ignore", classifier__mode="local")
    assert replayed([forced], policy(), ignoring)[0].unknown == {"not_judged": 1}
    off = policy(permissions__tier="ignore")
    assert replayed([forced], policy(), off)[1][0].after == "balanced"


def test_a_bypass_goes_to_the_default_tier() -> None:
    """Bypassed requests follow the policy's default tier."""
    bypassed = line(decision="bypass", facts=None, judged=None)
    a = policy(**MODEL)
    tally, _ = replayed([bypassed], a, policy(**MODEL, name="b"))
    assert (tally.changes["unchanged"], tally.as_asked) == (1, 1)
    _, (moved,) = replayed([bypassed], a, policy(**MODEL, default_tier="fast"))
    assert (moved.after, moved.change) == ("fast", "down")


# --- cost --------------------------------------------------------------------


def test_cost_is_of_first_targets_and_of_what_is_known() -> None:
    """Both costs are of the same requests: those with usage, and with a price on both sides."""
    tiers = [
        {"name": name, "description": name, "targets": targets}
        for name, targets in (
            ("fast", [target("alpha/small")]),
            ("balanced", [target("alpha/medium", 1), target("beta/medium", 2)]),
        )
    ]
    a, b = policy(), policy(tiers=tiers)
    no_usage = line(usage=None)
    no_price = line(decision="forced", tier="fast")
    tally, _ = replayed([line(), line(), no_usage, no_price], a, b)
    costs = tally.costs
    assert (costs.requests, costs.no_usage, costs.no_price, costs.no_target) == (2, 1, 1, 0)
    assert costs.before == pytest.approx(2 * (1_000 * 1 + 100 * 10) / 1e6)
    assert costs.after == pytest.approx(2 * (1_000 * 2 + 100 * 20) / 1e6)


def test_what_is_unknown_has_no_cost() -> None:
    """A request that one side cannot decide is in neither sum."""
    tally, _ = replayed([line()], policy(), policy(**MODEL))
    assert (tally.costs.requests, tally.costs.no_target) == (0, 1)


def test_notes() -> None:
    """Where two policies differ in what no record tells, it is said; equal ones have no notes."""
    assert list(notes_of(policy(**HYBRID), policy(**HYBRID, name="b"))) == []
    changes: list[tuple[dict[str, Any], str]] = [
        ({**HYBRID, "classifier__weights": "0123456789ab"}, "0123456789ab"),
        ({**HYBRID, "classifier__model": "judge/other"}, "judge/other"),
        ({**HYBRID, "unknown_model": "reject"}, "`auto`"),
    ]
    for change, word in changes:
        (note,) = notes_of(policy(**HYBRID), policy(**change))
        assert word in note
