"""`tiergate policy ...`: check, publish, show, history, rollback, schema."""

import json
import os
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from gateway.core.compiled import load
from gateway.core.policy import Policy
from gateway.operator.compile import compile_file
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
    when_text,
)
from gateway.operator.fields import is_loopback
from gateway.operator.schema import json_schema
from gateway.operator.stores import (
    DEFAULT_STORE,
    HistoryEntry,
    PolicyStore,
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
FromStore = Annotated[
    str,
    typer.Option(
        "--from", metavar="STORE", help="The store: dir:PATH, or fastly:NAME for a KV Store."
    ),
]


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
        str,
        typer.Option(
            "--to",
            metavar="STORE",
            help="Where the gateway reads it: dir:PATH, or fastly:NAME for Fastly's KV Store of"
            " that name or ID (the API token is in FASTLY_API_TOKEN).",
        ),
    ] = DEFAULT_STORE,
    as_json: JsonFlag = False,
) -> None:
    """Compile a policy file and make it the active one, at once and as a whole.

    Running gateways use it from the next request on. Keys are looked for by name in this
    environment, to tell which are missing; their values go nowhere. For a service on Fastly, which
    has keys of its own and takes some seconds, `tiergate fastly check` does that.

    Example: tiergate policy publish policies/demo.toml --to dir:.tiergate/kv

    Example: tiergate policy publish policies/production.toml --to fastly:tiergate
    """
    with reported(as_json=as_json, publishes=True):
        compiled = compile_file(file)
        store = open_store(to)
        published = publish(store, compiled.data, compiled.weights)
        warnings = [*compiled.warnings, *_out_of_reach(compiled.policy, store)]
        _say_published(published, store, as_json=as_json, warnings=warnings)


@app.command("show")
def show(*, store: FromStore = DEFAULT_STORE, as_json: JsonFlag = False) -> None:
    """Show the active policy: tiers, targets, prices. With --json, the compiled policy itself.

    Example: tiergate policy show --json | jq .tiers
    """
    with reported(as_json=as_json):
        opened = open_store(store)
        data = opened.read(ACTIVE)
        if data is None:
            raise Refused(f"no policy is active in {store}: {_publish_to(store)}")
        policy = load(data)
        if as_json:
            say_json(json.loads(data))
            return
        say(f"{policy.label}", "bold")
        active = next((entry for entry in history(opened) if entry.is_active), None)
        say(f"published {when_text(active.published if active else None)}")
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
    with reported(as_json=as_json):
        entries = list(reversed(history(open_store(store))))
        if as_json:
            say_json([_entry_json(entry) for entry in entries])
            return
        if not entries:
            raise Refused(f"nothing was published to {store}: {_publish_to(store)}")
        table = Table(box=None, pad_edge=False, header_style="bold")
        for column in ("n", "version", "name", "published", ""):
            table.add_column(column)
        for entry in entries:
            policy = entry.policy
            table.add_row(
                str(entry.n),
                policy.version if policy else "?",
                policy.name if policy else "?",
                when_text(entry.published),
                "active" if entry.is_active else entry.problem or "",
                style="green" if entry.is_active else "",
            )
        print_table(table)


@app.command("rollback")
def roll_back(
    version: Annotated[
        str | None,
        typer.Argument(
            help="A version as `tiergate policy history` lists it (what stands after the @), or its"
            " beginning. Default: the newest that is not the active one."
        ),
    ] = None,
    *,
    store: FromStore = DEFAULT_STORE,
    as_json: JsonFlag = False,
) -> None:
    """Make an earlier policy the active one again.

    That is recorded as one more publishing, so a second rollback goes forward again.

    Example: tiergate policy rollback
    """
    with reported(as_json=as_json):
        opened = open_store(store)
        _say_published(rollback(opened, version), opened, as_json=as_json, warnings=[])


@app.command("schema")
def schema() -> None:
    """Print the JSON Schema of policy files, for editors that complete and check TOML.

    Example: tiergate policy schema > policies/policy.schema.json

    An editor uses it for a file whose first line is: #:schema ./policy.schema.json
    """
    typer.echo(json_schema(), nl=False)


def _publish_to(store: str) -> str:
    to = "" if store == DEFAULT_STORE else f" --to {shlex.quote(store)}"
    return f"tiergate policy publish FILE{to}"


def _say_published(
    published: Published, store: PolicyStore, *, as_json: bool, warnings: list[str]
) -> None:
    policy = published.policy
    before = published.before
    # What this environment has says nothing of a public gateway's secrets.
    missing = None if store.is_public else missing_secrets(policy, os.environ)
    if as_json:
        say_json(
            {
                "ok": True,
                **_summary(policy),
                "changed": published.changed,
                "n": published.n,
                "store": str(store),
                "warnings": warnings,
                "missing_secrets": missing,
            }
        )
        return
    here = " here; if the gateway has none either"  # It may run with another environment.
    for line in [*warnings, *missing_lines(policy, missing or [], here)]:
        warn(line)
    if not published.changed:
        say(f"{policy.label} is already active in {store}: nothing to do")
    elif published.was is not None:
        label = before.label if before else "none was active"
        say(f"back to {policy.label} (was number {published.was}); before: {label}", "green")
        say(f"in {store} (number {published.n})")
    else:
        say(f"published {policy.label} to {store} (number {published.n})", "green")
        if before is None:
            say("a new store: no gateway has read it yet")


def _out_of_reach(policy: Policy, store: PolicyStore) -> Iterator[str]:
    for name, provider in policy.providers.items():
        if store.is_public and is_loopback(provider.base_url):
            yield (
                f"providers.{name}.base_url: {provider.base_url} is this machine itself: a gateway"
                f" that reads {store} cannot reach it"
            )


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


def _about_classifier(policy: Policy) -> str:
    settings = policy.classifier
    embedded = "the embedded model"
    if settings.weights:
        embedded += f" with the weights {settings.weights}"
    if settings.mode == "local":
        return f"classifier: {embedded}"
    if settings.mode == "off" or settings.target is None:
        return f"classifier: off, everything goes to {policy.default_tier}"
    asked = f"{settings.target.id}, {settings.timeout_ms} ms"
    if settings.mode == "hybrid":
        return f"classifier: {embedded}; below {settings.min_confidence:g} {asked}"
    return f"classifier: {asked}"


def _about_clients(policy: Policy) -> str:
    if policy.client_keys is None:
        return "anyone who reaches the address"
    return f"whoever has the value of {' or '.join(policy.client_keys)}"
