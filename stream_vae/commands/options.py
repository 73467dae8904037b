"""Options that several commands share."""

import csv
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import typer

INPUT_PANEL = "Input files"

ConfigOption = Annotated[
    Path | None,
    typer.Option("--config", "-c", help="YAML file (default: what STREAM_VAE_CONFIG names)."),
]
SecretsOption = Annotated[
    Path | None,
    typer.Option(
        "--secrets-dir",
        help="Folder with one file per secret (default: what STREAM_VAE_SECRETS_DIR names).",
    ),
]


def refuse_not_finite(value: float | None) -> float | None:
    """Return a flag's number; NaN and infinity pass the parser's own bounds.

    Raises:
        BadParameter: If it is one of these.
    """
    if value is not None and not math.isfinite(value):
        raise typer.BadParameter(f"found {value}, expected a finite number")
    return value


FileFormat = Literal["csv", "records", "jsonl", "parquet"]

FormatOption = Annotated[
    FileFormat | None,
    typer.Option(
        "--format",
        help="csv; records: Kafka records, one JSON object of key and value a line, read as the "
        "daemon reads them; jsonl: their values alone; parquet. Default: by the name's ending.",
        rich_help_panel=INPUT_PANEL,
    ),
]
TimestampColumnOption = Annotated[
    str | None,
    typer.Option(
        help="Column of the time, or several in braces: '{Date} {Time}'. Default: timestamp, or "
        "the one that is named like a time.",
        rich_help_panel=INPUT_PANEL,
    ),
]
TimestampFormatOption = Annotated[
    str | None,
    typer.Option(
        help="Of the time: auto, rfc3339, s, ms, us, ns, or a pattern of strptime such as "
        "'%d/%m/%Y %H:%M'. Default: auto.",
        rich_help_panel=INPUT_PANEL,
    ),
]
TimestampZoneOption = Annotated[
    str | None,
    typer.Option(
        help="Zone of times without an offset, such as Europe/Berlin. Default: "
        "input.timestamp_zone, else UTC.",
        rich_help_panel=INPUT_PANEL,
    ),
]
SeriesColumnOption = Annotated[
    str | None,
    typer.Option(
        help="Column of the series, or several in braces: '{host}/{device}'. Default: series, else "
        "a file is one series.",
        rich_help_panel=INPUT_PANEL,
    ),
]
IgnoreOption = Annotated[
    list[str] | None,
    typer.Option(
        "--ignore",
        "--drop",
        help="Columns that are no features: A,B; repeat for more.",
        rich_help_panel=INPUT_PANEL,
    ),
]
NameColumnOption = Annotated[
    str | None,
    typer.Option(
        help="Column that says which feature a row is of: rows of one series and time are then one "
        "reading.",
        rich_help_panel=INPUT_PANEL,
    ),
]
ValueColumnOption = Annotated[
    str | None,
    typer.Option(help="Column of its value.", rich_help_panel=INPUT_PANEL),
]
DelimiterOption = Annotated[
    str | None,
    typer.Option(
        help="What divides the cells of a CSV, or tab. Default: found.", rich_help_panel=INPUT_PANEL
    ),
]
DecimalOption = Annotated[
    str | None,
    typer.Option(
        help="What stands before the fraction of a number: , or . (the other divides thousands).",
        rich_help_panel=INPUT_PANEL,
    ),
]
EncodingOption = Annotated[
    str | None,
    typer.Option(
        help="Of a CSV, such as cp1252. Default: by its byte order mark, else UTF-8.",
        rich_help_panel=INPUT_PANEL,
    ),
]
UnitsOption = Annotated[
    bool,
    typer.Option("--units", help="Cut off units: 23.4 C, 45 %.", rich_help_panel=INPUT_PANEL),
]
MissingWordOption = Annotated[
    list[str] | None,
    typer.Option(
        help="Word for a value that is missing, besides the usual; repeat for more.",
        rich_help_panel=INPUT_PANEL,
    ),
]


@dataclass(frozen=True, slots=True, kw_only=True)
class FileOptions:
    """What the command line tells of input files; None or nothing: found, or as usual."""

    format: FileFormat | None = None
    timestamp_column: str | None = None
    timestamp_format: str | None = None
    timestamp_zone: str | None = None
    series_column: str | None = None
    ignore: Sequence[str] = ()
    name_column: str | None = None
    value_column: str | None = None
    delimiter: str | None = None
    decimal: str | None = None
    encoding: str | None = None
    units: bool = False
    missing_words: Sequence[str] = ()


def names_of(texts: Sequence[str] | None) -> tuple[str, ...]:
    """Return the names in flags of names between commas; one that has a comma is quoted.

    >>> names_of(["flow, pressure", '"a,b"'])
    ('flow', 'pressure', 'a,b')
    """
    rows = csv.reader(texts or (), skipinitialspace=True)
    return tuple(name.strip() for row in rows for name in row if name.strip())
