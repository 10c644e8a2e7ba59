"""`tiergate classify`: a line of answer for each request, in order, while they come."""

import json
import os
import pty
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from gateway.core.classifier.model import judge
from gateway.hosts.common import WEIGHTS
from gateway.hosts.embedded import EMBEDDED
from gateway.operator.cli import app
from gateway.operator.requests_file import excerpt_of

ROOT = Path(__file__).parents[2]
BUFFERED = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
COMMAND = [sys.executable, "-m", "gateway.operator", "classify"]
PROOF = "Prove that there are infinitely many primes."
GREETING = "hi"


def run(*arguments: str, lines: str = "") -> Result:
    return CliRunner().invoke(app, ["classify", *arguments], input=lines)


def file_of(lines: Iterable[dict[str, Any]]) -> str:
    return "".join(f"{json.dumps(line)}\n" for line in lines)


def answers(result: Result) -> list[dict[str, Any]]:
    return [json.loads(line) for line in result.stdout.splitlines()]


def test_each_request_has_its_line_in_order() -> None:
    """The answers are what the embedded model says, with the ids that were given."""
    texts = [GREETING, PROOF, "Write a plan for the move", "次の文章を英語に翻訳して"]
    result = run(lines=file_of({"id": n, "text": text} for n, text in enumerate(texts)))
    assert (result.exit_code, result.stderr) == (0, "")
    found = answers(result)
    assert [answer["id"] for answer in found] == [0, 1, 2, 3]
    for answer, text in zip(found, texts, strict=True):
        excerpt = excerpt_of(text)
        assert excerpt is not None
        expected = judge(WEIGHTS, excerpt)
        assert expected is not None
        assert answer["tier"] == expected.level
        assert answer["confidence"] == round(expected.confidence, 4)
        shares = list(answer["probabilities"].values())
        assert shares == [round(share, 4) for share in expected.probabilities]
        assert list(answer["probabilities"]) == ["fast", "balanced", "quality", "reasoning"]


def test_a_file_is_read_like_stdin(tmp_path: Path) -> None:
    """`--jsonl FILE`, `--jsonl -` and stdin without any option are the same."""
    lines = file_of([{"text": PROOF}])
    file = tmp_path / "requests.jsonl"
    file.write_text(lines)
    expected = run(lines=lines).stdout
    assert "reasoning" in expected
    assert run("--jsonl", str(file)).stdout == run("--jsonl", "-", lines=lines).stdout == expected


def test_what_cannot_be_judged_says_why() -> None:
    """No tier is invented for a request without words."""
    lines = file_of([{"id": "a", "text": "..."}, {"id": "b", "text": " "}, {"messages": []}])
    assert answers(run(lines=lines)) == [
        {"id": "a", "tier": None, "reason": "no_evidence"},
        {"id": "b", "tier": None, "reason": "no_user_text"},
        {"tier": None, "reason": "no_user_text"},
    ]


def test_a_bad_line_stops_no_other() -> None:
    """Its number and fault are on stderr, the others are judged, and the exit code is 1."""
    result = run(lines=f'{{"text": "hi"}}\n{{"text": 7}}\n\n{{"text": {json.dumps(PROOF)}}}\n')
    assert result.exit_code == 1
    assert [answer["tier"] for answer in answers(result)] == ["fast", "reasoning"]
    assert result.stderr.splitlines() == [
        "stdin: line 2: 'text' must be a string",
        "tiergate: 1 of 3 lines is no request",
    ]


def test_lean_moves_what_is_chosen() -> None:
    """Leaning changes tiers and no probability."""
    lines = file_of([{"text": "Compare Rust and Go"}, {"text": PROOF}])
    cheap, safe = (answers(run("--lean", lean, lines=lines)) for lean in ("-1", "1"))
    assert [a["probabilities"] for a in cheap] == [a["probabilities"] for a in safe]
    order = ["fast", "balanced", "quality", "reasoning"]
    moved = [
        order.index(b["tier"]) - order.index(a["tier"]) for a, b in zip(cheap, safe, strict=True)
    ]
    assert min(moved) >= 0
    assert max(moved) > 0


def test_weights_of_a_file(tmp_path: Path) -> None:
    """--weights judges by that file, and one that is torn is refused."""
    file = tmp_path / "own.weights"
    file.write_bytes(EMBEDDED.read_bytes())
    lines = file_of([{"text": PROOF}])
    assert run("--weights", str(file), lines=lines).stdout == run(lines=lines).stdout
    file.write_bytes(EMBEDDED.read_bytes()[:-1])
    torn = run("--weights", str(file), lines=lines)
    assert (torn.exit_code, torn.stdout) == (1, "")
    assert torn.stderr == (
        f"tiergate: cannot use {file}: its checksum is wrong: it is torn or was edited\n"
    )
    assert run("--weights", str(tmp_path / "none"), lines=lines).exit_code == 1


def test_one_prompt_is_shown_to_people() -> None:
    """--prompt says the level and the probability of each, or why there is none."""
    shown = run("--prompt", PROOF).stdout.splitlines()
    assert shown[0].startswith("reasoning, confidence 0.")
    assert [line.split()[0] for line in shown[1:]] == ["fast", "balanced", "quality", "reasoning"]
    nothing = run("--prompt", "...")
    assert nothing.exit_code == 1
    assert "no_evidence" in nothing.stderr


@pytest.mark.parametrize(
    "arguments",
    [["--prompt", "a", "--jsonl", "-"], ["--lean", "nan"], ["--lean", "2"], ["--lean", "x"]],
)
def test_a_wrong_command_line(arguments: list[str]) -> None:
    """What cannot be meant is refused with exit code 2, before anything is read."""
    assert run(*arguments, lines=file_of([{"text": PROOF}])).exit_code == 2


def test_a_terminal_is_not_waited_for() -> None:
    """Called with nothing on a terminal it says what it wants, and does not hang."""
    controller, terminal = pty.openpty()
    try:
        done = subprocess.run(
            COMMAND, cwd=ROOT, stdin=terminal, capture_output=True, check=False, timeout=30
        )
    finally:
        os.close(controller)
        os.close(terminal)
    assert done.returncode == 2
    assert b"--jsonl" in done.stderr


def test_answers_come_while_requests_do() -> None:
    """A program that asks line by line gets each answer before it asks on."""
    with subprocess.Popen(
        COMMAND,
        cwd=ROOT,
        env=BUFFERED,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        bufsize=1,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        for number in range(3):
            process.stdin.write(file_of([{"id": number, "text": PROOF}]))
            assert json.loads(process.stdout.readline())["id"] == number
        process.stdin.close()
        assert process.wait(timeout=30) == 0


def test_a_closed_pipe_ends_it_quietly(tmp_path: Path) -> None:
    """Whoever takes the first line and goes (`| head -1`) sees no traceback."""
    file = tmp_path / "requests.jsonl"
    file.write_text(file_of({"text": f"{PROOF} {number}"} for number in range(5_000)))
    with subprocess.Popen(
        [*COMMAND, "--jsonl", str(file)],
        cwd=ROOT,
        env=BUFFERED,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == b""
        process.wait(timeout=30)
