"""`stream-vae model`: look into model bundles."""

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(add_completion=False, no_args_is_help=True, help="Look into model bundles.")


@app.callback()
def _group() -> None:
    """Keep `model` a group of commands, though it has but one."""


@app.command()
def show(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Model bundle written by train.")],
) -> None:
    """Verify a bundle and print what it holds.

    Example: stream-vae model show bundle/
    """
    from stream_vae.commands.jobs.model import print_bundle

    print_bundle(folder)
