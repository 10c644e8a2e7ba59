"""`tiergate train`: the embedded model fine-tuned on labels of one's own, and what came of it."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from gateway.core.classifier.model import MAX_FILE, Weights, judge, read_weights
from gateway.core.policy import LEVELS
from gateway.operator.cli_classify import opened, say_bad
from gateway.operator.console import (
    Refused,
    print_table,
    progressing,
    reported,
    say,
    say_json,
    warn,
)
from gateway.operator.files import write_whole
from gateway.operator.finetune import PASSES, Label, finetune
from gateway.operator.requests_file import BadLine, read_rows
from gateway.operator.weights_file import weights_from

FEWEST = 8  # labels; fewer say more of themselves than of anything else
MOST = 20_000  # labels: some 400 MB, some minutes, and nearly as large a file as may be
HOLD_OUT_FROM = 50  # labels
HOLD_OUT = 5  # every fifth
MAX_SHOWN = 20  # bad lines


@dataclass(frozen=True, slots=True)
class Score:
    """Of judgements of held-out labels, from 0 to 1. The macro-F1 is that of the levels that these
    labels have."""

    accuracy: float
    macro_f1: float


def train(
    *,
    labels: Annotated[
        str,
        typer.Option(
            metavar="FILE",
            help="Requests as `tiergate classify` reads them, each with its `tier`; `-` is stdin.",
        ),
    ],
    out: Annotated[Path, typer.Option(metavar="FILE", help="Where the weights file goes.")],
    base: Annotated[
        Path | None,
        typer.Option("--from", metavar="WEIGHTS", help="Begin at these, not the embedded ones."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One line of JSON, for scripts.")] = False,
) -> None:
    """Teach the embedded model what your requests need, by labels of your own.

    A line of the labels: {"text": "Summarise this contract ...", "tier": "quality"}, where the
    tier is fast, balanced, quality or reasoning. Twenty move what is like them and little else;
    some hundred teach it a new kind of work.

    From 50 labels on every fifth is held out: nothing is learned from it, and the table shows how
    well such requests were judged before and are judged now. The file that is written is the one
    that the table is about. The same labels make the same file.

    Example: tiergate train --labels labels.jsonl --out policies/ours.weights

    Then name it in the policy, under [classifier]: weights = "ours.weights", and publish that.
    """
    with reported(as_json=as_json):
        if out.is_dir() or not out.parent.is_dir():
            raise Refused(f"--out {out}: it must be a file in a folder that is there")
        before = weights_from(base)
        given, unread = _read(labels, before)
        learned, held = _split(given)
        _check(learned)
        with progressing(f"learning from {len(learned)} labels", PASSES) as on_pass:
            data = finetune(before, learned, on_pass)
        if len(data) > MAX_FILE:
            raise Refused(
                f"the file would be over {MAX_FILE // 1024} KB: give fewer labels, or begin at the"
                " embedded weights"
            )
        after = read_weights(data)
        scores = (score(before, held), score(after, held)) if held else None
        write_whole(out, data)
        worse = _worse(*scores) if scores else []
        if as_json:
            say_json(
                {
                    "ok": True,
                    "out": str(out),
                    "weights": after.label,
                    "from": before.label,
                    "learned_from": len(learned),
                    "held_out": len(held),
                    "left_out": unread,
                    "before": scores and asdict(scores[0]),
                    "after": scores and asdict(scores[1]),
                    "worse": bool(worse),
                }
            )
            return
        if unread:
            warn(f"{unread} of the requests have nothing that the model can read: left out")
        say(f"wrote {out}: weights {after.label}, from {before.label}", "green")
        if scores:
            _show(*scores, len(held))
        else:
            say(
                f"Too few to hold any out: from {HOLD_OUT_FROM} labels on a table shows what came"
                " of it."
            )
        say(f'In a policy beside it: [classifier] weights = "{out.name}"')
        if worse:
            warn(
                f"it is worse than before on the labels held out, by {' and '.join(worse)}: do not"
                " use it as it is. More labels help, and so does a look at those that contradict"
                " each other"
            )


def score(weights: Weights, labels: Sequence[Label]) -> Score:
    """How well these labels are judged."""
    pairs: Counter[tuple[int, int]] = Counter()
    for label in labels:
        found = judge(weights, label.excerpt)
        pairs[label.level, -1 if found is None else LEVELS.index(found.level)] += 1
    truth, chosen = Counter[int](), Counter[int]()
    for (level, judged), count in pairs.items():
        truth[level] += count
        chosen[judged] += count
    f1s = [2 * pairs[level, level] / (truth[level] + chosen[level]) for level in truth]
    right = sum(pairs[level, level] for level in truth)
    return Score(right / len(labels), sum(f1s) / len(f1s))


def _read(path: str, weights: Weights) -> tuple[list[Label], int]:
    """The labels of a file, and how many more there are that cannot be judged. Raises Refused
    where a line is no label, once all are named."""
    found: list[Label] = []
    bad = unread = 0
    with opened(path) as (file, name):
        for row in read_rows(file):
            fault = row if isinstance(row, BadLine) else None
            if not isinstance(row, BadLine):
                if row.level is None:
                    fault = BadLine(row.number, f"has no 'tier': one of {', '.join(LEVELS)}")
                elif row.excerpt is None or judge(weights, row.excerpt) is None:
                    unread += 1
                else:
                    found.append(Label(row.excerpt, row.level))
            if fault is not None:
                bad += 1
                if bad <= MAX_SHOWN:
                    say_bad(fault, name)
            if len(found) > MOST:
                raise Refused(f"{name} has more than {MOST} labels: give a sample of them")
    if bad:
        raise Refused(f"{bad} lines of {name} are no labels; nothing was trained")
    return found, unread


def _split(labels: list[Label]) -> tuple[list[Label], list[Label]]:
    """What is learned from, and what is held out."""
    if len(labels) < HOLD_OUT_FROM:
        return labels, []
    numbered = list(enumerate(labels, 1))
    return (
        [label for number, label in numbered if number % HOLD_OUT],
        [label for number, label in numbered if number % HOLD_OUT == 0],
    )


def _check(labels: Sequence[Label]) -> None:
    if len(labels) < FEWEST:
        raise Refused(f"there are {len(labels)} labels, and it takes at least {FEWEST}")
    levels = {label.level for label in labels}
    if len(levels) == 1:
        raise Refused(
            f"every label to learn from says {LEVELS[levels.pop()]}: that would teach it to say so"
            " always. Add requests of other tiers"
        )


def _show(before: Score, after: Score, held: int) -> None:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in (f"on {held} labels held out", "before", "after"):
        table.add_column(column)
    table.add_row("accuracy", f"{before.accuracy:.3f}", f"{after.accuracy:.3f}")
    table.add_row("macro-F1", f"{before.macro_f1:.3f}", f"{after.macro_f1:.3f}")
    print_table(table)


def _worse(before: Score, after: Score) -> list[str]:
    pairs = (
        ("accuracy", before.accuracy, after.accuracy),
        ("macro-F1", before.macro_f1, after.macro_f1),
    )
    return [f"{name} ({now:.3f}, was {was:.3f})" for name, was, now in pairs if now < was]
