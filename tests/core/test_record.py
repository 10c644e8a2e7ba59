"""Response headers and the decision record, held against its schema and its page."""

import copy
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.chat import Usage
from gateway.core.decide import DecidedBy, Decision
from gateway.core.outcomes import Attempt, Outcome
from gateway.core.policy import Target
from gateway.core.record import ClassifierCall, Record
from gateway.endpoints import EndpointName
from tests.core.samples import policy

DOCS = Path(__file__).parents[2] / "docs"
SCHEMA: dict[str, Any] = json.loads((DOCS / "decision-record.schema.json").read_text())
PAGE = (DOCS / "decision-record.md").read_text()
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)
POLICY = policy()
MEDIUM = Target("alpha", "medium")


def line(record: Record, status: int = 200, total_ms: float = 12.34) -> dict[str, Any]:
    """The record's line, valid under the schema."""
    record.total_ms = total_ms
    text = record.line(status)
    assert "\n" not in text

    def no_constant(name: str) -> None:
        raise AssertionError(f"{name} is not JSON")

    values: dict[str, Any] = json.loads(text, parse_constant=no_constant)
    VALIDATOR.validate(values)
    return values


def fresh(**members: Any) -> Record:  # noqa: ANN401 - as Record takes them
    return Record(request_id="id-1", time=1_700_000_000.25, started=5.0, **members)


COUNTS = st.integers(0, 10**9)
USAGES = st.builds(Usage, COUNTS, COUNTS, st.none() | COUNTS, st.none() | COUNTS)
MS = st.floats(0, 10**7)
STATUSES = st.none() | st.integers(100, 599)
TARGETS = st.sampled_from([MEDIUM, Target("beta", "org/large"), Target("judge", "m")])
IDS = TARGETS.map(lambda target: target.id)
OUTCOMES = st.sampled_from(Outcome)
RECORDS = st.builds(
    Record,
    request_id=st.just("0" * 32),
    time=st.floats(0, 4 * 10**9),
    started=st.floats(0, 10**9),
    endpoint=st.sampled_from([*get_args(EndpointName), "unknown"]),
    policy=st.none() | st.just(POLICY),
    is_stream=st.booleans(),
    decision=st.none()
    | st.builds(
        Decision,
        st.none() | st.sampled_from(["fast", "quality"]),
        st.sampled_from(get_args(DecidedBy)),
        st.none(),
        st.none() | st.just("classifier_off"),
        st.none() | st.floats(0, 1),
    ),
    classifier=st.none()
    | st.builds(ClassifierCall, IDS, OUTCOMES, MS, STATUSES, st.none() | USAGES),
    attempts=st.lists(st.builds(Attempt, IDS, OUTCOMES, MS, STATUSES, st.none()), max_size=4),
    answered_by=st.none() | TARGETS,
    usage=st.none() | USAGES,
    error=st.none() | st.just("upstream_timeout"),
    timings=st.dictionaries(st.sampled_from(["policy", "classify", "upstream"]), MS),
    first_content_ms=st.none() | MS,
    vcpu_ms=st.none() | st.integers(0, 10**6),
)


@given(RECORDS, st.integers(200, 599), MS)
def test_every_line_fits_the_schema(record: Record, status: int, total_ms: float) -> None:
    """Whatever is known of a request, its line is valid, and null is nowhere in it."""
    line(record, status, total_ms)
    assert "null" not in record.line(status)


@given(RECORDS, MS)
def test_headers_and_line_agree(record: Record, total_ms: float) -> None:
    """What the client reads in headers is what the operator reads in the record."""
    headers = dict(record.headers(total_ms))
    values = line(record, 200, total_ms)
    assert headers["x-tiergate-request-id"] == values["request_id"]
    assert headers["x-tiergate-schema"] == str(values["schema"])
    for name, member in [
        ("policy", "policy"),
        ("tier", "tier"),
        ("decision", "decision"),
        ("provider", "provider"),
        ("model", "model"),
    ]:
        assert headers.get(f"x-tiergate-{name}") == values.get(member)
    attempts = values["attempts"]
    assert headers.get("x-tiergate-attempts") == (str(len(attempts)) if attempts else None)
    assert all(name == name.lower() for name in headers)
    assert all(re.fullmatch(r"[ -~]*", value) for value in headers.values())


