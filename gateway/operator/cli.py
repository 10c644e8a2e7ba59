"""The command line `tiergate`. Each command's docstring is its help."""

import inspect
from importlib.metadata import version
from typing import Annotated, Any

import typer
from typer.core import TyperCommand

from gateway.operator import cli_fastly, cli_policy
from gateway.operator.cli_classify import classify
from gateway.operator.cli_serve import serve
from gateway.operator.cli_train import train
from gateway.operator.console import as_called, fail, program, reported, say
from gateway.operator.explain import explain
from gateway.operator.listening import address_of, check_free, local_url
from gateway.operator.replay.command import replay
from gateway.operator.status import status

app = typer.Typer(
    name="tiergate",
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_show_locals=False,  # They may hold keys.
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(cli_policy.app, name="policy")
app.add_typer(cli_fastly.app, name="fastly")


def _show_version(asked: bool) -> None:  # noqa: FBT001 - typer's shape of a callback
    if asked:
        say(f"tiergate {version('tiergate')}")
        raise typer.Exit


@app.callback(
    epilog="Start with: `tiergate serve --policy policies/demo.toml` (needs no key). "
    "The fields of a policy: policies/README.md."
)
def tiergate(
    *,
    _version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    """One address for all your models: Tiergate judges how hard a chat request is and sends it to
    the provider and model that your policy names for that tier.

    The gateway itself is a WebAssembly component; this command publishes policies to it and runs
    it here.
    """


app.command("serve")(serve)
app.command("explain")(explain)
app.command("replay")(replay)
app.command("classify")(classify)
app.command("train")(train)
app.command("status")(status)


class _MockCommand(TyperCommand):
    """Lists the faults in its help: they are only imported for that."""

    # The types are private to typer.
    def format_help(self, ctx: Any, formatter: Any) -> None:  # noqa: ANN401
        from gateway.operator.mock.faults import describe  # noqa: PLC0415

        order = "curl -X PUT http://127.0.0.1:9900/mock/faults/small -d"
        self.epilog = "\n\n".join(
            [
                "Faults, joined by commas:",
                *(f"- `{name}`: {meaning}" for name, meaning in describe().items()),
                f'Example: `{order} \'{{"fault": "status=503", "times": 2}}\'`',
            ]
        )
        super().format_help(ctx, formatter)


@app.command("mock", cls=_MockCommand)
def mock(
    port: Annotated[int, typer.Option(min=1, max=65535, help="The port to listen at.")] = 9900,
    host: Annotated[str, typer.Option(help="The address to listen at.")] = "127.0.0.1",
    fault: Annotated[
        list[str] | None,
        typer.Option(metavar="SPEC", help="What to do wrong: `status=503`, `cut=3,delay_ms=100`."),
    ] = None,
) -> None:
    """Run a provider that answers OpenAI chat completions without any key.

    It plays the classifier of policies/demo.toml too, and breaks on request: for all with
    --fault, for one request by its model's name (`"model": "small!status=503"`), for one model
    while it runs with `PUT /mock/faults/{model}`.

    Example: tiergate mock --port 9900 --fault delay_ms=200
    """
    # A web server and its framework, which no other command should wait for.
    from gateway.operator.mock import run as run_mock  # noqa: PLC0415
    from gateway.operator.mock.faults import BadFault, parse  # noqa: PLC0415

    if fault and len(fault) > 1:
        raise typer.BadParameter(
            "is given twice; join faults with commas: status=503,delay_ms=100", param_hint="--fault"
        )
    spec = fault[0] if fault else None
    with reported():
        try:
            if spec is not None:
                parse(spec)
        except BadFault as error:
            fail(f"--fault: {error}")
        address = address_of(host)
        check_free(address, port)
        say(f"mock provider at {local_url(address, port)}/v1 (Ctrl-C ends it)")
        run_mock(address, port, spec)


def main() -> None:
    """The entry point of the `tiergate` script."""
    _teach_name(app)
    app(prog_name=program())


def _teach_name(commands: typer.Typer) -> None:
    """Has the examples in the help begin as the user has to begin them."""
    if (callback := commands.registered_callback) and callback.epilog:
        callback.epilog = as_called(callback.epilog)
    for command in commands.registered_commands:
        command.help = as_called(inspect.getdoc(command.callback) or "")
    for group in commands.registered_groups:
        if group.typer_instance:
            _teach_name(group.typer_instance)
