"""Values beyond all that a series has had so far."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from stream_vae.core.columns import Columns

FIRST_READINGS = 200
"""Readings that a range is learnt from before anything lies beyond it."""


class ValueRange:
    """The running range of each series' features, which a value leaves by a margin.

    A value far outside of everything before it is unusual whatever the model says of it: a window
    scaled and clipped may hide how far. A value that left the range is in it from then on.

    Args:
        margin: Share of the range by which a value must lie outside.
        scale: (F,) standard deviations of the training data: the margin of a series that hardly
            moved is a share of them. NaN: a feature without a range, such as a category.
        capacity: Series; memory is used only for those that were ever started.
    """

    def __init__(self, margin: float, scale: NDArray[np.float64], capacity: int) -> None:
        self._margin = margin
        self._scale = scale
        shape = scale.shape
        fields = [("low", "<f8", shape), ("high", "<f8", shape), ("readings", "<i8")]
        begun: NDArray[np.void] = np.zeros((), np.dtype(fields))
        begun["low"] = begun["high"] = np.nan
        self.state = Columns(begun, capacity)
        """One row per series."""
        self._low: NDArray[np.float64] = self.state["low"]  # (S, F)
        self._high: NDArray[np.float64] = self.state["high"]  # (S, F)
        self._readings: NDArray[np.int64] = self.state["readings"]  # (S,) revisions left out

    @property
    def method(self) -> str:
        """Description of the rule, for alert events."""
        return f"a value beyond the range so far by {self._margin * 100:g} %"

    def leaves(
        self, rows: NDArray[np.int32], values: NDArray[np.float64], revises: NDArray[np.bool_]
    ) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
        """Return which of B readings leave their series' range, and learn from all.

        Args:
            rows: (B,) series; equal ones are adjacent, in arrival order.
            values: (B, F) of the readings, input units; NaN = not observed.
            revises: (B,) the reading replaces the one before it and does not count anew.

        Returns:
            (B,) whether it does, and (B,) the probability of a new record: that of n + 1
            exchangeable values the last is the largest or the smallest.
        """
        if not len(rows):
            return np.empty(0, np.bool_), np.empty(0)
        starts = np.flatnonzero(np.diff(rows, prepend=-1))
        sizes = np.diff(starts, append=len(rows))
        group = np.repeat(np.arange(len(starts)), sizes)
        at = np.arange(len(rows)) + group  # before each reading; every series adds what it knew
        low = _running(self._low[rows[starts]], values, sizes, np.fmin)
        high = _running(self._high[rows[starts]], values, sizes, np.fmax)
        kept: NDArray[np.int64] = np.cumsum(~revises, dtype=np.int64)
        kept -= (kept[starts] - ~revises[starts])[group]
        n = self._readings[rows] + kept - ~revises
        with np.errstate(over="ignore"):  # nothing lies beyond an infinite range
            margin = self._margin * np.maximum(high[at] - low[at], self._scale)
            outside = (values > high[at] + margin) | (values < low[at] - margin)  # NaN: neither
        ends = starts + sizes - 1
        self._low[rows[starts]], self._high[rows[starts]] = low[at[ends] + 1], high[at[ends] + 1]
        self._readings[rows[starts]] += kept[ends]
        return outside.any(axis=1) & (n >= FIRST_READINGS), 2 / (n + 1)


def _running(
    known: NDArray[np.float64],
    values: NDArray[np.float64],
    sizes: NDArray[np.int64],
    extreme: Callable[[NDArray[np.float64], NDArray[np.float64]], NDArray[np.float64]],
) -> NDArray[np.float64]:
    """Return (G + B, F) running extremes of G series, of each what was known and then its values.

    Args:
        known: (G, F)
        values: (B, F) those of one series adjacent.
        sizes: (G,) values of each series.
        extreme: Of two values; of one, if the other is NaN.
    """
    group = np.repeat(np.arange(len(sizes)), sizes + 1)
    is_first = np.diff(group, prepend=-1) > 0
    line = np.empty((len(group), values.shape[1]))
    line[is_first], line[~is_first] = known, values
    reach = 1  # how many values the extremes are of: doubled until they are of all
    while reach <= sizes.max():
        same = (group[reach:] == group[:-reach])[:, None]
        line[reach:] = np.where(same, extreme(line[reach:], line[:-reach]), line[reach:])
        reach *= 2
    return line
