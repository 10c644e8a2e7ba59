"""`tiergate fastly ...`: check, and serve, which has a module of its own."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from gateway.operator.cli_fastly_serve import serve
from gateway.operator.compile import compile_file
from gateway.operator.console import Refused, as_called, fail, out, reported, say, say_json
from gateway.operator.policystore import StoreError

if TYPE_CHECKING:
    from gateway.operator.fastly.check import Finding

app = typer.Typer(
    no_args_is_help=True,
    help="Fastly Compute: what a service lacks, and its runtime here. To deploy: docs/fastly.md.",
)
app.command("serve")(serve)

_COLOURS = {"ok": "green", "missing": "bold red", "warning": "yellow"}


@app.command("check")
def check(
    *,
    policy: Annotated[
        Path, typer.Option(metavar="FILE", help="The policy that the service is to serve by.")
    ],
    service: Annotated[str, typer.Option(metavar="SERVICE_ID", help="The Compute service.")],
    as_json: Annotated[bool, typer.Option("--json", help="One line of JSON, for scripts.")] = False,
) -> None:
    """Say what a Fastly service still lacks to run this gateway, and how to put it right.

    A line each: the token, the service, its stores and their links, the published policy, each
    secret by name, the log endpoint, and each provider's backend. It changes nothing, and no
    secret's value is read. The exit code is 1 if anything is missing; a warning is not.

    The API token comes from FASTLY_API_TOKEN.

    Example: tiergate fastly check --policy policies/production.toml --service SU1Z0isxPaozGVKXdv0eY
    """
    # An HTTP client, which no other command should wait for.
    from gateway.operator.fastly.api import FastlyApi  # noqa: PLC0415
    from gateway.operator.fastly.check import findings  # noqa: PLC0415

    with reported(as_json=as_json):
        compiled = compile_file(policy)
        if compiled.policy.client_keys is None:
            raise Refused(
                f"{policy} has no client keys, and anyone can reach a Compute service. Add to it:"
                '\n\n  [client]\n  keys = ["TIERGATE_KEY"]'
            )
        if not (service.isascii() and service.isalnum()):
            raise Refused(
                "--service takes the service's ID, letters and digits: fastly service list"
            )
        api = FastlyApi.of(os.environ)
        found: list[Finding] = []
        problem: str | None = None
        try:
            for finding in findings(api, compiled.policy, policy, service):
                found.append(finding)
                if not as_json:
                    _say(finding)
        except StoreError as error:
            problem = str(error)
        missing = sum(finding.state == "missing" for finding in found)
        if as_json:
            items = [finding.to_json() for finding in found]
            say_json({"ok": not (missing or problem), "findings": items, "problem": problem})
            raise typer.Exit(1 if missing or problem else 0)
        out.file.flush()  # the lines before what they come to
        if problem:
            fail(problem)
        if missing:
            fail(f"{missing} thing{'s are' if missing > 1 else ' is'} missing")
        say("nothing is missing", "green")


def _say(finding: "Finding") -> None:
    line = Text.assemble(
        (f"{finding.state:<8}", _COLOURS[finding.state]), f"{finding.about}: {finding.text}"
    )
    if finding.remedy:
        line.append(f". Do: {as_called(finding.remedy)}")
    out.print(line, soft_wrap=True)
