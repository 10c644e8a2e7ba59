"""The strict reader of compiled policies: what loads is exactly what was published."""

import copy
import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.compiled import canonical, load, target_from_id, version_of
from gateway.core.errors import PolicyError
from gateway.core.policy import Price, Target
from tests.core.samples import compiled, policy, provider, sample, sealed, target

Place = tuple[str | int, ...]

FULL = sample(
    client_keys=["CLIENT_KEY"],
    cors_origins=["https://app.test"],
    classifier__mode="model",
    classifier__model="judge/org/fast",
    classifier__options={"reasoning_effort": "low"},
    providers__alpha=provider("alpha", passes=["x-title"]),
)
TABLES = ("providers", "models", "prices")
NULLABLE = {
    "key", "key_prefix", "passes", "refuses", "cached_input", "client_keys", "cors_origins",
    "level",
}  # fmt: skip
WRONG: dict[type, list[object]] = {
    str: [1, "", None, [], {}, True],
    int: ["1", 1.5, -1, None, True, []],
    float: ["1", -0.5, None, True, []],
    bool: [1, "true", None],
    list: ["x", {}, 1, [1], [""], [None]],
    dict: [[], "x", 1, None, True],
}


def shown(place: Place) -> str:
    """A place as errors write it."""
    path = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in place)
    return path.removeprefix(".")


def is_free(place: Place) -> bool:
    """Whether the names inside are the operator's own."""
    return place == ("classifier", "options") or (len(place) == 1 and place[0] in TABLES)


def places(value: object = FULL, place: Place = ()) -> Iterator[tuple[Place, object]]:
    """Every member of the compiled form, with its value."""
    if isinstance(value, dict) and place != ("classifier", "options"):
        for name, item in value.items():
            if not is_free(place):
                yield (*place, name), item
            yield from places(item, (*place, name))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from places(item, (*place, index))


def objects(value: object = FULL, place: Place = ()) -> Iterator[Place]:
    """Every object whose members are fixed."""
    if isinstance(value, dict) and place != ("classifier", "options"):
        if not is_free(place):
            yield place
        for name, item in value.items():
            yield from objects(item, (*place, name))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from objects(item, (*place, index))


def inside(value: Any, place: Place) -> Any:  # noqa: ANN401 - any JSON
    for step in place:
        value = value[step]
    return value


def edited(place: Place, new: object) -> bytes:
    """The full policy with another value at one place, and the version that goes with it."""
    value = copy.deepcopy(FULL)
    inside(value, place[:-1])[place[-1]] = new
    return sealed(value)


def without(place: Place) -> bytes:
    value = copy.deepcopy(FULL)
    del inside(value, place[:-1])[place[-1]]
    return sealed(value)


def problem(data: bytes) -> PolicyError:
    with pytest.raises(PolicyError) as caught:
        load(data)
    assert caught.value.path in caught.value.message
    return caught.value


MEMBERS = [place for place, _ in places()]


@pytest.mark.parametrize("place", MEMBERS, ids=shown)
def test_each_member_must_be_there(place: Place) -> None:
    """Nothing is left to guess: a member that is missing is named by its path."""
    error = problem(without(place))
    assert error.path == shown(place)
    assert error.problem == "is missing"


@pytest.mark.parametrize(
    ("place", "wrong"),
    [
        (place, wrong)
        for place, value in places()
        for wrong in WRONG.get(type(value), [])
        if not (wrong is None and place[-1] in NULLABLE)
        and not (place[-1] in {"tiers", "targets"} and wrong == [])
        and not (place[-1] == "lean" and wrong == -0.5)
    ],
    ids=lambda item: shown(item) if isinstance(item, tuple) else repr(item),
)
def test_each_member_has_one_type(place: Place, wrong: object) -> None:
    """A value of another type, an empty or a negative one is named by its path."""
    error = problem(edited(place, wrong))
    assert error.path == shown(place) or error.path.startswith(f"{shown(place)}[")


