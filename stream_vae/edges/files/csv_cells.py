"""Cells of one CSV column to an array; errors name file, line, column and a remedy."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from stream_vae.core.excerpts import excerpt, printable
from stream_vae.errors import DecodeError, InputFileError
from stream_vae.inputs.cell_values import CellReader
from stream_vae.inputs.local_times import ParsedTimes
from stream_vae.inputs.series_keys import MAX_KEY_CHARACTERS
from stream_vae.inputs.timestamps import TimestampParser

_LABELS = {"0": 0, "1": 1, "0.0": 0, "1.0": 1, "": -1}


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where the cells of a column stand, for messages."""

    path: Path
    lines: NDArray[np.int64]
    """(N,) line of each cell."""
    column: str

    def error(self, position: int, text: str) -> InputFileError:
        """Return an error of one cell."""
        return InputFileError(
            f"{self.path}, line {self.lines[position]}, column {printable(self.column)}: {text}"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ParsedColumn:
    """The values of one feature in N rows."""

    values: NDArray[np.float64]
    """(N,) NaN = not observed; never infinite. Of a categorical feature codes."""
    n_missing: int
    n_infinite: int
    units: tuple[str, ...] = ()
    """Units that were cut off, in order of appearance."""


def parse_values(
    place: Place, cells: Sequence[str], reader: CellReader, advice: str = ""
) -> ParsedColumn:
    """Return a column of numbers; infinite ones are counted apart and missing too.

    Args:
        place: Of the cells.
        cells: N.
        reader: Of their text.
        advice: Ends the message.

    Raises:
        InputFileError: At the first cell that is neither a number nor missing, or has another unit.
    """
    read = reader.numbers(cells)
    if len(read.unreadable):
        at = int(read.unreadable[0])
        raise place.error(
            at,
            f"found {excerpt(cells[at])}; expected a number, or an empty cell where nothing was "
            f"measured{advice}; {remedy_in_words(reader, cells[at])}",
        )
    refuse_units(place, [*read.units], [*read.units.values()])
    values = read.values
    n_missing = int(np.isnan(values).sum())
    infinite = np.isinf(values)
    values[infinite] = np.nan
    return ParsedColumn(
        values=values,
        n_missing=n_missing,
        n_infinite=int(infinite.sum()),
        units=tuple(read.units),
    )


def refuse_units(place: Place, units: Sequence[str], positions: Sequence[int]) -> None:
    """Refuse a column of several units: they may differ by a factor.

    Raises:
        InputFileError: If there are several.
    """
    if len(units) > 1:
        raise place.error(
            positions[1],
            f"found the unit {excerpt(units[1])} after {excerpt(units[0])}; expected one unit in "
            "the whole column: export the numbers as they are, without scaling them for display",
        )


def remedy_in_words(reader: CellReader, cell: str) -> str:
    """Return which option would read a cell that is no number."""
    match reader.remedy(cell):
        case "decimal":
            return "--decimal tells whether a comma or a point stands before the fraction"
        case "units":
            return "--units cuts off what stands behind a number"
        case _:
            return f"--missing-word {excerpt(cell)} would take it as missing"


def parse_counts(place: Place, cells: Sequence[str], reader: CellReader) -> ParsedColumn:
    """Return a column of whole numbers of 0 or more; missing ones as in `parse_values`.

    Raises:
        InputFileError: At the first cell that is none.
    """
    parsed = parse_values(place, cells, reader, _advice("count", "categorical"))
    values = np.nan_to_num(parsed.values)
    is_wrong = (values < 0) | (values != np.floor(values))
    expected = f"a whole number of 0 or more{_advice('count', 'numeric')}"
    _refuse_first(is_wrong, expected, place, cells)
    return parsed


def parse_truths(place: Place, cells: Sequence[str], reader: CellReader) -> ParsedColumn:
    """Return a column of 0 and 1, or words for them; missing ones as elsewhere.

    Raises:
        InputFileError: At the first cell that is none.
    """
    truths = {cell: reader.truth(cell) for cell in set(cells)}
    found = [truths[cell] for cell in cells]
    if None in found:
        number = reader.number(cells[found.index(None)])
        fitting = "categorical" if number is None else _kind_of_number(number)
        expected = f"0, 1, true or false{_advice('binary', fitting)}"
        _refuse_first(np.array([value is None for value in found]), expected, place, cells)
    values = np.array(found, dtype=np.float64)
    return ParsedColumn(values=values, n_missing=int(np.isnan(values).sum()), n_infinite=0)


def _refuse_first(
    is_wrong: NDArray[np.bool_], expected: str, place: Place, cells: Sequence[str]
) -> None:
    if is_wrong.any():
        at = int(np.argmax(is_wrong))
        raise place.error(at, f"found {excerpt(cells[at])}; expected {expected}")


def _kind_of_number(number: float) -> str:
    return "count" if number >= 0 and number.is_integer() else "numeric"


def _advice(kind: str, fitting: str) -> str:
    return f", since the feature is {kind}; kind {fitting} would fit"


def parse_times(place: Place, cells: Sequence[str], parser: TimestampParser) -> ParsedTimes:
    """Return N times.

    Raises:
        InputFileError: At the first cell that is no time.
    """
    read = parser.read(cells)
    if read is not None:
        return read
    texts = [cell.strip() for cell in cells]
    read = parser.read(texts)
    return _times_one_by_one(place, texts, parser) if read is None else read


def _times_one_by_one(place: Place, texts: Sequence[str], parser: TimestampParser) -> ParsedTimes:
    times = np.empty(len(texts), dtype=np.int64)
    repeats = np.zeros(len(texts), dtype=np.int64)
    n_skipped = 0
    for position, text in enumerate(texts):
        try:
            one = parser.read_one(text)
        except DecodeError as exc:
            raise place.error(position, exc.detail) from None
        times[position] = one.times[0]
        n_skipped += one.n_skipped
        if one.repeats_ns is not None:
            repeats[position] = one.repeats_ns[0]
    return ParsedTimes(
        times=times, repeats_ns=repeats if repeats.any() else None, n_skipped=n_skipped
    )


def parse_series(place: Place, cells: Sequence[str]) -> list[str]:
    """Return N series keys, unchanged.

    Raises:
        InputFileError: At the first key that is empty or too long.
    """
    for key in set(cells):
        if not 0 < len(key) <= MAX_KEY_CHARACTERS:
            raise place.error(
                cells.index(key),
                f"{len(key)} characters; expected a key of 1 to {MAX_KEY_CHARACTERS}",
            )
    return list(cells)


def parse_labels(place: Place, cells: Sequence[str]) -> NDArray[np.int8]:
    """Return (N,) 0, 1, or -1 where the cell is empty.

    Raises:
        InputFileError: At the first cell that is none of these.
    """
    labels = [_LABELS.get(cell.strip()) for cell in cells]
    if None in labels:
        position = labels.index(None)
        raise place.error(position, f"found {excerpt(cells[position])}; expected 0 or 1")
    return np.array(labels, dtype=np.int8)
