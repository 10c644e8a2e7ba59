"""The report: a table for people, JSON for scripts."""

import os
import platform
import subprocess
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from bench.judge import Line
from gateway.operator import wasmtime

_DIGITS = {"ms": 2, "vCPU ms": 1}
_VERDICTS = {True: ("pass", "green"), False: ("FAIL", "bold red"), None: ("", "")}


@dataclass(frozen=True, slots=True)
class Conditions:
    """Where and how it was measured. `load`: processes that ran or waited to, before and after.
    `viceroy`: None where there is none, and nothing was measured on it."""

    runs: int
    seconds: int
    cores: int
    load: tuple[float, float]
    wasmtime: str
    python: str
    viceroy: str | None

    def __str__(self) -> str:
        before, after = self.load
        return (
            f"{self.runs} runs of {self.seconds} s, medians; {self.cores} cores;"
            f" load {before:.1f} before, {after:.1f} after; {self.wasmtime}"
            f"{f', {self.viceroy}' if self.viceroy else ''}"
        )


def conditions(runs: int, seconds: int, load_before: float, viceroy: Path | None) -> Conditions:
    """What there is to say of this machine, at the end of a run."""
    return Conditions(
        runs=runs,
        seconds=seconds,
        cores=len(os.sched_getaffinity(0)),
        load=(load_before, os.getloadavg()[0]),
        wasmtime=_version(wasmtime.find()),
        python=platform.python_version(),
        viceroy=_version(viceroy) if viceroy else None,
    )


def _version(program: Path) -> str:
    said = subprocess.run([program, "--version"], capture_output=True, text=True, check=False)
    return " ".join(said.stdout.split()[:2])


def to_json(lines: list[Line], at: Conditions) -> dict[str, object]:
    """`ok` is False if a limit is not kept; `passed` is null where there is none."""
    return {
        "ok": all(line.passed is not False for line in lines),
        "lines": [asdict(line) for line in lines],
        "conditions": asdict(at),
    }


def print_table(lines: list[Line], at: Conditions) -> None:
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("bypassed unless said", style="cyan", no_wrap=True)
    table.add_column("gateway", justify="right", no_wrap=True)
    table.add_column("nginx", justify="right", no_wrap=True)
    table.add_column("compared", justify="right", no_wrap=True)
    table.add_column("limit", no_wrap=True)
    table.add_column("", no_wrap=True)
    for line in lines:
        word, style = _VERDICTS[line.passed]
        nginx = "" if line.nginx is None else _figure(line.nginx, line.unit)
        row = (line.name, _figure(line.gateway, line.unit), nginx, line.compared, line.limit or "")
        table.add_row(*row, Text(word, style))
    console = Console(highlight=False, markup=False)
    if not console.is_terminal:
        console = Console(width=500, highlight=False, markup=False)
    console.print(table)
    if at.viceroy is None:
        console.print(
            "Not measured, without Viceroy: the gateway on Fastly. `make viceroy` gets it."
        )
    console.print(str(at), style="dim")


def _figure(value: float, unit: str) -> str:
    return f"{value:,.{_DIGITS.get(unit, 0)}f} {unit}"
