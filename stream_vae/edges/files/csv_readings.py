"""CSV files to readings: the input of the offline commands.

A header; a column `timestamp`, which events may lack; optionally `series` (without it a file is one
series, named after the file) and `label` (0 or 1, never a feature). Every other column is a
feature: numeric or categorical by its cells, or of the kind that is declared for it.

Memory is bounded for any file, compressed or not: by the length of a row, and in total by
`MAX_CELLS`.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from stream_vae.core.model_spec import Feature
from stream_vae.core.readings import ReadingBatch
from stream_vae.edges.files.csv_cells import ParsedColumn, parse_labels, parse_series, parse_times
from stream_vae.edges.files.csv_features import FeatureColumn
from stream_vae.edges.files.csv_header import (
    ALL_COLUMNS,
    LABEL,
    ColumnChoice,
    CsvColumns,
    locate_columns,
)
from stream_vae.edges.files.csv_rows import read_rows
from stream_vae.errors import InputFileError

CHUNK_ROWS = 4096
MAX_CELLS = 200_000_000
"""Of all files held at once: about 2 GB, twice that while they are concatenated."""
_CELLS_BESIDE_FEATURES = 4
"""Overhead of a row beside its features, in units of 8 bytes: time, series, line, file, label."""
EVENT_STEP_NS = 1_000_000
"""Time between the rows of a file without a column `timestamp`: the finest grid there is."""
NO_LABEL = -1
"""Label of a reading that has none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CsvReadings:
    """N readings of F features, in file order, and statistics of the files."""

    features: tuple[Feature, ...]
    """F, with the categories found."""
    times: NDArray[np.int64]
    """(N,) event time, nanoseconds since 1970."""
    series: list[str]
    """N series keys."""
    values: NDArray[np.float64]
    """(N, F) in input units, of a categorical feature codes; NaN = not observed. Never infinite."""
    labels: NDArray[np.int8] | None
    """(N,) 0 normal, 1 anomalous, -1 unlabelled; None where no file has a column `label`."""
    paths: tuple[Path, ...]
    file_numbers: NDArray[np.int32]
    """(N,) position in `paths` of each reading's file."""
    lines: NDArray[np.int64]
    """(N,) line in that file (the header is line 1)."""
    missing_cells: NDArray[np.int64]
    """(F,) cells that are empty or, in columns of numbers, NaN, NA, N/A, null or none."""
    infinite_cells: NDArray[np.int64]
    """(F,) infinite cells, which count as not observed too."""
    ignored_columns: tuple[str, ...]
    """Columns that are not features of the model."""
    has_times: bool = True
    """Some file has a column `timestamp`."""

    @property
    def feature_names(self) -> tuple[str, ...]:
        """The names of the features."""
        return tuple(feature.name for feature in self.features)

    def __len__(self) -> int:
        return len(self.series)


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


