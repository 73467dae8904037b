"""Options that several commands share."""

import csv
import inspect
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import wraps
from inspect import Parameter, Signature
from pathlib import Path
from typing import Annotated, Any, Literal

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


FileFormat = Literal["csv", "records", "jsonl", "log", "parquet"]


@dataclass(frozen=True, slots=True, kw_only=True)
class FileOptions:
    """What the command line tells of input files; None or nothing: found, or as usual.

    Each field is an option of the commands that are decorated with `with_file_options`.
    """

    format: Annotated[
        FileFormat | None,
        typer.Option(
            "--format",
            help="csv; records: Kafka records, one JSON object of key and value a line, read as "
            "the daemon reads them; jsonl: their values alone; log: lines of a log; parquet. "
            "Default: by the name's ending.",
            rich_help_panel=INPUT_PANEL,
        ),
    ] = None
    timestamp_column: Annotated[
        str | None,
        typer.Option(
            help="Column of the time, or several in braces: '{Date} {Time}'. Default: timestamp, "
            "or the one that is named like a time.",
            rich_help_panel=INPUT_PANEL,
        ),
    ] = None
    timestamp_format: Annotated[
        str | None,
        typer.Option(
            help="Of the time: auto, rfc3339, s, ms, us, ns, or a pattern of strptime such as "
            "'%d/%m/%Y %H:%M'. Default: auto.",
            rich_help_panel=INPUT_PANEL,
        ),
    ] = None
    timestamp_zone: Annotated[
        str | None,
        typer.Option(
            help="Zone of times without an offset, such as Europe/Berlin. Default: "
            "input.timestamp_zone, else UTC.",
            rich_help_panel=INPUT_PANEL,
        ),
    ] = None
    series_column: Annotated[
        str | None,
        typer.Option(
            help="Column of the series, or several in braces: '{host}/{device}'. Default: series, "
            "else a file is one series.",
            rich_help_panel=INPUT_PANEL,
        ),
    ] = None
    ignore: Annotated[
        list[str] | None,
        typer.Option(
            "--ignore",
            "--drop",
            help="Columns that are no features: A,B; repeat for more.",
            rich_help_panel=INPUT_PANEL,
        ),
    ] = None
    name_column: Annotated[
        str | None,
        typer.Option(
            help="Column that says which feature a row is of: rows of one series and time are then "
            "one reading.",
            rich_help_panel=INPUT_PANEL,
        ),
    ] = None
    value_column: Annotated[
        str | None, typer.Option(help="Column of its value.", rich_help_panel=INPUT_PANEL)
    ] = None
    delimiter: Annotated[
        str | None,
        typer.Option(
            help="What divides the cells of a CSV, or tab. Default: found.",
            rich_help_panel=INPUT_PANEL,
        ),
    ] = None
    decimal: Annotated[
        str | None,
        typer.Option(
            help="What stands before the fraction of a number: , or . (the other divides "
            "thousands).",
            rich_help_panel=INPUT_PANEL,
        ),
    ] = None
    encoding: Annotated[
        str | None,
        typer.Option(
            help="Of a CSV, such as cp1252. Default: by its byte order mark, else UTF-8.",
            rich_help_panel=INPUT_PANEL,
        ),
    ] = None
    units: Annotated[
        bool,
        typer.Option("--units", help="Cut off units: 23.4 C, 45 %.", rich_help_panel=INPUT_PANEL),
    ] = False
    missing_words: Annotated[
        list[str] | None,
        typer.Option(
            "--missing-word",
            help="Word for a value that is missing, besides the usual; repeat for more.",
            rich_help_panel=INPUT_PANEL,
        ),
    ] = None


def with_file_options(command: Callable[..., None]) -> Callable[..., None]:
    """Return a command with the options of `FileOptions`, which it takes as `files`."""
    own = inspect.signature(command).parameters
    shared = inspect.signature(FileOptions).parameters

    @wraps(command)
    def run(**given: Any) -> None:
        files = FileOptions(**{name: given.pop(name) for name in shared})
        command(**given, files=files)

    taken = [one for name, one in own.items() if name != "files"]
    both = [one.replace(kind=Parameter.KEYWORD_ONLY) for one in (*taken, *shared.values())]
    run.__signature__ = Signature(both)  # type: ignore[attr-defined]  # the parser reads it
    return run


def names_of(texts: Sequence[str] | None) -> tuple[str, ...]:
    """Return the names in flags of names between commas; one that has a comma is quoted.

    >>> names_of(["flow, pressure", '"a,b"'])
    ('flow', 'pressure', 'a,b')
    """
    rows = csv.reader(texts or (), skipinitialspace=True)
    return tuple(name.strip() for row in rows for name in row if name.strip())
