"""Which targets, in which order: weights by the draw, and why a target is left out."""

from collections import Counter
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.asked import Chat
from gateway.core.chat import ChatRequest
from gateway.core.decide import Decision
from gateway.core.dialects import OPENAI_CHAT
from gateway.core.plan import Plan, make_plans, no_target, steps_of
from gateway.core.policy import Policy, Target
from tests.core.samples import chat, policy, provider, target

IMAGE = [
    {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "https://x.test/i"}}]}
]
TOOLS = [{"type": "function", "function": {"name": "f"}}]


def drawn(*numbers: float) -> Callable[[], float]:
    """These draws, one after the other; one more is an error."""
    rest = list(numbers)
    return lambda: rest.pop(0)


def plan_of(
    rules: Policy,
    decision: Decision,
    request: ChatRequest,
    has_secret: Callable[[str], bool],
    draw: Callable[[], float],
) -> Plan:
    """The plan for a chat of a client that speaks OpenAI's dialect."""
    asked = Chat(request, OPENAI_CHAT)
    return next(make_plans(rules, steps_of(rules, decision), asked, has_secret, draw))


def lacks(*names: str) -> Callable[[str], bool]:
    """A host on which these secrets are not set."""
    return lambda name: name not in names


def weighted(*weights: int, **changes: object) -> Policy:
    """A policy whose one tier has targets alpha/m0, alpha/m1 ... of these weights."""
    targets = [target(f"alpha/m{number}", weight) for number, weight in enumerate(weights)]
    tier = {"name": "all", "description": "d", "targets": targets}
    return policy(tiers=[tier], default_tier="all", models={}, **changes)


def order(rules: Policy, *draws: float) -> list[str]:
    """The models of the plan for the default tier, first to last."""
    plan = plan_of(rules, Decision(None, "default"), chat(), lacks(), drawn(*draws))
    return [item.model for item in plan.attempts]


@pytest.mark.parametrize(
    ("weights", "draws", "expected"),
    [
        ((1,), (), "0"),
        ((0,), (), "0"),
        ((1, 1), (0.0,), "01"),
        ((1, 1), (0.49,), "01"),
        ((1, 1), (0.5,), "10"),
        ((1, 3), (0.24,), "01"),
        ((1, 3), (0.25,), "10"),
        ((1, 1, 2), (0.5, 0.4), "201"),
        ((1, 1, 2), (0.5, 0.5), "210"),
        ((0, 1), (), "10"),
        ((0, 0, 0), (), "012"),
        ((0, 5, 0, 1), (0.9,), "3102"),
        ((1, 1), (0.9999999999999999,), "10"),
        ((3, 3, 3), (0.9999999999999999, 0.9999999999999999), "210"),
    ],
)
def test_weights_by_the_draw(
    weights: tuple[int, ...], draws: tuple[float, ...], expected: str
) -> None:
    """Each place is drawn by weight among those left; weight 0 comes last, in the order given."""
    assert order(weighted(*weights), *draws) == [f"m{digit}" for digit in expected]


@given(st.lists(st.integers(0, 5), min_size=1, max_size=6), st.data())
def test_every_target_once(weights: list[int], data: st.DataObject) -> None:
    """A plan is an order of all targets, those of weight 0 behind all others, one draw a choice."""
    positive = sum(weight > 0 for weight in weights)
    numbers = st.floats(0, 1, exclude_max=True)
    draws = [data.draw(numbers) for _ in range(max(0, positive - 1))]
    found = order(weighted(*weights, max_attempts=6), *draws)
    assert sorted(found) == [f"m{number}" for number in range(len(weights))]
    spares = [f"m{number}" for number, weight in enumerate(weights) if not weight]
    assert found[positive:] == spares


@pytest.mark.parametrize("weights", [(1, 1), (1, 3), (2, 3, 5), (1, 1, 98)])
def test_the_first_is_as_often_as_its_weight(weights: tuple[int, ...]) -> None:
    """Over evenly spaced draws each target comes first in exactly its share."""
    rules = weighted(*weights)
    draws = 10 * sum(weights)
    counts = Counter(
        order(rules, (number + 0.5) / draws, *[0.0] * len(weights))[0] for number in range(draws)
    )
    assert counts == {f"m{number}": 10 * weight for number, weight in enumerate(weights)}


def test_the_second_is_as_often_as_its_weight() -> None:
    """After a failure the next is drawn by the weights of those that are left."""
    counts = Counter(order(weighted(4, 1, 3), 0.0, (n + 0.5) / 40)[1] for n in range(40))
    assert counts == {"m1": 10, "m2": 30}