class CsvFiles:
    """Files, one after the other, as one table.

    Args:
        paths: One or more; a name that ends in `.gz` is decompressed.
        choice: Roles of columns.

    Raises:
        InputFileError: If there is no file; on reading, with file, line and column.
    """

    def __init__(self, paths: Sequence[Path], choice: ColumnChoice = ALL_COLUMNS) -> None:
        if not paths:
            raise InputFileError("no input file; expected one or more CSV files")
        self._paths = tuple(paths)
        self._choice = choice
        self._features: tuple[str, ...] = ()
        self._ignored: dict[str, None] = {}
        self._has_times = False
        self._columns: list[FeatureColumn] = []

    @property
    def ignored_columns(self) -> tuple[str, ...]:
        """The columns that are not features or are left out, of the files read so far."""
        return tuple(self._ignored)

    def iter_batches(self) -> Iterator[ReadingBatch]:
        """Yield all readings in file order, in batches; offsets are row numbers from 0."""
        n = 0
        for chunk in self._chunks():
            offsets = np.arange(n, n + len(chunk.series), dtype=np.int64)
            n += len(offsets)
            yield ReadingBatch(
                topic=self._paths[0].name,
                partitions=np.zeros(len(offsets), dtype=np.int32),
                offsets=offsets,
                series=chunk.series,
                times=chunk.times,
                arrivals=chunk.times,
                values=chunk.values,
            )

    def read(self) -> CsvReadings:
        """Return all readings.

        Raises:
            InputFileError: Also if there are more than `MAX_CELLS`.
        """
        chunks = []
        left = MAX_CELLS
        for chunk in self._chunks():
            chunks.append(chunk)
            left -= len(chunk.series) * (len(self._features) + _CELLS_BESIDE_FEATURES)
            if left < 0:
                raise InputFileError(
                    f"{self._paths[chunk.file_number]}, line {chunk.lines[-1]}: more than "
                    f"{MAX_CELLS:,} cells so far, a row counted as its features and "
                    f"{_CELLS_BESIDE_FEATURES} more; expected fewer rows or columns"
                )
        self._check_choice(has_labels=any(chunk.has_labels for chunk in chunks))
        return self._gathered(chunks)

    def _chunks(self) -> Iterator[_Chunk]:
        n_rows = 0
        self._columns = []
        for number, path in enumerate(self._paths):
            rows = read_rows(path)
            header = next(rows, None)
            if header is None:
                raise InputFileError(f"{path}: empty; expected a header and readings")
            columns = locate_columns(path, header[1], self._choice, self._features)
            self._features = columns.feature_names
            self._has_times |= columns.timestamp is not None
            self._columns = self._columns or self._begin_columns()
            self._ignored.update(dict.fromkeys(columns.ignored))
            block = _take(rows, path, len(header[1]))
            if not block:
                raise InputFileError(f"{path}: no reading below the header; expected one or more")
            while block:
                yield self._chunk(number, columns, block, n_rows)
                n_rows += len(block)
                block = _take(rows, path, len(header[1]))

    def _begin_columns(self) -> list[FeatureColumn]:
        choice = self._choice
        return [
            FeatureColumn(name, choice.declared.get(name), choice.max_categories)
            for name in self._features
        ]

    def _chunk(
        self, number: int, columns: CsvColumns, block: list[tuple[int, list[str]]], n_before: int
    ) -> _Chunk:
        path = self._paths[number]
        lines = np.array([line for line, _ in block], dtype=np.int64)
        by_column = list(zip(*(cells for _, cells in block), strict=True))
        if columns.series is None:
            series = [series_of_file(path)] * len(block)
        else:
            series = parse_series(path, lines, by_column[columns.series])
        labels = np.full(len(block), NO_LABEL, dtype=np.int8)
        if columns.label is not None:
            labels = parse_labels(path, lines, by_column[columns.label])
        parsed: list[ParsedColumn] = [
            column.read(path, lines, by_column[position])
            for position, column in zip(columns.features, self._columns, strict=True)
        ]
        if columns.timestamp is None:
            times = np.arange(n_before, n_before + len(block), dtype=np.int64) * EVENT_STEP_NS
        else:
            times = parse_times(path, lines, by_column[columns.timestamp])
        return _Chunk(
            file_number=number,
            has_labels=columns.label is not None,
            lines=lines,
            times=times,
            series=series,
            values=np.stack([column.values for column in parsed], axis=1),
            labels=labels,
            missing=np.array([column.n_missing for column in parsed], dtype=np.int64),
            infinite=np.array([column.n_infinite for column in parsed], dtype=np.int64),
        )

    def _check_choice(self, *, has_labels: bool) -> None:
        """Refuse a chosen column that no file has: its name is misspelt."""
        absent = [name for name in sorted(self._choice.drop) if name not in self._ignored]
        if self._choice.label != LABEL and not has_labels:
            absent.append(self._choice.label)
        if absent:
            raise InputFileError(
                f"{', '.join(map(str, self._paths))}: no column {absent[0]!r} to leave out or to "
                f"take as the label; found the features {', '.join(self._features)}"
            )

    def _gathered(self, chunks: list[_Chunk]) -> CsvReadings:
        has_labels = any(chunk.has_labels for chunk in chunks)
        values = np.concatenate([chunk.values for chunk in chunks])
        features = tuple(
            column.finish(values[:, position]) for position, column in enumerate(self._columns)
        )
        numbers = [np.full(len(chunk.series), chunk.file_number, np.int32) for chunk in chunks]
        return CsvReadings(
            features=features,
            times=np.concatenate([chunk.times for chunk in chunks]),
            series=[name for chunk in chunks for name in chunk.series],
            values=values,
            labels=np.concatenate([chunk.labels for chunk in chunks]) if has_labels else None,
            paths=self._paths,
            file_numbers=np.concatenate(numbers),
            lines=np.concatenate([chunk.lines for chunk in chunks]),
            missing_cells=np.sum([chunk.missing for chunk in chunks], axis=0),
            infinite_cells=np.sum([chunk.infinite for chunk in chunks], axis=0),
            ignored_columns=self.ignored_columns,
            has_times=self._has_times,
        )


def read_csv(paths: Sequence[Path], choice: ColumnChoice = ALL_COLUMNS) -> CsvReadings:
    """Read files, one after the other, as one table.

    Raises:
        InputFileError: With file, line and column.
    """
    return CsvFiles(paths, choice).read()


def _take(
    rows: Iterator[tuple[int, list[str]]], path: Path, width: int
) -> list[tuple[int, list[str]]]:
    """Return the next rows, without blank lines."""
    block = []
    for line, cells in rows:
        if not cells:
            continue
        if len(cells) != width:
            raise InputFileError(
                f"{path}, line {line}: {len(cells)} cells; expected {width}, as in the header"
            )
        block.append((line, cells))
        if len(block) == CHUNK_ROWS:
            break
    return block


def series_of_file(path: Path) -> str:
    """Return the series key of a file without a column `series`: its name without endings.

    >>> series_of_file(Path("data/pump-7.csv.gz"))
    'pump-7'
    """
    name = path.name
    for ending in (".gz", ".csv"):
        name = name.removesuffix(ending) or name
    return name
