"""`tiergate classify`: what the embedded model says of requests, a line each or one to read."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, BinaryIO

import typer
from rich.text import Text

from gateway.core.classifier.excerpt import Excerpt
from gateway.core.classifier.model import Judgement, Weights, judge
from gateway.operator.console import Refused, err, fail, print_table, reported, say
from gateway.operator.levels import shares_of, shares_table
from gateway.operator.requests_file import BadLine, Row, excerpt_of, read_rows
from gateway.operator.weights_file import weights_from

UNJUDGED = {
    "no_user_text": "no user says anything in it",
    "no_evidence": "it has no letters or digits that the model can read",
}


def classify(
    *,
    jsonl: Annotated[
        str | None,
        typer.Option(
            metavar="FILE", help="Requests, a JSON object a line; `-` is stdin, and the default."
        ),
    ] = None,
    prompt: Annotated[
        str | None, typer.Option(metavar="TEXT", help="Judge this instead, for people to read.")
    ] = None,
    weights: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Judge by weights of your own (`tiergate train`)."),
    ] = None,
    lean: Annotated[
        float,
        typer.Option(
            min=-1, max=1, help="As in a policy: -1 a cheaper tier in doubt, 1 a better one."
        ),
    ] = 0.0,
) -> None:
    """Judge how hard requests are by the embedded model: thousands a second, nobody is called.

    A line has `text`, or `messages` as OpenAI's clients send them; with `text` it may have
    `context` (what was said before: a string, or a list of role and content). Also `system`,
    `tools`, and an `id`, which comes back.

    A line of JSON is printed for each, in order, as soon as it is read: `tier` (fast, balanced,
    quality or reasoning), `confidence` (how often such a judgement is right) and `probabilities`.
    Where nothing can be judged `tier` is null, and `reason` no_user_text or no_evidence. A line
    that is no request is named on stderr, the others go on, and the exit code is 1.

    Example: tiergate classify --prompt "Prove that there are infinitely many primes."

    Example: echo '{"id": 1, "text": "What is 3/8 inch in mm?"}' | tiergate classify
    """
    if prompt is not None and jsonl is not None:
        raise typer.BadParameter("give one of --prompt and --jsonl", param_hint="--prompt")
    if prompt is None and jsonl is None and sys.stdin.isatty():
        raise typer.BadParameter("give --prompt TEXT or --jsonl FILE", param_hint="--prompt")
    with reported():
        by = weights_from(weights)
        if prompt is not None:
            _show(by, excerpt_of(prompt), lean)
        else:
            with opened(jsonl or "-") as (file, name):
                _answer_all(by, file, name, lean)


@contextmanager
def opened(path: str) -> Iterator[tuple[BinaryIO, str]]:
    """A file to read, or stdin for `-`, and what to call it."""
    if path == "-":
        yield sys.stdin.buffer, "stdin"
        return
    with Path(path).open("rb") as file:
        yield file, path


def say_bad(line: BadLine, name: str) -> None:
    """A line on stderr: which line of the file is no request, and why."""
    place = f"{name}: line {line.number}: "
    err.print(Text.assemble((place, "bold"), str(line)), soft_wrap=True)


def _answer_all(weights: Weights, file: BinaryIO, name: str, lean: float) -> None:
    lines = bad = 0
    write, flush = sys.stdout.write, sys.stdout.flush
    for row in read_rows(file):
        lines += 1
        if isinstance(row, BadLine):
            bad += 1
            say_bad(row, name)
        else:
            # Each at once: whoever feeds this line by line waits for the answer.
            write(json.dumps(_answer(weights, row, lean)) + "\n")
            flush()
    if bad:
        fail(f"{bad} of {lines} lines {'is no request' if bad == 1 else 'are no requests'}")


def _answer(weights: Weights, row: Row, lean: float) -> dict[str, object]:
    answer: dict[str, object] = {} if row.id is None else {"id": row.id}
    found = _judged(weights, row.excerpt, lean)
    if isinstance(found, str):
        return {**answer, "tier": None, "reason": found}
    return {
        **answer,
        "tier": found.level,
        "confidence": round(found.confidence, 4),
        "probabilities": shares_of(found),
    }


def _judged(weights: Weights, excerpt: Excerpt | None, lean: float) -> Judgement | str:
    """The judgement, or the reason why there is none."""
    if excerpt is None:
        return "no_user_text"
    return judge(weights, excerpt, lean) or "no_evidence"


def _show(weights: Weights, excerpt: Excerpt | None, lean: float) -> None:
    found = _judged(weights, excerpt, lean)
    if isinstance(found, str):
        raise Refused(f"there is nothing to judge: {UNJUDGED[found]} ({found})")
    say(f"{found.level}, confidence {found.confidence:.2f}", "bold green")
    print_table(shares_table(shares_of(found), found.level))
