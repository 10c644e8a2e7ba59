"""`tiergate serve`: publish a policy, run the gateway beside it, say how to use it."""

import os
import shlex
from pathlib import Path
from typing import Annotated

import typer

from gateway.core.policy import Policy
from gateway.operator.compile import compile_file
from gateway.operator.console import (
    Refused,
    missing_lines,
    missing_secrets,
    out,
    print_table,
    reported,
    say,
    say_json,
    tiers_table,
    warn,
)
from gateway.operator.listening import address_of, check_free, is_loopback_address, socket_address
from gateway.operator.serve import (
    Mock,
    Stop,
    Wasmtime,
    find_component,
    mock_beside,
    wasmtime_command,
)
from gateway.operator.stores import DirectoryStore, publish

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
    as_json: Annotated[
        bool, typer.Option("--json", help="Say that it is ready in one line of JSON.")
    ] = False,
) -> None:
    """Publish a policy and run the gateway on this machine, until Ctrl-C.

    Keys come from the environment, by the names in the policy. On stdout: one line of JSON for
    each request, the decision record. While it runs, `tiergate policy publish` changes the policy
    for the next request.

    Example: tiergate serve --policy policies/demo.toml --port 8080

    Example: GROQ_API_KEY=... tiergate serve --policy policies/production.toml
    """
    with reported(as_json=as_json):
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
            program, kv, socket_address(address, port), compiled.policy, os.environ
        )
        publish(store, compiled.data)

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
                    for line in [*compiled.warnings, *missing_lines(compiled.policy, missing)]:
                        warn(line)
                    _introduce(gateway.url, compiled.policy, policy, kv, mock)
                while not stop.wait(_LOOK_SECONDS):
                    gateway.check()
            finally:
                gateway.end()


def _ready(url: str, policy: Policy, missing: list[str], mock: Mock | None) -> dict[str, object]:
    return {
        "ready": True,
        "url": url,
        "policy": {"name": policy.name, "version": policy.version},
        "missing_secrets": missing,
        "mock": mock and mock.base_url,
    }


def _introduce(url: str, policy: Policy, file: Path, kv: Path, mock: Mock | None) -> None:
    say(f"Tiergate serves {url}/v1", "bold green")
    say(f"policy {policy.label}, from {file}")
    if mock:
        say(f"mock provider beside it at {mock.base_url}")
    say("")
    print_table(tiers_table(policy))
    say("\nTry it:")
    say(f"  {curl_line(url, policy)}", "cyan")
    say("Change the policy while it runs:")
    say(f"  tiergate policy publish {shlex.quote(str(file))} --to dir:{kv}", "cyan")
    say("\nOne decision record a request follows. Ctrl-C ends it.", "dim")
    out.file.flush()


def curl_line(url: str, policy: Policy) -> str:
    """A request to try, for a shell."""
    key = f' -H "Authorization: Bearer ${policy.client_keys[0]}"' if policy.client_keys else ""
    body = '{"model": "auto", "messages": [{"role": "user", "content": "What is 2 + 2?"}]}'
    return f"curl -i {url}/v1/chat/completions{key} -H 'Content-Type: application/json' -d '{body}'"