def test_higher_tiers_follow() -> None:
    """Where the policy lets it go up, each higher tier is a plan of its own, never a lower one; a
    target that was tried below is not tried again."""
    rules = policy(escalate=True)
    asked = Chat(chat(), OPENAI_CHAT)
    found = [
        (plan.tier, [item.id for item in plan.attempts])
        for plan in make_plans(
            rules, steps_of(rules, Decision("balanced", "model")), asked, lacks(), lambda: 0.0
        )
    ]
    assert found == [
        ("balanced", ["alpha/medium", "beta/medium"]),
        ("quality", ["beta/org/large"]),
    ]
    assert [tier for tier, _ in steps_of(rules, Decision("quality", "model"))] == ["quality"]
    assert [tier for tier, _ in steps_of(policy(), Decision("fast", "model"))] == ["fast"]
    direct = Decision(None, "direct", Target("alpha", "small"))
    assert len(list(steps_of(rules, direct))) == 1


def test_a_model_asked_for_is_the_only_one() -> None:
    """A direct request is served by that model or not at all."""
    asked = Target("alpha", "extra")
    plan = plan_of(policy(), Decision(None, "direct", asked), chat(), lacks(), drawn())
    assert plan.attempts == (asked,)


@pytest.mark.parametrize(
    ("members", "missing", "reason", "status", "param"),
    [
        ({}, ["ALPHA_KEY"], "ALPHA_KEY", 503, None),
        ({"messages": IMAGE}, [], "images", 400, "messages"),
        ({"tools": TOOLS}, [], "tools", 400, "tools"),
        ({"functions": TOOLS}, [], "tools", 400, "tools"),
        ({"tools": TOOLS}, ["ALPHA_KEY"], "ALPHA_KEY", 503, None),
    ],
)
def test_why_a_target_is_left_out(
    members: dict[str, object], missing: list[str], reason: str, status: int, param: str | None
) -> None:
    """A target without its key, or that cannot take the request, is left out with the reason."""
    decision = Decision(None, "direct", Target("alpha", "extra"))
    plan = plan_of(policy(), decision, chat(**members), lacks(*missing), drawn())
    assert plan.attempts == ()
    [left_out] = plan.left_out
    assert left_out.target.id == "alpha/extra"
    assert reason in left_out.reason
    error = no_target([plan])
    assert "alpha/extra" in error.message
    assert reason in error.message
    assert (error.status, error.param) == (status, param)
    assert error.code == ("no_usable_target" if status == 503 else "unsupported_by_targets")


def test_members_a_provider_is_not_sent() -> None:
    """A member that could choose another model keeps the request from that provider."""
    rules = policy(providers__alpha=provider("alpha", refuses=["models", "route"]))
    decision = Decision("balanced", "model")
    plan = plan_of(rules, decision, chat(models=["alpha/dear"]), lacks(), drawn())
    assert [item.id for item in plan.attempts] == ["beta/medium"]
    assert [(item.target.id, item.param) for item in plan.left_out] == [("alpha/medium", "models")]
    assert not plan_of(rules, decision, chat(model="auto"), lacks(), drawn(0.0)).left_out


def test_the_error_is_the_gateways_if_one_target_could_have_served() -> None:
    """Only where every target lacks what the client asks for is it the client's error."""
    rules = policy(models={"alpha/medium": {"images": False, "tools": True}})
    plan = plan_of(
        rules, Decision("balanced", "model"), chat(messages=IMAGE), lacks("BETA_KEY"), drawn()
    )
    error = no_target([plan])
    assert (error.status, error.code) == (503, "no_usable_target")
    assert "alpha/medium" in error.message
    assert "BETA_KEY" in error.message


def test_without_facts_a_model_can_take_it() -> None:
    """A model the policy knows nothing about is tried with images and tools."""
    request = chat(messages=IMAGE, tools=TOOLS)
    plan = plan_of(policy(), Decision("balanced", "model"), request, lacks(), drawn(0.0))
    assert len(plan.attempts) == 2


def test_a_provider_without_a_key() -> None:
    """A provider that needs no key is usable without one."""
    rules = policy(providers__alpha=provider("alpha", key=None))
    plan = plan_of(rules, Decision("fast", "model"), chat(), lacks("ALPHA_KEY"), drawn())
    assert [item.id for item in plan.attempts] == ["alpha/small"]


def test_a_provider_that_takes_no_stream_options_is_left_out() -> None:
    """A client that asks for usage in the stream is not sent where that is refused."""
    rules = weighted(1, providers={"alpha": provider("alpha", sends_usage_on_request=False)})
    asked = chat(stream=True, stream_options={"include_usage": True})
    found = plan_of(rules, Decision("all", "forced"), asked, lacks(), drawn())
    assert [item.param for item in found.left_out] == ["stream_options"]
