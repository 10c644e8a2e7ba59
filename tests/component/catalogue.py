"""The catalogue of scenarios: what a provider does, under which policy, and what must come of it.

It is data, `scenarios/*.toml`, read here strictly; `test_scenarios.py` plays it, and the tables of
docs/failover.md are made of it (`tests/docs/failover_page.py`).

Rules: targets are named by letters, `a` first, all of them models of the mock provider unless
`urls` says otherwise; what is expected of a step is said once as its attempts, in order, and the
headers, the record and what each provider saw follow from them.
"""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent / "scenarios"
GUARDS = ("content", "full")


@dataclass(frozen=True, slots=True)
class Expected:
    """What must come of one request.

    attempts: `a cut`, in order. answer: whose answer the client gets; left out, of the target that
    answered. raises: the official SDK's exception. breaks: the stream ends in it, after a part of
    the last target's answer; finish: the finish reason that came before. seconds: the least and the
    most. ended: how the mock provider's own answers ended, by target. passed: headers that each
    provider was sent. headers, record: members that must be so; absent: headers that must not be.
    """

    attempts: tuple[str, ...]
    answer: str | None = None
    raises: str | None = None
    status: int | None = None
    code: str | None = None
    breaks: bool = False
    finish: str | None = None
    text: str | None = None
    seconds: tuple[float, float] = (0.0, 12.0)
    headers: Mapping[str, object] = field(default_factory=dict)
    absent: tuple[str, ...] = ()
    record: Mapping[str, object] = field(default_factory=dict)
    ended: Mapping[str, str] = field(default_factory=dict)
    passed: Mapping[str, str] = field(default_factory=dict)

    @property
    def outcomes(self) -> list[tuple[str, str]]:
        """(target, outcome) of each attempt."""
        pairs = [attempt.split(" ") for attempt in self.attempts]
        return [(target, outcome) for target, outcome in pairs]


@dataclass(frozen=True, slots=True)
class Step:
    """One request, or `times` of them one after the other, `wait_ms` after what was before.

    faults: by target, from now on; a list is taken in turn. leaves_after: the client goes after so
    many chunks.
    """

    expected: Mapping[str, Expected]
    faults: Mapping[str, str | list[str]] = field(default_factory=dict)
    model: str = "auto"
    headers: Mapping[str, str] = field(default_factory=dict)
    wait_ms: int = 0
    times: int = 1
    leaves_after: int | None = None


@dataclass(frozen=True, slots=True)
class Scenario:
    """`says`: what happens. tiers: name and targets, cheapest first. urls: of targets that are no
    models of the mock provider. judge: the classifier's fault. store: what stands in the gateway's
    store, by key; `unreadable` makes a key so. hosts: where it holds."""

    name: str
    says: str
    steps: tuple[Step, ...]
    tiers: Mapping[str, list[str]]
    policy: Mapping[str, Any] = field(default_factory=dict)
    urls: Mapping[str, str] = field(default_factory=dict)
    stream: bool = False
    judge: str | None = None
    store: Mapping[str, str] = field(default_factory=dict)
    hosts: tuple[str, ...] = ("wasmtime", "fastly")

    @property
    def spoils_the_store(self) -> bool:
        """Whether other scenarios could not use the gateway any more."""
        return any(
            value == "unreadable" or key.startswith("policy/") for key, value in self.store.items()
        )

    @property
    def guards(self) -> tuple[str, ...]:
        """A whole answer knows no guard."""
        return GUARDS if self.stream else GUARDS[:1]


@dataclass(frozen=True, slots=True)
class Group:
    """The scenarios of a file."""

    title: str
    intro: str
    scenarios: tuple[Scenario, ...]


def load() -> list[Group]:
    """The whole catalogue, in the order of the files' names."""
    found = [_group(tomllib.loads(path.read_text())) for path in sorted(FOLDER.glob("*.toml"))]
    names = [each.name for group in found for each in group.scenarios]
    assert len(names) == len(set(names)), "a scenario's name is used twice"
    return found


def _group(value: dict[str, Any]) -> Group:
    assert value.keys() == {"title", "intro", "scenario"}, value.keys()
    return Group(value["title"], value["intro"], tuple(map(_scenario, value["scenario"])))


def _scenario(value: dict[str, Any]) -> Scenario:
    steps = value.pop("steps", None)
    targets = value.pop("targets", ["a", "b"])
    if steps is None:
        names = {each.name for each in fields(Step)} | {"expect", "expect_full"}
        steps = [{name: value.pop(name) for name in names & value.keys()}]
    value["steps"] = tuple(map(_step, steps))
    value.setdefault("tiers", {"only": targets})
    assert len(value["name"]) <= 40, value["name"]
    return Scenario(**value)


def _step(value: dict[str, Any]) -> Step:
    common = value.pop("expect")
    full = value.pop("expect_full", common)
    return Step(expected={"content": _expected(common), "full": _expected(full)}, **value)


def _expected(value: dict[str, Any]) -> Expected:
    listed: dict[str, Any] = {
        name: tuple(value[name]) for name in ("attempts", "absent", "seconds") if name in value
    }
    return Expected(**{**value, **listed})
