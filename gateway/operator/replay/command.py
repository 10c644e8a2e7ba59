"""`tiergate replay`: what another policy would have decided for requests that were served."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from gateway.core.classifier.model import read_weights
from gateway.hosts.memory import memory_ports
from gateway.operator.compile import Compiled, compile_file
from gateway.operator.console import Refused, out, print_table, reported, say, say_json, stress
from gateway.operator.replay.records import Log, Seen
from gateway.operator.replay.tally import CHANGES, Change, Moved, Tally, notes_of
from gateway.operator.replay.verdicts import Side, WhyUnknown

STDIN = "-"

_LABELS: dict[Change, str] = {
    "unchanged": "unchanged",
    "up": "moved up",
    "down": "moved down",
    "aside": "moved aside",
    "refused": "refused",
    "unknown": "unknown",
}
_WHY: dict[WhyUnknown, str] = {
    "not_judged": "the embedded model was not asked about them when they were served",
    "not_asked": "the classifier model's word would count, and the record has none",
    "no_such_tier": "the classifier model named a tier that the policy has not",
    "no_target": "the client named a model that the record does not tell",
}


def replay(
    records: Annotated[
        list[str],
        typer.Argument(metavar="RECORDS...", help="Logs with decision records; `-` is stdin."),
    ],
    *,
    policy: Annotated[Path, typer.Option(metavar="A", help="The policy as it is, in TOML.")],
    against: Annotated[Path, typer.Option(metavar="B", help="The policy as it might be.")],
    moved: Annotated[
        bool,
        typer.Option("--moved", help="Instead of a summary, one line of JSON a moved request."),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One line of JSON, for scripts.")] = False,
) -> None:
    """Show what policy B would have decided differently from policy A. Calls nobody.

    Every request leaves a decision record in the gateway's log: docs/decision-record.md. From
    what it says of the request and of its difficulty, both policies decide again: which requests
    move to another tier, which rules catch how many, and what the answers would have cost. What a
    record cannot tell is counted as unknown, never guessed. Lines that are no records are passed
    over.

    With --moved, each line has request_id, from, to, change and why.

    Example: tiergate replay --policy policies/demo.toml --against new.toml gateway.log
    """
    if moved and as_json:
        raise typer.BadParameter("has no summary; leave out --json", param_hint="--moved")
    with reported(as_json=as_json or moved):
        a, b = compile_file(policy), compile_file(against)
        tally, log = tally_of(a, b), Log()
        for seen in _read(records, log):
            if (found := tally.add(seen)) and moved:
                _write(found)
        if not tally.requests:
            raise Refused(_nothing(records, log))
        if moved:
            count = sum(tally.changes[change] for change in ("up", "down", "aside", "refused"))
            stress(f"{count:,} of {tally.requests:,} requests moved", "")
        elif as_json:
            say_json(as_values(tally, log))
        else:
            _show(tally, log)


def tally_of(a: Compiled, b: Compiled) -> Tally:
    """Nothing counted yet. Each policy judges by the weights that it names, else the built-in."""
    known = [a.policy, b.policy]
    return Tally(*[Side(each.policy, _tilt(each), known) for each in (a, b)])


def _tilt(compiled: Compiled) -> float:
    own = compiled.weights
    return (read_weights(own) if own else memory_ports().weights).tilt


def _read(names: list[str], log: Log) -> Iterator[Seen]:
    """The records of all files, one after the other. Raises OSError."""
    for name in names:
        if name != STDIN:
            Path(name).stat()  # a file that is not there is said before the first is read
    for name in names:
        if name == STDIN:
            yield from log.read(sys.stdin.buffer)
            continue
        with Path(name).open("rb") as file:
            yield from log.read(file)


def _nothing(names: list[str], log: Log) -> str:
    where = ", ".join("stdin" if name == STDIN else name for name in names)
    if log.records:
        return (
            f"none of the {log.records:,} decision records in {where} is of a request that was"
            " given a tier or a model: replay the log of a gateway that has served some"
        )
    return (
        f"no decision record in {where} ({log.other_lines:,} other lines): give it the gateway's"
        ' log, where each request writes one line of JSON with "event": "request", as in'
        " `tiergate serve --policy FILE | tee gateway.log`"
    )


def _write(found: Moved) -> None:
    # Not by the console: a line may be one of a million.
    values = {
        "request_id": found.request_id,
        "from": found.before,
        "to": found.after,
        "change": found.change,
        "why": found.why,
    }
    out.file.write(json.dumps(values) + "\n")


def as_values(tally: Tally, log: Log) -> dict[str, Any]:
    """The summary for scripts. Costs in USD."""
    a, b, costs = tally.a.policy, tally.b.policy, tally.costs
    return {
        "ok": True,
        "policy": a.label,
        "against": b.label,
        "requests": tally.requests,
        "changes": {change: tally.changes[change] for change in CHANGES},
        "unchanged_as_asked": tally.as_asked,
        "unknown": {why: tally.unknown[why] for why in _WHY},
        "matrix": [
            {"from": one, "to": other, "requests": count}
            for (one, other), count in sorted(tally.places.items())
        ],
        "rules": [
            {
                "name": rule.name,
                "caught": tally.caught[rule.name],
                "could_have_caught": tally.could[rule.name],
            }
            for rule in b.rules
        ],
        "cost": {
            "requests": costs.requests,
            "policy_usd": round(costs.before, 8) if costs.requests else None,
            "against_usd": round(costs.after, 8) if costs.requests else None,
            "left_out": {
                "no_usage": costs.no_usage,
                "no_price": costs.no_price,
                "no_decision": costs.no_target,
            },
        },
        "records": {
            "read": log.records,
            "other_lines": log.other_lines,
            "undecided": log.undecided,
            "of_policy": tally.of_a,
            "of_against": tally.of_b,
            "otherwise_than_policy": tally.otherwise,
        },
        "notes": list(notes_of(a, b)),
    }


def _show(tally: Tally, log: Log) -> None:
    a, b = tally.a.policy, tally.b.policy
    say(f"{a.label} -> {b.label}, {tally.requests:,} requests", "bold")
    width = len(f"{tally.requests:,}")
    for change in CHANGES:
        count = tally.changes[change]
        if count or change in {"unchanged", "up", "down", "unknown"}:
            share = f"{100 * count / tally.requests:.1f} %"
            say(f"{_LABELS[change]:<12} {count:>{width},} {share:>8}")
        if change == "unchanged" and tally.as_asked:
            say(f"  {tally.as_asked:,} of them as the client asked", "dim")
    for why, count in tally.unknown.most_common():
        say(f"  {count:,} unknown: {_WHY[why]}", "dim")
    say("")
    print_table(_matrix(tally))
    if b.rules:
        say("")
        print_table(_rules(tally))
    say("")
    _show_costs(tally)
    for line in (*_about_records(tally, log), *notes_of(a, b)):
        say(f"- {line}", "dim")


def _matrix(tally: Tally) -> Table:
    """From where to where, tiers in the policies' order, then models and what is neither."""
    order = {name: n for n, name in enumerate({**tally.a.policy.tiers, **tally.b.policy.tiers})}

    def ordered(names: set[str]) -> list[str]:
        return sorted(names, key=lambda name: (order.get(name, len(order)), name))

    table = Table(box=None, pad_edge=False, header_style="bold")
    columns = ordered({other for _, other in tally.places})
    table.add_column("from \\ to", style="cyan", no_wrap=True)
    for name in columns:
        table.add_column(name, justify="right", no_wrap=True)
    for row in ordered({one for one, _ in tally.places}):
        counts = [tally.places[row, name] for name in columns]
        table.add_row(row, *[f"{count:,}" if count else "-" for count in counts])
    return table


