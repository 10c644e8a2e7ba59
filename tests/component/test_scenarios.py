"""Every scenario of the catalogue, with the official SDK through the built gateway."""

import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import openai
import pytest

from gateway.operator.stores import DirectoryStore
from tests.component.catalogue import Expected, Scenario, Step, load
from tests.component.conftest import HOSTS, Mock, NewGateway
from tests.component.gateways import ALLOW_ALL, Gateway, Json, in_order, make_policy, tier
from tests.component.hosts import Host

PROMPT = "Tell me about größe and 漢字."
SCENARIOS = [scenario for group in load() for scenario in group.scenarios]


def guards_of(host: Host, place: int, scenario: Scenario) -> tuple[str, ...]:
    """Every guard under wasmtime. The guards are above the hosts, and Viceroy is slow: there each
    scenario has one of them, in turn."""
    guards = tuple(scenario.guards)
    return guards if host.name == "wasmtime" else guards[place % len(guards) :][:1]


# What differs on a host is held by tests of its own.
RUNS = [
    pytest.param(host, scenario, guard, id=f"{host.name}-{scenario.name}-{guard}")
    for host in HOSTS
    for place, scenario in enumerate(SCENARIOS)
    if host.name in scenario.hosts
    for guard in guards_of(host, place, scenario)
]
URLS = {
    "refused": "http://127.0.0.1:9/v1",
    "no name": "http://no-such-provider.invalid/v1",
}
UNANSWERED = {"answered", "rejected"}  # outcomes that are no fallback


@dataclass
class Got:
    """What the client saw."""

    headers: Mapping[str, str] = field(default_factory=dict)
    status: int | None = None
    text: str = ""
    finish: str | None = None
    error: openai.APIError | None = None
    seconds: float = 0.0


