"""The `stream-vae` program: its commands, and what becomes of their errors."""

import sys
from collections.abc import Iterable
from importlib import import_module
from typing import Annotated, Any

import typer

from stream_vae import __version__
from stream_vae.core.masking import mask_text
from stream_vae.errors import ConfigError, StreamVaeError

EXIT_FAILED = 1
EXIT_BAD_INPUT = 2

COMMANDS = ("demo", "train", "score", "run", "alerts", "feed", "redrive")
GROUPS = ("config", "model")

_HELP = """Streaming anomaly detection for Kafka with an LSTM seq2seq variational autoencoder.

Try it: `stream-vae demo`. With your own data: `train` on a CSV of normal operation, `score` more
of it, then `run` the daemon against your Kafka, `feed` it and watch its `alerts`.
"""


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"stream-vae {__version__}")
        raise typer.Exit


def build_app(names: Iterable[str] = (*COMMANDS, *GROUPS)) -> typer.Typer:
    """Return the program with these commands."""
    app = typer.Typer(
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

    for name in names:
        module: Any = import_module(f"stream_vae.commands.{name}")
        if name in GROUPS:
            app.add_typer(module.app, name=name)
        else:
            app.command(name)(getattr(module, name))
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
    # Importing torch takes seconds: a command that does without need not wait for it.
    _refuse_undecodable(sys.argv[1:])
    asked = [name for name in sys.argv[1:2] if name in (*COMMANDS, *GROUPS)]
    try:
        (build_app(asked) if asked else build_app())()
    except StreamVaeError as exc:
        typer.secho("error: ", fg="red", bold=True, err=True, nl=False)
        typer.echo(mask_text(str(exc)), err=True)
        sys.exit(EXIT_BAD_INPUT if isinstance(exc, ConfigError) else EXIT_FAILED)
