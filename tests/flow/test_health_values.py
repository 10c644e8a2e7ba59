"""What stands in the store under `health/` never breaks a request, whoever wrote it."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.http import Outgoing
from gateway.hosts.memory import Canned
from tests.flow.world import World, judged, whole, world

KEYS = ("health/classifier", "health/alpha/medium", "health/beta/medium")
PLACE = ["https://alpha.test/v1", "ALPHA_KEY"]
MOMENTS = (
    st.integers()
    | st.floats()
    | st.booleans()
    | st.text(max_size=5)
    | st.sampled_from([10**30, 10**400, 1_700_000_000, 1_700_000_000.5])
)
VALUES = st.binary(max_size=40) | st.fixed_dictionaries(
    {"open_until": MOMENTS},
    optional={
        "target": st.sampled_from(["judge/mini", "alpha/medium", 1, None]),
        "at": st.sampled_from([PLACE, ["http://elsewhere.test", None], [1], [[], {}], None]),
    },
).map(lambda value: json.dumps(value).encode())


def _says(asked: Outgoing) -> Canned:
    return judged("balanced") if asked.authority == "judge.test" else whole()


def _gateway() -> World:
    """One with a judge and two models, all of them well."""
    return world(*[_says] * 3, classifier__mode="model", classifier__model="judge/mini")


@given(st.dictionaries(st.sampled_from(KEYS), VALUES))
def test_any_value(values: dict[str, bytes]) -> None:
    """Any bytes there mean that a target is well, or left alone: the request has its answer."""
    gateway = _gateway()
    gateway.kv.values |= values
    assert gateway.ask().status == 200
    assert gateway.get("/readyz").status == 200
    assert not any(line["event"] == "defect" for line in gateway.news)


@pytest.mark.parametrize("value", [b"1e400", b"NaN", b"true", b"1" + b"0" * 400, b"-1", b"1e30"])
def test_a_moment_that_is_none(value: bytes) -> None:
    """A time that cannot be, or is further away than any pause, leaves the target open to all."""
    gateway = _gateway()
    gateway.kv.values["health/alpha/medium"] = (
        b'{"at": ["https://alpha.test/v1", "ALPHA"], "open_until": ' + value + b"}"
    )
    gateway.ask()
    assert gateway.record["attempts"][0]["target"] == "alpha/medium"
