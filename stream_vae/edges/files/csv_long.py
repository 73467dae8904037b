"""Rows of one value each to readings: the long form of databases.

Rows of one series and time are one reading; a later value of a feature replaces an earlier one.
Such files are often in order of the feature, so all of their rows are held before the first
reading is whole.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from stream_vae.edges.files.csv_features import FeatureColumn
from stream_vae.edges.files.csv_header import ColumnChoice
from stream_vae.errors import InputFileError
from stream_vae.inputs.cell_values import CellReader


@dataclass(frozen=True, slots=True, kw_only=True)
class LongCells:
    """N rows of one file."""

    path: Path
    file_number: int
    lines: NDArray[np.int64]
    """(N,)"""
    series: Sequence[str]
    times: NDArray[np.int64]
    """(N,) nanoseconds since 1970."""
    names: Sequence[str]
    """N features."""
    cells: Sequence[str]
    """N values as text."""
    labels: NDArray[np.int8]
    """(N,)"""
    has_labels: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class WholeReadings:
    """R readings in order of time."""

    feature_names: tuple[str, ...]
    columns: list[FeatureColumn]
    other_names: tuple[str, ...]
    """Of rows that are no feature of the model."""
    times: NDArray[np.int64]
    """(R,)"""
    series: list[str]
    labels: NDArray[np.int8]
    """(R,) the largest of a reading's rows."""
    has_labels: bool
    file_numbers: NDArray[np.int32]
    """(R,) of a reading's first row."""
    lines: NDArray[np.int64]
    """(R,) of a reading's first row."""
    missing: NDArray[np.int64]
    """(F,) cells without a value."""
    infinite: NDArray[np.int64]
    """(F,)"""
    _readings: NDArray[np.int64]
    _features: NDArray[np.int64]
    _values: NDArray[np.float64]

    def values_of(self, part: slice) -> NDArray[np.float64]:
        """Return (P, F) values of a part of the readings, NaN = not observed."""
        low, high = np.searchsorted(self._readings, [part.start, part.stop])
        n = len(self.times[part])
        values = np.full((n, len(self.feature_names)), np.nan)
        rows = self._readings[low:high] - part.start
        values[rows, self._features[low:high]] = self._values[low:high]
        return values


class LongReadings:
    """Collects rows of the long form.

    Args:
        choice: Features that are wanted, their kinds.
        reader: Of numbers.
    """

    def __init__(self, choice: ColumnChoice, reader: CellReader) -> None:
        self._choice = choice
        self._reader = reader
        self._features: dict[str, int] = {}
        self._columns: list[FeatureColumn] = []
        self._missing: list[int] = []
        self._infinite: list[int] = []
        for name in choice.features or ():
            self._add_feature(name)
        self._series: dict[str, int] = {}
        self._others: dict[str, None] = {}
        self._parts: list[tuple[NDArray[np.int64], NDArray[np.float64]]] = []
        self._has_labels = False
        self.is_used = False
        """Whether there are rows."""

    def _add_feature(self, name: str) -> int:
        choice = self._choice
        self._columns.append(
            FeatureColumn(name, choice.declared.get(name), choice.max_categories, self._reader)
        )
        self._missing.append(0)
        self._infinite.append(0)
        return self._features.setdefault(name, len(self._features))

    def add(self, rows: LongCells) -> None:
        """Take rows.

        Raises:
            InputFileError: At the first cell that does not fit its feature's kind.
        """
        self.is_used = True
        self._has_labels |= rows.has_labels
        of_feature: dict[str, list[int]] = {}
        for row, name in enumerate(rows.names):
            of_feature.setdefault(name, []).append(row)
        codes = [self._series.setdefault(key, len(self._series)) for key in rows.series]
        for name, chosen in of_feature.items():
            feature = self._features.get(name)
            if feature is None and (self._choice.features or name in self._choice.drop):
                self._others[name] = None
                continue
            if feature is None:
                feature = self._add_feature(name)
            at = np.array(chosen)
            cells = [rows.cells[row] for row in chosen]
            parsed = self._columns[feature].read(rows.path, rows.lines[at], cells)
            self._missing[feature] += parsed.n_missing
            self._infinite[feature] += parsed.n_infinite
            head = np.stack(
                [
                    rows.times[at],
                    np.array(codes, dtype=np.int64)[at],
                    np.full(len(at), feature),
                    np.full(len(at), rows.file_number),
                    rows.lines[at],
                    rows.labels[at].astype(np.int64),
                ]
            )
            self._parts.append((head, parsed.values))

    def finish(self, paths: Sequence[Path]) -> WholeReadings:
        """Return the readings.

        Raises:
            InputFileError: If no row names a feature that is wanted.
        """
        if not self._parts:
            others = ", ".join([*self._others][:10])
            raise InputFileError(
                f"{', '.join(map(str, paths))}: no row of a feature; found the names {others}, "
                f"expected {', '.join(self._features)}: --name-column tells the column of the name"
            )
        heads = np.concatenate([head for head, _ in self._parts], axis=1)
        values = np.concatenate([values for _, values in self._parts])
        # Of rows of one reading and feature the later one counts, so theirs is the order of files.
        order = np.lexsort((heads[4], heads[3], heads[1], heads[0]))
        times, series, features, files, lines, labels = heads[:, order]
        values = values[order]
        is_first = np.ones(len(times), dtype=bool)
        is_first[1:] = (times[1:] != times[:-1]) | (series[1:] != series[:-1])
        firsts = np.flatnonzero(is_first)
        names = [*self._series]
        observed = ~np.isnan(values)  # a missing value replaces nothing
        readings = np.cumsum(is_first) - 1
        return WholeReadings(
            feature_names=tuple(self._features),
            columns=self._columns,
            other_names=tuple(self._others),
            times=times[firsts],
            series=[names[code] for code in series[firsts].tolist()],
            labels=np.maximum.reduceat(labels, firsts).astype(np.int8),
            has_labels=self._has_labels,
            file_numbers=files[firsts].astype(np.int32),
            lines=lines[firsts],
            missing=np.array(self._missing, dtype=np.int64),
            infinite=np.array(self._infinite, dtype=np.int64),
            _readings=readings[observed],
            _features=features[observed],
            _values=values[observed],
        )