@dataclass
class Play:
    """A scenario under one guard. Its models have names of their own, so that no other run's
    faults or health reach it."""

    scenario: Scenario
    guard: str
    gateway: Gateway
    mock: Mock
    seen: Counter[str] = field(default_factory=Counter)

    def model(self, letter: str) -> str:
        return f"{self.scenario.name}.{self.guard}.{self.gateway.host.name}.{letter}"

    def target(self, letter: str) -> str:
        """Its id in the policy."""
        provider = letter if letter in self.scenario.urls else "mock"
        return f"{provider}/{self.model(letter)}"

    def policy(self) -> Json:
        scenario = self.scenario
        https = self.mock.url.replace("http:", "https:")
        providers: dict[str, str | Json] = {"mock": self.mock.url}
        providers |= {name: URLS.get(url, https) for name, url in scenario.urls.items()}
        given = {
            "name": "scenario",
            "headers": ALLOW_ALL,
            "retries": 1,
            "health": {},
            "stream_guard": self.guard,
            "tiers": [
                tier(name, *in_order(*map(self.target, letters)))
                for name, letters in scenario.tiers.items()
            ],
            **scenario.policy,
        }
        if "models" in given:
            given["models"] = {self.target(k): facts for k, facts in given["models"].items()}
        if scenario.judge is not None:
            self.mock.order(self.model("judge"), scenario.judge)
            judge = {"model": self.target("judge"), "timeout_ms": 500, "cooldown_ms": 60_000}
            given["classifier"] = judge
        return make_policy(providers, **given)

    def prepare(self) -> None:
        """The policy, and what stands in the store."""
        self.gateway.use(self.policy())
        for key, value in self.scenario.store.items():
            name = key.replace("{a}", self.target("a"))
            if value != "unreadable":
                self.gateway.store.write(name, value.encode())
                continue
            assert isinstance(self.gateway.store, DirectoryStore)
            if name.startswith("policy/"):  # it has been read, as it always has
                assert self.gateway.http.get("/readyz").status_code == 200
            path = self.gateway.folder / name
            path.unlink(missing_ok=True)
            path.mkdir(parents=True)

    def take(self, step: Step) -> None:
        time.sleep(step.wait_ms / 1000)
        for letter, fault in step.faults.items():
            self.mock.order(self.model(letter), fault)
        expected = step.expected[self.guard]
        for _ in range(step.times):
            got = self.ask(step)
            self.check(got, expected, has_left=step.leaves_after is not None)

    def ask(self, step: Step) -> Got:
        got = Got()
        started = time.monotonic()
        try:
            self._ask(step, got)
        except openai.APIStatusError as error:
            got.error, got.status, got.headers = error, error.status_code, error.response.headers
        except openai.APIError as error:
            got.error = error
        got.seconds = time.monotonic() - started
        return got

    def _ask(self, step: Step, got: Got) -> None:
        with self.gateway.sdk() as sdk:
            raw = sdk.chat.completions.with_raw_response.create(
                model=step.model.replace("{a}", self.target("a")),
                messages=[{"role": "user", "content": PROMPT}],
                stream=self.scenario.stream,
                extra_headers=step.headers,
            )
            got.headers, got.status = raw.headers, raw.status_code
            answer: Any = raw.parse()
            if not self.scenario.stream:
                got.text = answer.choices[0].message.content or ""
                got.finish = answer.choices[0].finish_reason
                return
            with answer:
                for number, chunk in enumerate(answer, 1):
                    for choice in chunk.choices:
                        got.text += choice.delta.content or ""
                        got.finish = choice.finish_reason or got.finish
                    if number == step.leaves_after:
                        return

    # --- what must be so ---

    def check(self, got: Got, expected: Expected, *, has_left: bool) -> None:
        least, most = expected.seconds
        assert least <= got.seconds <= most, got
        self._check_answer(got, expected, has_left=has_left)
        self._check_headers(got, expected, is_open=expected.breaks or has_left)
        record = self.gateway.record(got.headers["x-tiergate-request-id"])
        attempts = [(each["target"], each["outcome"]) for each in record["attempts"]]
        assert attempts == [(self.target(k), outcome) for k, outcome in expected.outcomes]
        assert record["status"] == got.status
        for name, value in expected.record.items():
            assert record.get(name) == value, name
        self._check_providers(expected)

    def _check_answer(self, got: Got, expected: Expected, *, has_left: bool) -> None:
        assert (type(got.error).__name__ if got.error else None) == expected.raises, got.error
        if expected.raises:
            assert got.error
            assert got.status == (200 if expected.breaks else expected.status), got.error
            assert got.error.code == expected.code
            if got.status and got.status > 400 and expected.code:  # all failed: each is named
                for letter, outcome in expected.outcomes:
                    assert f"{self.target(letter)} ({outcome})" in got.error.message
        if expected.breaks or has_left:
            said = self.says(expected.outcomes[-1][0])
            assert said.startswith(got.text)
            assert got.text
            assert got.finish == expected.finish
        elif not expected.raises:
            assert got.finish == "stop"
            answered = [k for k, outcome in expected.outcomes if outcome == "answered"]
            letter = expected.answer or answered[0]
            assert got.text == (self.says(letter) if expected.text is None else expected.text)

    def says(self, letter: str) -> str:
        return f"Hello from {self.model(letter)}, a mock model happy to help: you said “{PROMPT}”."

    def _check_headers(self, got: Got, expected: Expected, *, is_open: bool) -> None:
        """`is_open`: the last attempt looked answered when the head was sent."""
        outcomes = expected.outcomes
        failed = [
            f"{self.target(k)};{outcome}"
            for k, outcome in (outcomes[:-1] if is_open else outcomes)
            if outcome not in UNANSWERED
        ]
        headers = got.headers
        assert headers["x-tiergate-schema"] == "1"
        assert headers.get("x-tiergate-attempts") == (str(len(outcomes)) if outcomes else None)
        assert headers.get("x-tiergate-fallback") == (", ".join(failed) or None)
        by = [k for k, outcome in outcomes if outcome in UNANSWERED]
        by = [expected.answer] if expected.answer else by
        by = [outcomes[-1][0]] if is_open else by
        assert headers.get("x-tiergate-model") == (self.model(by[0]) if by else None)
        for name, value in expected.headers.items():
            assert headers.get(name) == value, (name, headers.get(name))
        for name in expected.absent:
            assert name not in headers

    def _check_providers(self, expected: Expected) -> None:
        """Each model has had as many requests as attempts of it are told of; none behind them."""
        self.seen.update(k for k, outcome in expected.outcomes if outcome != "refused")
        for letter in {k for letters in self.scenario.tiers.values() for k in letters}:
            if letter in self.scenario.urls:
                continue
            received = self.mock.of(self.model(letter))
            assert len(received) == self.seen[letter], letter
            for name, value in expected.passed.items():
                assert all([name, value] in each["headers"] for each in received)
        for letter, ended in expected.ended.items():
            assert self.mock.ended(self.model(letter)) == ended


@pytest.mark.parametrize(("host", "scenario", "guard"), RUNS, indirect=["host"])
def test_scenario(
    request: pytest.FixtureRequest,
    new_gateway: NewGateway,
    mock: Mock,
    scenario: Scenario,
    guard: str,
) -> None:
    """The client, the headers, the record and the providers see what the catalogue says."""
    is_own = scenario.spoils_the_store
    gateway: Gateway = new_gateway() if is_own else request.getfixturevalue("gateway")
    play = Play(scenario, guard, gateway, mock)
    play.prepare()
    for step in scenario.steps:
        play.take(step)
