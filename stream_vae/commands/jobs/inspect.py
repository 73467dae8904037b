"""What a topic or a file holds, printed with the configuration that reads it."""

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path

import numpy as np
import typer

from stream_vae.commands.jobs.broker_notices import BrokerNotices
from stream_vae.commands.jobs.input_files import LINE_FORMS, note_rows, open_files
from stream_vae.commands.jobs.terminal import open_console
from stream_vae.commands.options import FileFormat, FileOptions
from stream_vae.core.excerpts import printable_lines
from stream_vae.core.records import RecordBatch
from stream_vae.edges.files.csv_header import ColumnChoice
from stream_vae.edges.files.record_files import sample_records
from stream_vae.edges.kafka.read.topic_batches import read_sample
from stream_vae.edges.kafka.read.topic_ends import TopicEnds
from stream_vae.edges.registry.schema_client import schema_source
from stream_vae.errors import InputFileError
from stream_vae.inputs.log_lines.log_format import LogFormat
from stream_vae.inspect.configuration import configuration
from stream_vae.inspect.facts import (
    SeriesFacts,
    StepFacts,
    counters_of,
    field_facts,
    series_facts,
    step_facts,
    why_left_out,
)
from stream_vae.inspect.log_shapes import looks_like_a_log
from stream_vae.inspect.report import (
    as_plain,
    history_line,
    log_history_lines,
    report_lines,
    table_lines,
    train_command,
    why_unread,
)
from stream_vae.inspect.survey import Inspection, inspect_records
from stream_vae.models.config import rows_wanted
from stream_vae.settings import LoadedSettings, Settings, load_settings
from stream_vae.settings.sources import is_default, is_of_preset

CONFIG_NAME = "stream-vae.yaml"
SESSIONS_NAME = "sessions.yaml"
_REGISTRY_WAIT_S = 10.0
_LISTED = 10
_OF_TABLES = {"missing_words", "value_words", "timestamp_zone"}
"""Settings of the input that hold for tables too."""


def inspect_file(
    path: Path, form: FileFormat | None, n_records: int, config: Path | None, *, as_json: bool
) -> None:
    """Look at a file of records, JSON lines or CSV, and print what it holds."""
    loaded = load_settings(config=config)
    found_form = form or _form_of(path)
    lines = LINE_FORMS.get(found_form)
    if lines is None:
        _print_table(path, found_form, loaded, as_json=as_json)
        return
    if lines == "log":
        batch = _keyless_lines(path, n_records, LogFormat(format="log_lines"))
        found = _inspect(batch, loaded, lambda fmt: _keyless_lines(path, n_records, fmt))
    else:
        batch = sample_records(path, lines, n_records)
        found = _inspect(batch, loaded)
    source = ["--input", str(path), "--format", lines]
    _print(found, configuration, source, loaded.settings, as_json=as_json)
    _check_read(found, str(path), batch)


def _keyless_lines(path: Path, n_records: int, fmt: LogFormat) -> RecordBatch:
    """Return the first lines of a file, as they would be on a topic: its name is no key."""
    batch = sample_records(path, "log", n_records, fmt)
    return replace(batch, keys=[None] * len(batch))


def inspect_topic(
    flags: Mapping[str, object],
    config: Path | None,
    secrets_dir: Path | None,
    *,
    n_records: int,
    oldest: bool,
    seconds: float,
    as_json: bool,
) -> None:
    """Look at a topic and print what it holds."""
    loaded = load_settings(config=config, overrides=flags, secrets_dir=secrets_dir)
    settings = loaded.settings
    topic, servers = settings.input.topic, settings.kafka.bootstrap_servers
    console = open_console(stderr=True, soft_wrap=True)
    with console.status(f"reading {topic}"):
        batch = read_sample(
            settings.kafka,
            topic,
            BrokerNotices(console, servers),
            n_records=n_records,
            oldest=oldest,
            seconds=seconds,
        )
        if batch is None:
            raise InputFileError(_nothing_there(settings, seconds, oldest=oldest))
        found = _inspect(batch, loaded)
    source = ["--from-topic", topic, "--bootstrap", servers]
    in_yaml = partial(configuration, topic=topic, servers=servers)
    _print(found, in_yaml, source, settings, as_json=as_json)
    _check_read(found, f"topic {topic}", batch)


