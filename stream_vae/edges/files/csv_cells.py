"""Cells of one CSV column to an array; errors name file, line and column."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import isnan
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from stream_vae.core.excerpts import excerpt
from stream_vae.errors import DecodeError, InputFileError
from stream_vae.inputs.series_keys import MAX_KEY_CHARACTERS
from stream_vae.inputs.timestamps import TimestampParser

_MISSING = frozenset({"", "nan", "na", "n/a", "null", "none"})
_LABELS = {"0": 0, "1": 1, "0.0": 0, "1.0": 1, "": -1}
_TRUTH = {"true": 1.0, "false": 0.0}
_TIMES = TimestampParser("auto", zone="UTC", advice="options")


@dataclass(frozen=True, slots=True, kw_only=True)
class ParsedColumn:
    """The values of one feature in N rows."""

    values: NDArray[np.float64]
    """(N,) NaN = not observed; never infinite. Of a categorical feature codes."""
    n_missing: int
    n_infinite: int


def parse_values(
    path: Path, lines: NDArray[np.int64], cells: Sequence[str], column: str, advice: str = ""
) -> ParsedColumn:
    """Return a column of numbers.

    Empty cells and NaN, NA, N/A, null and none in any case are missing; infinite ones are counted
    apart and missing too.

    Args:
        path: For messages.
        lines: (N,) for messages.
        cells: N.
        column: For messages.
        advice: Ends the message.

    Raises:
        InputFileError: At the first cell that is neither.
    """
    values = _all_numbers(cells)
    if values is None:
        rows = zip(cells, lines.tolist(), strict=True)
        values = np.array([_parse_value(cell, path, line, column, advice) for cell, line in rows])
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


def is_missing(cell: str) -> bool:
    """Return whether a cell of a column of numbers holds none."""
    return cell.strip().lower() in _MISSING


def number_in(cell: str) -> float | None:
    """Return the number that a cell is, NaN if it is missing, None if it is other text."""
    if is_missing(cell):
        return float("nan")
    try:
        return None if "_" in cell else float(cell)
    except ValueError:
        return None


def _parse_value(cell: str, path: Path, line: int, column: str, advice: str) -> float:
    number = number_in(cell)
    if number is None:
        raise InputFileError(
            f"{path}, line {line}, column {column}: found {excerpt(cell)}; expected a number, or "
            f"an empty cell where nothing was measured{advice}"
        )
    return number


def parse_counts(
    path: Path, lines: NDArray[np.int64], cells: Sequence[str], column: str
) -> ParsedColumn:
    """Return a column of whole numbers of 0 or more; missing ones as in `parse_values`.

    Raises:
        InputFileError: At the first cell that is none.
    """
    parsed = parse_values(path, lines, cells, column, _advice("count", "categorical"))
    values = np.nan_to_num(parsed.values)
    _refuse_first(
        (values < 0) | (values != np.floor(values)),
        f"a whole number of 0 or more{_advice('count', 'numeric')}",
        (path, lines, cells, column),
    )
    return parsed


def parse_truths(
    path: Path, lines: NDArray[np.int64], cells: Sequence[str], column: str
) -> ParsedColumn:
    """Return a column of 0 and 1, or true and false in any case; missing ones as elsewhere.

    Raises:
        InputFileError: At the first cell that is none.
    """
    texts = [cell.strip().lower() for cell in cells]
    numbers = [_TRUTH[text] if text in _TRUTH else number_in(text) for text in texts]
    is_wrong = np.array(
        [number is None or not (isnan(number) or number in (0, 1)) for number in numbers]
    )
    if is_wrong.any():
        found = numbers[int(np.argmax(is_wrong))]
        fitting = "categorical" if found is None else _kind_of_number(found)
        expected = f"0, 1, true or false{_advice('binary', fitting)}"
        _refuse_first(is_wrong, expected, (path, lines, cells, column))
    values = np.array(numbers, dtype=np.float64)
    return ParsedColumn(values=values, n_missing=int(np.isnan(values).sum()), n_infinite=0)


def _refuse_first(
    is_wrong: NDArray[np.bool_],
    expected: str,
    place: tuple[Path, NDArray[np.int64], Sequence[str], str],
) -> None:
    path, lines, cells, column = place
    if is_wrong.any():
        at = int(np.argmax(is_wrong))
        raise InputFileError(
            f"{path}, line {lines[at]}, column {column}: found {excerpt(cells[at])}; expected "
            f"{expected}"
        )


def _kind_of_number(number: float) -> str:
    return "count" if number >= 0 and number.is_integer() else "numeric"


def _advice(kind: str, fitting: str) -> str:
    return f", since the feature is {kind}; kind {fitting} would fit"


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
