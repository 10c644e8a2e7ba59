"""docs/http-api.md and the sources say the same: nothing is missing there, nothing made up."""

import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

from gateway.core import errors
from gateway.core.decide import DecidedBy
from gateway.core.outcomes import RULES, Attempt, Outcome, all_failed
from gateway.endpoints import METHODS

ROOT = Path(__file__).parents[2]
GATEWAY = ROOT / "gateway"
PAGE = (ROOT / "docs/http-api.md").read_text()
SCHEMA = json.loads((ROOT / "docs/decision-record.schema.json").read_text())

# What runs in the guest: the operator's side answers no client.
SOURCES = [*sorted(GATEWAY.glob("*.py")), *sorted((GATEWAY / "core").rglob("*.py"))]
TREES = {path.relative_to(GATEWAY).as_posix(): ast.parse(path.read_text()) for path in SOURCES}
ERRORS = {
    name: value
    for name, value in vars(errors).items()
    if isinstance(value, type) and issubclass(value, errors.TiergateError)
}
# One has whatever a provider says, the other reaches no client.
NOT_OURS = {"Rejected", "PolicyError"}


def rows(heading: str, number: int = 0) -> list[list[str]]:
    """The cells of a table of the page, the `number`th under its heading; back quotes removed."""
    (section,) = re.findall(rf"^## {heading}\n(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL)
    table = re.findall(r"(?:^\|.*\n)+", section, re.MULTILINE)[number]
    return [
        [cell.strip().strip("`") for cell in line.strip("|").split("|")]
        for line in table.splitlines()[2:]
    ]


def calls(name: str | None = None) -> Iterator[tuple[str, str, ast.Call]]:
    """Each call of a plain name in the sources: the file, the name, the call."""
    for file, tree in TREES.items():
        for node in ast.walk(tree):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Name)
                and name in {None, node.func.id}
            ):
                yield file, node.func.id, node


def names_of_headers(file: str) -> set[str]:
    """The header names, and beginnings of such, among the strings of a source file."""
    return {
        node.value
        for node in ast.walk(TREES[file])
        if isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and re.fullmatch(r"x-tiergate-[a-z-]+", node.value)
    }


def members_of(function: str) -> set[str]:
    """The members that a function of views.py writes into its JSON."""
    (body,) = [
        node
        for node in TREES["views.py"].body
        if isinstance(node, ast.FunctionDef) and node.name == function
    ]
    keys = [key for node in ast.walk(body) if isinstance(node, ast.Dict) for key in node.keys]
    keys += [node.slice for node in ast.walk(body) if isinstance(node, ast.Subscript)]
    return {
        key.value for key in keys if isinstance(key, ast.Constant) and isinstance(key.value, str)
    }


def members(value: object) -> set[str]:
    """The members' names in a JSON value, at every depth."""
    if isinstance(value, dict):
        return set(value).union(*map(members, value.values()))
    return set().union(*map(members, value)) if isinstance(value, list) else set()


def errors_in_code() -> set[tuple[str, str, str]]:
    """(status, type, code) of every error that the sources make."""
    found = set()
    for file, name, call in calls():
        if name not in ERRORS or name in NOT_OURS:
            continue
        kind = ERRORS[name]
        code: object = kind.default_code
        status: object = kind.status
        for keyword in call.keywords:
            if keyword.arg == "code":
                assert isinstance(keyword.value, ast.Constant), (file, call.lineno)
                code = keyword.value.value
        if kind is errors.UpstreamError:
            assert isinstance(call.args[0], ast.Constant), (file, call.lineno)
            # Said in a stream whose head has been sent.
            status = 200 if file == "relay.py" else call.args[0].value
        type_ = kind.type if status != 429 else "rate_limit_error"
        found.add((str(status), type_, str(code)))
    return found


def test_the_page_has_every_endpoint() -> None:
    """The table of endpoints is that of the flow."""
    assert {row[0] for row in rows("Endpoints")} == {
        f"{method} {path}" for path, method in METHODS.items()
    }


def test_the_examples_have_the_members_that_are_sent() -> None:
    """The examples of /v1/route and /readyz have every member that the views write, and no other.

    A null in the place of an object is not shown, so that its members can be seen.
    """
    route, readyz = map(json.loads, re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL))
    assert members(route) == members_of("route")
    assert members(readyz) == members_of("readiness")


def test_the_page_has_every_request_header() -> None:
    """Every x-tiergate-* header that the flow reads is on the page, and no other."""
    shown = {row[0] for row in rows("Request headers")}
    assert {name for name in shown if name.startswith("x-tiergate-")} == names_of_headers(
        "core/decide.py"
    )


def test_the_page_has_every_response_header() -> None:
    """Every x-tiergate-* header that can be sent is on the page, and no other."""
    table = rows("Response headers")
    shown = {name for name, _, _ in table if name.startswith("x-")}
    sent = names_of_headers("core/record.py")
    assert len(sent) > 5
    prefixes = re.findall(r"\"(x-tiergate-[a-z-]+-)\{", (GATEWAY / "upstream.py").read_text())
    assert prefixes == ["x-tiergate-upstream-"]
    assert shown == sent | {f"{prefix}*" for prefix in prefixes}


def test_the_page_has_every_error() -> None:
    """Each error that the sources make has a row with its status, type and code; no row is left."""
    table = rows("Errors")
    assert all(len(row) == 5 and all(row) for row in table)
    shown = [(status, type_, code) for status, type_, code, *_ in table]
    assert len(shown) == len(set(shown))
    assert set(shown) == errors_in_code()


def test_the_error_of_a_rate_limit_has_its_own_type() -> None:
    """The one type that is set aside from its class is what the page says."""
    error = all_failed([Attempt("a/b", Outcome.RATE_LIMITED, 1.0, 429)])
    assert (error.status, error.type) == (429, "rate_limit_error")


def test_the_page_has_every_decision() -> None:
    """Who may have decided is on the page; what is reserved is in the schema only."""
    table = rows("Who decided")
    shown = {name for name, meaning in table if meaning != "reserved"}
    assert shown == set(get_args(DecidedBy))
    assert {name for name, _ in table} == set(SCHEMA["properties"]["decision"]["enum"])


def test_the_page_has_every_reason() -> None:
    """Each reason for the default tier that the sources give is on the page, and no other."""
    given = set()
    for _, _, call in calls("default"):
        reason = call.args[1]
        if isinstance(reason, ast.JoinedStr):
            parts = [
                part.value if isinstance(part, ast.Constant) else f"<{ast.unparse(part.value)}>"
                for part in reason.values
                if isinstance(part, ast.Constant | ast.FormattedValue)
            ]
            given.add("".join(map(str, parts)))
        else:
            assert isinstance(reason, ast.Constant)
            given.add(str(reason.value))
    assert {row[0] for row in rows("Who decided", 1)} == given


def test_the_page_has_every_outcome() -> None:
    """The table of outcomes is that of the code, and the decision record's schema has them all."""
    shown = rows("How an attempt ends")
    table = [[outcome.value, r.meaning, r.then, r.health] for outcome, r in RULES.items()]
    assert shown == table
    assert [row[0] for row in shown] == [outcome.value for outcome in Outcome]
    assert {row[0] for row in shown} == set(SCHEMA["$defs"]["outcome"]["enum"])
