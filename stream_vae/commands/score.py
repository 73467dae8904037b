"""`stream-vae score`: the daemon's own pipeline over files, without Kafka."""

from pathlib import Path
from typing import Annotated

import typer

from stream_vae.commands.options import (
    ConfigOption,
    DecimalOption,
    DelimiterOption,
    EncodingOption,
    FileOptions,
    FormatOption,
    IgnoreOption,
    MissingWordOption,
    NameColumnOption,
    SeriesColumnOption,
    TimestampColumnOption,
    TimestampFormatOption,
    TimestampZoneOption,
    UnitsOption,
    ValueColumnOption,
    names_of,
)


def score(
    bundle: Annotated[Path, typer.Option(help="Model bundle written by train.")],
    input_files: Annotated[
        list[Path], typer.Option("--input", help="CSV file; repeat for more files.")
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
    file_format: FormatOption = None,
    timestamp_column: TimestampColumnOption = None,
    timestamp_format: TimestampFormatOption = None,
    timestamp_zone: TimestampZoneOption = None,
    series_column: SeriesColumnOption = None,
    ignore: IgnoreOption = None,
    name_column: NameColumnOption = None,
    value_column: ValueColumnOption = None,
    delimiter: DelimiterOption = None,
    decimal: DecimalOption = None,
    encoding: EncodingOption = None,
    units: UnitsOption = False,
    missing_word: MissingWordOption = None,
) -> None:
    """Score CSV files with a bundle: what the daemon would have said, reading by reading.

    One output row per input reading, in input order: series, timestamp, score, threshold, p_value
    and verdict (NORMAL, ANOMALOUS, WARMING_UP or UNSCORABLE). The files are read a piece at a time,
    and no more series are held than state.memory_budget_mb says, as in the daemon.

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
        options=FileOptions(
            format=file_format,
            timestamp_column=timestamp_column,
            timestamp_format=timestamp_format,
            timestamp_zone=timestamp_zone,
            series_column=series_column,
            ignore=names_of(ignore),
            name_column=name_column,
            value_column=value_column,
            delimiter=delimiter,
            decimal=decimal,
            encoding=encoding,
            units=units,
            missing_words=missing_word or (),
        ),
    )
