"""The newest steps of a few series, with what was expected of them: rings of a fixed size."""

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stream_vae.core.series_index import SeriesIndex
from stream_vae.page.bounds import CELLS, HISTORIES, LEAST_STEPS, STEPS

ACTUAL, EXPECTED, STD, DEVIATION = range(4)
"""Places of the values of a step."""

_NONE = -1


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgedSteps:
    """B steps, those of one series in the order in which they were judged."""

    times: NDArray[np.int64]
    """(B,) nanoseconds since 1970."""
    score: NDArray[np.float64]
    """(B,) NaN where the step was not scored by itself."""
    threshold: NDArray[np.float64]
    """(B,)"""
    values: NDArray[np.float64]
    """(4, B, F) actual, expected, its standard deviation, and the distance of both in these; input
    units, NaN where it is not known."""

    def __len__(self) -> int:
        return len(self.times)


@dataclass(frozen=True, slots=True, kw_only=True)
class SeriesSteps:
    """The newest steps of one series, copied, oldest first.

    A step that is judged anew is there again.
    """

    life: int
    """Another one: these are not the steps of before and some more."""
    total: int
    """Steps in this life, those no longer kept too."""
    steps: JudgedSteps
    quiet: str = ""
    """Why the newest of them, above its threshold, has opened no incident."""


class StepHistories:
    """Rings of the newest steps of at most `HISTORIES` series.

    A series has a ring while it is wanted: watched, or with an open incident; while there is room,
    the first series to be judged have one too. Only a ring that is not wanted is given away.

    Args:
        index: Of the series.
        n_features: F
    """

    def __init__(self, index: SeriesIndex, n_features: int) -> None:
        self._index = index
        self.n_steps = int(np.clip(CELLS // max(n_features, 1), LEAST_STEPS, STEPS))
        """Kept of each series."""
        cells = HISTORIES * max(CELLS, STEPS)
        self.n_series = int(np.clip(cells // (self.n_steps * max(n_features, 1)), 1, HISTORIES))
        """Kept at a time."""
        shape = (self.n_series, self.n_steps)
        self._times: NDArray[np.int64] = np.zeros(shape, np.int64)
        self._scores: NDArray[np.float64] = np.zeros((2, *shape))
        self._values: NDArray[np.float64] = np.zeros((4, *shape, n_features))
        self._ring_of: NDArray[np.int16] = np.full(index.capacity, _NONE, np.int16)
        self._row: NDArray[np.int64] = np.full(self.n_series, _NONE)
        self._generation: NDArray[np.int32] = np.zeros(self.n_series, np.int32)
        self._total: NDArray[np.int64] = np.zeros(self.n_series, np.int64)
        self._life: NDArray[np.int64] = np.zeros(self.n_series, np.int64)
        self._used_at: NDArray[np.int64] = np.zeros(self.n_series, np.int64)
        self._n_observed = 0

    @property
    def nbytes(self) -> int:
        """Memory of the rings."""
        return self._times.nbytes + self._scores.nbytes + self._values.nbytes

    def kept(self, rows: NDArray[np.int32]) -> NDArray[np.int64]:
        """Return the positions of the rows that have a ring."""
        rings = self._ring_of[rows].astype(np.int64)
        is_kept = rings != _NONE
        is_kept[is_kept] = self._generation[rings[is_kept]] == self._index.generation[rows[is_kept]]
        return np.flatnonzero(is_kept)

    def keep(self, row: int, wanted: Collection[int]) -> bool:
        """Give a series a ring; return whether it is new to it.

        Args:
            row: Of the series.
            wanted: Rows whose rings are not given away.
        """
        if len(self.kept(np.array([row], np.int32))):
            self._used_at[self._ring_of[row]] = self._n_observed
            return False
        ring = self._free_ring(wanted)
        if ring is None:
            return False
        before = self._row[ring]
        if before != _NONE and self._ring_of[before] == ring:  # a later series may have its row
            self._ring_of[before] = _NONE
        self._ring_of[row] = ring
        self._row[ring] = row
        self._generation[ring] = self._index.generation[row]
        self._total[ring] = 0
        self._life[ring] += 1
        self._used_at[ring] = self._n_observed
        return True

    @property
    def has_room(self) -> bool:
        """Whether there is a ring without a series."""
        return bool((self._row == _NONE).any() or self._gone.any())

    @property
    def _gone(self) -> NDArray[np.bool_]:
        """(R,) whether the series of a ring is no longer known."""
        return np.asarray(self._index.generation[self._row] != self._generation)

    @property
    def rows(self) -> list[int]:
        """Rows that were given a ring."""
        return [row for row in self._row.tolist() if row != _NONE]

    def restart(self, row: int) -> bool:
        """Begin the ring of a series anew; return whether it has one."""
        if not len(self.kept(np.array([row], np.int32))):
            return False
        ring = int(self._ring_of[row])
        self._total[ring] = 0
        self._life[ring] += 1
        return True

    def add(self, rows: NDArray[np.int32], steps: JudgedSteps) -> None:
        """Add B steps of series that have a ring.

        Args:
            rows: (B,) of the series.
            steps: Their steps.
        """
        self._n_observed += 1
        rings = self._ring_of[rows].astype(np.int64)
        order = np.argsort(rings, kind="stable")
        rings = rings[order]
        starts = np.flatnonzero(np.diff(rings, prepend=-1))
        counts = np.diff(starts, append=len(rings))
        nth = np.arange(len(rings)) - np.repeat(starts, counts)
        left = np.repeat(counts, counts) - nth
        newest = left <= self.n_steps  # of more than a ring holds, the rest would be overwritten
        at = (self._total[rings] + nth) % self.n_steps
        ring, at, of = rings[newest], at[newest], order[newest]
        self._times[ring, at] = steps.times[of]
        self._scores[0, ring, at] = steps.score[of]
        self._scores[1, ring, at] = steps.threshold[of]
        self._values[:, ring, at] = steps.values[:, of]
        self._total[rings[starts]] += counts

    def copy(self, row: int) -> SeriesSteps | None:
        """Return the steps of a series, or None if it has no ring."""
        if not len(self.kept(np.array([row], np.int32))):
            return None
        ring = int(self._ring_of[row])
        total = int(self._total[ring])
        n = min(total, self.n_steps)
        at = np.arange(total - n, total) % self.n_steps
        return SeriesSteps(
            life=int(self._life[ring]) * self.n_series + ring,
            total=total,
            steps=JudgedSteps(
                times=self._times[ring, at],
                score=self._scores[0, ring, at],
                threshold=self._scores[1, ring, at],
                values=self._values[:, ring, at],
            ),
        )

    def total(self, row: int) -> tuple[int, int]:
        """Return life and number of steps of a series; (-1, 0) if it has no ring."""
        if not len(self.kept(np.array([row], np.int32))):
            return -1, 0
        ring = int(self._ring_of[row])
        return int(self._life[ring]) * self.n_series + ring, int(self._total[ring])

    def _free_ring(self, wanted: Collection[int]) -> int | None:
        """Return a ring without a series, or of the one that was used longest ago."""
        free = np.flatnonzero((self._row == _NONE) | self._gone)
        if len(free):
            return int(free[0])
        oldest = np.argsort(self._used_at, kind="stable").tolist()
        return next((ring for ring in oldest if int(self._row[ring]) not in wanted), None)
