"""Cells of one CSV column to an array; errors name file, line and column."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from stream_vae.core.excerpts import excerpt
from stream_vae.errors import DecodeError, InputFileError
from stream_vae.inputs.series_keys import MAX_KEY_CHARACTERS
from stream_vae.inputs.timestamps import TimestampParser

_MISSING = frozenset({"", "nan", "na", "n/a", "null", "none"})
_LABELS = {"0": 0, "1": 1, "0.0": 0, "1.0": 1, "": -1}
_TIMES = TimestampParser("auto", lenient=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class ParsedColumn:
    """The values of one feature in N rows."""

    values: NDArray[np.float64]
    """(N,) NaN = not observed; never infinite."""
    n_missing: int
    n_infinite: int


def parse_values(
    path: Path, lines: NDArray[np.int64], cells: Sequence[str], column: str
) -> ParsedColumn:
    """Return a column of numbers.

    Empty cells and NaN, NA, N/A, null and none in any case are missing; infinite ones are counted
    apart and missing too.

    Raises:
        InputFileError: At the first cell that is neither.
    """
    values = _all_numbers(cells)
    if values is None:
        rows = zip(cells, lines.tolist(), strict=True)
        values = np.array([_parse_value(cell, path, line, column) for cell, line in rows])
    n_missing = int(np.isnan(values).sum())
    infinite = np.isinf(values)
    values[infinite] = np.nan
    return ParsedColumn(values=values, n_missing=n_missing, n_infinite=int(infinite.sum()))


def _all_numbers(cells: Sequence[str]) -> NDArray[np.float64] | None:
    """Return the cells as numbers, or None if some need `_parse_value`."""
    # float() reads "1_000" as 1000, which is not valid in CSV.
    if "_" in "".join(cells):
        return None
    try:
        return np.array(cells, dtype=np.float64)
    except ValueError:
        return None


def _parse_value(cell: str, path: Path, line: int, column: str) -> float:
    if cell.strip().lower() in _MISSING:
        return float("nan")
    try:
        if "_" not in cell:
            return float(cell)
    except ValueError:
        pass
    raise InputFileError(
        f"{path}, line {line}, column {column}: found {excerpt(cell)}; expected a number, or an "
        "empty cell where nothing was measured"
    )


def parse_times(path: Path, lines: NDArray[np.int64], cells: Sequence[str]) -> NDArray[np.int64]:
    """Return (N,) nanoseconds since 1970; text without an offset is UTC.

    Raises:
        InputFileError: At the first cell that is no time.
    """
    texts = [cell.strip() for cell in cells]
    times = _TIMES.parse(texts)
    if times is not None:
        return times
    times = np.empty(len(texts), dtype=np.int64)
    for position, text in enumerate(texts):
        try:
            times[position] = _TIMES.parse_one(text)
        except DecodeError as exc:
            raise InputFileError(
                f"{path}, line {lines[position]}, column timestamp: {exc.detail}"
            ) from None
    return times


def parse_series(path: Path, lines: NDArray[np.int64], cells: Sequence[str]) -> list[str]:
    """Return N series keys, unchanged.

    Raises:
        InputFileError: At the first key that is empty or too long.
    """
    for line, cell in zip(lines.tolist(), cells, strict=True):
        if not 0 < len(cell) <= MAX_KEY_CHARACTERS:
            raise InputFileError(
                f"{path}, line {line}, column series: {len(cell)} characters; expected a key of 1 "
                f"to {MAX_KEY_CHARACTERS}"
            )
    return list(cells)


def parse_labels(path: Path, lines: NDArray[np.int64], cells: Sequence[str]) -> NDArray[np.int8]:
    """Return (N,) 0, 1, or -1 where the cell is empty.

    Raises:
        InputFileError: At the first cell that is none of these.
    """
    labels = [_LABELS.get(cell.strip()) for cell in cells]
    if None in labels:
        position = labels.index(None)
        raise InputFileError(
            f"{path}, line {lines[position]}, column label: found {excerpt(cells[position])}; "
            "expected 0 or 1"
        )
    return np.array(labels, dtype=np.int8)