def _rules(tally: Tally) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("rule", style="cyan", no_wrap=True)
    table.add_column("catches", justify="right")
    table.add_column("may catch, the record does not tell", justify="right")
    for rule in tally.b.policy.rules:
        count, could = tally.caught[rule.name], tally.could[rule.name]
        table.add_row(rule.name, f"{count:,}", f"{could:,}" if could else "-")
    return table


def _show_costs(tally: Tally) -> None:
    costs = tally.costs
    if costs.requests:
        change = 100 * (costs.after / costs.before - 1) if costs.before else 0.0
        share = f" ({change:+.1f} %)" if costs.before else ""
        say(f"cost   {costs.before:,.6g} USD -> {costs.after:,.6g} USD{share}", "bold")
        text = "each tier's first target, the judge's own calls not counted"
        say(f"       of {costs.requests:,} answers; by {text}", "dim")
    else:
        say("cost   unknown: no request has usage and prices on both sides", "bold")
    left_out = [
        f"{count:,} {what}"
        for count, what in (
            (costs.no_usage, "without usage"),
            (costs.no_price, "without a price"),
            (costs.no_target, "without a decision"),
        )
        if count
    ]
    if left_out:
        say(f"       left out: {', '.join(left_out)}", "dim")


def _about_records(tally: Tally, log: Log) -> Iterator[str]:
    a, b = tally.a.policy, tally.b.policy
    if log.undecided:
        yield f"left out, since no tier was decided for them: {log.undecided:,} records"
    if log.other_lines:
        yield f"lines that are no decision records: {log.other_lines:,}"
    if others := tally.requests - (tally.of_a if a.label == b.label else tally.of_a + tally.of_b):
        yield f"served by a policy that is neither of these two: {others:,} requests"
    if tally.otherwise:
        yield (
            f"in fact given another tier by {a.label} than it gives here: {tally.otherwise:,}"
            " requests. Its weights did not load then, or two levels were about as likely"
        )
