"""The longest gaps between arrivals that are usual for a series."""

import numpy as np
from numpy.typing import NDArray

from stream_vae.core.columns import Columns

GAPS_ALLOWED = 2.5
"""Usual longest gaps that a series may be without a reading: one of its uploads may fail."""

_HALF_LIFE_NS = 14 * 86_400 * 10**9
_NOTED = 3  # gaps; one outage, or two, is not usual
_LONGER = 1.1  # a gap hardly longer than those noted changes nothing, as most do
_FIRST_STEPS = 16

ROW = np.dtype([("since", "<i8"), ("at", "<i8"), ("longest", "<f4", (_NOTED,))])
"""The gaps of a series.

since: arrival of its first reading, nanoseconds since 1970, 0 = not known; at: arrival as of which
the gaps are noted; longest: the longest ones, ascending, in seconds, forgotten by half in two
weeks, 0 = none.
"""


class UsualGaps:
    """Notes the longest gaps between arrivals, so that a series may send hours of readings at once.

    What arrives within half a step is one arrival. The usual longest gap is the third longest that
    is not forgotten: what comes once or twice in weeks is an outage.

    Args:
        capacity: Rows.
        step_s: Width of a step, seconds.
    """

    def __init__(self, capacity: int, step_s: float) -> None:
        self.state = Columns(np.zeros((), ROW), capacity)
        self._since: NDArray[np.int64] = self.state["since"]
        self._at: NDArray[np.int64] = self.state["at"]
        self._longest: NDArray[np.float32] = self.state["longest"]
        self._shortest_s = step_s / 2
        self._first_ns = round(_FIRST_STEPS * step_s * 1e9)

    def begin(self, rows: NDArray[np.int32], arrivals: NDArray[np.int64]) -> None:
        """Note when the first readings of series arrived.

        Args:
            rows: (K,)
            arrivals: (K,) nanoseconds since 1970.
        """
        self._since[rows] = arrivals

    def see(
        self, rows: NDArray[np.int32], before: NDArray[np.int64], arrivals: NDArray[np.int64]
    ) -> None:
        """Note the gaps before readings.

        Args:
            rows: (N,) ascending; those of one series in arrival order.
            before: (N,) arrival of the series' reading before each, nanoseconds since 1970.
            arrivals: (N,) of each.
        """
        gaps = (arrivals - before) / 1e9
        at = np.flatnonzero(gaps >= self._shortest_s)
        known = self._longest[rows[at], 0] * _left(arrivals[at] - self._at[rows[at]])
        at = at[gaps[at] > _LONGER * known]
        if not len(at):
            return
        starts = np.flatnonzero(np.diff(rows[at], prepend=-1))
        series = rows[at[starts]]
        ends = np.append(starts[1:], len(at)) - 1
        newest = np.repeat(arrivals[at[ends]], np.diff(starts, append=len(at)))
        found = gaps[at] * _left(newest - arrivals[at])
        noted = self._longest[series] * _left(newest[starts] - self._at[series])[:, None]
        # The longest of all, of each series: sorted by it, and cut off from behind.
        everything = np.concatenate((noted.ravel(), found))
        owner = np.concatenate((np.repeat(series, _NOTED), rows[at]))
        order = np.lexsort((everything, owner))
        last = np.searchsorted(owner[order], series, side="right")
        self._longest[series] = everything[order][last[:, None] - np.arange(_NOTED, 0, -1)]
        self._at[series] = newest[starts]

    def usual_s(self, rows: NDArray[np.int32]) -> NDArray[np.float64]:
        """Return (K,) the usual longest gap of series, seconds; 0 where none is known.

        It is the shortest of those noted while there are fewer than three.
        """
        longest = self._longest[rows].astype(np.float64)
        usual = np.where(longest > 0, longest, np.inf).min(axis=1, initial=np.inf)
        return np.where(np.isfinite(usual), usual, 0.0)

    def is_new(self, rows: NDArray[np.int32], arrived: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Return (K,) whether all readings of series came within a few steps: one upload, perhaps.

        Args:
            rows: (K,)
            arrived: (K,) arrival of their newest reading, nanoseconds since 1970.
        """
        since = self._since[rows]
        return np.asarray((since > 0) & (arrived - since < self._first_ns))

    def shift(self, rows: NDArray[np.int32], by_ns: int) -> None:
        """Shift arrival times after the clock has jumped."""
        for times in (self._since, self._at):
            times[rows] += np.where(times[rows] > 0, by_ns, 0)


def _left(passed_ns: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return which share of a gap is not forgotten after that time."""
    return np.asarray(np.exp2(-np.maximum(passed_ns, 0) / _HALF_LIFE_NS))
