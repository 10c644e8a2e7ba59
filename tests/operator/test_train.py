"""`tiergate train`: what labels teach, what they leave alone, and what is said of the outcome."""

import json
from array import array
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from gateway.core.classifier.excerpt import Excerpt
from gateway.core.classifier.features import features_of
from gateway.core.classifier.model import CODES, ZERO, judge, read_weights
from gateway.core.http import Headers, Request
from gateway.core.policy import LEVELS
from gateway.flow import respond
from gateway.hosts.common import WEIGHTS, run
from gateway.hosts.directory import DirectoryKv
from gateway.hosts.embedded import EMBEDDED
from gateway.hosts.memory import memory_ports
from gateway.operator import cli_train
from gateway.operator.cli import app
from gateway.operator.compile import compile_file
from gateway.operator.finetune import BIAS, PULL, Label, coded, finetune
from gateway.operator.requests_file import excerpt_of
from gateway.operator.stores import DirectoryStore, publish

# What the embedded model calls easy, and one operator has found hard.
TICKETS = [f"Close ticket {number} for {name}" for number in range(12) for name in ("Ann", "Bo")]
OTHERS = [
    "hi",
    "What is the capital of France?",
    "Prove that there are infinitely many primes.",
    "Write a polite email that declines the invitation",
    "Review this contract and list every clause that could hurt us",
    "Wie heißt die Hauptstadt von Peru?",
    "How many mm in 3/8 inch?",
    "Design the database of a hospital, with migrations and tests",
]


def excerpt(text: str) -> Excerpt:
    found = excerpt_of(text)
    assert found is not None
    return found


def level(text: str, data: bytes | None = None) -> int:
    """The level by these weights, or by the embedded ones."""
    found = judge(read_weights(data) if data else WEIGHTS, excerpt(text))
    assert found is not None
    return LEVELS.index(found.level)


def labelled(texts: Iterable[str], level: int) -> list[Label]:
    return [Label(excerpt(text), level) for text in texts]


# --- the fit -------------------------------------------------------------------


def test_labels_teach_what_is_like_them() -> None:
    """Requests like the labelled ones get their level, also those that were no label."""
    assert {level(text) for text in TICKETS} <= {0, 1}
    data = finetune(WEIGHTS, labelled(TICKETS[4:], 3) + labelled(["hi", "thanks"], 0))
    assert [level(text, data) for text in TICKETS[:4]] == [3] * 4


def test_twenty_labels_leave_the_rest_as_it_was() -> None:
    """Labels that contradict the model move no judgement of another kind of request."""
    data = finetune(WEIGHTS, labelled(TICKETS[:20], 3))
    assert [level(text, data) for text in OTHERS] == [level(text) for text in OTHERS]


def test_what_no_label_speaks_of_keeps_its_bytes() -> None:
    """Only the rows of the labels' features move; scale and tilt stay, and the head says whence."""
    labels = labelled(TICKETS[:10], 3)
    data = finetune(WEIGHTS, labels)
    after, before = read_weights(data), WEIGHTS
    mask = len(before.rows) - 1
    touched = {each & mask for label in labels for each in features_of(label.excerpt)}
    moved = {row for row in range(len(before.rows)) if before.rows[row] != after.rows[row]}
    assert moved
    assert moved <= touched
    assert (after.scale, after.tilt) == (before.scale, before.tilt)
    head = json.loads(data.split(b"\n")[1])
    assert (head["tuned_from"], head["tuned_on"]) == (before.label, 10)


def test_labels_that_agree_move_nothing_much() -> None:
    """What the model was sure of already stays as sure, within the rounding."""
    labels = [Label(excerpt(text), level(text)) for text in ("hi", "Prove that 7 is no square")] * 5
    after = read_weights(finetune(WEIGHTS, labels))
    for label in labels:
        found, was = judge(after, label.excerpt), judge(WEIGHTS, label.excerpt)
        assert found is not None
        assert was is not None
        assert found.probabilities == pytest.approx(was.probabilities, abs=0.02)


def test_the_same_labels_make_the_same_file() -> None:
    """No chance, no clock."""
    labels = labelled(TICKETS, 3) + labelled(OTHERS, 1)
    assert finetune(WEIGHTS, labels) == finetune(WEIGHTS, labels)


