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
from stream_vae.edges.files.csv_readings import CsvReadings
from stream_vae.edges.files.line_file import refuse_pipes
from stream_vae.edges.files.record_files import LineForm, first_records, open_lines
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
from stream_vae.inspect.inspection import Inspection
from stream_vae.inspect.line_survey import ReadLines
from stream_vae.inspect.log_shapes import lines_of, looks_like_a_log
from stream_vae.inspect.report import (
    as_plain,
    history_line,
    log_history_lines,
    report_lines,
    table_lines,
    train_command,
    why_unread,
)
from stream_vae.inspect.survey import inspect_records
from stream_vae.models.config import rows_wanted
from stream_vae.settings import LoadedSettings, Settings, load_settings
from stream_vae.settings.sources import is_default, is_of_preset

CONFIG_NAME = "stream-vae.yaml"
SESSIONS_NAME = "sessions.yaml"
SESSIONS_BUNDLE = "bundle-of-sessions"
_REGISTRY_WAIT_S = 10.0
_LISTED = 10
_OF_TABLES = {"missing_words", "value_words", "timestamp_zone"}
"""Settings of the input that hold for tables too."""


def inspect_file(
    path: Path,
    form: FileFormat | None,
    config: Path | None,
    *,
    n_records: int,
    seconds: float,
    as_json: bool,
) -> None:
    """Look at a file of records, lines of a log, JSON lines or CSV, and print what it holds."""
    loaded = load_settings(config=config)
    refuse_pipes([path], "it is looked at more than once")
    console = open_console(stderr=True, soft_wrap=True)
    with console.status(f"reading {path}") as status:
        found_form = form or _form_of(path)
        lines = LINE_FORMS.get(found_form)
        if lines is None:
            readings = _read_table(path, found_form, loaded)
        else:
            look = Look(path, lines, seconds)
            look.tell = lambda: status.update(f"reading {path}: {look.share:.0%}")
            found = _inspect(look.sample(n_records), loaded, look.read)
    if lines is None:
        _print_table(path, found_form, readings, loaded, as_json=as_json)
        return
    source = ["--input", str(path), "--format", lines]
    _print(found, configuration, source, loaded.settings, read=look.told(found), as_json=as_json)
    _check_read(found, str(path))


class Look:
    """A file of records, looked at.

    Args:
        path: The file.
        form: Of a line.
        seconds: It is read for so long at most.
    """

    def __init__(self, path: Path, form: LineForm, seconds: float) -> None:
        self._path, self._form, self._seconds = path, form, seconds
        self._until = time.monotonic() + seconds
        self._is_late = False
        self.share = 0.0
        """Of the file, that was read."""
        self.tell: Callable[[], None] = lambda: None
        """Called when some more was read."""

    def sample(self, n_records: int) -> RecordBatch:
        """Return the first records."""
        files = open_lines(self._path, self._form, LogFormat(format="log_lines"))
        batch = self._as_sent(first_records(files, n_records))
        self.share = files.share_read
        return batch

    def read(self, fmt: LogFormat) -> Iterator[RecordBatch]:
        """Yield all records, as settings of logs read them, or those that there is time for."""
        files = open_lines(self._path, self._form, fmt)
        for batch in files.iter_records():
            self.share = files.share_read
            self.tell()
            yield self._as_sent(batch)
            self._is_late = time.monotonic() > self._until
            if self._is_late:
                return
        self.share = 1.0

    def told(self, found: Inspection) -> str:
        """Return how much of the file was read, and that there is more."""
        if self.share >= 1:
            return "all of the file"
        what = f"the first {max(self.share, 0.01):.0%} of the file"
        if self._is_late:
            return (
                f"{what}, in {self._seconds:g} s: it has more, of which this tells nothing; look "
                "longer by --seconds. Training reads all, and takes its step by it"
            )
        return f"{what}, {found.n_records:,} records: it has more; --records looks at more"

    def _as_sent(self, batch: RecordBatch) -> RecordBatch:
        """Return lines of a log as they would be on a topic: the file's name is no key."""
        return replace(batch, keys=[None] * len(batch)) if self._form == "log" else batch


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
    read = f"{len(batch):,} of the {'oldest' if oldest else 'newest'} records of the topic"
    if found.of_logs:
        read += "; training reads all that it keeps, and takes its step by it"
    _print(found, in_yaml, source, settings, read=read, as_json=as_json)
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


