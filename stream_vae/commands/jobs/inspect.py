"""What a topic or a file holds, printed with the configuration that reads it."""

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
import typer

from stream_vae.commands.jobs.broker_notices import BrokerNotices
from stream_vae.commands.jobs.input_files import note_rows, open_files
from stream_vae.commands.jobs.terminal import open_console
from stream_vae.commands.options import FileFormat, FileOptions
from stream_vae.core.excerpts import printable_lines
from stream_vae.core.records import RecordBatch
from stream_vae.edges.files.csv_header import ColumnChoice
from stream_vae.edges.files.record_files import LineForm, sample_records
from stream_vae.edges.kafka.read.topic_batches import read_sample
from stream_vae.edges.registry.schema_client import schema_source
from stream_vae.errors import InputFileError
from stream_vae.inspect.configuration import configuration
from stream_vae.inspect.facts import field_facts, series_facts, step_facts
from stream_vae.inspect.report import as_plain, report_lines, table_lines, train_command
from stream_vae.inspect.survey import Inspection, inspect_records
from stream_vae.settings import Settings, load_settings

CONFIG_NAME = "stream-vae.yaml"
_REGISTRY_WAIT_S = 10.0


def inspect_file(
    path: Path, form: FileFormat | None, n_records: int, config: Path | None, *, as_json: bool
) -> None:
    """Look at a file of records, JSON lines or CSV, and print what it holds."""
    settings = load_settings(config=config).settings
    found_form = form or _form_of(path)
    if found_form not in ("records", "jsonl"):
        _print_table(path, found_form, config, as_json=as_json)
        return
    lines: LineForm = "records" if found_form == "records" else "jsonl"
    batch = sample_records(path, lines, n_records)
    found = _inspect(batch, settings)
    source = ["--input", str(path), "--format", lines]
    _print(found, configuration(found), source, as_json=as_json)


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
    settings = load_settings(config=config, overrides=flags, secrets_dir=secrets_dir).settings
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
            raise InputFileError(
                f"topic {topic}: no committed record in {seconds:g} s; expected some"
            )
        found = _inspect(batch, settings)
    yaml = configuration(found, topic=topic, servers=servers)
    _print(found, yaml, ["--from-topic", topic, "--bootstrap", servers], as_json=as_json)


def _inspect(batch: RecordBatch, settings: Settings) -> Inspection:
    until = time.monotonic() + _REGISTRY_WAIT_S
    return inspect_records(
        batch,
        now_ns=time.time_ns(),
        schemas=schema_source(settings.registry),
        wait=lambda: time.monotonic() < until,  # a look itself takes a quarter of a second
    )


def _print(found: Inspection, yaml: str, source: Sequence[str], *, as_json: bool) -> None:
    train = ""
    if found.features and found.proof.n_readings:
        train = train_command(source, found.features, config=CONFIG_NAME, steps=found.steps)
    if as_json:
        plain = {**as_plain(found), "configuration": yaml, "train": train}
        typer.echo(json.dumps(plain, indent=1))
        return
    for line in report_lines(found):
        typer.echo(printable_lines(line))
    typer.echo(f"\n# {CONFIG_NAME}\n{yaml}")
    if train:
        typer.echo(f"Next: {printable_lines(train)}")


def _form_of(path: Path) -> FileFormat:
    """Return the form of a file, by its name and its first line."""
    ending = path.name.removesuffix(".gz").rpartition(".")[2].lower()
    if ending in ("csv", "tsv", "parquet"):
        return "parquet" if ending == "parquet" else "csv"
    try:
        sample_records(path, "records", 1)
    except InputFileError:
        is_json = sample_records(path, "jsonl", 1).values[0][:1] in (b"{", b"[")  # type: ignore[index]  # a line is never null
        return "jsonl" if is_json else "csv"
    return "records"


def _print_table(path: Path, form: FileFormat, config: Path | None, *, as_json: bool) -> None:
    """Print what a CSV or the like holds: it needs options rather than a configuration."""
    settings = load_settings(config=config).settings
    files = open_files([path], ColumnChoice(), FileOptions(format=form), settings.input)
    readings = files.read()
    names = readings.feature_names
    fields = field_facts(names, readings.values, readings.times, readings.series)
    series = series_facts(readings.series, np.zeros(len(readings), dtype=np.int32))
    steps = step_facts(readings.times, readings.series)
    left_out = {field.name: field.suspicion for field in fields if field.suspicion}
    features = [name for name in names if name not in left_out] if left_out else []
    train = train_command(["--input", str(path)], features, steps=steps)
    if as_json:
        plain = {
            "n_records": len(readings),
            "fields": [asdict(field) for field in fields],
            "left_out": left_out,
            "series": asdict(series),
            "steps": None if steps is None else asdict(steps),
            "train": train,
        }
        typer.echo(json.dumps(plain, indent=1))
        return
    typer.echo(f"rows      {len(readings):,} with a time, {form}")
    for line in table_lines(fields, left_out, series, steps):
        typer.echo(printable_lines(line))
    for title, text in note_rows(readings.notes, readings.ignored_columns):
        typer.echo(f"note      {title}: {text}")
    typer.echo(f"\nNext: {printable_lines(train)}")
