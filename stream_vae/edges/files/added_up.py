"""Counts of single lines to counts of steps: a history of logs as readings on the step grid."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from stream_vae.core.model_spec import Feature
from stream_vae.core.readings import ReadingBatch
from stream_vae.core.time_grid import nearest_steps
from stream_vae.edges.files.csv_readings import MAX_CELLS, CsvReadings
from stream_vae.errors import InputFileError

_COMPACT_AT = 64
"""Batches whose steps are added up together."""


def add_up(
    batches: Iterable[ReadingBatch],
    features: Sequence[Feature],
    *,
    step_ns: int,
    bridged: int,
    paths: Sequence[Path],
) -> CsvReadings:
    """Return the counts of each series' steps, in order of series and time.

    A series' lines begin and end within a step. Those two have some of their lines alone, and are
    left out: few lines are rare where there is a beat, and would be taken for its usual.

    Args:
        batches: Readings of F counts each; any number of a step.
        features: F
        step_ns: Width of a step, nanoseconds.
        bridged: Steps without a reading, in a row, that are zero; more are missing.
        paths: Where they are from, for messages.

    Raises:
        InputFileError: If there is no reading, or there are more than `MAX_CELLS` counts.
    """
    table = _Table(len(features), step_ns)
    for batch in batches:
        table.add(batch)
    if not table.series:
        raise InputFileError(f"{', '.join(map(str, paths))}: no line that counts")
    codes, steps, values = _bridge(*_uncut(*table.whole()), bridged=bridged)
    n = len(codes)
    return CsvReadings(
        features=tuple(features),
        times=steps * step_ns,
        series=[table.series[code] for code in codes.tolist()],
        values=values,
        labels=None,
        paths=tuple(paths),
        file_numbers=np.zeros(n, np.int32),
        lines=np.arange(1, n + 1),
        missing_cells=np.zeros(len(features), np.int64),
        infinite_cells=np.zeros(len(features), np.int64),
        ignored_columns=(),
    )


class _Table:
    """Sums by series and step."""

    def __init__(self, n_features: int, step_ns: int) -> None:
        self.series: list[str] = []
        self._codes: dict[str, int] = {}
        self._step_ns = step_ns
        self._n_features = n_features
        self._parts: list[tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]] = []

    def add(self, batch: ReadingBatch) -> None:
        """Add some readings."""
        for key in batch.series:
            if key not in self._codes:
                self._codes[key] = len(self.series)
                self.series.append(key)
        codes = np.array([self._codes[key] for key in batch.series], np.int64)
        steps = nearest_steps(batch.times, self._step_ns)
        self._parts.append(_sums(codes, steps, batch.values))
        if len(self._parts) >= _COMPACT_AT:
            self._parts = [self.whole()]

    def whole(self) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
        """Return (S,) series, (S,) steps and (S, F) sums, sorted by series and step.

        Raises:
            InputFileError: If there are too many.
        """
        codes, steps, values = (np.concatenate(parts) for parts in zip(*self._parts, strict=True))
        found = _sums(codes, steps, values)
        if found[2].size > MAX_CELLS:
            raise InputFileError(
                f"more than {MAX_CELLS:,} counts so far, in {len(found[0]):,} steps of "
                f"{len(self.series):,} series; expected fewer series, or a longer --step-seconds"
            )
        return found


def _sums(
    codes: NDArray[np.int64], steps: NDArray[np.int64], values: NDArray[np.float64]
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    order = np.lexsort((steps, codes))
    codes, steps, values = codes[order], steps[order], values[order]
    is_first = np.ones(len(codes), np.bool_)
    is_first[1:] = (codes[1:] != codes[:-1]) | (steps[1:] != steps[:-1])
    starts = np.flatnonzero(is_first)
    return codes[starts], steps[starts], np.add.reduceat(values, starts, axis=0)


def _uncut(
    codes: NDArray[np.int64], steps: NDArray[np.int64], values: NDArray[np.float64]
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    """Leave out each series' first and last step, unless it has no others."""
    n_steps = np.bincount(codes)[codes]
    is_end = np.ones(len(codes), np.bool_)
    is_end[1:-1] = (codes[1:-1] != codes[:-2]) | (codes[1:-1] != codes[2:])
    is_kept = ~is_end | (n_steps <= 2)
    return codes[is_kept], steps[is_kept], values[is_kept]


def _bridge(
    codes: NDArray[np.int64], steps: NDArray[np.int64], values: NDArray[np.float64], *, bridged: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    """Add the steps of no reading that are zero."""
    follows = codes[1:] == codes[:-1]
    lacking = np.where(follows, steps[1:] - steps[:-1] - 1, 0)
    lacking = np.where(lacking <= bridged, lacking, 0)
    place = np.arange(len(codes))
    place[1:] += np.cumsum(lacking)
    n = len(codes) + int(lacking.sum())
    source = np.searchsorted(place, np.arange(n), side="right") - 1
    whole = np.zeros((n, values.shape[1]))
    whole[place] = values
    return codes[source], steps[source] + np.arange(n) - place[source], whole
