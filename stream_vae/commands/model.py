"""`stream-vae model`: look into model bundles."""

from pathlib import Path
from typing import Annotated

import typer

from stream_vae.commands.options import ConfigOption

app = typer.Typer(add_completion=False, no_args_is_help=True, help="Look into model bundles.")


@app.command()
def show(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Model bundle written by train.")],
) -> None:
    """Verify a bundle and print what it holds.

    Example: stream-vae model show bundle/
    """
    from stream_vae.commands.jobs.model import print_bundle

    print_bundle(folder)


@app.command()
def compare(
    first: Annotated[Path, typer.Argument(metavar="A", help="Model bundle.")],
    second: Annotated[Path, typer.Argument(metavar="B", help="Another one.")],
    input_files: Annotated[
        list[Path], typer.Option("--input", help="CSV file of history; repeat for more files.")
    ],
    config: ConfigOption = None,
) -> None:
    """Run two bundles over the same history and print where they differ.

    Rank correlation of the scores, readings and incidents that only one of them takes for
    anomalous, and readings per second. Labels are not needed.

    Example: stream-vae model compare bundle/ bundle-new/ --input week.csv
    """
    from stream_vae.commands.jobs.model_compare import compare_bundles

    compare_bundles(first, second, input_files, config)