def test_the_pull_and_the_residuals_are_in_balance() -> None:
    """The fit is of what the gateway's own `score` computes of the file, and it has arrived: each
    level's bias has moved by the residuals that are left, over the penalty."""
    labels = labelled(TICKETS, 3) + labelled(OTHERS, 1)
    after = read_weights(finetune(WEIGHTS, labels))
    for place in range(len(LEVELS)):
        left = 0.0
        for label in labels:
            found = judge(after, label.excerpt)
            assert found is not None
            left += (label.level == place) - found.probabilities[place]
        moved = after.bias[place] - WEIGHTS.bias[place]
        assert moved * PULL / BIAS**2 == pytest.approx(left, abs=0.3)


def test_small_moves_are_not_lost_in_the_codes() -> None:
    """Moves far smaller than the way between two codes, as one label makes them in a long text,
    add up to what they are: each rounded to the nearest they would all be nothing."""
    tables = [bytes([100, 160]) + bytes([ZERO]) * (CODES - 2)] * 4
    for move in (0.3, -0.3, 5.0, 20.0):
        codes = coded([[ZERO + move] * 4] * 1_000, [array("I", range(1_000))], tables)
        means = [sum(table[code] - ZERO for code in codes) / len(codes) for table in tables]
        assert means == pytest.approx([move] * 4, abs=0.1)


# --- the command ---------------------------------------------------------------


def train(*arguments: str, rows: Iterable[dict[str, Any]] | str, out: Path) -> Result:
    lines = rows if isinstance(rows, str) else "".join(f"{json.dumps(row)}\n" for row in rows)
    command = ["train", "--labels", "-", "--out", str(out), *arguments]
    return CliRunner().invoke(app, command, input=lines)


def rows_of(texts: Iterable[str], tier: str) -> list[dict[str, Any]]:
    return [{"text": text, "tier": tier} for text in texts]


EASY = [f"What is the plural of {word}?" for word in ("ox", "mouse", "goose", "foot")]
FEW = rows_of(TICKETS[:8], "reasoning") + rows_of(EASY, "fast")
# Every fifth is held out, and one of the easy ones.
MANY = [
    row
    for number in range(12)
    for row in [
        *rows_of([f"Close ticket {4 * number + n} for Ann" for n in range(4)], "reasoning"),
        *rows_of([f"Close ticket {number} for Bo"], "reasoning"),
    ]
]
MANY[0] = {"text": "hi", "tier": "fast"}


def test_a_table_shows_what_came_of_it(tmp_path: Path) -> None:
    """From 50 labels on the held-out ones are judged before and after; the file is there, and
    nothing else beside it."""
    out = tmp_path / "own.weights"
    result = train(rows=MANY, out=out)
    assert result.exit_code == 0, result.stderr
    assert result.stderr.startswith("learning from 48 labels")
    lines = [line.split() for line in result.stdout.splitlines()]
    assert ["on", "12", "labels", "held", "out", "before", "after"] in lines
    assert ["accuracy", "0.000", "1.000"] in lines
    assert ["macro-F1", "0.000", "1.000"] in lines
    assert read_weights(out.read_bytes()).label in result.stdout
    assert list(tmp_path.iterdir()) == [out]


def test_json_is_one_line(tmp_path: Path) -> None:
    """--json says the same to scripts."""
    out = tmp_path / "own.weights"
    result = train("--json", rows=MANY, out=out)
    found = json.loads(result.stdout)
    assert found == {
        "ok": True,
        "out": str(out),
        "weights": read_weights(out.read_bytes()).label,
        "from": WEIGHTS.label,
        "learned_from": 48,
        "held_out": 12,
        "left_out": 0,
        "before": {"accuracy": 0.0, "macro_f1": 0.0},
        "after": {"accuracy": 1.0, "macro_f1": 1.0},
        "worse": False,
    }


def test_a_few_labels_are_all_learned_from(tmp_path: Path) -> None:
    """Below 50 nothing is held out, and that is said; what cannot be read is left out."""
    out = tmp_path / "own.weights"
    result = train(rows=[*FEW, {"text": "...", "tier": "fast"}], out=out)
    assert result.exit_code == 0, result.stderr
    assert "learning from 12 labels" in result.stderr
    assert "1 of the requests have nothing that the model can read" in result.stderr
    assert "from 50 labels on" in result.stdout
    assert judge(read_weights(out.read_bytes()), excerpt(TICKETS[9])) != judge(
        WEIGHTS, excerpt(TICKETS[9])
    )


