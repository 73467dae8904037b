"""The newest score of each series, and which are farthest above their threshold."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stream_vae.core.series_index import SeriesIndex, SeriesName


@dataclass(frozen=True, slots=True, kw_only=True)
class RankedSeries:
    """A series with its newest verdict."""

    name: SeriesName
    score: float
    threshold: float
    at: int
    """Time of its newest step that was judged, nanoseconds since 1970."""

    @property
    def is_above(self) -> bool:
        """Whether its newest verdict was above the threshold."""
        return self.score > self.threshold


class Ranking:
    """Columns beside the index of the series; memory is used only for rows that were judged.

    Args:
        index: Of the series.
    """

    def __init__(self, index: SeriesIndex) -> None:
        self._index = index
        self._score: NDArray[np.float64] = np.zeros(index.capacity)
        self._threshold: NDArray[np.float64] = np.zeros(index.capacity)
        self._at: NDArray[np.int64] = np.zeros(index.capacity, np.int64)
        self._generation: NDArray[np.int32] = np.zeros(index.capacity, np.int32)

    def observe(
        self,
        rows: NDArray[np.int32],
        score: NDArray[np.float64],
        threshold: NDArray[np.float64],
        times: NDArray[np.int64],
    ) -> None:
        """Take note of B verdicts; of several of one series the last counts.

        Args:
            rows: (B,) of the series.
            score: (B,)
            threshold: (B,)
            times: (B,) nanoseconds since 1970.
        """
        self._score[rows] = score
        self._threshold[rows] = threshold
        self._at[rows] = times
        self._generation[rows] = self._index.generation[rows]

    def top(self, most: int) -> list[RankedSeries]:
        """Return the series whose scores are highest above their thresholds, highest first."""
        n = self._index.n_rows
        below = self._threshold[:n] - self._score[:n]
        below[~self._is_current(slice(0, n))] = np.inf
        highest = np.arange(n) if n <= most else np.argpartition(below, most)[:most]
        order = highest[np.lexsort((highest, below[highest]))]
        return [self._of(row) for row in order.tolist() if below[row] < np.inf]

    def newest(self) -> int | None:
        """Return the time of the newest step that was judged, of any series that is known."""
        is_current = self._is_current(slice(0, self._index.n_rows))
        times = self._at[: self._index.n_rows][is_current]
        return int(times.max()) if len(times) else None

    def find(self, row: int) -> RankedSeries | None:
        """Return a series, or None if it was not judged yet; any thread may ask."""
        try:
            return self._of(row) if self._is_current(slice(row, row + 1))[0] else None
        except KeyError:  # the loop has just released it
            return None

    def _is_current(self, rows: slice) -> NDArray[np.bool_]:
        """Return whether rows were judged since their series began, and are still in use."""
        generation = self._generation[rows]
        is_same = generation == self._index.generation[rows]
        return np.asarray((generation > 0) & is_same)

    def _of(self, row: int) -> RankedSeries:
        return RankedSeries(
            name=self._index.name(row),
            score=float(self._score[row]),
            threshold=float(self._threshold[row]),
            at=int(self._at[row]),
        )