def test_a_line_in_full() -> None:
    """Every member of a record, by name."""
    record = fresh(
        endpoint="chat",
        policy=POLICY,
        decision=Decision("balanced", "model", confidence=0.75),
        classifier=ClassifierCall("judge/m", Outcome.ANSWERED, 3.14159, 200, Usage(5, 1)),
        attempts=[
            Attempt("beta/medium", Outcome.SILENT, 60_000.04, None),
            Attempt("alpha/medium", Outcome.ANSWERED, 0.0, 200),
        ],
        answered_by=MEDIUM,
        usage=Usage(1_000, 500, cached_input=400),
    )
    assert line(record) == {
        "event": "request",
        "schema": 1,
        "time": "2023-11-14T22:13:20.250+00:00",
        "request_id": "id-1",
        "endpoint": "chat",
        "status": 200,
        "policy": POLICY.label,
        "stream": False,
        "tier": "balanced",
        "decision": "model",
        "confidence": 0.75,
        "classifier": {
            "target": "judge/m",
            "outcome": "answered",
            "ms": 3.1,
            "status": 200,
            "usage": {"input": 5, "output": 1},
        },
        "provider": "alpha",
        "model": "medium",
        "attempts": [
            {"target": "beta/medium", "outcome": "silent", "ms": 60_000.0},
            {"target": "alpha/medium", "outcome": "answered", "ms": 0.0, "status": 200},
        ],
        "usage": {"input": 1_000, "output": 500, "cached_input": 400},
        "cost_usd": pytest.approx(0.0058),
        "total_ms": 12.3,
    }


def test_the_least_a_line_says() -> None:
    """Of a request that went nowhere only what is known is written."""
    assert set(line(fresh(), 404)) == set(SCHEMA["required"])


@pytest.mark.parametrize(
    ("members", "cost"),
    [
        ({}, None),
        ({"policy": POLICY, "answered_by": MEDIUM}, None),
        ({"policy": POLICY, "usage": Usage(1, 1)}, None),
        ({"answered_by": MEDIUM, "usage": Usage(1, 1)}, None),
        (
            {"policy": POLICY, "answered_by": Target("beta", "org/large"), "usage": Usage(1, 1)},
            None,
        ),
        ({"policy": POLICY, "answered_by": MEDIUM, "usage": Usage(0, 0)}, "0"),
        ({"policy": POLICY, "answered_by": MEDIUM, "usage": Usage(1, 0)}, "0.000001"),
        ({"policy": POLICY, "answered_by": MEDIUM, "usage": Usage(10**7, 0)}, "10"),
        ({"policy": POLICY, "answered_by": MEDIUM, "usage": Usage(10**8, 0)}, "100"),
    ],
)
def test_the_cost_header(members: dict[str, object], cost: str | None) -> None:
    """The cost is a plain decimal where usage and price are known, else it is absent."""
    record = fresh(**members)
    assert dict(record.headers(0)).get("x-tiergate-cost-usd") == cost
    assert ("cost_usd" in line(record)) is (cost is not None)
    streamed = fresh(is_stream=True, **members)
    assert "x-tiergate-cost-usd" not in dict(streamed.headers(0))


def test_failed_attempts_in_headers() -> None:
    """Each failed attempt is named with its outcome; an answer and a refusal are no fallbacks."""
    outcomes = [Outcome.RATE_LIMITED, Outcome.UNREACHABLE, Outcome.ANSWERED]
    record = fresh(attempts=[Attempt("a/b", outcome, 1.0) for outcome in outcomes])
    headers = dict(record.headers(0))
    assert headers["x-tiergate-fallback"] == "a/b;rate_limited, a/b;unreachable"
    assert headers["x-tiergate-attempts"] == "3"
    refused = fresh(attempts=[Attempt("a/b", Outcome.REJECTED, 1.0)])
    assert "x-tiergate-fallback" not in dict(refused.headers(0))