def test_a_worse_result_is_said_plainly(tmp_path: Path) -> None:
    """Where the held-out labels contradict the others, nobody has to read a table to know."""
    texts = [f"What is the capital of country {number}?" for number in range(60)]
    tiers = ["fast" if number % 5 == 4 else "reasoning" for number in range(60)]
    rows = [{"text": text, "tier": tier} for text, tier in zip(texts, tiers, strict=True)]
    rows[0] = {"text": "thanks", "tier": "fast"}
    result = train(rows=rows, out=tmp_path / "own.weights")
    assert result.exit_code == 0
    assert "worse than before on the labels held out, by accuracy (0.000, was 1.000)" in (
        result.stderr
    )
    assert json.loads(train("--json", rows=rows, out=tmp_path / "b").stdout)["worse"] is True


@pytest.mark.parametrize(
    ("rows", "problem"),
    [
        (FEW[:7], "there are 7 labels, and it takes at least 8"),
        ([], "there are 0 labels"),
        (rows_of(TICKETS, "quality"), "every label to learn from says quality"),
        ([*FEW, {"text": "a"}], "stdin: line 13: has no 'tier'"),
        ([*FEW, {"text": "a", "tier": "top"}], "stdin: line 13: 'tier' must be one of"),
        ("{\n", "stdin: line 1: is no JSON"),
    ],
)
def test_what_teaches_nothing_is_refused(
    rows: list[dict[str, Any]] | str, problem: str, tmp_path: Path
) -> None:
    """Too few labels, a single tier and lines that are no labels end in a reason and no file."""
    result = train(rows=rows, out=tmp_path / "own.weights")
    assert result.exit_code == 1
    assert problem in result.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_place_that_cannot_be_written_is_said_first(tmp_path: Path) -> None:
    """A mistyped --out costs no training, and a wrong --from leaves the old file alone."""
    result = train(rows=FEW, out=tmp_path / "none" / "own.weights")
    assert (result.exit_code, "folder that is there" in result.stderr) == (1, True)
    assert "learning" not in result.stderr
    out = tmp_path / "own.weights"
    out.write_bytes(b"old")
    assert train("--from", str(out), rows=FEW, out=out).exit_code == 1
    assert out.read_bytes() == b"old"


def test_a_file_that_would_be_too_large_is_not_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Labels of very many words end in a reason, not in a file that no gateway takes."""
    monkeypatch.setattr(cli_train, "MAX_FILE", 1_000)
    result = train(rows=FEW, out=tmp_path / "own.weights")
    assert (result.exit_code, "give fewer labels" in result.stderr) == (1, True)
    assert list(tmp_path.iterdir()) == []


def test_training_goes_on_from_weights(tmp_path: Path) -> None:
    """--from begins at a file: the embedded model's own gives what the embedded model does."""
    first, second = tmp_path / "first", tmp_path / "second"
    train(rows=FEW, out=first)
    train("--from", str(EMBEDDED), rows=FEW, out=second)
    assert first.read_bytes() == second.read_bytes()
    train("--from", str(first), rows=FEW, out=second)
    assert json.loads(second.read_bytes().split(b"\n")[1])["tuned_from"] == (
        read_weights(first.read_bytes()).label
    )


def test_a_policy_judges_with_them(tmp_path: Path) -> None:
    """Named in a policy and published with it, the file is what a gateway on that store judges by:
    another level than the embedded model's."""
    text = TICKETS[-1]
    rows = rows_of(TICKETS[:20], "reasoning") + rows_of(EASY, "fast")
    train(rows=rows, out=tmp_path / "own.weights")
    policy = tmp_path / "policy.toml"
    tiers = "".join(
        f'[[tiers]]\nname = "{name}"\ndescription = "x"\ntargets = ["ollama/{name}"]\n'
        for name in LEVELS
    )
    policy.write_text(
        f'name = "own"\ndefault_tier = "fast"\n[classifier]\nmode = "local"\n'
        f'weights = "own.weights"\n{tiers}'
    )
    compiled = compile_file(policy)
    publish(DirectoryStore(tmp_path / "kv"), compiled.data, compiled.weights)
    ports = replace(memory_ports(), kv=DirectoryKv(str(tmp_path / "kv")))
    body = json.dumps({"model": "auto", "messages": [{"role": "user", "content": text}]})
    headers = Headers([("content-type", "application/json")])
    response = run(respond(Request("POST", "/v1/route", headers, body.encode()), ports))
    assert isinstance(response.body, bytes)
    decision = json.loads(response.body)["decision"]
    assert (decision["by"], decision["tier"]) == ("local", "reasoning")
    assert level(text) != LEVELS.index("reasoning")