def _nothing_there(settings: Settings, seconds: float, *, oldest: bool) -> str:
    """Return what was looked at where no record was found, and what would help."""
    topic_ends = TopicEnds(settings.kafka, settings.input.topic)
    ends = topic_ends(range(topic_ends.n_partitions()))
    offsets = ", ".join(f"{partition}: {end:,}" for partition, end in [*ends.items()][:_LISTED])
    more = ", ..." if len(ends) > _LISTED else ""
    where = f"topic {settings.input.topic}, {len(ends):,} partitions (they end at {offsets}{more})"
    if not any(ends.values()):
        return f"{where}: no record was ever written; expected some: start its producer"
    return (
        f"{where}: no committed record among the {'oldest' if oldest else 'newest'} in "
        f"{seconds:g} s; expected some: start its producer if what was there has been deleted, "
        f"give --seconds more{'' if oldest else ', or try --oldest'}"
    )


def _check_read(found: Inspection, place: str, batch: RecordBatch) -> None:
    """Refuse a sample of which nothing could be read, after it was told what it holds.

    Raises:
        InputFileError: If there is no reading.
    """
    if found.proof.n_readings:
        return
    times = batch.timestamps[batch.timestamps > 0]
    when = ""
    if len(times):
        first, last = (np.datetime64(int(at) // 10**9, "s") for at in (times.min(), times.max()))
        when = f", Kafka's times {first}Z to {last}Z"
    partitions = np.unique(batch.partitions).tolist()
    listed = ", ".join(map(str, partitions[:_LISTED])) + (", ..." * (len(partitions) > _LISTED))
    raise InputFileError(
        f"{place}: none of {len(batch):,} records could be read (partitions {listed}{when}): "
        f"{why_unread(found)}"
    )


def _inspect(
    batch: RecordBatch,
    loaded: LoadedSettings,
    as_sent: Callable[[LogFormat], RecordBatch] | None = None,
) -> Inspection:
    settings = loaded.settings
    until = time.monotonic() + _REGISTRY_WAIT_S
    return inspect_records(
        batch,
        now_ns=time.time_ns(),
        schemas=schema_source(settings.registry),
        wait=lambda: time.monotonic() < until,  # a look itself takes a quarter of a second
        given=_given(loaded),
        as_sent=as_sent,
        window_length=settings.model.window_length,
        wanted=rows_wanted(settings.model.window_length, settings.training),
    )


def _given(loaded: LoadedSettings) -> dict[str, object]:
    """Return the settings of the input that the operator has decided, but the topic."""
    names = dict.fromkeys(
        dotted.split(".")[1]
        for dotted, origin in loaded.origins.items()
        if dotted.startswith("input.") and not is_default(origin) and not is_of_preset(origin)
    )
    return {name: getattr(loaded.settings.input, name) for name in names if name != "topic"}


def _log_history(found: Inspection, settings: Settings) -> Iterator[str]:
    """Yield what there is of logs to train on, against what training wants."""
    wanted = rows_wanted(settings.model.window_length, settings.training)
    yield from log_history_lines(found, wanted, rows_wanted(1, settings.training))


def _history(steps: StepFacts | None, series: SeriesFacts | None, settings: Settings) -> list[str]:
    """Return what there is to train on, against what training wants."""
    if steps is None or series is None:
        return []
    wanted = rows_wanted(settings.model.window_length, settings.training)
    return [history_line(steps.n_steps, wanted, series.n, steps.step_s)]


def _print(
    found: Inspection,
    in_yaml: Callable[[Inspection], str],
    source: Sequence[str],
    settings: Settings,
    *,
    as_json: bool,
) -> None:
    """Print what was found, with the configurations that read it and what to do next.

    Args:
        found: The sample.
        in_yaml: Returns the configuration.
        source: Options that name where it is from.
        settings: Of the look.
        as_json: As one JSON object.
    """
    yaml, train = in_yaml(found), _train_command(found, source)
    by_sessions = None
    if found.by_sessions is not None and found.proof.n_readings:
        by_sessions = {
            "configuration": in_yaml(replace(found, proposal=found.by_sessions)),
            "train": train_command(source, [], config=SESSIONS_NAME),
        }
    if as_json:
        told = {"configuration": yaml, "train": train, "sessions_apart": by_sessions}
        typer.echo(json.dumps({**as_plain(found), **told}, indent=1))
        return
    lines = [*report_lines(found), *_history(found.steps, found.series, settings)]
    for line in (*lines, *_log_history(found, settings)):
        typer.echo(printable_lines(line))
    typer.echo(f"\n# {CONFIG_NAME}\n{yaml}")
    if train:
        typer.echo(f"Next: {printable_lines(train)}")
    if by_sessions is not None:
        typer.echo(
            f"\n# {SESSIONS_NAME}, to judge sessions instead\n{by_sessions['configuration']}"
        )
        typer.echo(f"Next: {printable_lines(by_sessions['train'])}")


def _train_command(found: Inspection, source: Sequence[str]) -> str:
    """Return the command that trains on what was inspected; "" if nothing of it is read."""
    if not found.proof.n_readings:
        return ""
    if found.of_logs:
        return train_command(source, [], config=CONFIG_NAME)
    if not found.features:
        return ""
    counters = counters_of(found.fields, found.proposal.counters)
    return train_command(
        source,
        [*dict.fromkeys((*found.features, *counters))],
        config=CONFIG_NAME,
        steps=found.steps,
        counters=counters,
        units=found.proposal.units,
    )


def _form_of(path: Path) -> FileFormat:
    """Return the form of a file, by its name and its first line."""
    ending = path.name.removesuffix(".gz").rpartition(".")[2].lower()
    if ending in ("csv", "tsv", "parquet"):
        return "parquet" if ending == "parquet" else "csv"
    try:
        sample_records(path, "records", 1)
    except InputFileError:
        if _is_log(path):
            return "log"
        is_json = sample_records(path, "jsonl", 1).values[0][:1] in (b"{", b"[")  # type: ignore[index]  # a line is never null
        return "jsonl" if is_json else "csv"
    return "records"


def _is_log(path: Path) -> bool:
    """Return whether a file holds lines of a log, rather than JSON or a table with a header."""
    ending = path.name.removesuffix(".gz").rpartition(".")[2].lower()
    first = sample_records(path, "log", 20, LogFormat(format="log_lines"))
    lines = [value.decode(errors="replace") for value in first.values if value is not None]
    if all(line.startswith(("{", "[{")) for line in lines):
        return False
    return ending == "log" or looks_like_a_log(lines)


def _print_table(path: Path, form: FileFormat, loaded: LoadedSettings, *, as_json: bool) -> None:
    """Print what a CSV or the like holds: it needs options rather than a configuration."""
    settings = loaded.settings
    files = open_files([path], ColumnChoice(), FileOptions(format=form), settings.input)
    readings = files.read()
    names = readings.feature_names
    series = series_facts(readings.series, np.zeros(len(readings), dtype=np.int32))
    steps = step_facts(readings.times, readings.series)
    fields = field_facts(
        names,
        readings.values,
        readings.times,
        readings.series,
        step_ns=0 if steps is None else round(steps.step_s * 1e9),
    )
    unused = sorted(_given(loaded).keys() - _OF_TABLES)
    left_out = {field.name: why for field in fields if (why := why_left_out(field))}
    counters = counters_of(fields)
    features = [name for name in names if name not in left_out or name in counters]
    train = train_command(
        ["--input", str(path)], features if left_out else [], steps=steps, counters=counters
    )
    if as_json:
        plain = {
            "n_records": len(readings),
            "fields": [asdict(field) for field in fields],
            "left_out": left_out,
            "series": asdict(series),
            "steps": None if steps is None else asdict(steps),
            "train": train,
            "unused_settings": unused,
        }
        typer.echo(json.dumps(plain, indent=1))
        return
    typer.echo(f"rows      {len(readings):,} with a time, {form}")
    lines = table_lines(fields, left_out, series, steps)
    for line in (*lines, *_history(steps, series, settings)):
        typer.echo(printable_lines(line))
    for title, text in note_rows(readings.notes, readings.ignored_columns):
        typer.echo(f"note      {title}: {text}")
    if unused:
        told = ", ".join(f"input.{name}" for name in unused)
        typer.echo(f"note      {told}: of records alone; a table is read by options (train --help)")
    typer.echo(f"\nNext: {printable_lines(train)}")
