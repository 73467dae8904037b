"""A poll's readings by series, and behind each series what is known of it, in columns."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stream_vae.core.time_grid import NEVER, nearest_steps

NO_PLACE = -1
"""In place of a position: there is none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SeriesOrder:
    """n readings sorted by series, in arrival order within."""

    at: NDArray[np.int64]  # (n,) position
    starts: NDArray[np.int64]  # (G,) first reading of each series
    group: NDArray[np.int64]  # (n,)
    series: NDArray[np.int32]  # (G,) row
    times: NDArray[np.int64]  # (n,)
    steps: NDArray[np.int64]  # (n,)
    step_ns: int
    is_ascending: bool  # each is of a later step of its series than the one before

    @classmethod
    def of(cls, rows: NDArray[np.int32], times: NDArray[np.int64], step_ns: int) -> "SeriesOrder":
        """Return readings, one or more, in that order."""
        at = np.argsort(rows, kind="stable")
        rows, times = rows[at], times[at]
        starts = np.flatnonzero(np.diff(rows, prepend=-1))
        steps = nearest_steps(times, step_ns)
        ascends = np.diff(steps) > 0
        ascends[starts[1:] - 1] = True
        return cls(
            at=at,
            starts=starts,
            group=np.repeat(np.arange(len(starts)), np.diff(starts, append=len(rows))),
            series=rows[starts],
            times=times,
            steps=steps,
            step_ns=step_ns,
            is_ascending=bool(ascends.all()),
        )

    def steps_of(self, times: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the step of each time."""
        return nearest_steps(times, self.step_ns)

    @property
    def ends(self) -> NDArray[np.int64]:
        """The last reading of each series, (G,)."""
        return np.append(self.starts[1:], len(self.at)) - 1

    def missed(self, last: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return (n,) steps between each reading and the newest step of its series before it.

        Args:
            last: (G,) the newest steps before all of them; NEVER: there are none.
        """
        low = min(int(self.steps.min()), int(last[last != NEVER].min(initial=self.steps.min())))
        seed = np.where(last == NEVER, self.steps[self.starts] - 1, last) - low + 1
        lift = self.group * (int(max(self.steps.max() - low + 1, seed.max())) + 1)
        lifted = self.steps - low + 1 + lift
        lifted[self.starts] = np.maximum(lifted[self.starts], seed + lift[self.starts])
        before = np.empty_like(lifted)
        before[1:] = np.maximum.accumulate(lifted)[:-1]
        before[self.starts] = seed + lift[self.starts]
        missed: NDArray[np.int64] = np.maximum(self.steps - low + lift - before, 0)
        return missed


@dataclass(frozen=True, slots=True, kw_only=True)
class SeriesLine:
    """What is known of G series and their n readings, one after the other: L rows of C features."""

    at: NDArray[np.int64]  # (L, 1) position
    begin: NDArray[np.int64]  # (G,) where each series begins
    group: NDArray[np.int64]  # (L, 1)
    readings: NDArray[np.int64]  # (n,) where the readings stand
    step: NDArray[np.int64]  # (L, C) number of its step, from 1; 0 = there is no value
    step_of_readings: NDArray[np.int64]  # (n, 1) whether there is a value or not
    time: NDArray[np.int64]  # (L, C)
    value: NDArray[np.float64]  # (L, C)
    lift: int  # above all steps

    @classmethod
    def of(
        cls,
        order: SeriesOrder,
        values: NDArray[np.float64],
        known: Sequence[tuple[NDArray[np.int64], NDArray[np.float64]]],
    ) -> "SeriesLine":
        """Return the line of readings behind what is known.

        Args:
            order: Of the n readings.
            values: (n, C) sorted.
            known: (G, C) times and values, oldest first; NaN = none.
        """
        k, n_groups = len(known), len(order.starts)
        length = len(values) + k * n_groups
        begin = order.starts + k * np.arange(n_groups)
        readings = np.arange(len(values)) + k * (order.group + 1)
        time = np.empty((length, values.shape[1]), np.int64)
        value = np.empty((length, values.shape[1]))
        time[readings], value[readings] = order.times[:, None], values
        for nth, (times, found) in enumerate(known):
            time[begin + nth], value[begin + nth] = times, found
        has_value = ~np.isnan(value)
        step = np.empty((length, values.shape[1]), np.int64)
        step[readings] = order.steps[:, None]
        for nth, (times, _) in enumerate(known):
            step[begin + nth] = order.steps_of(times)
        low = min(int(order.steps.min()), int(step.min(where=has_value, initial=order.steps.max())))
        step = np.where(has_value, step - low + 1, 0)
        group = np.zeros(length, np.int64)
        group[begin[1:]] = 1
        of_readings = order.steps[:, None] - low + 1
        return cls(
            at=np.arange(length)[:, None],
            begin=begin,
            group=np.cumsum(group)[:, None],
            readings=readings,
            step=step,
            step_of_readings=of_readings,
            time=time,
            value=value,
            lift=max(int(step.max()), int(of_readings.max())) + 1,
        )

    @property
    def has_value(self) -> NDArray[np.bool_]:
        """Whether there is a value, (L, C)."""
        return self.step > 0

    def running(self, of: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return (L, C) the greatest so far, of each series; 0 before the first."""
        # An offset per series, above all of the one before, lets one pass serve all.
        lift = self.group * self.lift
        return np.maximum.accumulate(of + lift, axis=0) - lift

    def running_at(self, chosen: NDArray[np.bool_]) -> NDArray[np.int64]:
        """Return (L, C) where the last that is chosen stands, of each series; -1: there is none."""
        found = np.maximum.accumulate(np.where(chosen, self.at, NO_PLACE), axis=0)
        return np.where(found >= self.begin[self.group], found, NO_PLACE)

    def before(self, of: NDArray[np.int64], nothing: int) -> NDArray[np.int64]:
        """Return (L, C) what stands before each, of its series."""
        found = np.empty_like(of)
        found[1:] = of[:-1]
        found[self.begin] = nothing
        return found

    def taken(self, of: NDArray[np.int64], at: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return (L, C) what stands at positions; -1 where these are."""
        return np.where(at < 0, NO_PLACE, np.take_along_axis(of, np.maximum(at, 0), axis=0))

    def of_readings(self, at: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Return (n, C) times and values at the positions that readings have; NaN: no position."""
        return self._found(at[self.readings])

    def at_ends(self, at: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Return (G, C) times and values at the positions that the ends of the series have."""
        return self._found(at[np.append(self.begin[1:], len(self.at)) - 1])

    def _found(self, at: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        place = np.maximum(at, 0)
        times = np.where(at < 0, 0, np.take_along_axis(self.time, place, axis=0))
        return times, np.where(at < 0, np.nan, np.take_along_axis(self.value, place, axis=0))
