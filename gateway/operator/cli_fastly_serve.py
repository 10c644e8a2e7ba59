"""`tiergate fastly serve`: run the gateway as Fastly Compute does, on this machine."""

import os
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import typer

from gateway.operator.compile import compile_file
from gateway.operator.console import as_called, missing_secrets, reported
from gateway.operator.fastly import KV_LINK
from gateway.operator.listening import check_free, socket_address
from gateway.operator.serve import find_component
from gateway.operator.serving import guarded_address, serve_until_stopped
from gateway.operator.stores import publish
from gateway.operator.viceroy import (
    SeedStore,
    Viceroy,
    manifest,
    need_viceroy,
    viceroy_command,
)


def serve(
    *,
    policy: Annotated[Path, typer.Option(metavar="FILE", help="The policy, in TOML.")],
    port: Annotated[int, typer.Option(min=0, max=65535, help="0: any free one.")] = 8080,
    host: Annotated[
        str, typer.Option(help="Where to listen. Beyond loopback only with [client] keys.")
    ] = "127.0.0.1",
    component: Annotated[
        Path | None, typer.Option(metavar="PATH", help="Instead of build/tiergate-fastly.wasm.")
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Say that it is ready in one line of JSON.")
    ] = False,
) -> None:
    """Run the gateway in Viceroy, Fastly's local runtime, until Ctrl-C.

    Keys come from the environment, by the names in the policy. On stdout: one line of JSON for
    each request, the decision record; on stderr: what Viceroy says. It compiles the component each
    time it starts, which takes 10 to 60 seconds.

    Viceroy's store is filled when it starts and cannot be changed from outside: to change the
    policy, end this and start it again. The real service takes a new policy while it runs.

    Example: tiergate fastly serve --policy policies/demo.toml --port 8080
    """
    with reported(as_json=as_json):
        compiled = compile_file(policy)
        address = guarded_address(host, compiled.policy, policy)
        program = find_component(component, "build/tiergate-fastly.wasm", "fastly")
        viceroy = need_viceroy()
        free = check_free(address, port)
        missing = missing_secrets(compiled.policy, os.environ)
        secrets = [name for name in compiled.policy.secret_names() if name not in missing]
        with TemporaryDirectory(prefix="tiergate-") as folder:
            seed, config = Path(folder) / "kv.json", Path(folder) / "fastly.toml"
            publish(SeedStore(seed), compiled.data, compiled.weights)
            config.write_text(manifest(seed, secrets), "utf-8")
            command = viceroy_command(viceroy, program, config, socket_address(address, free))
            serve_until_stopped(
                lambda: Viceroy(command, address, free),
                compiled,
                source=[
                    f"policy {compiled.policy.label}, from {policy}",
                    "as on Fastly Compute, by its local runtime Viceroy",
                ],
                change=(
                    "Viceroy's store is filled once: for another policy start again.",
                    "The real service takes one while it runs:",
                    as_called(f"  tiergate policy publish FILE --to fastly:{KV_LINK}"),
                ),
                as_json=as_json,
                starting="Viceroy compiles the component, 10 to 60 s ...",
            )