@pytest.mark.parametrize("place", list(objects()), ids=shown)
def test_no_member_is_unknown(place: Place) -> None:
    """A member this gateway does not know is refused: it might have meant something."""
    error = problem(edited((*place, "surprise"), 1))
    assert error.path == shown((*place, "surprise"))


def test_null_where_it_may_be() -> None:
    """What a policy may leave out is written as null."""
    value = copy.deepcopy(FULL)
    for place, _ in places():
        if place[-1] in NULLABLE:
            inside(value, place[:-1])[place[-1]] = None
    loaded = load(sealed(value))
    assert loaded.client_keys is None
    assert loaded.cors_origins == ()
    assert loaded.providers["alpha"].key is None
    assert loaded.providers["alpha"].key_prefix == ""
    assert loaded.providers["alpha"].passes == ()
    assert loaded.prices["alpha/medium"].cached_input is None


def test_round_trip() -> None:
    """What was compiled is what is loaded, every member of it."""
    data = sealed(FULL)
    loaded = load(data)
    assert loaded.name == "test"
    assert loaded.version == json.loads(data)["version"] == version_of(FULL)
    assert loaded.label == f"test@{loaded.version}"
    assert loaded.client_keys == ("CLIENT_KEY",)
    assert loaded.cors_origins == ("https://app.test",)
    assert loaded.classifier.target == Target("judge", "org/fast")
    assert loaded.classifier.options == {"reasoning_effort": "low"}
    assert list(loaded.tiers) == ["fast", "balanced", "quality"]
    assert loaded.tiers["quality"].targets[0] == Target("beta", "org/large")
    assert loaded.prices["alpha/medium"] == Price(1.0, 10.0, 0.5)
    assert not loaded.models["alpha/extra"].images
    assert loaded.timeouts.total_ms == 600_000
    assert loaded.permissions.direct == "allow"
    assert loaded.providers["alpha"].passes == ("x-title",)


def test_what_is_listed() -> None:
    """A client may name the targets of all tiers and the models of [models], each once."""
    assert list(policy().listed) == [
        "alpha/small",
        "alpha/medium",
        "beta/medium",
        "beta/org/large",
        "alpha/extra",
    ]


def test_secret_names() -> None:
    """Every secret the policy needs is named once: the clients' keys first."""
    assert load(sealed(FULL)).secret_names() == (
        "CLIENT_KEY",
        "ALPHA_KEY",
        "BETA_KEY",
        "JUDGE_KEY",
    )


@given(st.integers(0, 10**6), st.integers(0, 255))
def test_a_torn_or_edited_policy(at: int, byte: int) -> None:
    """A byte changed in the store is noticed: no edited policy ever serves."""
    data = sealed(FULL)
    at %= len(data)
    changed = data[:at] + bytes([byte]) + data[at + 1 :]
    if changed == data:
        load(changed)
        return
    with pytest.raises(PolicyError):
        load(changed)


@given(st.integers(0, 10**6))
def test_a_cut_policy(at: int) -> None:
    """Any beginning of a policy that is not all of it does not load."""
    data = sealed(FULL)
    with pytest.raises(PolicyError):
        load(data[: at % len(data)])


def test_edited_content_has_another_version() -> None:
    """The version inside must be that of the content."""
    value = json.loads(sealed(FULL))
    value["default_tier"] = "fast"
    error = problem(canonical(value))
    assert error.path == "version"
    assert "edited" in error.problem


def test_the_spelling_does_not_matter_to_the_version() -> None:
    """The same content written with other white space and order is the same policy."""
    value = json.loads(sealed(FULL))
    spelled = json.dumps(dict(reversed(value.items())), indent=2).encode()
    assert load(spelled) == load(sealed(FULL))


def test_an_older_format_is_named() -> None:
    """A policy of another format says so, before anything else is read."""
    error = problem(sealed({"format": 2}))
    assert error.path == "format"
    assert "publish it again" in error.problem