def _check_read(found: Inspection, place: str, batch: RecordBatch | None = None) -> None:
    """Refuse records of which nothing could be read, after it was told what they hold.

    Args:
        found: What they hold.
        place: Where they are.
        batch: Those of a topic.

    Raises:
        InputFileError: If there is no reading.
    """
    if found.proof.n_readings:
        return
    where = "" if batch is None else f" ({_where(batch)})"
    raise InputFileError(
        f"{place}: none of {found.n_records:,} records could be read{where}: {why_unread(found)}"
    )


def _where(batch: RecordBatch) -> str:
    """Return the partitions of records, and Kafka's times."""
    partitions = np.unique(batch.partitions).tolist()
    more = ", ..." if len(partitions) > _LISTED else ""
    where = f"partitions {', '.join(map(str, partitions[:_LISTED]))}{more}"
    times = batch.timestamps[batch.timestamps > 0]
    if not len(times):
        return where
    first, last = (np.datetime64(int(at) // 10**9, "s") for at in (times.min(), times.max()))
    return f"{where}, Kafka's times {first}Z to {last}Z"


def _inspect(
    batch: RecordBatch,
    loaded: LoadedSettings,
    read_lines: ReadLines | None = None,
) -> Inspection:
    settings = loaded.settings
    until = time.monotonic() + _REGISTRY_WAIT_S
    return inspect_records(
        batch,
        now_ns=time.time_ns(),
        schemas=schema_source(settings.registry),
        wait=lambda: time.monotonic() < until,  # a look itself takes a quarter of a second
        given=_given(loaded),
        read_lines=read_lines,
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
    yield from log_history_lines(found, rows_wanted(1, settings.training))


def _history(steps: StepFacts | None, series: SeriesFacts | None, settings: Settings) -> list[str]:
    """Return what there is to train on, against what training wants."""
    if steps is None or series is None:
        return []
    wanted = rows_wanted(settings.model.window_length, settings.training)
    return [history_line(steps.n_steps, wanted, series.n, steps.step_s)]


def _print(
    found: Inspection,
    in_yaml: Callable[..., str],
    source: Sequence[str],
    settings: Settings,
    *,
    read: str,
    as_json: bool,
) -> None:
    """Print what was found, with the configurations that read it and what to do next.

    Args:
        found: The sample.
        in_yaml: Returns the configuration.
        source: Options that name where it is from.
        settings: Of the look.
        read: How much there is of what was looked at.
        as_json: As one JSON object.
    """
    yaml, train = in_yaml(found), _train_command(found, source)
    by_sessions = None
    if found.by_sessions is not None and found.proof.n_readings:
        by_sessions = {
            "configuration": in_yaml(
                replace(found, proposal=found.by_sessions), bundle=SESSIONS_BUNDLE
            ),
            "train": train_command(source, [], config=SESSIONS_NAME, bundle=SESSIONS_BUNDLE),
        }
    if as_json:
        told = {"read": read, "configuration": yaml, "train": train, "sessions_apart": by_sessions}
        typer.echo(json.dumps({**as_plain(found), **told}, indent=1))
        return
    lines = [*report_lines(found, read), *_history(found.steps, found.series, settings)]
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
    """Return the form of a file, by its name and its first lines."""
    ending = path.name.removesuffix(".gz").rpartition(".")[2].lower()
    if ending in ("csv", "tsv", "parquet"):
        return "parquet" if ending == "parquet" else "csv"
    try:
        first_records(open_lines(path, "records"), 1)
    except InputFileError:
        if _is_log(path):
            return "log"
        [first] = first_records(open_lines(path, "jsonl"), 1).values
        return "jsonl" if first is not None and first[:1] in (b"{", b"[") else "csv"
    return "records"


def _is_log(path: Path) -> bool:
    """Return whether a file holds lines of a log, rather than JSON or a table with a header."""
    ending = path.name.removesuffix(".gz").rpartition(".")[2].lower()
    first = first_records(open_lines(path, "log", LogFormat(format="log_lines")), 20)
    lines = lines_of([value for value in first.values if value is not None])
    if all(line.startswith(("{", "[{")) for line in lines):
        return False
    return ending == "log" or looks_like_a_log(lines)


def _read_table(path: Path, form: FileFormat, loaded: LoadedSettings) -> CsvReadings:
    options = FileOptions(format=form)
    return open_files([path], ColumnChoice(), options, loaded.settings.input).read()


def _print_table(
    path: Path, form: FileFormat, readings: CsvReadings, loaded: LoadedSettings, *, as_json: bool
) -> None:
    """Print what a CSV or the like holds: it needs options rather than a configuration."""
    settings = loaded.settings
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