def test_timings() -> None:
    """`server-timing` is written as the standard says, in the order of the steps, total last."""
    record = fresh(timings={"policy": 0.04, "upstream": 1234.56})
    assert dict(record.headers(1250.0))["server-timing"] == (
        "policy;dur=0.04, upstream;dur=1234.56, total;dur=1250.00"
    )


def test_confidence_is_a_short_number() -> None:
    """Confidence is written with three digits, where there is one."""
    decided = fresh(decision=Decision("fast", "local", confidence=2 / 3))
    assert dict(decided.headers(0))["x-tiergate-confidence"] == "0.667"
    sure = fresh(decision=Decision("fast", "forced"))
    assert "x-tiergate-confidence" not in dict(sure.headers(0))


# --- the schema and its page -------------------------------------------------


def properties(node: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, bool, str]]:
    """Every field of the schema as (path, always present, description)."""
    for name, member in node["properties"].items():
        yield prefix + name, name in node["required"], member["description"]
        inner, path = member, f"{prefix}{name}."
        if reference := member.get("$ref"):
            inner = SCHEMA["$defs"][reference.removeprefix("#/$defs/")]
        if "items" in inner:
            inner, path = inner["items"], f"{prefix}{name}[]."
        if "properties" in inner:
            yield from properties(inner, path)


def test_the_schema_is_one() -> None:
    """It is JSON Schema of the draft it names."""
    assert SCHEMA["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    jsonschema.Draft202012Validator.check_schema(SCHEMA)


def test_the_schema_is_closed_and_described() -> None:
    """No object in it admits other members, and each member says what it is."""
    pending: list[object] = [SCHEMA]
    while pending:
        match pending.pop():
            case dict() as node:
                if "properties" in node:
                    assert node["additionalProperties"] is False
                    assert all(member.get("description") for member in node["properties"].values())
                pending += node.values()
            case list() as items:
                pending += items


@pytest.mark.parametrize("path", [(), ("classifier",), ("usage",), ("attempts", 0)])
def test_the_schema_refuses_more(path: tuple[str | int, ...]) -> None:
    """A member that nobody described is not valid, at any depth."""
    values = line(
        fresh(
            classifier=ClassifierCall("judge/m", Outcome.CUT, 1.0, None, None),
            attempts=[Attempt("a/b", Outcome.CUT, 1.0)],
            usage=Usage(1, 1),
        )
    )
    more = copy.deepcopy(values)
    place: Any = more
    for step in path:
        place = place[step]
    place["prompt"] = "text"
    assert VALIDATOR.is_valid(values)
    assert not VALIDATOR.is_valid(more)


def test_the_schema_knows_the_codes_words() -> None:
    """Its lists of endpoints, outcomes and deciders are those of the code."""
    assert SCHEMA["$defs"]["outcome"]["enum"] == [str(outcome) for outcome in Outcome]
    endpoints = SCHEMA["properties"]["endpoint"]["enum"]
    assert endpoints == [*get_args(EndpointName), "unknown"]
    assert set(get_args(DecidedBy)) <= set(SCHEMA["properties"]["decision"]["enum"])


def test_the_page_lists_every_field() -> None:
    """The table of the page is the schema's fields, with the same words."""
    rows = [
        f"| `{path}` | {'always' if is_always else ''} | {description} |"
        for path, is_always, description in properties(SCHEMA)
    ]
    table = [row for row in PAGE.splitlines() if row.startswith("| `")]
    assert table == rows


def test_the_pages_example_is_valid() -> None:
    """The example that the page shows is a record, without a null."""
    [example] = re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)
    VALIDATOR.validate(json.loads(example))
