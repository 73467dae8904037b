"""CSV files to readings: the input of the offline commands.

A header; a column `timestamp`; optionally `series` (without it a file is one series, named after
the file) and `label` (0 or 1, never a feature); every other column is a feature.
"""

import csv
import gzip
import io
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from stream_vae.core.excerpts import printable
from stream_vae.core.readings import ReadingBatch
from stream_vae.edges.files.csv_cells import parse_labels, parse_series, parse_times, parse_values
from stream_vae.edges.files.csv_header import CsvColumns, locate_columns
from stream_vae.errors import InputFileError

_CHUNK_ROWS = 4096
NO_LABEL = -1
"""Label of a reading that has none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CsvReadings:
    """N readings of F features, in file order, and what was found on the way."""

    feature_names: tuple[str, ...]
    times: NDArray[np.int64]
    """(N,) event time, nanoseconds since 1970."""
    series: list[str]
    """N series keys."""
    values: NDArray[np.float64]
    """(N, F) in input units; NaN = not observed. Never infinite."""
    labels: NDArray[np.int8] | None
    """(N,) 0 normal, 1 anomalous, -1 unlabelled; None where no file has a column `label`."""
    paths: tuple[Path, ...]
    file_numbers: NDArray[np.int32]
    """(N,) position in `paths` of the file each reading stands in."""
    lines: NDArray[np.int64]
    """(N,) line in that file (the header is line 1)."""
    missing_cells: NDArray[np.int64]
    """(F,) cells that are empty, NaN, NA, N/A, null or none."""
    infinite_cells: NDArray[np.int64]
    """(F,) infinite cells, which count as not observed too."""
    ignored_columns: tuple[str, ...]
    """Columns that are no feature of the model the file is read for."""

    def __len__(self) -> int:
        return len(self.series)

    def iter_batches(self, size: int) -> Iterator[ReadingBatch]:
        """Yield all readings in file order, `size` at a time; offsets are row numbers from 0."""
        topic = self.paths[0].name
        for start in range(0, len(self), size):
            rows = slice(start, start + size)
            offsets = np.arange(start, min(start + size, len(self)), dtype=np.int64)
            yield ReadingBatch(
                topic=topic,
                partitions=np.zeros(len(offsets), dtype=np.int32),
                offsets=offsets,
                series=self.series[rows],
                times=self.times[rows],
                arrivals=self.times[rows],
                values=self.values[rows],
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Chunk:
    """Some rows of one file, as columns."""

    file_number: int
    has_labels: bool
    lines: NDArray[np.int64]
    times: NDArray[np.int64]
    series: list[str]
    values: NDArray[np.float64]
    labels: NDArray[np.int8]
    missing: NDArray[np.int64]
    infinite: NDArray[np.int64]


def read_csv(paths: Sequence[Path], feature_names: Sequence[str] | None = None) -> CsvReadings:
    """Read files, one after the other, as one table.

    Args:
        paths: One or more; a name that ends in `.gz` is unpacked.
        feature_names: The model's features, which each file must have and beside which others are
            ignored; None takes the first file's, and the other files must have the same.

    Raises:
        InputFileError: With file, line and column.
    """
    if not paths:
        raise InputFileError("no input file; expected one or more CSV files")
    wanted = None if feature_names is None else tuple(feature_names)
    features: tuple[str, ...] = ()
    ignored: dict[str, None] = {}
    chunks: list[_Chunk] = []
    for number, path in enumerate(paths):
        names = wanted if number == 0 or wanted is not None else features
        columns, new = _read_file(path, number, names, others_allowed=wanted is not None)
        features = columns.feature_names
        ignored.update(dict.fromkeys(columns.ignored))
        chunks += new
    return _gathered(tuple(paths), features, tuple(ignored), chunks)


def _gathered(
    paths: tuple[Path, ...],
    features: tuple[str, ...],
    ignored: tuple[str, ...],
    chunks: list[_Chunk],
) -> CsvReadings:
    has_labels = any(chunk.has_labels for chunk in chunks)
    numbers = [np.full(len(chunk.series), chunk.file_number, dtype=np.int32) for chunk in chunks]
    return CsvReadings(
        feature_names=features,
        times=np.concatenate([chunk.times for chunk in chunks]),
        series=[name for chunk in chunks for name in chunk.series],
        values=np.concatenate([chunk.values for chunk in chunks]),
        labels=np.concatenate([chunk.labels for chunk in chunks]) if has_labels else None,
        paths=paths,
        file_numbers=np.concatenate(numbers),
        lines=np.concatenate([chunk.lines for chunk in chunks]),
        missing_cells=np.sum([chunk.missing for chunk in chunks], axis=0),
        infinite_cells=np.sum([chunk.infinite for chunk in chunks], axis=0),
        ignored_columns=ignored,
    )


def _read_file(
    path: Path, number: int, names: tuple[str, ...] | None, *, others_allowed: bool
) -> tuple[CsvColumns, list[_Chunk]]:
    rows = _rows(path)
    header = next(rows, None)
    if header is None:
        raise InputFileError(f"{path}: empty; expected a header and readings")
    columns = locate_columns(path, header[1], names, others_allowed=others_allowed)
    chunks = []
    while block := _take(rows, path, len(header[1])):
        chunks.append(_chunk(path, number, columns, block))
    if not chunks:
        raise InputFileError(f"{path}: no reading below the header; expected one or more")
    return columns, chunks


def _take(
    rows: Iterator[tuple[int, list[str]]], path: Path, width: int
) -> list[tuple[int, list[str]]]:
    """Return the next rows, blank lines left out."""
    block = []
    for line, cells in rows:
        if not cells:
            continue
        if len(cells) != width:
            raise InputFileError(
                f"{path}, line {line}: {len(cells)} cells; expected {width}, as in the header"
            )
        block.append((line, cells))
        if len(block) == _CHUNK_ROWS:
            break
    return block


def _chunk(
    path: Path, number: int, columns: CsvColumns, block: list[tuple[int, list[str]]]
) -> _Chunk:
    lines = np.array([line for line, _ in block], dtype=np.int64)
    by_column = list(zip(*(cells for _, cells in block), strict=True))
    if columns.series is None:
        series = [series_of_file(path)] * len(block)
    else:
        series = parse_series(path, lines, by_column[columns.series])
    labels = np.full(len(block), NO_LABEL, dtype=np.int8)
    if columns.label is not None:
        labels = parse_labels(path, lines, by_column[columns.label])
    parsed = [
        parse_values(path, lines, by_column[position], name)
        for position, name in zip(columns.features, columns.feature_names, strict=True)
    ]
    return _Chunk(
        file_number=number,
        has_labels=columns.label is not None,
        lines=lines,
        times=parse_times(path, lines, by_column[columns.timestamp]),
        series=series,
        values=np.stack([column.values for column in parsed], axis=1),
        labels=labels,
        missing=np.array([column.n_missing for column in parsed], dtype=np.int64),
        infinite=np.array([column.n_infinite for column in parsed], dtype=np.int64),
    )


def series_of_file(path: Path) -> str:
    """Return the series key of a file without a column `series`: its name without endings.

    >>> series_of_file(Path("data/pump-7.csv.gz"))
    'pump-7'
    """
    name = path.name
    for ending in (".gz", ".csv"):
        name = name.removesuffix(ending) or name
    return name


def _rows(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Yield each row with the line it begins on, every way a file can fail translated."""
    line = 0
    try:
        with _open(path) as text:
            reader = csv.reader(text, strict=True)
            for cells in reader:
                yield line + 1, cells
                line = reader.line_num
    except csv.Error as exc:
        raise InputFileError(
            f"{path}, line {line + 1}: {printable(str(exc))}; expected comma-separated values"
        ) from exc
    except UnicodeDecodeError:
        raise InputFileError(_not_utf8(path)) from None
    except (gzip.BadGzipFile, EOFError, zlib.error) as exc:
        raise InputFileError(f"{path}: not a whole gzip file ({exc})") from exc
    except OSError as exc:
        raise InputFileError(f"{path}: cannot be read: {exc.strerror or exc}") from exc


def _open(path: Path) -> io.TextIOWrapper:
    # utf-8-sig drops the byte order mark that spreadsheets put first.
    return io.TextIOWrapper(_open_binary(path), encoding="utf-8-sig", newline="")


def _open_binary(path: Path) -> io.BufferedReader | gzip.GzipFile:
    return gzip.open(path) if path.suffix == ".gz" else path.open("rb")


def _not_utf8(path: Path) -> str:
    """Return the message with the very line: the reader decodes far ahead of the rows."""
    with _open_binary(path) as binary:
        for number, line in enumerate(binary, start=1):
            try:
                line.decode()
            except UnicodeDecodeError as exc:
                found = f"byte 0x{line[exc.start]:02x}"
                return f"{path}, line {number}: {found} is not UTF-8; expected UTF-8 text"
    return f"{path}: not UTF-8; expected UTF-8 text"
