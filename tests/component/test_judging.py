"""The embedded classifier in the built gateway, on every host: no call, or weights of one's own."""

from datetime import date
from pathlib import Path

import pytest

from gateway.core.policy import LEVELS
from gateway.operator.compile import compile_text
from gateway.operator.stores import publish
from tests.component.conftest import NewPeer
from tests.component.gateways import Gateway, Json, make_policy, tier, toml
from tests.component.peers import completion, says, whole
from tests.weights import leaning

# "Prove that the root of 7 is irrational"
RUSSIAN = (
    "\u0414\u043e\u043a\u0430\u0436\u0438, \u0447\u0442\u043e \u043a\u043e\u0440\u0435\u043d\u044c "
    "\u0438\u0437 7 \u0438\u0440\u0440\u0430\u0446\u0438\u043e\u043d\u0430\u043b\u0435\u043d"
)


def policy_of(url: str, **classifier: object) -> Json:
    return make_policy(
        {"up": url},
        tiers=[tier(level, "up/m") for level in LEVELS],
        default_tier="balanced",
        classifier={"mode": "local", **classifier},
    )


@pytest.mark.parametrize(
    ("prompt", "level"),
    [
        ("What is the capital of Peru?", "fast"),
        ("Explain how vaccines work", "balanced"),
        ("Prove that there are infinitely many primes.", "reasoning"),
        (RUSSIAN, "reasoning"),
    ],
)
def test_it_judges_in_the_guest(
    gateway: Gateway, new_peer: NewPeer, prompt: str, level: str
) -> None:
    """The tier is said with its confidence, and nobody but the model was asked."""
    peer = new_peer(says(whole(completion())))
    gateway.use(policy_of(peer.url))
    answer = gateway.chat(messages=[{"role": "user", "content": prompt}])
    assert answer.headers["x-tiergate-decision"] == "local"
    assert answer.headers["x-tiergate-tier"] == level
    assert 0.25 < float(answer.headers["x-tiergate-confidence"]) <= 1
    assert peer.accepted == 1


def test_weights_of_ones_own(gateway: Gateway, new_peer: NewPeer, tmp_path: Path) -> None:
    """A file that the policy names goes into the store with it, and judges."""
    peer = new_peer(says(whole(completion())))
    weights = leaning(quality=9.0)
    (tmp_path / "ours.weights").write_bytes(weights)
    policy = policy_of(peer.url, weights="ours.weights")
    text = "\n".join(f"{name} = {toml(value)}" for name, value in policy.items())
    found = compile_text(text, "e2e.toml", date(2026, 1, 1), tmp_path)
    publish(gateway.store, found.data, found.weights)
    answer = gateway.chat(messages=[{"role": "user", "content": "hi"}])
    assert answer.headers["x-tiergate-decision"] == "local"
    assert answer.headers["x-tiergate-tier"] == "quality"
