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
def templates(
    folder: Annotated[Path, typer.Argument(metavar="BUNDLE", help="Model bundle of logs.")],
    against: Annotated[
        Path | None,
        typer.Option(metavar="OTHER", help="An earlier bundle: print what changed since."),
    ] = None,
    config: ConfigOption = None,
) -> None:
    """Print the templates of a model of logs: feature, lines in training, text and example.

    And after how many steps without a line each is missed, by the score in use (detect.score).

    Example: stream-vae model templates bundle/ --against bundle-old/
    """
    from stream_vae.commands.jobs.log_report import print_templates

    print_templates(folder, against, config)


@app.command()
def compare(
    first: Annotated[Path, typer.Argument(metavar="A", help="Model bundle.")],
    second: Annotated[Path, typer.Argument(metavar="B", help="Another one.")],
    input_files: Annotated[
        list[Path],
        typer.Option(
            "--input", help="File of history (CSV, Parquet, records, logs); repeat for more."
        ),
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


@app.command()
def copy(
    source: Annotated[str, typer.Argument(metavar="FROM", help="Folder or URL of a bundle.")],
    target: Annotated[str, typer.Argument(metavar="TO", help="Folder or URL to write it to.")],
    force: Annotated[
        bool, typer.Option("--force", help="Replace the bundle that is there.")
    ] = False,
) -> None:
    """Copy a bundle between folders and object stores, if it is whole.

    s3://, gs:// and az:// need the extra `store`, as https:// does, which is read only. Stores take
    credentials from the variables that their own tools read.

    Example: stream-vae model copy s3://models/pumps/2026-01-01 bundle/
    """
    from stream_vae.commands.jobs.model_copy import copy_bundle

    copy_bundle(source, target, force=force)
