"""`stream-vae score`: the daemon's own pipeline over files, without Kafka."""

from pathlib import Path
from typing import Annotated

import typer

from stream_vae.commands.options import (
    ConfigOption,
    FileOptions,
    with_file_options,
)


@with_file_options
def score(
    *,
    bundle: Annotated[Path, typer.Option(help="Model bundle written by train.")],
    input_files: Annotated[
        list[Path],
        typer.Option("--input", help="File (CSV, Parquet, records, logs); repeat for more."),
    ],
    output: Annotated[Path, typer.Option(help="Scores CSV to write.")],
    alerts: Annotated[
        Path | None, typer.Option(help="Alert events to write, one JSON object a line.")
    ] = None,
    plot: Annotated[
        Path | None, typer.Option(help="Folder for pictures of a few series (PNG).")
    ] = None,
    config: ConfigOption = None,
    score_name: Annotated[
        str | None, typer.Option("--score", help="Overrides detect.score.")
    ] = None,
    files: FileOptions,
) -> None:
    """Score files with a bundle: what the daemon would have said, reading by reading.

    One output row per step judged, in the order in which they are: series, timestamp, score,
    threshold, p_value and verdict (NORMAL, ANOMALOUS, WARMING_UP or UNSCORABLE). A complete reading
    is a step; others are judged with the next of their series, and parts of one step together. The
    files are read a piece at a time, and no more series are held than state.memory_budget_mb says,
    as in the daemon. Records, JSON lines and lines of logs are read by its decoder (`--format`, and
    `input` of the configuration).

    With --plot the files are then held at once and scored again, to draw the series with most
    incidents: score against threshold, expected and actual values, bars of error and probability.

    Incidents have the ids that a daemon gives them under the same configuration: detector.name,
    input.topic and kafka.group_id enter them; without --config, their defaults do.

    Example: stream-vae score --bundle bundle/ --input week.csv --output scores.csv
    """
    from stream_vae.commands.jobs.score import score_files

    score_files(
        bundle,
        input_files,
        output,
        alerts,
        {"detect.score": score_name},
        config,
        plot=plot,
        options=files,
    )
