"""CSV files to readings: the input of the offline commands.

A header; a column `timestamp`, which events may lack; optionally `series` (without it a file is one
series, named after the file) and `label` (0 or 1, never a feature). Every other column is a
feature: numeric or categorical by its cells, or of the kind that is declared for it. In the long
form a row is one value of the feature that it names.

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
from stream_vae.edges.files.csv_cells import (
    ParsedColumn,
    Place,
    parse_labels,
    parse_series,
    parse_times,
)
from stream_vae.edges.files.csv_features import FeatureColumn
from stream_vae.edges.files.csv_header import (
    ALL_COLUMNS,
    LABEL,
    SERIES,
    TIMESTAMP,
    ColumnChoice,
    CsvColumns,
    JoinedColumns,
    locate_columns,
)
from stream_vae.edges.files.csv_long import LongCells, LongReadings
from stream_vae.edges.files.csv_rows import CsvRows
from stream_vae.edges.files.csv_tables import Row, Table, read_tables
from stream_vae.edges.files.parquet_rows import ParquetRows
from stream_vae.edges.files.repeated_hours import RepeatedHours, seam_of_repeated_hour
from stream_vae.edges.files.text_format import TextFormat
from stream_vae.errors import InputFileError
from stream_vae.inputs.cell_values import CellReader
from stream_vae.inputs.local_times import ParsedTimes
from stream_vae.inputs.templates import TextTemplate

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
    """(F,) cells that are empty or, in columns of numbers, a word for a missing value."""
    infinite_cells: NDArray[np.int64]
    """(F,) infinite cells, which count as not observed too."""
    ignored_columns: tuple[str, ...]
    """Columns that are not features of the model."""
    has_times: bool = True
    """Some file has a column of the time."""
    notes: tuple[str, ...] = ()
    """What was taken for what without being told, for the operator."""

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
        paths: One or more; gzip is unpacked.
        choice: Roles of columns.

    Raises:
        InputFileError: If there is no file; on reading, with file, line and column.
    """

    def __init__(self, paths: Sequence[Path], choice: ColumnChoice = ALL_COLUMNS) -> None:
        if not paths:
            raise InputFileError("no input file; expected one or more CSV files")
        self._paths = tuple(paths)
        self._choice = choice
        self._text = choice.text or TextFormat()
        self._times = self._text.time_parser()
        self._cells = CellReader(self._text.cells)
        self._features: tuple[str, ...] = ()
        self._ignored: dict[str, None] = {}
        self._notes: dict[str, None] = {}
        self._has_times = False
        self._columns: list[FeatureColumn] = []
        self._hours = RepeatedHours()
        self._n_skipped = 0
        self._seam: str | None = None

    @property
    def ignored_columns(self) -> tuple[str, ...]:
        """The columns that are not features or are left out, of the files read so far."""
        return tuple(self._ignored)

    @property
    def has_seam(self) -> bool:
        """Whether an hour seems to stand twice in what was read, though no zone is told."""
        return self._seam is not None

    @property
    def notes(self) -> tuple[str, ...]:
        """What was taken for what without being told, in the files read so far."""
        notes = list(self._notes)
        if self._hours.n_repeated:
            notes.append(
                f"{self._hours.n_repeated:,} rows of hours that stand there twice as clocks are "
                f"set back: {self._hours.n_second:,} taken for the second, by the order of rows"
            )
        if self._n_skipped:
            notes.append(
                f"{self._n_skipped:,} rows of an hour that never was as clocks are set forward: "
                "is it the right --timestamp-zone?"
            )
        if self._seam is not None:
            notes.append(
                f"{self._seam}: an hour stands there twice; if these are wall-clock times, "
                "--timestamp-zone (Europe/Berlin) tells them apart"
            )
        return tuple(notes)

    def iter_batches(self) -> Iterator[ReadingBatch]:
        """Yield all readings in file order, in batches; offsets are row numbers from 0.

        In the long form, in order of time; the whole is then held.
        """
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
        long = LongReadings(self._choice, self._cells)
        for number, path in enumerate(self._paths):
            rows = ParquetRows(path) if self._text.is_parquet else CsvRows(path, self._text.dialect)
            has_rows = False
            for table in read_tables(path, iter(rows)):
                columns = self._located(path, table, is_first=not (long.is_used or n_rows))
                for block in _blocks(table, path):
                    has_rows = True
                    if columns.name is None:
                        yield self._chunk(number, columns, block, n_rows)
                    else:
                        self._add_long(long, number, columns, block)
                    n_rows += len(block)
            self._notes.update(dict.fromkeys(f"{path.name}: {note}" for note in rows.notes))
            if not has_rows:
                raise InputFileError(f"{path}: no reading below the header; expected one or more")
        if long.is_used:
            yield from self._long_chunks(long)

    def _located(self, path: Path, table: Table, *, is_first: bool) -> CsvColumns:
        columns = locate_columns(path, table, self._choice, self._features)
        if not is_first and bool(columns.name is None) != bool(self._columns):
            raise InputFileError(
                f"{path}, line {table.line}: found another form than above; expected all tables in "
                "the long form (--name-column), or none"
            )
        self._has_times |= columns.timestamp is not None
        self._notes.update(dict.fromkeys(columns.notes))
        self._ignored.update(dict.fromkeys(columns.ignored))
        if columns.name is None:
            self._features = columns.feature_names
            self._columns = self._columns or self._begin_columns()
        return columns

    def _begin_columns(self) -> list[FeatureColumn]:
        choice = self._choice
        return [
            FeatureColumn(name, choice.declared.get(name), choice.max_categories, self._cells)
            for name in self._features
        ]

    def _chunk(self, number: int, columns: CsvColumns, block: list[Row], n_before: int) -> _Chunk:
        cells = _Block(self._paths[number], block)
        series = self._series(columns, cells)
        labels = self._labels(columns, cells)
        parsed: list[ParsedColumn] = [
            column.read(cells.path, cells.lines, cells.columns[position])
            for position, column in zip(columns.features, self._columns, strict=True)
        ]
        if columns.timestamp is None:
            times = np.arange(n_before, n_before + len(block), dtype=np.int64) * EVENT_STEP_NS
        else:
            read = self._parse_times(columns.timestamp, cells)
            times = self._hours.resolve(series, read)
            self._note_seam(cells, series, times)
        return _Chunk(
            file_number=number,
            has_labels=columns.label is not None,
            lines=cells.lines,
            times=times,
            series=series,
            values=np.stack([column.values for column in parsed], axis=1),
            labels=labels,
            missing=np.array([column.n_missing for column in parsed], dtype=np.int64),
            infinite=np.array([column.n_infinite for column in parsed], dtype=np.int64),
        )

    def _series(self, columns: CsvColumns, cells: "_Block") -> list[str]:
        if columns.series is None:
            return [series_of_file(cells.path)] * len(cells.lines)
        place, texts = cells.joined(columns.series, SERIES, "--series-column")
        return parse_series(place, texts)

    def _labels(self, columns: CsvColumns, cells: "_Block") -> NDArray[np.int8]:
        if columns.label is None:
            return np.full(len(cells.lines), NO_LABEL, dtype=np.int8)
        return parse_labels(cells.place(LABEL), cells.columns[columns.label])

    def _parse_times(self, joined: JoinedColumns, cells: "_Block") -> ParsedTimes:
        place, texts = cells.joined(joined, TIMESTAMP, "--timestamp-column")
        parsed = parse_times(place, texts, self._times)
        self._n_skipped += parsed.n_skipped
        return parsed

    def _note_seam(self, cells: "_Block", series: Sequence[str], times: NDArray[np.int64]) -> None:
        if self._text.timestamp_zone is not None or self._seam is not None:
            return
        row = seam_of_repeated_hour(times)
        # Where another series begins, its times may begin anew.
        if row is not None and series[row] in series[:row]:
            self._seam = f"{cells.path}, line {cells.lines[row]}"

    def _add_long(
        self, long: LongReadings, number: int, columns: CsvColumns, block: list[Row]
    ) -> None:
        cells = _Block(self._paths[number], block)
        if columns.timestamp is None or columns.name is None or columns.value is None:
            raise InputFileError(
                f"{cells.path}: no column of the time; expected one, since its rows name features"
            )
        series = self._series(columns, cells)
        names = [name.strip() for name in cells.columns[columns.name]]
        read = self._parse_times(columns.timestamp, cells)
        long.add(
            LongCells(
                path=cells.path,
                file_number=number,
                lines=cells.lines,
                series=series,
                times=self._hours.resolve(list(zip(series, names, strict=True)), read),
                names=names,
                cells=cells.columns[columns.value],
                labels=self._labels(columns, cells),
                has_labels=columns.label is not None,
            )
        )

    def _long_chunks(self, long: LongReadings) -> Iterator[_Chunk]:
        whole = long.finish(self._paths)
        self._features, self._columns = whole.feature_names, whole.columns
        self._ignored.update(dict.fromkeys(whole.other_names))
        missing, infinite = whole.missing, whole.infinite
        for start in range(0, len(whole.times), CHUNK_ROWS):
            part = slice(start, start + CHUNK_ROWS)
            yield _Chunk(
                file_number=int(whole.file_numbers[start]),
                has_labels=whole.has_labels,
                lines=whole.lines[part],
                times=whole.times[part],
                series=whole.series[part],
                values=whole.values_of(part),
                labels=whole.labels[part],
                missing=missing,
                infinite=infinite,
            )
            missing, infinite = np.zeros_like(missing), np.zeros_like(infinite)

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
            notes=self.notes,
        )


