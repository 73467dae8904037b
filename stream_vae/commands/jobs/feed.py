"""CSV files as published readings, and lines of logs as they are."""

import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from stream_vae.commands.jobs.broker_notices import BrokerNotices
from stream_vae.commands.jobs.input_files import is_of_logs, lines_format, open_records
from stream_vae.commands.jobs.terminal import TaskText, open_console
from stream_vae.commands.options import FileOptions
from stream_vae.core.model_spec import Feature, FeatureKind
from stream_vae.edges.files.csv_header import ColumnChoice
from stream_vae.edges.files.csv_readings import CsvReadings, read_csv, series_of_file
from stream_vae.edges.kafka.produce.reading_feed import EncodedReading, Pace, publish_readings
from stream_vae.errors import ConfigError
from stream_vae.inputs.log_lines.learning import learner_of
from stream_vae.inputs.log_lines.log_format import LogFormat
from stream_vae.inputs.reading_encoder import ReadingEncoder
from stream_vae.inputs.reading_format import ReadingFormat
from stream_vae.inputs.series_keys import MAX_KEY_CHARACTERS
from stream_vae.settings import Settings, load_settings


def publish_files(
    input_files: list[Path],
    flags: Mapping[str, object],
    config: Path | None,
    secrets_dir: Path | None,
    *,
    rate: float | None,
    speed: float | None,
    key: str | None,
) -> None:
    """Publish files to a topic, one record a row or line; return when all are acknowledged."""
    pace = _pace(rate, speed)
    if key is not None and not 0 < len(key) <= MAX_KEY_CHARACTERS:
        raise ConfigError(f"--key: {len(key)} characters; expected 1 to {MAX_KEY_CHARACTERS}")
    settings = load_settings(config=config, overrides=flags, secrets_dir=secrets_dir).settings
    # Readers take all for this series: keys of others would spread it over partitions.
    key = settings.input.series or key
    if is_of_logs(input_files, FileOptions(), settings.input):
        lines = _lines(input_files, lines_format(settings.input), key, by_time=speed is not None)
        _publish(lines, settings, pace, what="lines", total=None)
        return
    choice = _columns(settings.model.features)
    is_events = settings.model.window_length == 1
    readings = read_csv(input_files, replace(choice, is_events=is_events))
    if not readings.has_times:
        # Rows are numbered; the last one happens now.
        readings = replace(readings, times=readings.times - readings.times[-1] + time.time_ns())
    encoded = _encoded(readings, settings.input, key, by_time=speed is not None)
    _publish(encoded, settings, pace, what="readings", total=len(readings))


def _publish(
    records: Iterator[EncodedReading],
    settings: Settings,
    pace: Pace,
    *,
    what: str,
    total: int | None,
) -> None:
    console = open_console(stderr=True, soft_wrap=True)
    with _progress(console) as bar:
        task = bar.add_task("publishing", total=total)
        published = publish_readings(
            settings.kafka,
            settings.input.topic,
            records,
            BrokerNotices(bar.console, settings.kafka.bootstrap_servers),
            pace=pace,
            on_progress=lambda done: bar.update(task, completed=done),
        )
    console.print(f"{published:,} {what} published to {settings.input.topic}", highlight=False)


def _lines(
    paths: list[Path], fmt: LogFormat, key: str | None, *, by_time: bool
) -> Iterator[EncodedReading]:
    """Yield lines as they are, in the order of the files; one that tells no time is of its last."""
    learner, decoder = learner_of(fmt)
    last_ns, now_ns = 0, time.time_ns()
    for batch in open_records(paths, ColumnChoice(), FileOptions(), fmt).iter_records():
        times = np.zeros(len(batch), np.int64)
        if by_time:
            decoded = decoder.decode(batch, now_ns)
            times[decoded.index] = decoded.readings.times
            last_ns = last_ns or int(times[times > 0][:1].sum())
            times = np.maximum.accumulate(np.maximum(times, last_ns))
            last_ns = int(times[-1])
            for _ in learner.take_texts():
                pass
        for own_key, value, time_ns in zip(batch.keys, batch.values, times.tolist(), strict=True):
            if value is not None:
                named = own_key if key is None else key.encode()
                yield EncodedReading(key=named, value=value, time_ns=time_ns)


def _columns(kinds: Mapping[str, FeatureKind]) -> ColumnChoice:
    """Return the choice in which a column declared categorical keeps its text, `007` say.

    Kinds bind a model, not the files: what the model's reader refuses is published all the same.
    """
    return ColumnChoice(
        declared={
            name: Feature(name=name, kind=kind)
            for name, kind in kinds.items()
            if kind == "categorical"
        }
    )


def _pace(rate: float | None, speed: float | None) -> Pace:
    try:
        return Pace(rate=rate, speed=speed)
    except ValueError as exc:
        raise ConfigError(f"--rate, --speed: {exc}") from exc


def _encoded(
    readings: CsvReadings, fmt: ReadingFormat, key: str | None, *, by_time: bool
) -> Iterator[EncodedReading]:
    encoder = ReadingEncoder(readings.features, fmt)
    order = np.argsort(readings.times, kind="stable") if by_time else np.arange(len(readings))
    file_names = [series_of_file(path) for path in readings.paths]
    for row in order.tolist():
        series = readings.series[row]
        if fmt.series is not None:
            series = fmt.series
        elif key is not None and series == file_names[readings.file_numbers[row]]:
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
        TaskText(),
        BarColumn(),
        MofNCompleteColumn(),
        TaskText("{task.speed:,.0f}/s" if console.is_terminal else ""),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=console,
        transient=True,
    )
