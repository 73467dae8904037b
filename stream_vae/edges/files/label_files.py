"""Labels of a history: a column of its CSV files, or a file of their own.

A file of labels is a CSV in one of two forms, told by its header:

* a column `label`: one row per reading of the input, in the same order: 0 normal, 1 anomalous,
  empty unlabelled; other columns are ignored;
* columns `start` and `end`, optionally `series`: one row per anomalous span, both ends included;
  without `series` a span is one of every series. Every reading outside the spans is normal.
"""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from stream_vae.core.excerpts import excerpt, printable
from stream_vae.edges.files.csv_cells import Place, parse_labels
from stream_vae.edges.files.csv_readings import CsvReadings
from stream_vae.edges.files.csv_rows import CsvRows
from stream_vae.edges.files.text_format import TextFormat
from stream_vae.errors import ConfigError, DecodeError, InputFileError
from stream_vae.inputs.timestamps import TimestampParser

LABEL, START, END, SERIES = "label", "start", "end", "series"


@dataclass(frozen=True, slots=True, kw_only=True)
class Labels:
    """Labels of N readings."""

    values: NDArray[np.int8]
    """(N,) 0 normal, 1 anomalous, -1 unlabelled; of both kinds there is at least one."""
    spans_without_reading: int = 0
    """Spans of the file within which the input has no reading."""


def read_labels(readings: CsvReadings, path: Path | None, text: TextFormat | None = None) -> Labels:
    """Return the labels of readings.

    Args:
        readings: As read.
        path: The file of labels; None: the column of the input.
        text: How that of the input is read; its times are those of the file too, where they have
            the same form.

    Raises:
        ConfigError: If there are no labels, or all are of one kind.
        InputFileError: If the file cannot be used; names line and column.
    """
    if path is not None:
        labels = _of_file(readings, path, text or TextFormat())
    elif readings.labels is not None:
        labels = Labels(values=readings.labels)
    else:
        raise ConfigError(
            f"{', '.join(map(str, readings.paths))}: no labels; expected a column `label` of 0 and "
            "1 (--label COLUMN for another name), or --labels FILE"
        )
    n_anomalous, n_normal = int((labels.values == 1).sum()), int((labels.values == 0).sum())
    if not n_anomalous or not n_normal:
        place = path or ", ".join(map(str, readings.paths))
        raise ConfigError(
            f"{place}: labels of one kind alone: found {n_normal:,} normal and {n_anomalous:,} "
            f"anomalous readings of {len(readings):,}; expected both"
        )
    return labels


def _of_file(readings: CsvReadings, path: Path, text: TextFormat) -> Labels:
    lines = [(line, cells or [""]) for line, cells in CsvRows(path)]
    while lines and lines[-1][1] == [""]:
        lines.pop()
    if lines and len(lines[0][1]) > 1:  # with several columns an empty line is none
        lines = [(line, cells) for line, cells in lines if cells != [""]]
    if not lines:
        raise InputFileError(f"{path}: empty; expected a header and labels")
    header = [name.strip() for name in lines[0][1]]
    for line, cells in lines[1:]:
        if len(cells) != len(header):
            raise InputFileError(
                f"{path}, line {line}: {len(cells)} cells; expected {len(header)}, as in the header"
            )
    if LABEL in header:
        return _by_row(readings, path, lines[1:], header.index(LABEL))
    if START in header and END in header:
        return _by_span(readings, path, lines[1:], header, text)
    raise InputFileError(
        f"{path}, line 1: found columns {', '.join(map(printable, header))}; expected `label` (one "
        "row per reading), or `start` and `end` (one row per anomalous span), optionally `series`"
    )


def _by_row(
    readings: CsvReadings, path: Path, rows: list[tuple[int, list[str]]], column: int
) -> Labels:
    if len(rows) != len(readings):
        raise InputFileError(
            f"{path}: {len(rows):,} rows of labels; expected one for each of the {len(readings):,} "
            "readings of the input, in the same order"
        )
    lines = np.array([line for line, _ in rows], np.int64)
    place = Place(path=path, lines=lines, column=LABEL)
    return Labels(values=parse_labels(place, [cells[column] for _, cells in rows]))


def _by_span(
    readings: CsvReadings,
    path: Path,
    rows: list[tuple[int, list[str]]],
    header: list[str],
    text: TextFormat,
) -> Labels:
    parsers = (text.time_parser(), replace(text, timestamp_format="auto").time_parser())
    keys = {key: number for number, key in enumerate(dict.fromkeys(readings.series))}
    codes = np.array([keys[key] for key in readings.series], np.int64)
    values = np.zeros(len(readings), np.int8)
    without = 0
    for line, cells in rows:
        start, end = (
            _time(path, line, cells[header.index(name)], name, parsers) for name in (START, END)
        )
        if end < start:
            raise InputFileError(f"{path}, line {line}: end is before start; expected at or after")
        inside = (readings.times >= start) & (readings.times <= end)
        if SERIES in header:
            key = cells[header.index(SERIES)]
            if key not in keys:
                known = ", ".join(map(printable, [*keys][:5])) + (", ..." if len(keys) > 5 else "")
                raise InputFileError(
                    f"{path}, line {line}, column series: found {excerpt(key)}; expected one of "
                    f"the input's {len(keys)} series: {known}"
                )
            inside &= codes == keys[key]
        values[inside] = 1
        without += not inside.any()
    return Labels(values=values, spans_without_reading=without)


def _time(
    path: Path, line: int, cell: str, column: str, parsers: tuple[TimestampParser, TimestampParser]
) -> int:
    told, usual = parsers
    times = told.parse([cell.strip()])
    if times is not None:
        return int(times[0])
    try:
        return usual.parse_one(cell.strip())
    except DecodeError as exc:
        raise InputFileError(f"{path}, line {line}, column {column}: {exc.detail}") from None
