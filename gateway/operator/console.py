"""How commands speak: results on stdout, what went wrong on stderr, colours only on a terminal.

Exit codes: 0 done, 1 it could not be done (the reason is on stderr), 2 the command line is wrong.
Long lines are never wrapped or cut where no terminal is: scripts read them.
"""

import json
import re
import shutil
import sys
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import NoReturn

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from gateway.core.errors import PolicyError
from gateway.core.policy import Policy, Price, Target, Tier
from gateway.operator.policystore import StoreError
from gateway.operator.problems import PolicyInvalid
from gateway.operator.wasmtime import NoWasmtime

out = Console(highlight=False, markup=False)
err = Console(stderr=True, highlight=False, markup=False)


class Refused(Exception):
    """The command cannot be carried out; the message says why and what to do."""


def program() -> str:
    """This program as the user called it: `tiergate`, `.venv/bin/tiergate`."""
    called = Path(sys.argv[0])
    if called.name == "__main__.py":
        return f"{_shorter(Path(sys.executable))} -m gateway.operator"
    if called.name != "tiergate" or shutil.which("tiergate") == sys.argv[0]:
        return "tiergate"
    return _shorter(called)


def as_called(text: str) -> str:
    """The text with every command `tiergate ...` in it as the user would have to type it."""
    return re.sub(
        r"\btiergate (?=(?:serve|explain|classify|train|replay|status|mock|policy|fastly)\b)",
        lambda _: f"{program()} ",
        text,
    )


def _shorter(path: Path) -> str:
    try:
        relative = str(path.absolute().relative_to(Path.cwd()))
    except (OSError, ValueError):
        return str(path)
    # Without a slash a shell would look for it on PATH.
    return min(str(path), relative if "/" in relative else f"./{relative}", key=len)


def say(text: str, style: str = "") -> None:
    """A line on stdout."""
    out.print(Text(text, style), soft_wrap=True)


def warn(text: str) -> None:
    """A line on stderr about what works but should be known."""
    err.print(Text.assemble(("warning: ", "yellow"), text), soft_wrap=True)


def stress(text: str, style: str) -> None:
    """A whole line on stderr in a colour, after what is on stdout by now."""
    out.file.flush()
    err.print(Text(text, style), soft_wrap=True)


@contextmanager
def waiting(text: str) -> Iterator[None]:
    """Says on stderr what is waited for: on a terminal as long as it lasts, else in one line."""
    if not err.is_terminal:
        stress(text, "")
        yield
        return
    # What moves on a terminal, which no other command should wait for.
    from rich.progress import (  # noqa: PLC0415
        Progress,
        SpinnerColumn,
        TextColumn,
        TimeElapsedColumn,
    )

    columns = SpinnerColumn(), TextColumn(text), TimeElapsedColumn()
    with Progress(*columns, console=err, transient=True) as progress:
        progress.add_task("")
        yield


@contextmanager
def progressing(text: str, total: int) -> Iterator[Callable[[], None]]:
    """As `waiting`, with a bar; what it gives is called after each of at most `total` steps."""
    if not err.is_terminal:
        stress(text, "")
        yield lambda: None
        return
    # What moves on a terminal, which no other command should wait for.
    from rich.progress import Progress  # noqa: PLC0415

    with Progress(console=err, transient=True) as progress:
        task = progress.add_task(text, total=total)
        yield lambda: progress.advance(task)


def say_json(value: object) -> None:
    """One line of JSON on stdout."""
    out.print(json.dumps(value, ensure_ascii=False), soft_wrap=True)
    out.file.flush()


def fail(text: str) -> NoReturn:
    """Ends the command with exit code 1 and this line."""
    err.print(Text.assemble(("tiergate: ", "bold red"), as_called(text)), soft_wrap=True)
    raise typer.Exit(1)


@contextmanager
def reported(*, as_json: bool = False, publishes: bool = False) -> Iterator[None]:
    """Turns what users can put right into a line on stderr and exit code 1."""
    try:
        yield
    except PolicyInvalid as error:
        if as_json:
            say_json({"ok": False, "problems": [item.to_json() for item in error.problems]})
            raise typer.Exit(1) from None
        for problem in error.problems:
            err.print(_problem_line(str(problem), problem.file, problem.path), soft_wrap=True)
        count = len(error.problems)
        outcome = "; nothing was published" if publishes else ""
        fail(f"the policy has {count} problem{'s' if count > 1 else ''}{outcome}")
    except PolicyError as error:
        _give_up(f"the policy does not load: {error.message}", as_json=as_json)
    except (StoreError, NoWasmtime, Refused) as error:
        _give_up(str(error), as_json=as_json)
    except BrokenPipeError:
        raise
    except OSError as error:
        text = f"{error.filename}: {error.strerror}" if error.filename else str(error)
        _give_up(text, as_json=as_json)


