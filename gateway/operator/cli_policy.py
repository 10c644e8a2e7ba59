"""`tiergate policy ...`: check, publish, show, history, rollback, schema."""

import json
import os
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from gateway.core.compiled import load
from gateway.core.policy import Policy
from gateway.operator.compile import Compiled, compile_file
from gateway.operator.console import (
    Refused,
    missing_lines,
    missing_secrets,
    print_table,
    reported,
    say,
    say_json,
    tiers_table,
    warn,
)
from gateway.operator.schema import json_schema
from gateway.operator.stores import (
    DEFAULT_STORE,
    HistoryEntry,
    Published,
    history,
    open_store,
    publish,
    rollback,
)
from gateway.policies import ACTIVE, GOOD

app = typer.Typer(
    no_args_is_help=True,
    help="Check, publish and look at policies. A published policy is used by the next request.",
)

PolicyPath = Annotated[Path, typer.Argument(metavar="FILE", help="The policy, in TOML.")]
JsonFlag = Annotated[bool, typer.Option("--json", help="One line of JSON, for scripts.")]
FromStore = Annotated[str, typer.Option("--from", metavar="dir:PATH", help="The store.")]


@app.command("check")
def check(file: PolicyPath, *, as_json: JsonFlag = False) -> None:
    """Say everything that is wrong with a policy file; publish nothing.

    Example: tiergate policy check policies/production.toml
    """
    with reported(as_json=as_json):
        compiled = compile_file(file)
        if as_json:
            say_json({"ok": True, **_summary(compiled.policy), "warnings": compiled.warnings})
            return
        for warning in compiled.warnings:
            warn(warning)
        say(f"{file} is a valid policy: {compiled.policy.label}", "green")


@app.command("publish")
def publish_file(
    file: PolicyPath,
    *,
    to: Annotated[
        str, typer.Option("--to", metavar="dir:PATH", help="Where the gateway reads it.")
    ] = DEFAULT_STORE,
    as_json: JsonFlag = False,
) -> None:
    """Compile a policy file and make it the active one, at once and as a whole.

    Running gateways use it from the next request on. Keys are looked for by name in this
    environment, to tell which are missing; their values go nowhere.

    Example: tiergate policy publish policies/demo.toml --to dir:.tiergate/kv
    """
    with reported(as_json=as_json):
        compiled = compile_file(file)
        published = publish(open_store(to), compiled.data)
        _say_published(published, to, as_json=as_json, compiled=compiled)


@app.command("show")
def show(*, store: FromStore = DEFAULT_STORE, as_json: JsonFlag = False) -> None:
    """Show the active policy: tiers, targets, prices. With --json, the compiled policy itself.

    Example: tiergate policy show --json | jq .tiers
    """
    with reported():
        opened = open_store(store)
        data = opened.read(ACTIVE)
        if data is None:
            raise Refused(f"no policy is active in {store}: tiergate policy publish FILE")
        policy = load(data)
        if as_json:
            say_json(json.loads(data))
            return
        say(f"{policy.label}", "bold")
        say(f"published {_when(next((e for e in history(opened) if e.is_active), None))}")
        if opened.read(GOOD) != data:
            warn(f"{GOOD} is another policy: publish again to have both the same")
        say(_about_classifier(policy))
        say(f"clients: {_about_clients(policy)}\n")
        print_table(tiers_table(policy))


@app.command("history")
def show_history(*, store: FromStore = DEFAULT_STORE, as_json: JsonFlag = False) -> None:
    """List what was published, newest first. `tiergate policy rollback` goes back to any of it.

    Example: tiergate policy history --from dir:.tiergate/kv
    """
    with reported():
        entries = list(reversed(history(open_store(store))))
        if as_json:
            say_json([_entry_json(entry) for entry in entries])
            return
        if not entries:
            raise Refused(f"nothing was published to {store}: tiergate policy publish FILE")
        table = Table(box=None, pad_edge=False, header_style="bold")
        for column in ("n", "version", "name", "published", ""):
            table.add_column(column)
        for entry in entries:
            policy = entry.policy
            table.add_row(
                str(entry.n),
                policy.version if policy else "?",
                policy.name if policy else "?",
                _when(entry),
                "active" if entry.is_active else entry.problem or "",
                style="green" if entry.is_active else "",
            )
        print_table(table)


@app.command("rollback")
def roll_back(
    version: Annotated[
        str | None, typer.Argument(help="A version or its beginning. Default: the one before.")
    ] = None,
    *,
    store: FromStore = DEFAULT_STORE,
    as_json: JsonFlag = False,
) -> None:
    """Make an earlier policy the active one again.

    Example: tiergate policy rollback
    """
    with reported():
        published = rollback(open_store(store), version)
        _say_published(published, store, as_json=as_json)


@app.command("schema")
def schema() -> None:
    """Print the JSON Schema of policy files, for editors that complete and check TOML.

    Example: tiergate policy schema > policies/policy.schema.json

    An editor uses it for a file whose first line is: #:schema ./policy.schema.json
    """
    typer.echo(json_schema(), nl=False)


def _say_published(
    published: Published, where: str, *, as_json: bool, compiled: Compiled | None = None
) -> None:
    policy = published.policy
    warnings = compiled.warnings if compiled else []
    missing = missing_secrets(policy, os.environ)
    if as_json:
        say_json(
            {
                "ok": True,
                **_summary(policy),
                "changed": published.changed,
                "n": published.n,
                "store": where,
                "warnings": warnings,
                "missing_secrets": missing,
            }
        )
        return
    for line in [*warnings, *missing_lines(policy, missing)]:
        warn(line)
    if published.changed:
        say(f"published {policy.label} to {where} (number {published.n})", "green")
    else:
        say(f"{policy.label} is already active in {where}: nothing to do")


def _summary(policy: Policy) -> dict[str, object]:
    return {"name": policy.name, "version": policy.version}


def _entry_json(entry: HistoryEntry) -> dict[str, object]:
    return {
        "n": entry.n,
        "version": entry.policy and entry.policy.version,
        "name": entry.policy and entry.policy.name,
        "published": entry.published and entry.published.isoformat(timespec="seconds"),
        "active": entry.is_active,
        "problem": entry.problem,
    }


def _when(entry: HistoryEntry | None) -> str:
    if entry is None or entry.published is None:
        return "at an unknown time"
    return entry.published.astimezone().strftime("%Y-%m-%d %H:%M:%S")


def _about_classifier(policy: Policy) -> str:
    settings = policy.classifier
    if settings.mode == "off" or settings.target is None:
        return f"classifier: off, everything goes to {policy.default_tier}"
    return f"classifier: {settings.target.id}, {settings.timeout_ms} ms"


def _about_clients(policy: Policy) -> str:
    if policy.client_keys is None:
        return "anyone who reaches the address"
    return f"whoever has the value of {' or '.join(policy.client_keys)}"
