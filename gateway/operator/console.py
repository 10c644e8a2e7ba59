"""How commands speak: results on stdout, what went wrong on stderr, colours only on a terminal.

Exit codes: 0 done, 1 it could not be done (the reason is on stderr), 2 the command line is wrong.
Long lines are never wrapped or cut where no terminal is: scripts read them.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import NoReturn

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from gateway.core.errors import PolicyError
from gateway.core.policy import Policy, Price, Target, Tier
from gateway.operator.problems import PolicyInvalid
from gateway.operator.stores import StoreError
from gateway.operator.wasmtime import NoWasmtime

out = Console(highlight=False, markup=False)
err = Console(stderr=True, highlight=False, markup=False)


class Refused(Exception):
    """The command cannot be carried out; the message says why and what to do."""


def say(text: str, style: str = "") -> None:
    """A line on stdout."""
    out.print(Text(text, style), soft_wrap=True)


def warn(text: str) -> None:
    """A line on stderr about what works but should be known."""
    err.print(Text.assemble(("warning: ", "yellow"), text), soft_wrap=True)


def say_json(value: object) -> None:
    """One line of JSON on stdout."""
    out.print(json.dumps(value, ensure_ascii=False), soft_wrap=True)
    out.file.flush()


def fail(text: str) -> NoReturn:
    """Ends the command with exit code 1 and this line."""
    err.print(Text.assemble(("tiergate: ", "bold red"), text), soft_wrap=True)
    raise typer.Exit(1)


@contextmanager
def reported(*, as_json: bool = False) -> Iterator[None]:
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
        fail(f"the policy has {count} problem{'s' if count > 1 else ''}; nothing was published")
    except PolicyError as error:
        fail(f"the policy does not load: {error.message}")
    except (StoreError, NoWasmtime, Refused) as error:
        fail(str(error))
    except BrokenPipeError:
        raise
    except OSError as error:
        fail(f"{error.filename}: {error.strerror}" if error.filename else str(error))


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


def tiers_table(policy: Policy) -> Table:
    """Tiers, who answers them, and at what price."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("tier", style="cyan", no_wrap=True)
    table.add_column("share", justify="right")
    table.add_column("target", no_wrap=True)
    table.add_column("USD/Mtok in / out", style="dim")
    for tier in policy.tiers.values():
        name = f"{tier.name} (default)" if tier.name == policy.default_tier else tier.name
        for index, target in enumerate(tier.targets):
            price = price_text(policy.prices.get(target.id))
            table.add_row("" if index else name, share_text(tier, target), target.id, price)
    return table


def share_text(tier: Tier, target: Target) -> str:
    """A target's share of its tier's requests."""
    if target.weight == 0:
        return "stand-in"
    return f"{100 * target.weight / sum(item.weight for item in tier.targets):.3g} %"


def price_text(price: Price | None) -> str:
    """A price as `0.15 / 0.6`; `-` where it is not known."""
    return "-" if price is None else f"{price.input:g} / {price.output:g}"


def missing_secrets(policy: Policy, environment: Mapping[str, str]) -> list[str]:
    """The names of the policy's secrets that are not set (or blank) in the environment."""
    return [name for name in policy.secret_names() if not environment.get(name, "").strip()]


def missing_lines(policy: Policy, missing: Iterable[str]) -> list[str]:
    """What each missing secret means, a line each."""
    lines: list[str] = []
    for name in missing:
        providers = {row.name for row in policy.providers.values() if row.key == name}
        used = [target.id for target in policy.listed.values() if target.provider in providers]
        judge = policy.classifier.target
        if judge and judge.provider in providers:
            used.append(f"the classifier {judge.id}")
        if name in (policy.client_keys or ()):
            used.append("clients that would send it")
        lines.append(
            f"{name} is not set here, and without it this does not work: {', '.join(used)}"
        )
    return lines