def _give_up(text: str, *, as_json: bool) -> NoReturn:
    """What scripts read has the reason too: nothing at all would look like a program cut short."""
    if as_json:
        say_json({"ok": False, "problem": as_called(text)})
    fail(text)


def _problem_line(line: str, file: str, path: str) -> Text:
    text = Text(line)
    text.stylize("dim", 0, len(file) + 1)
    text.stylize("bold", len(file) + 2, len(file) + 2 + len(path))
    return text


def print_table(table: Table) -> None:
    """A table on stdout: as wide as the terminal, or as wide as it needs to be."""
    if out.is_terminal:
        out.print(table)
    else:
        Console(file=out.file, width=500, highlight=False, markup=False).print(table)


def tiers_table(policy: Policy, missing: Collection[str] = ()) -> Table:
    """Tiers, who answers them, and at what price; which targets the missing secrets disable."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("tier", style="cyan", no_wrap=True)
    table.add_column("share", justify="right")
    table.add_column("target", no_wrap=True)
    table.add_column("USD/Mtok in / out", style="dim")
    if missing:
        table.add_column("")
    for tier in policy.tiers.values():
        name = f"{tier.name} (default)" if tier.name == policy.default_tier else tier.name
        for index, target in enumerate(tier.targets):
            price = price_text(policy.prices.get(target.id))
            key = policy.providers[target.provider].key
            table.add_row(
                "" if index else name,
                share_text(tier, target),
                target.id,
                price,
                *([f"{key} is not set" if key in missing else ""] if missing else []),
                style="yellow" if key in missing else "",
            )
    return table


def share_text(tier: Tier, target: Target) -> str:
    """A target's share of its tier's requests."""
    if target.weight == 0:
        return "stand-in"
    return f"{100 * target.weight / sum(item.weight for item in tier.targets):.3g} %"


def when_text(time: datetime | None) -> str:
    """A time as the clock on the wall shows it."""
    return time.astimezone().strftime("%Y-%m-%d %H:%M:%S") if time else "at an unknown time"


def price_text(price: Price | None) -> str:
    """A price as `0.15 / 0.6`; `-` where it is not known."""
    return "-" if price is None else f"{price.input:g} / {price.output:g}"


def missing_secrets(policy: Policy, environment: Mapping[str, str]) -> list[str]:
    """The names of the policy's secrets that are not set (or blank) in the environment."""
    return [name for name in policy.secret_names() if not environment.get(name, "").strip()]


def missing_lines(policy: Policy, missing: Collection[str], where: str = "") -> list[str]:
    """What does not work without the missing secrets, a line each; `where` they are looked for."""
    lines: list[str] = []
    for name in missing:
        effects: list[str] = []
        if policy.client_keys and name in policy.client_keys:
            is_last = set(policy.client_keys) <= set(missing)
            effects.append(
                "every client gets 401" if is_last else "clients that would send it get 401"
            )
        providers = {row.name for row in policy.providers.values() if row.key == name}
        used = [target.id for target in policy.listed.values() if target.provider in providers]
        if used:
            effects.append(f"left out: {', '.join(used)}")
        judge = policy.classifier.target
        if judge and judge.provider in providers:
            instead = f"{policy.default_tier} answers"
            if policy.classifier.mode == "hybrid":
                instead = "the embedded model decides"
            effects.append(f"the classifier {judge.id} is not asked, {instead} instead")
        lines.append(f"{name} is not set{where}: {'; '.join(effects)}")
    return lines


def default_tier_line(policy: Policy, missing: Collection[str]) -> str | None:
    """What to set if no target of the default tier can be used; None if one can."""
    tier = policy.tiers[policy.default_tier]
    keys = [policy.providers[target.provider].key for target in tier.targets]
    wanted = dict.fromkeys(key for key in keys if key is not None and key in missing)
    if any(key not in wanted for key in keys):
        return None
    return f"No target of the default tier {tier.name} can be used: set {' or '.join(wanted)}"
