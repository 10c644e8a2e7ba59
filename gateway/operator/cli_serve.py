"""`tiergate serve`: publish a policy, run the gateway under wasmtime beside it."""

import os
import re
import shlex
from pathlib import Path
from typing import Annotated

import typer

from gateway.operator.compile import compile_file
from gateway.operator.console import Refused, as_called, reported, when_text
from gateway.operator.fields import NAME_PATTERN
from gateway.operator.listening import check_free, socket_address
from gateway.operator.serve import Wasmtime, find_component, wasmtime_command
from gateway.operator.serving import guarded_address, serve_until_stopped
from gateway.operator.stores import DirectoryStore, Published, publish


def serve(
    *,
    policy: Annotated[Path, typer.Option(metavar="FILE", help="The policy, in TOML.")],
    kv: Annotated[
        Path, typer.Option(metavar="DIR", help="The folder that is the gateway's store.")
    ] = Path(".tiergate/kv"),
    port: Annotated[int, typer.Option(min=0, max=65535, help="0: any free one.")] = 8080,
    host: Annotated[
        str, typer.Option(help="Where to listen. Beyond loopback only with [client] keys.")
    ] = "127.0.0.1",
    component: Annotated[
        Path | None, typer.Option(metavar="PATH", help="Instead of build/tiergate.cwasm.")
    ] = None,
    secret: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="A key that policies published later may use: its NAME, the value is taken from"
            " the environment. Can be repeated.",
        ),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Say that it is ready in one line of JSON.")
    ] = False,
) -> None:
    """Publish a policy and run the gateway on this machine, until Ctrl-C.

    Keys come from the environment, by the names in the policy; TIERGATE_KEY and the keys of known
    providers are passed on too. On stdout: one line of JSON for each request, the decision record.

    While it runs, `tiergate policy publish` changes the policy for the next request. A key NAME
    that is new to it needs a restart, unless it was passed with --secret NAME.

    Example: tiergate serve --policy policies/demo.toml --port 8080

    Example: GROQ_API_KEY=... tiergate serve --policy policies/production.toml
    """
    with reported(as_json=as_json, publishes=True):
        _check_secrets(secret or [])
        compiled = compile_file(policy)
        address = guarded_address(host, compiled.policy, policy)
        program = find_component(component)
        check_free(address, port)
        store = DirectoryStore(kv)
        command = wasmtime_command(
            program,
            kv,
            socket_address(address, port),
            compiled.policy,
            os.environ,
            secrets=secret or [],
        )
        published = publish(store, compiled.data, compiled.weights)
        file, where = shlex.quote(str(policy)), shlex.quote(f"dir:{kv}")
        serve_until_stopped(
            lambda: Wasmtime(command, address, port),
            compiled,
            source=_source(published, policy),
            change=(
                "Change the policy while it runs:",
                as_called(f"  tiergate policy publish {file} --to {where}"),
            ),
            as_json=as_json,
        )


def _source(published: Published, file: Path) -> list[str]:
    policy, before = published.policy, published.before
    lines = [f"policy {policy.label}, from {file}"]
    if published.changed and before and before.label != policy.label:
        lines.append(f"replaces {before.label}, active since {when_text(before.since)}")
    return lines


def _check_secrets(names: list[str]) -> None:
    for name in names:
        if not re.fullmatch(NAME_PATTERN, name):  # Not repeated: it may be the key itself.
            raise Refused("--secret takes the NAME of an environment variable, like HOUSE_KEY")
        if not os.environ.get(name, "").strip():
            raise Refused(f"--secret {name}: it is not set in the environment")
