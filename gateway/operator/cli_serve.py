"""`tiergate serve`: publish a policy, run the gateway beside it, say how to use it."""

import os
import re
import shlex
from pathlib import Path
from typing import Annotated

import typer

from gateway.core.policy import Policy
from gateway.operator.compile import compile_file
from gateway.operator.console import (
    Refused,
    as_called,
    default_tier_line,
    missing_lines,
    missing_secrets,
    out,
    print_table,
    reported,
    say,
    say_json,
    stress,
    tiers_table,
    warn,
    when_text,
)
from gateway.operator.fields import NAME_PATTERN
from gateway.operator.listening import address_of, check_free, is_loopback_address, socket_address
from gateway.operator.serve import (
    Mock,
    Stop,
    Wasmtime,
    find_component,
    mock_beside,
    wasmtime_command,
)
from gateway.operator.stores import DirectoryStore, Published, publish

_LOOK_SECONDS = 0.2  # How often it looks whether wasmtime still runs.


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
        address = address_of(host)
        if not is_loopback_address(address) and compiled.policy.client_keys is None:
            raise Refused(
                f"--host {host} can be reached from other machines, and the policy lets anyone"
                f' call. Add to {policy}:\n\n  [client]\n  keys = ["TIERGATE_KEY"]\n\n'
                "and set TIERGATE_KEY in the environment to the key that clients must send"
            )
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
        published = publish(store, compiled.data)

        stop = Stop()
        with mock_beside(compiled.policy) as mock:
            gateway = Wasmtime(command, address, port)
            try:
                serving = gateway.wait_ready(stop)
                if mock:
                    mock.wait_ready(stop)
                if stop.is_set():
                    return
                missing = missing_secrets(compiled.policy, os.environ)
                if serving != compiled.policy.label:
                    warn(f"it serves {serving}, not {compiled.policy.label}: see /readyz")
                if as_json:
                    say_json(_ready(gateway.url, compiled.policy, missing, mock))
                else:
                    for line in compiled.warnings:
                        warn(line)
                    _introduce(gateway.url, published, policy, kv, mock, missing)
                is_mock_alive = True
                while not stop.wait(_LOOK_SECONDS):
                    gateway.check()
                    if mock and is_mock_alive and mock.has_ended():
                        is_mock_alive = False
                        warn(f"the mock provider at {mock.base_url} has ended; the gateway runs on")
            finally:
                gateway.end()


def _ready(url: str, policy: Policy, missing: list[str], mock: Mock | None) -> dict[str, object]:
    return {
        "ready": True,
        "url": url,
        "policy": {"name": policy.name, "version": policy.version},
        "missing_secrets": missing,
        "mock": mock.base_url if mock and mock.is_needed else None,
    }


def _check_secrets(names: list[str]) -> None:
    for name in names:
        if not re.fullmatch(NAME_PATTERN, name):  # Not repeated: it may be the key itself.
            raise Refused("--secret takes the NAME of an environment variable, like HOUSE_KEY")
        if not os.environ.get(name, "").strip():
            raise Refused(f"--secret {name}: it is not set in the environment")


def _introduce(
    url: str, published: Published, file: Path, kv: Path, mock: Mock | None, missing: list[str]
) -> None:
    policy, before = published.policy, published.before
    say(f"Tiergate serves {url}/v1", "bold green")
    say(f"policy {policy.label}, from {file}")
    if published.changed and before and before.label != policy.label:
        say(f"replaces {before.label}, active since {when_text(before.since)}")
    if mock and mock.is_needed:
        say(f"mock provider beside it at {mock.base_url}")
    elif mock:
        say(f"uses the provider already at {mock.base_url}")
    say("")
    print_table(tiers_table(policy, missing))
    if missing:
        stress("", "")
        for line in missing_lines(policy, missing):
            stress(line, "yellow")
    key, condition = _client_key(policy, missing)
    say(f"\nTry it{condition}:")
    say(f"  {curl_line(url, key)}", "cyan")
    say("Change the policy while it runs:")
    store = shlex.quote(f"dir:{kv}")
    say(as_called(f"  tiergate policy publish {shlex.quote(str(file))} --to {store}"), "cyan")
    say("\nOne decision record a request follows. Ctrl-C ends it.", "dim")
    if remedy := default_tier_line(policy, missing):
        stress(remedy, "bold red")
    out.file.flush()


def _client_key(policy: Policy, missing: list[str]) -> tuple[str | None, str]:
    """The name of the key to try it with, and what has to be done before."""
    if not policy.client_keys:
        return None, ""
    if name := next((name for name in policy.client_keys if name not in missing), None):
        return name, ""
    return policy.client_keys[0], f", after a new start with {policy.client_keys[0]} set"


def curl_line(url: str, key: str | None) -> str:
    """A request to try, for a shell that has the variable `key`."""
    header = f' -H "Authorization: Bearer ${key}"' if key else ""
    body = '{"model": "auto", "messages": [{"role": "user", "content": "What is 2 + 2?"}]}'
    return (
        f"curl -i {url}/v1/chat/completions{header} -H 'Content-Type: application/json' -d '{body}'"
    )
