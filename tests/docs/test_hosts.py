"""docs/hosts.md and docs/fastly.md say what the hosts and the tests say."""

import ast
import re
from pathlib import Path
from typing import Any

import pytest

from gateway.operator.fastly import KV_LINK, LOG_ENDPOINT, SECRETS_LINK
from tests.cannot import LACKS

ROOT = Path(__file__).parents[2]
HOSTS = (ROOT / "docs/hosts.md").read_text()
FASTLY = (ROOT / "docs/fastly.md").read_text()
MIB = 1024 * 1024


def constants(module: str) -> dict[str, Any]:
    """The constants of a host's module, which cannot be imported here."""
    tree = ast.parse((ROOT / "gateway/hosts" / module).read_text())
    found: dict[str, Any] = {}
    for node in tree.body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            name = node.targets[0].id
            if name.isupper() and re.fullmatch(r"[\d_. *]+|'[\w-]+'", ast.unparse(node.value)):
                code = compile(ast.Expression(node.value), module, "eval")
                found[name] = eval(code, {})  # noqa: S307 - a number of our own
    return found


SHIPPED = constants("fastly.py")


def test_what_a_host_cannot_do() -> None:
    """The table of what a host cannot do is the one by which the tests go."""
    _, _, table = HOSTS.partition("## What a host cannot do")
    rows = [line.strip("| ").split(" | ") for line in table.splitlines() if line.startswith("| ")]
    assert rows[1:] == [[lack.host, lack.what, lack.why] for lack in LACKS]


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("MAX_BODY", f"{SHIPPED['MAX_BODY'] // MIB} MiB, then 413"),
        ("MAX_ANSWER", f"{SHIPPED['MAX_ANSWER'] // MIB} MiB, then the attempt fails"),
        ("MAX_TOTAL_MS", f"gives a request {SHIPPED['MAX_TOTAL_MS'] // 1000} s"),
        ("MAX_AGE_SECONDS", f"a sandbox that is {SHIPPED['MAX_AGE_SECONDS']:.0f} s old"),
        ("MAX_VCPU_MS", f"used {SHIPPED['MAX_VCPU_MS']} ms of CPU"),
        ("MAX_SENDS", f"sent {SHIPPED['MAX_SENDS']} requests to backends"),
        ("MAX_HEAP_MIB", f"{SHIPPED['MAX_HEAP_MIB']} MiB takes no other request"),
        ("REREAD_SECONDS", f"after {SHIPPED['REREAD_SECONDS']:.0f} seconds"),
    ],
)
def test_the_numbers_of_fastly(name: str, says: str) -> None:
    """A number that operators read is the one that the component goes by."""
    assert says in re.sub(r"\s+", " ", FASTLY), name


def test_the_bodies_of_hosts() -> None:
    """The limits that hosts.md shows are the hosts'."""
    wasi = constants("wasi.py")["MAX_BODY"]
    assert isinstance(wasi, int)
    assert f"| a request's body | {wasi // MIB} MiB | {SHIPPED['MAX_BODY'] // MIB} MiB |" in HOSTS


def test_one_name_for_all() -> None:
    """The component opens what the command line and the manifest link."""
    name = SHIPPED["NAME"]
    assert {KV_LINK, LOG_ENDPOINT} == {name}
    assert f"{name}-secrets" == SECRETS_LINK
