"""`stream-vae feed`: publishes CSV files as readings."""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from stream_vae.commands.broker_notices import BrokerNotices
from stream_vae.commands.options import ConfigOption, SecretsOption, refuse_not_finite
from stream_vae.edges.files.csv_readings import CsvReadings, read_csv, series_of_file
from stream_vae.edges.kafka.produce.reading_feed import EncodedReading, Pace, publish_readings
from stream_vae.errors import ConfigError
from stream_vae.inputs.reading_encoder import ReadingEncoder
from stream_vae.inputs.reading_format import ReadingFormat
from stream_vae.inputs.series_keys import MAX_KEY_CHARACTERS
from stream_vae.settings import load_settings


def feed(
    *,
    input_files: Annotated[
        list[Path],
        typer.Option("--input", help="CSV file (.gz is unpacked); repeat for more files."),
    ],
    bootstrap: Annotated[
        str | None,
        typer.Option(help="host:port of some brokers; overrides kafka.bootstrap_servers."),
    ] = None,
    topic: Annotated[
        str | None, typer.Option(help="Topic to publish to; overrides input.topic.")
    ] = None,
    rate: Annotated[
        float | None,
        typer.Option(
            callback=refuse_not_finite, help="Readings per second; unset, as fast as it goes."
        ),
    ] = None,
    speed: Annotated[
        float | None,
        typer.Option(
            callback=refuse_not_finite,
            help="Times faster than the timestamps say; 60 plays an hour a minute.",
        ),
    ] = None,
    key: Annotated[
        str | None,
        typer.Option(help="Series of files without a column `series`; unset, the file's name."),
    ] = None,
    config: ConfigOption = None,
    secrets_dir: SecretsOption = None,
) -> None:
    """Publish CSV files to a topic as readings, to try the daemon on any broker.

    One record per row: the series is the Kafka key, the value a JSON object of timestamp and
    features (empty cells are left out, `label` is not published), or what the configuration's
    `input` section says. Rows go out in file order; with --speed, in the order of their
    timestamps. Ends when every record is acknowledged.

    Example: stream-vae feed --input week.csv --bootstrap localhost:9092 --topic readings --rate 100

    Example: stream-vae feed --input week.csv --config sensors.yaml --speed 3600
    """
    pace = _pace(rate, speed)
    if key is not None and not 0 < len(key) <= MAX_KEY_CHARACTERS:
        raise ConfigError(f"--key: {len(key)} characters; expected 1 to {MAX_KEY_CHARACTERS}")
    flags = {"kafka.bootstrap_servers": bootstrap, "input.topic": topic}
    settings = load_settings(config=config, overrides=flags, secrets_dir=secrets_dir).settings
    readings = read_csv(input_files)
    console = Console(stderr=True, soft_wrap=True)
    with _progress(console) as bar:
        task = bar.add_task("publishing", total=len(readings))
        published = publish_readings(
            settings.kafka,
            settings.input.topic,
            _encoded(readings, settings.input, key, by_time=speed is not None),
            BrokerNotices(bar.console, settings.kafka.bootstrap_servers),
            pace=pace,
            on_progress=lambda done: bar.update(task, completed=done),
        )
    console.print(f"{published:,} readings published to {settings.input.topic}", highlight=False)


def _pace(rate: float | None, speed: float | None) -> Pace:
    try:
        return Pace(rate=rate, speed=speed)
    except ValueError as exc:
        raise ConfigError(f"--rate, --speed: {exc}") from exc


def _encoded(
    readings: CsvReadings, fmt: ReadingFormat, key: str | None, *, by_time: bool
) -> Iterator[EncodedReading]:
    encoder = ReadingEncoder(readings.feature_names, fmt)
    order = np.argsort(readings.times, kind="stable") if by_time else np.arange(len(readings))
    file_names = [series_of_file(path) for path in readings.paths]
    for row in order.tolist():
        series = readings.series[row]
        if key is not None and series == file_names[readings.file_numbers[row]]:
            series = key
        time_ns = int(readings.times[row])
        yield EncodedReading(
            key=series.encode(),
            value=encoder.encode(
                series=series, time_ns=time_ns, values=readings.values[row].tolist()
            ),
            time_ns=time_ns,
        )


def _progress(console: Console) -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.speed:,.0f}/s" if console.is_terminal else ""),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=console,
        transient=True,
    )
