"""The `stream-vae` program: its commands, and what becomes of their errors."""

import sys
from collections.abc import Iterable
from importlib import import_module
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

from stream_vae import __version__
from stream_vae.core.excerpts import printable_lines
from stream_vae.core.masking import mask_text
from stream_vae.errors import EXIT_BAD_INPUT, StreamVaeError, exit_code

COMMANDS = {
    "demo": "Run the whole job on an embedded broker and real data, in half a minute.",
    "inspect": "Say what a topic or a file holds, and print a configuration that reads it.",
    "train": "Train a model on files or a topic and write its bundle.",
    "score": "Score files with a bundle: what the daemon would have said, reading by reading.",
    "backtest": "Measure a bundle on labelled history, beside baselines on the same windows.",
    "benchmark": "Train and judge on public data sets, beside baselines and the published table.",
    "run": "Run the daemon: consume readings, score windows, publish alert events.",
    "size": "Compute memory, cores, pods and state of a deployment from its settings and model.",
    "alerts": "Print the alert events of a topic, one line each.",
    "forward": "Forward alert events to Alertmanager, a webhook, Slack, PagerDuty or Grafana.",
    "feed": "Publish CSV files to a topic as readings, to try the daemon on any broker.",
    "redrive": "Move dead letters or late readings back to their topic; a dry run at first.",
    "config": "Check, show and describe settings; nothing is started or contacted.",
    "model": "Look into model bundles.",
    "example": "Write a small data set with planted anomalies, to try a recipe on.",
}
"""Name and the first line of its help, which a test holds against the command's own."""

_HELP = """Streaming anomaly detection for Kafka with an LSTM seq2seq variational autoencoder.

Try it: `stream-vae demo`. With your own data: `train` on a CSV of normal operation, `score` more
of it, then `run` the daemon against your Kafka, `feed` it and watch its `alerts`.
"""


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"stream-vae {__version__}")
        raise typer.Exit


class _Program(TyperGroup):
    """Imports a command when it is run; the list of all needs their names and first lines alone."""

    def list_commands(self, _: Any) -> list[str]:
        """Return the names in the order of use."""
        return [*COMMANDS]

    def get_command(self, _: Any, name: str) -> TyperCommand | None:
        """Return what the list shows of a command."""
        return TyperCommand(name, help=COMMANDS[name]) if name in COMMANDS else None

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Return the command that is to be run."""
        name, command, rest = super().resolve_command(ctx, args)
        return name, _load(name) if name in COMMANDS else command, rest


def _load(name: str) -> Any:
    module: Any = import_module(f"stream_vae.commands.{name}")
    if hasattr(module, "app"):
        return typer.main.get_command(module.app)
    app = typer.Typer(
        add_completion=False, rich_markup_mode="markdown", pretty_exceptions_enable=False
    )
    app.command(name)(getattr(module, name))
    return typer.main.get_command(app)


def build_app() -> typer.Typer:
    """Return the program."""
    app = typer.Typer(
        cls=_Program,
        help=_HELP,
        no_args_is_help=True,
        rich_markup_mode="markdown",
        pretty_exceptions_enable=False,
    )

    @app.callback()
    def _program(
        *,
        version: Annotated[
            bool,
            typer.Option(
                "--version", callback=_show_version, is_eager=True, help="Print the version."
            ),
        ] = False,
    ) -> None:
        """Hold the options that stand before a command."""

    return app


def _refuse_undecodable(arguments: Iterable[str]) -> None:
    """End with 2 if an argument is no text: it could be neither published, logged nor saved."""
    for argument in arguments:
        try:
            argument.encode()
        except UnicodeEncodeError:
            typer.echo(f"error: argument {argument!r}: not UTF-8; expected text", err=True)
            sys.exit(EXIT_BAD_INPUT)


def main() -> None:
    """Run the program; exit 0 if all went well, 1 if not, 2 on bad input or configuration."""
    _refuse_undecodable(sys.argv[1:])
    try:
        build_app()()
    except StreamVaeError as exc:
        typer.secho("error: ", fg="red", bold=True, err=True, nl=False)
        typer.echo(printable_lines(mask_text(str(exc))), err=True)
        sys.exit(exit_code(exc))
