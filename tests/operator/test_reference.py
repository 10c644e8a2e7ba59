"""The reference and the JSON Schema are made from the schema, and say what it says."""

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import jsonschema
import pytest

from gateway.core.dialect import Dialect
from gateway.core.dialects import DIALECTS
from gateway.core.features import Feature
from gateway.hosts.embedded import EMBEDDED
from gateway.operator.compile import compile_text
from gateway.operator.pairs import tables
from gateway.operator.problems import PolicyInvalid, table_in
from gateway.operator.reference import markdown
from gateway.operator.schema import PolicyFile, json_schema
from tests.operator.policies import SMALL, TWO_TIERS

ROOT = Path(__file__).parents[2]


def test_the_committed_files_are_up_to_date() -> None:
    """The reference, the JSON Schema and the pairs of dialects are what is written today."""
    command = [sys.executable, "-m", "gateway.operator.reference", "--check"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_every_field_is_described_with_an_example() -> None:
    """No field of any table is without a description and an example."""
    tables = [PolicyFile]
    for table in tables:
        for name, field in table.model_fields.items():
            inner = table_in(field.annotation)
            if inner and inner not in tables:
                tables.append(inner)  # type: ignore[arg-type]
            assert field.description, f"{table.__name__}.{name}"
            assert field.examples or inner, f"{table.__name__}.{name}"
            assert f"`{name}`" in markdown() or f"[{name}" in markdown()
    assert len(tables) == 16


def test_the_examples_together_are_a_policy(tmp_path: Path) -> None:
    """What the reference shows can be pasted: all examples in one file compile."""
    blocks = re.findall(r"```toml\n(.*?)```", markdown(), re.DOTALL)
    smallest, *examples = blocks
    assert compile_text(smallest, "smallest").policy.default_tier == "all"
    (tmp_path / "ours.weights").write_bytes(EMBEDDED.read_bytes())
    found = compile_text("\n".join(examples), "examples", folder=tmp_path)
    assert "openai" in found.policy.providers


@pytest.mark.parametrize("text", [SMALL, TWO_TIERS])
def test_the_json_schema_accepts_valid_policies(text: str) -> None:
    """An editor marks nothing in a policy that compiles."""
    jsonschema.Draft202012Validator(json.loads(json_schema())).validate(tomllib.loads(text))


@pytest.mark.parametrize(
    "addition",
    ["typo = 1\n", "max_attempts = 0\n", '[client]\nkeys = ["not a name"]\n', "tiers = 3\n"],
)
def test_the_json_schema_refuses_what_the_compiler_refuses(addition: str) -> None:
    """An editor marks an unknown field, a number out of range, a key instead of its name."""
    text = addition + SMALL if "[" not in addition else SMALL + addition
    if addition.startswith("tiers"):
        text = 'name = "a"\ndefault_tier = "b"\n' + addition
    with pytest.raises(PolicyInvalid):
        compile_text(text, "p.toml")
    validator = jsonschema.Draft202012Validator(json.loads(json_schema()))
    assert not validator.is_valid(tomllib.loads(text))


@pytest.mark.parametrize("dialect", DIALECTS.values(), ids=lambda dialect: dialect.name)
def test_what_a_dialect_declares_is_what_it_reads(dialect: Dialect) -> None:
    """A dialect asks for exactly the features that its readers name."""
    package = ROOT / "gateway/core/dialects" / dialect.name.replace("-", "_")
    others = {"requests_out.py", "__init__.py"}
    readers = [path for path in package.glob("*.py") if path.name not in others]
    named = {
        name for path in readers for name in re.findall(r"Feature\.([A-Z_]+)", path.read_text())
    }
    assert {feature.name for feature in dialect.asks} == named


def test_the_tables_of_pairs() -> None:
    """A feature is in a client's table if it can ask for it; cells are what providers carry."""
    shown = tables().split("### ")[1:]
    assert len(shown) == len(DIALECTS)
    for table, client in zip(shown, DIALECTS.values(), strict=True):
        rows = [line.strip("| ").split(" | ") for line in table.splitlines()[4:] if line]
        assert [row[0] for row in rows] == [str(each) for each in Feature if each in client.asks]
        others = [each for each in DIALECTS.values() if each is not client]
        for row in rows:
            cells = ["yes" if Feature(row[0]) in other.carries else "no" for other in others]
            assert row[1:4] == cells
