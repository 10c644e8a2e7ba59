"""Which tier, and why: every row of what clients may ask for and what a policy lets them."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.decide import Controls, Decision, decide, default, read_controls
from gateway.core.errors import BadRequest, Forbidden, NotFound, TiergateError
from gateway.core.http import Headers
from gateway.core.policy import Policy, Target
from tests.core.samples import TIERS, chat, policy, said

SMALL = Target("alpha", "small")
CLASSIFY = None


def decided(
    model: str | None = "auto", headers: dict[str, str] | None = None, **changes: object
) -> Decision | None:
    """What is decided for a model in the body and headers, under a policy."""
    rules = policy(**changes)
    named: dict[str, object] = {} if model is None else {"model": model}
    return decide(rules, chat(**named), read_controls(Headers((headers or {}).items()), rules))


def refused(
    model: str | None = "auto", headers: dict[str, str] | None = None, **changes: object
) -> TiergateError:
    with pytest.raises(TiergateError) as caught:
        decided(model, headers, **changes)
    return caught.value


def permission(member: str, value: str) -> dict[str, Any]:
    """The change of a policy that permits clients so much."""
    return {f"permissions__{member}": value}


BYPASS = {"x-tiergate-bypass": "true"}
FORCED = {"x-tiergate-tier": "quality"}


@pytest.mark.parametrize(
    ("model", "headers", "expected"),
    [
        (None, {}, CLASSIFY),
        ("auto", {}, CLASSIFY),
        ("tiergate/auto", {}, CLASSIFY),
        ("gpt-5", {}, CLASSIFY),
        ("", {}, CLASSIFY),
        ("alpha/unlisted", {}, CLASSIFY),
        ("tiergate/fast", {}, Decision("fast", "forced")),
        ("tiergate/quality", {}, Decision("quality", "forced")),
        ("alpha/small", {}, Decision(None, "direct", SMALL)),
        ("beta/org/large", {}, Decision(None, "direct", Target("beta", "org/large"))),
        ("alpha/extra", {}, Decision(None, "direct", Target("alpha", "extra"))),
        (None, BYPASS, Decision("balanced", "bypass")),
        ("auto", BYPASS, Decision("balanced", "bypass")),
        ("gpt-5", BYPASS, Decision("balanced", "bypass")),
        ("alpha/small", BYPASS, Decision(None, "bypass", SMALL)),
        ("tiergate/fast", BYPASS, Decision("fast", "forced")),
        ("auto", {"x-tiergate-bypass": "false"}, CLASSIFY),
        ("auto", FORCED, Decision("quality", "forced")),
        (None, FORCED, Decision("quality", "forced")),
        ("gpt-5", FORCED, Decision("quality", "forced")),
        ("alpha/small", FORCED, Decision("quality", "forced")),
        ("tiergate/fast", FORCED, Decision("quality", "forced")),
        ("auto", {**FORCED, **BYPASS}, Decision("quality", "forced")),
        ("auto", {"x-tiergate-tier": " fast "}, Decision("fast", "forced")),
    ],
)
def test_what_a_request_asks_for(
    model: str | None, headers: dict[str, str], expected: Decision | None
) -> None:
    """Forced, then bypass, then a tier or a listed model in the body; anything else is judged."""
    assert decided(model, headers) == expected


@pytest.mark.parametrize(
    ("member", "model", "headers", "ignored"),
    [
        ("tier", "auto", FORCED, CLASSIFY),
        ("tier", "tiergate/quality", {}, CLASSIFY),
        ("tier", "tiergate/quality", BYPASS, Decision("balanced", "bypass")),
        ("bypass", "auto", BYPASS, CLASSIFY),
        ("bypass", "alpha/small", BYPASS, Decision(None, "direct", SMALL)),
        ("direct", "alpha/small", {}, CLASSIFY),
        ("direct", "alpha/extra", {}, CLASSIFY),
    ],
)
def test_permissions(
    member: str, model: str, headers: dict[str, str], ignored: Decision | None
) -> None:
    """What the policy ignores decides nothing; what it rejects is a 403 naming it."""
    assert decided(model, headers, **permission(member, "ignore")) == ignored
    error = refused(model, headers, **permission(member, "reject"))
    assert isinstance(error, Forbidden)
    assert error.param in {"model", f"x-tiergate-{member}"}


def test_bypass_does_not_open_a_closed_door() -> None:
    """A policy that ignores models named by clients ignores them under bypass too."""
    assert decided("alpha/small", BYPASS, permissions__direct="ignore") == Decision(
        "balanced", "bypass"
    )


@pytest.mark.parametrize("member", ["tier", "bypass", "direct", "stream_guard"])
def test_rejecting_is_about_those_who_ask(member: str) -> None:
    """A request that asks for nothing is judged under any policy."""
    assert decided("auto", **permission(member, "reject")) is CLASSIFY


@pytest.mark.parametrize("headers", [{}, FORCED])
def test_unknown_models(headers: dict[str, str]) -> None:
    """`unknown_model = "reject"` answers 404 with the name; bypass and force still serve."""
    if headers:
        assert decided("gpt-5", headers, unknown_model="reject") == Decision("quality", "forced")
        assert decided("gpt-5", BYPASS, unknown_model="reject") == Decision("balanced", "bypass")
        return
    error = refused("gpt-5", headers, unknown_model="reject")
    assert isinstance(error, NotFound)
    assert (error.status, error.code, error.param) == (404, "model_not_found", "model")
    assert "gpt-5" in error.message
    assert decided("auto", unknown_model="reject") is CLASSIFY
    assert decided("alpha/small", unknown_model="reject") == Decision(None, "direct", SMALL)


@pytest.mark.parametrize("unknown_model", ["classify", "reject"])
def test_unknown_tiers(unknown_model: str) -> None:
    """`tiergate/` is our own name space: no tier of that name is always an error with the names."""
    error = refused("tiergate/best", unknown_model=unknown_model)
    assert (error.status, error.code, error.param) == (404, "model_not_found", "model")
    assert all(tier in error.message for tier in TIERS)
    forced = refused("auto", {"x-tiergate-tier": "best"})
    assert (forced.status, forced.code, forced.param) == (400, "unknown_tier", "x-tiergate-tier")
    assert all(tier in forced.message for tier in TIERS)


def test_a_long_model_name_is_shown_short() -> None:
    """An error does not repeat a megabyte of name."""
    assert len(refused("x" * 100_000, unknown_model="reject").message) < 400


@pytest.mark.parametrize(
    ("header", "values"),
    [
        ("x-tiergate-bypass", ["", "yes", "1", "TRUE"]),
        ("x-tiergate-stream-guard", ["", "none", "Full"]),
        ("x-tiergate-timeout-ms", ["", "0", "-1", "1.5", "1e3", "soon", "1" * 10, "²", "٣", "00"]),
        ("x-tiergate-tier", ["", "best", "fast,quality"]),
    ],
)
def test_bad_header_values(header: str, values: list[str]) -> None:
    """A control header with another value than it may have is a 400 naming the header."""
    for value in values:
        error = refused(headers={header: value})
        assert isinstance(error, BadRequest)
        assert error.param == header
        assert error.code in {"invalid_header", "unknown_tier"}


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, Controls(None, is_bypass=False, timeout_ms=None, stream_guard=None)),
        (
            {"x-tiergate-timeout-ms": "250", "x-tiergate-stream-guard": "full"},
            Controls(None, is_bypass=False, timeout_ms=250, stream_guard="full"),
        ),
        (
            {"X-Tiergate-Tier": "fast", "X-Tiergate-Stream-Guard": "content"},
            Controls("fast", is_bypass=False, timeout_ms=None, stream_guard="content"),
        ),
    ],
)
def test_controls(headers: dict[str, str], expected: Controls) -> None:
    """The control headers are read whatever the case of their names."""
    assert read_controls(Headers(headers.items()), policy()) == expected


def test_the_stream_guard_by_permission() -> None:
    """The guard is the client's choice only where the policy allows it."""
    headers = Headers([("x-tiergate-stream-guard", "full")])
    ignoring = policy(permissions__stream_guard="ignore")
    assert read_controls(headers, ignoring).stream_guard is None
    with pytest.raises(Forbidden) as caught:
        read_controls(headers, policy(permissions__stream_guard="reject"))
    assert caught.value.param == "x-tiergate-stream-guard"


def test_the_default() -> None:
    """What could not be judged is the default tier, with the reason."""
    assert default(policy(), "why") == Decision("balanced", "default", reason="why")


RULES = [policy(permissions__tier=value) for value in ("allow", "ignore", "reject")]


@given(st.text(max_size=30), st.sampled_from(RULES))
def test_text_in_the_conversation_has_no_say(text: str, rules: Policy) -> None:
    """Whatever the messages say, the decision is that of the model and the headers."""
    request = said(
        ("system", f"x-tiergate-tier: quality {text}"), ("user", f"model: tiergate/fast {text}")
    )
    controls = Controls(None, is_bypass=False, timeout_ms=None, stream_guard=None)
    assert decide(rules, request, controls) is CLASSIFY
