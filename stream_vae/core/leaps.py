"""Leaps of a producer's clock: one wrong time must not stall its series.

A reading far ahead of its series would make all after it late. It is not used unless the time of
its record explains it, as after a pause, or the next reading of the series confirms it.
"""

import numpy as np
from numpy.typing import NDArray

from stream_vae.core.columns import Columns
from stream_vae.core.readings import ReadingBatch
from stream_vae.core.records import RecordBatch
from stream_vae.core.time_grid import NEVER
from stream_vae.core.windows import SeriesTable, WindowConfig

ROW = np.dtype([("step", "<i8")])
"""step: number of the last reading's step if that was a leap not yet confirmed; else NEVER."""


class LeapGuard:
    """Finds readings that leap ahead of their series.

    Args:
        windows: Know the newest step of each series.
        config: The grid; windows of one step are events, which have no order in time.
        capacity: Rows.
        longest: Steps ahead of the newest of its series up to which a reading is no leap; 0: none
            is.
    """

    def __init__(
        self, windows: SeriesTable, config: WindowConfig, capacity: int, longest: int
    ) -> None:
        initial: NDArray[np.void] = np.zeros((), ROW)
        initial["step"] = NEVER
        self._windows = windows
        self._config = config
        self._longest = longest if config.length > 1 else 0
        self.state = Columns(initial, capacity)
        self._leap: NDArray[np.int64] = self.state["step"]

    def find(
        self,
        rows: NDArray[np.int32],
        readings: ReadingBatch,
        index: NDArray[np.int64] | None = None,
        records: RecordBatch | None = None,
    ) -> NDArray[np.int64]:
        """Return the positions of readings that are not to be used, ascending.

        Args:
            rows: (N,) row of each reading's series, started before.
            readings: N, those of one series in arrival order.
            index: (N,) position of each reading's record; without, that of the reading.
            records: They are of. Without, as from a file, the next reading of the same batch
                confirms one unless it falls far behind it, and the last of a series is used.
        """
        if not self._longest or not len(rows):
            return np.empty(0, np.int64)
        steps = self._config.steps_of(readings.times)
        last = self._windows.last_steps(rows)
        is_known = last != NEVER
        ahead = steps - np.where(is_known, last, steps) > self._longest
        # A series that begins with this poll may leap within it.
        concerned = ahead | ~is_known | (self._leap[rows] != NEVER)
        if not concerned.any():
            return np.empty(0, np.int64)
        at = np.flatnonzero(np.isin(rows, rows[concerned]))
        at = at[np.argsort(rows[at], kind="stable")]
        explained = np.zeros(len(rows), np.bool_)
        if records is not None:
            stamps = records.timestamps[np.arange(len(rows)) if index is None else index]
            allowed_ns = self._longest * self._config.step_ns
            explained = (stamps > 0) & (readings.times - stamps <= allowed_ns)
        begin = np.flatnonzero(np.diff(rows[at], prepend=-1))
        found: list[int] = []
        for of_series in np.split(at, begin[1:]):
            row = int(rows[of_series[0]])
            taken, self._leap[row] = self._judge(
                steps[of_series].tolist(),
                explained[of_series].tolist(),
                int(last[of_series[0]]),
                int(self._leap[row]),
                waits=records is not None,
            )
            found += of_series[~np.array(taken)].tolist()
        return np.array(sorted(found), np.int64)

    def _judge(
        self, steps: list[int], explained: list[bool], newest: int, leap: int, *, waits: bool
    ) -> tuple[list[bool], int]:
        """Return which readings of a series are used, and the leap that is not yet confirmed."""
        taken: list[bool] = []
        for position, step in enumerate(steps):
            is_near = newest == NEVER or step - newest <= self._longest
            is_confirmed = leap != NEVER and abs(step - leap) <= self._longest
            if not waits and not is_near:
                following = steps[position + 1 : position + 2]
                is_confirmed = not following or following[0] >= step - self._longest
            if is_near or explained[position] or is_confirmed:
                newest, leap = max(newest, step), NEVER
                taken.append(True)
            else:
                leap = step
                taken.append(False)
        return taken, leap
