"""`stream-vae example`: data sets made by stated rules."""

from pathlib import Path
from typing import Annotated

import typer


def example(
    name: Annotated[str, typer.Argument(help="events, daily or logs.")],
    out: Annotated[Path, typer.Option(help="Folder to write train.csv and test.csv to.")],
    seed: Annotated[int, typer.Option(min=0, help="Same seed, same files.")] = 0,
) -> None:
    """Write a small data set with planted anomalies, to try a recipe on.

    events: employees whose city follows from the job and whose pay follows from job and age, one
    event a row. daily: power of a solar plant at steps of 15 minutes. logs: lines of each kind a
    minute. test.csv has the columns label (0 or 1) and broken (what was changed).

    Example: stream-vae example events --out events/
    """
    from stream_vae.commands.jobs.example import write_example

    write_example(name, out, seed)
