"""Input files of the offline commands, by what the command line and the settings tell of them."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from stream_vae.commands.options import FileFormat, FileOptions, names_of
from stream_vae.core.excerpts import printable
from stream_vae.core.readings import ReadingBatch
from stream_vae.edges.files.csv_dialect import CsvDialect
from stream_vae.edges.files.csv_header import ColumnChoice
from stream_vae.edges.files.csv_readings import CsvFiles, CsvReadings
from stream_vae.edges.files.record_files import LineForm, RecordFiles
from stream_vae.edges.files.text_format import TextFormat
from stream_vae.errors import ConfigError
from stream_vae.inputs.cell_values import CellFormat, DecimalMark
from stream_vae.inputs.log_lines.log_format import LogFormat
from stream_vae.inputs.log_lines.readers import log_format_name
from stream_vae.inputs.reading_format import ReadingFormat

_DECIMALS: dict[str, DecimalMark] = {",": ",", ".": ".", "comma": ",", "point": "."}


LINE_FORMS: dict[FileFormat, LineForm] = {"records": "records", "jsonl": "jsonl", "log": "log"}
"""Formats of files that hold a record a line."""


class ReadingFiles(Protocol):
    """Files, one after the other, as one history."""

    @property
    def ignored_columns(self) -> tuple[str, ...]:
        """What the files have that is no feature, of what was read so far."""
        ...

    @property
    def has_seam(self) -> bool:
        """Whether an hour seems to stand twice in what was read, though no zone is told."""
        ...

    @property
    def notes(self) -> tuple[str, ...]:
        """What was found or left out, for the operator, in what was read so far."""
        ...

    def iter_batches(self) -> Iterator[ReadingBatch]:
        """Yield all readings, in batches."""
        ...

    def read(self) -> CsvReadings:
        """Return all readings."""
        ...


def open_files(
    paths: Sequence[Path], choice: ColumnChoice, options: FileOptions, settings: ReadingFormat
) -> ReadingFiles:
    """Return the files, not yet read.

    Args:
        paths: One or more.
        choice: Roles of columns.
        options: Of the command line; they override settings.
        settings: Those of the input: words and zone hold for files too.

    Raises:
        ConfigError: If an option cannot be meant.
    """
    form = form_of(paths, options)
    if form in LINE_FORMS or log_format_name(settings) is not None:
        return open_records(paths, choice, options, settings)
    told = _told(choice, options, settings)
    if form == "parquet" and told.text is not None:
        for option, value in (("--delimiter", options.delimiter), ("--encoding", options.encoding)):
            if value is not None:
                raise ConfigError(f"{option} {value}: expected it for CSV alone, not for Parquet")
        told = replace(told, text=replace(told.text, is_parquet=True))
    return CsvFiles(paths, told)


def open_records(
    paths: Sequence[Path], choice: ColumnChoice, options: FileOptions, settings: ReadingFormat
) -> RecordFiles:
    """Return files of records, one a line, not yet read; arguments as of `open_files`."""
    form = form_of(paths, options)
    if form not in LINE_FORMS and log_format_name(settings) is None:
        raise ConfigError(f"--format: found {form}; expected one of {', '.join(LINE_FORMS)}")
    return RecordFiles(
        paths,
        replace(choice, drop=choice.drop | frozenset(names_of(options.ignore))),
        _of_records(options, settings),
        LINE_FORMS.get(form, "log"),
        now_ns=time.time_ns(),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class TopicPeriod:
    """A part of a topic, by Kafka's times of its records."""

    topic: str
    since: str | None = None
    until: str | None = None


def form_of(paths: Sequence[Path], options: FileOptions) -> FileFormat:
    """Return the form that is told, or that the names tell; CSV where they tell none."""
    if options.format is not None:
        return options.format
    endings = {path.name.removesuffix(".gz").rpartition(".")[2].lower() for path in paths}
    if endings == {"parquet"}:
        return "parquet"
    if endings and endings <= {"jsonl", "ndjson"}:
        return "jsonl"
    return "log" if endings == {"log"} else "csv"


def is_of_logs(
    source: Sequence[Path] | TopicPeriod, options: FileOptions, settings: ReadingFormat
) -> bool:
    """Return whether a history is of lines of logs, by the settings or the files' names."""
    if log_format_name(settings) is not None:
        return True
    return not isinstance(source, TopicPeriod) and form_of(source, options) == "log"


def lines_format(settings: LogFormat) -> LogFormat:
    """Return settings that read lines: `log_lines` where they are of another format."""
    return settings if log_format_name(settings) else replace(settings, format="log_lines")


def _of_records(options: FileOptions, settings: ReadingFormat) -> ReadingFormat:
    """Return the settings of the input with what the options override.

    Raises:
        ConfigError: If an option has no meaning for records.
    """
    for option, value in (("--delimiter", options.delimiter), ("--encoding", options.encoding)):
        if value is not None:
            raise ConfigError(f"{option} {value}: records are JSON; expected it for CSV alone")
    told = {
        "timestamp_field": options.timestamp_column,
        "timestamp_format": options.timestamp_format,
        "timestamp_zone": options.timestamp_zone,
        "series_field": options.series_column,
        "name_field": options.name_column,
        "value_field": options.value_column,
        "decimal": _decimal(options),
        "units": options.units or None,
        "missing_words": (*settings.missing_words, *(options.missing_words or ())) or None,
    }
    try:
        return replace(settings, **{name: it for name, it in told.items() if it is not None})  # type: ignore[arg-type]  # each of its type
    except ValueError as exc:
        raise ConfigError(f"options of the input: {exc}") from None


def _decimal(options: FileOptions) -> DecimalMark | None:
    if options.decimal is not None and options.decimal not in _DECIMALS:
        raise ConfigError(f"--decimal: found {options.decimal!r}; expected , or .")
    return None if options.decimal is None else _DECIMALS[options.decimal]


def _told(choice: ColumnChoice, options: FileOptions, settings: ReadingFormat) -> ColumnChoice:
    return replace(
        choice,
        timestamp=options.timestamp_column,
        series=options.series_column,
        name=options.name_column,
        value=options.value_column,
        drop=choice.drop | frozenset(names_of(options.ignore)),
        text=text_format(options, settings),
    )


def text_format(options: FileOptions, settings: ReadingFormat) -> TextFormat:
    """Return how text of files is read.

    Raises:
        ConfigError: If an option cannot be meant.
    """
    delimiter = options.delimiter
    if delimiter in ("tab", "\\t"):
        delimiter = "\t"
    return TextFormat(
        dialect=CsvDialect(encoding=options.encoding, delimiter=delimiter),
        cells=CellFormat(
            missing_words=(*settings.missing_words, *(options.missing_words or ())),
            value_words=settings.value_words,
            decimal=_decimal(options),
            units=options.units,
        ),
        timestamp_format=options.timestamp_format or "auto",
        timestamp_zone=options.timestamp_zone or settings.timestamp_zone,
    )


def note_rows(notes: Sequence[str], ignored: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Yield what to tell of input files: a title, and the text."""
    if ignored:
        yield (
            "columns that are no feature of the model, ignored",
            ", ".join(map(printable, ignored)),
        )
    for note in notes:
        yield "input", printable(note, 400)
