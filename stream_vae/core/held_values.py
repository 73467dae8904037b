"""Values that stand until the next one comes, over any order of readings and any cut into polls."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stream_vae.core.columns import Columns
from stream_vae.core.series_lines import NO_PLACE, SeriesLine, SeriesOrder


@dataclass(frozen=True, slots=True, kw_only=True)
class Gaps:
    """Steps that no reading made."""

    after: NDArray[np.int64]  # (K,) position of the given reading that comes after each
    times: NDArray[np.int64]  # (K,)
    values: NDArray[np.float64]  # (K, H)


class HeldValues:
    """Shows the last value of H features where none comes, also in steps that no reading makes.

    Args:
        hold_ns: (H,) how long each value stands, nanoseconds.
        max_gap: Steps in a row without a reading that are filled; none of a longer gap is.
        last_steps: Returns the number of the newest step of series, NEVER where there is none.
    """

    def __init__(
        self,
        hold_ns: NDArray[np.int64],
        max_gap: int,
        last_steps: Callable[[NDArray[np.int32]], NDArray[np.int64]],
    ) -> None:
        self._hold_ns = hold_ns
        self._max_gap = max_gap
        self._last_steps = last_steps

    def __len__(self) -> int:
        return len(self._hold_ns)

    def state_fields(self) -> list[tuple[str, str, tuple[int]]]:
        """Return what is kept of a series: the newest value of each feature, and its time."""
        return [("held_time", "<i8", (len(self),)), ("held", "<f8", (len(self),))]

    def apply(
        self, state: Columns, order: SeriesOrder, values: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], Gaps | None]:
        """Return (n, H) values with what is held in place of none, and the steps between.

        Args:
            state: What is known of series; it is kept.
            order: Of the n readings.
            values: (n, H) of the features that are held, sorted.
        """
        times, held = state["held_time"], state["held"]
        series = order.series
        missed = order.missed(self._last_steps(series))
        missed[missed > self._max_gap] = 0
        later = order.steps[order.starts, None] > order.steps_of(times[series])
        later |= np.isnan(held[series])
        if order.is_ascending and later.all() and not missed.any() and not np.isnan(values).any():
            times[series], held[series] = order.times[order.ends, None], values[order.ends]
            return values, None
        line = SeriesLine.of(order, values, [(times[series], held[series])])
        newest = line.running(line.step)
        newest_before = line.before(newest, 0)
        holder = line.running_at(line.has_value & (line.step >= newest_before))
        times[series], held[series] = line.at_ends(holder)
        since, value = line.of_readings(holder)
        is_known = newest[line.readings] <= line.step_of_readings
        is_known &= order.times[:, None] - since <= self._hold_ns
        filled = np.where(np.isnan(values) & is_known, value, values)
        return filled, self._gaps(order, missed, line, line.before(holder, NO_PLACE))

    def _gaps(
        self,
        order: SeriesOrder,
        missed: NDArray[np.int64],
        line: SeriesLine,
        holder: NDArray[np.int64],
    ) -> Gaps | None:
        """Return the steps between readings that show a held value.

        Args:
            order: Of the n readings.
            missed: (n,) steps before each to be filled.
            line: Of their held features.
            holder: Where on it stands what was held before each reading.
        """
        after = np.repeat(np.arange(len(missed)), missed)
        if not len(after):
            return None
        back = np.cumsum(missed)[after] - np.arange(len(after))
        grid = (order.steps[after] - back) * order.step_ns
        since, held = line.of_readings(holder)
        is_known = grid[:, None] - since[after] <= self._hold_ns
        value = np.where(is_known, held[after], np.nan)
        shown = ~np.isnan(value).all(axis=1)
        if not shown.any():
            return None
        return Gaps(after=order.at[after[shown]], times=grid[shown], values=value[shown])