def read_csv(paths: Sequence[Path], choice: ColumnChoice = ALL_COLUMNS) -> CsvReadings:
    """Read files, one after the other, as one table.

    Raises:
        InputFileError: With file, line and column.
    """
    return CsvFiles(paths, choice).read()


class _Block:
    """Some rows of a file, as columns of cells."""

    def __init__(self, path: Path, block: list[Row]) -> None:
        self.path = path
        self.lines = np.array([line for line, _ in block], dtype=np.int64)
        self.columns = list(zip(*(cells for _, cells in block), strict=True))

    def place(self, column: str) -> Place:
        return Place(path=self.path, lines=self.lines, column=column)

    def joined(
        self, joined: JoinedColumns, column: str, option: str
    ) -> tuple[Place, Sequence[str]]:
        """Return the texts of one or more columns, and where they stand."""
        if joined.template is None:
            return self.place(column), self.columns[joined.columns[0]]
        template = TextTemplate(joined.template, option)
        rows = zip(*(self.columns[at] for at in joined.columns), strict=True)
        return self.place(joined.template), [template.fill(row) or "" for row in rows]


def _blocks(table: Table, path: Path) -> Iterator[list[Row]]:
    """Yield the rows of a table in blocks, without blank lines."""
    width = len(table.header)
    block: list[Row] = []
    for line, cells in table.rows:
        if len(cells) != width:
            if not cells:
                continue
            raise InputFileError(
                f"{path}, line {line}: {len(cells)} cells; expected {width}, as in the header"
            )
        block.append((line, cells))
        if len(block) == CHUNK_ROWS:
            yield block
            block = []
    if block:
        yield block


def series_of_file(path: Path) -> str:
    """Return the series key of a file without a column `series`: its name without endings.

    >>> series_of_file(Path("data/pump-7.csv.gz"))
    'pump-7'
    """
    name = path.name
    for ending in (".gz", ".csv", ".jsonl", ".ndjson", ".parquet"):
        name = name.removesuffix(ending) or name
    return name
