"""How counters change from step to step, over any order of readings and any cut into polls."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stream_vae.core.columns import Columns
from stream_vae.core.series_lines import NO_PLACE, SeriesLine, SeriesOrder

FIRST_VALUE, COUNTER_RESET = "first_value", "counter_reset"
"""Reasons that belong to every counter."""

REASONS = (
    (FIRST_VALUE, "the first value of its series: there is none before it to compare it with"),
    (COUNTER_RESET, "less than the value of the step before: the counter began anew"),
    ("out_of_order", "not of a later step than the value that it would be compared with"),
)
"""Why a value has no change: reason and detail, by number."""
GIVEN = -1
"""In place of the number of a reason: there is none."""
_FIRST, _RESET, _OUT_OF_ORDER = range(len(REASONS))


class CounterChanges:
    """How much C counters rose since the step before, or that divided by the seconds between.

    Args:
        is_rate: (C,) whether it is divided.
    """

    def __init__(self, is_rate: NDArray[np.bool_]) -> None:
        self._is_rate = is_rate

    def __len__(self) -> int:
        return len(self._is_rate)

    def state_fields(self) -> list[tuple[str, str, tuple[int]]]:
        """Return what is kept of a series.

        time, value: the last value of the newest step with one, of each counter; base_time, base:
        of the step before it.
        """
        kinds = (("base_time", "<i8"), ("base", "<f8"), ("time", "<i8"), ("value", "<f8"))
        return [(name, kind, (len(self),)) for name, kind in kinds]

    def apply(
        self, state: Columns, order: SeriesOrder, values: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.int8]]:
        """Return (n, C) how counters changed, and why some did not; keep the state.

        Args:
            state: What is known of series; it is kept.
            order: Of the n readings.
            values: (n, C) of the counters, sorted.
        """
        before_poll = _Counters.of(state, order.series)
        known = order.steps_of(before_poll.time)
        later = (order.steps[order.starts, None] > known) | np.isnan(before_poll.value)
        if order.is_ascending and later.all() and not np.isnan(values).any():
            before, after = _in_order(order, values, before_poll)
        else:
            before, after = _in_any_order(order, values, before_poll)
        after.keep(state, order.series)
        why = np.full(values.shape, GIVEN, np.int8)
        why[np.isnan(before.value)] = _FIRST
        why[(values < before.value) & (values >= 0)] = _RESET
        if before.is_older is not None:
            why[before.is_older] = _OUT_OF_ORDER
        why[np.isnan(values)] = GIVEN
        with np.errstate(over="ignore"):
            change = values - before.value
        if self._is_rate.any():
            seconds = (order.times[:, None] - before.time) / 1e9
            np.divide(change, seconds, out=change, where=self._is_rate & (why == GIVEN))
        change[why != GIVEN] = np.nan
        return change, why


@dataclass(frozen=True, slots=True)
class _Counters:
    """What is known of the counters of G series."""

    base_time: NDArray[np.int64]  # (G, C)
    base: NDArray[np.float64]  # (G, C)
    time: NDArray[np.int64]  # (G, C)
    value: NDArray[np.float64]  # (G, C)

    @classmethod
    def of(cls, state: Columns, series: NDArray[np.int32]) -> "_Counters":
        """Return that of some series."""
        names = ("base_time", "base", "time", "value")
        return cls(*(state[name][series] for name in names))

    def keep(self, state: Columns, series: NDArray[np.int32]) -> None:
        """Put it in its place."""
        for name in ("base_time", "base", "time", "value"):
            state[name][series] = getattr(self, name)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Before:
    """What each of n values is compared with."""

    value: NDArray[np.float64]  # (n, C) NaN = there is none
    time: NDArray[np.int64]  # (n, C)
    is_older: NDArray[np.bool_] | None  # (n, C) the value is older; None: none is


def _in_any_order(
    order: SeriesOrder, values: NDArray[np.float64], state: _Counters
) -> tuple[_Before, _Counters]:
    """Return what each value is compared with, and the state after them.

    The two newest steps with a value are followed for each series and counter. What is known of
    a series stands before its readings, as if it had come in the same poll.
    """
    line = SeriesLine.of(
        order,
        values,
        [(state.base_time, state.base), (state.time, state.value)],
    )
    newest = line.running(line.step)
    newest_before = line.before(newest, 0)
    begins = line.step > newest_before
    is_late = line.has_value & (line.step < newest_before)
    current = line.running_at(line.has_value & ~is_late)
    # The second newest step is the newest one when a newer begins, or that of a late value.
    second = np.where(begins, newest_before, np.where(is_late, line.step, 0))
    second_newest = line.running(second)
    second_before = line.before(second_newest, 0)
    rises = second > second_before
    holder = np.where(begins, line.before(current, NO_PLACE), line.at)
    base = line.taken(holder, line.running_at(rises))
    is_older = is_late & (line.step <= second_before)
    compared = np.where(is_late, line.before(base, NO_PLACE), base)
    before = line.of_readings(compared)
    return (
        _Before(value=before[1], time=before[0], is_older=is_older[line.readings]),
        _Counters(*line.at_ends(base), *line.at_ends(current)),
    )


def _in_order(
    order: SeriesOrder, values: NDArray[np.float64], state: _Counters
) -> tuple[_Before, _Counters]:
    """Return the same as for any order, where each value is there and of a later step."""
    before, time = np.empty_like(values), np.empty(values.shape, np.int64)
    before[1:], time[1:] = values[:-1], order.times[:-1, None]
    before[order.starts], time[order.starts] = state.value, state.time
    ends = order.ends
    times = np.repeat(order.times[ends, None], values.shape[1], axis=1)
    # Of a first value there is none before it, whose time is 0.
    after = _Counters(time[ends], before[ends], times, values[ends])
    return _Before(value=before, time=time, is_older=None), after