@pytest.mark.parametrize(
    ("changes", "path"),
    [
        ({"tiers": []}, "tiers"),
        ({"default_tier": "none"}, "default_tier"),
        ({"classifier__mode": "model"}, "classifier.model"),
        ({"classifier__mode": "guess"}, "classifier.mode"),
        ({"classifier__mode": "hybrid"}, "classifier.model"),
        ({"classifier__lean": 1.5}, "classifier.lean"),
        ({"classifier__lean": -1.5}, "classifier.lean"),
        ({"classifier__min_confidence": 1.1}, "classifier.min_confidence"),
        ({"classifier__model": "judge"}, "classifier.model"),
        ({"classifier__model": "judge/"}, "classifier.model"),
        ({"classifier__model": "/x"}, "classifier.model"),
        ({"classifier__mode": "model", "classifier__model": "none/x"}, "classifier.model"),
        ({"models": {"alpha": {"images": True, "tools": True}}}, "models.alpha"),
        ({"permissions__tier": "maybe"}, "permissions.tier"),
        ({"unknown_model": "guess"}, "unknown_model"),
        ({"max_attempts": 0}, "max_attempts"),
        ({"timeouts__total_ms": 0}, "tiers[0].timeouts.total_ms"),
        ({"health__min_requests": 0}, "health.min_requests"),
        ({"providers__alpha": provider("alpha", dialect="smoke")}, "providers.alpha.dialect"),
        ({"providers__alpha": provider("alpha", base_url="ftp://x")}, "providers.alpha.base_url"),
        ({"tiers": [{"name": "balanced", "description": "d", "targets": []}]}, "tiers[0].targets"),
    ],
)
def test_values_that_make_no_sense(changes: dict[str, object], path: str) -> None:
    """References to nothing, empty lists and unknown words are named by their path."""
    assert problem(compiled(**changes)).path == path


def test_targets_need_their_provider() -> None:
    """Every target's provider is in the policy."""
    tier = {"name": "balanced", "description": "d", "targets": [target("nobody/m")]}
    assert "nobody" in problem(compiled(tiers=[tier])).problem


def test_two_tiers_of_one_name() -> None:
    """Of two tiers with one name, none is dropped in silence: the policy does not load."""
    tiers = sample()["tiers"]
    error = problem(compiled(tiers=[*tiers, {**tiers[0], "description": "another"}]))
    assert error.path.startswith("tiers")


def test_a_provider_is_known_by_one_name() -> None:
    """A provider's row carries the name under which targets find it."""
    error = problem(compiled(providers__alpha=provider("beta")))
    assert error.path == "providers.alpha.name"


@pytest.mark.parametrize("place", ["prices", "timeouts", "max_attempts"])
def test_numbers_that_no_double_can_hold(place: str) -> None:
    """A number too large to reckon with is a PolicyError, not a failure of the request."""
    huge = 10**400
    changes: dict[str, dict[str, object]] = {
        "prices": {"prices": {"alpha/small": {"input": huge, "output": 1, "cached_input": None}}},
        "timeouts": {"timeouts__total_ms": huge},
        "max_attempts": {"max_attempts": huge},
    }
    problem(compiled(**changes[place]))


def test_text_that_is_no_unicode() -> None:
    """A lone surrogate, which no UTF-8 can spell, is a PolicyError too."""
    problem(compiled().replace(b'"name":"test"', b'"name":"\\ud800"'))


@given(st.binary(max_size=80) | st.sampled_from([b"{}", b"[]", b"null", b"[" * 100_000]))
def test_any_bytes(data: bytes) -> None:
    """Any bytes in the store are a PolicyError, never another exception."""
    with pytest.raises(PolicyError):
        load(data)


@pytest.mark.parametrize("text", ["", "/", "a", "a/", "/b"])
def test_ids_that_are_none(text: str) -> None:
    """An id is written provider/model."""
    with pytest.raises(PolicyError) as caught:
        target_from_id(text, "here")
    assert caught.value.path == "here"


def test_ids() -> None:
    """The provider is what stands before the first slash; the model may have more of them."""
    found = target_from_id("openrouter/org/model:free", "here")
    assert (found.provider, found.model, found.weight) == ("openrouter", "org/model:free", 1)
    assert found.id == "openrouter/org/model:free"
