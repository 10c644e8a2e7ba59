"""The report of a soak: a table for people, JSON for scripts."""

from dataclasses import dataclass, field
from statistics import quantiles

from rich.console import Console
from rich.table import Table

from soak.judge import ENDS, MOST_MEMORY, VIOLATION, Verdict

MOST_SHOWN = 30  # violations


@dataclass(frozen=True, slots=True)
class Memory:
    """The gateway's resident memory, MB. `later`: once idle instances are gone, or None."""

    warm: float
    end: float
    later: float | None

    @property
    def ratio(self) -> float | None:
        return None if self.later is None else self.later / self.warm

    def problem(self) -> str | None:
        """What is wrong with it, if anything is."""
        if self.ratio is None or self.ratio <= MOST_MEMORY:
            return None
        return (
            f"memory: {self.later:.0f} MB, {self.ratio:.2f} times the {self.warm:.0f} after warm-up"
        )


@dataclass(frozen=True, slots=True)
class Run:
    """What a soak found. `late`: the share of the time for which clients or gateway waited for the
    machine. `waits`: seconds from a request to its end, by kind."""

    seed: int
    seconds: float
    verdict: Verdict
    memory: Memory
    late: float
    waits: dict[str, list[float]] = field(default_factory=dict)

    @property
    def is_good(self) -> bool:
        return not self.verdict.violations


def to_json(run: Run) -> dict[str, object]:
    verdict = run.verdict
    return {
        "ok": run.is_good,
        "seed": run.seed,
        "seconds": round(run.seconds, 1),
        "ends": [
            {"kind": kind, "end": end, "count": count}
            for (kind, end), count in sorted(verdict.ends.items())
        ],
        "errors": [
            {"status": status, "code": code, "count": count}
            for (status, code), count in sorted(verdict.errors.items())
        ],
        "outcomes": dict(sorted(verdict.outcomes.items())),
        "records": verdict.records,
        "late_share": round(run.late, 3),
        "excused": verdict.excused,
        "longest_s": {kind: round(max(waits), 2) for kind, waits in sorted(run.waits.items())},
        "memory_mb": {
            "warm": round(run.memory.warm, 1),
            "end": round(run.memory.end, 1),
            "later": run.memory.later and round(run.memory.later, 1),
        },
        "violations": verdict.violations,
    }


def print_table(run: Run) -> None:
    console = Console(width=130, highlight=False)
    verdict = run.verdict
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("requests", style="cyan", no_wrap=True)
    for end in ENDS:
        table.add_column(end, justify="right")
    for name in ("p50", "p99", "longest"):
        table.add_column(name, justify="right")
    kinds = sorted({kind for kind, _ in verdict.ends})
    for kind in kinds:
        counts = [verdict.ends[kind, end] for end in ENDS]
        table.add_row(kind, *_counts(counts), *_waits(run.waits.get(kind, [])))
    totals = [sum(verdict.ends[kind, end] for kind in kinds) for end in ENDS]
    everything = [wait for waits in run.waits.values() for wait in waits]
    table.add_row("all", *_counts(totals), *_waits(everything), style="bold")
    console.print(table)
    errors = ", ".join(
        f"{status} {code} {count}" for (status, code), count in sorted(verdict.errors.items())
    )
    outcomes = ", ".join(f"{name} {count}" for name, count in verdict.outcomes.most_common())
    console.print(f"\nerrors: {errors or 'none'}")
    console.print(f"attempts: {outcomes or 'none'}")
    memory = run.memory
    later = "" if memory.later is None else f", later {memory.later:.0f} MB ({memory.ratio:.2f} x)"
    console.print(f"memory: warm {memory.warm:.0f} MB, at the end {memory.end:.0f} MB{later}")
    for violation in verdict.violations[:MOST_SHOWN]:
        console.print(f"{VIOLATION}: {violation}", style="bold red", markup=False)
    if (more := len(verdict.violations) - MOST_SHOWN) > 0:
        console.print(f"and {more} more", style="bold red")
    console.print(
        f"{'pass' if run.is_good else 'FAIL'}: {sum(totals)} requests,"
        f" {verdict.records} records, {run.seconds:.0f} s of which the machine was late for"
        f" {run.late:.0%} ({verdict.excused} requests excused by that), --seed {run.seed}"
    )


def _counts(counts: list[int]) -> list[str]:
    return [f"{count:,}" if count else "" for count in counts]


def _waits(waits: list[float]) -> list[str]:
    if len(waits) < 2:
        return ["", "", f"{max(waits):.1f} s" if waits else ""]
    parts = quantiles(waits, n=100)
    return [f"{parts[49]:.2f} s", f"{parts[98]:.1f} s", f"{max(waits):.1f} s"]
