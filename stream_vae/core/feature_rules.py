"""Rules of features, applied to readings in arrival order before they become steps.

Changes of counters and values that stand until the next one need to know what came before: that is
part of each series' state. The same readings give the same values however they are polled, and
those of a history in order of time give what they would give as a stream.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from stream_vae.core.columns import Columns
from stream_vae.core.feature_rule import FeatureRule
from stream_vae.core.model_spec import Feature
from stream_vae.core.readings import ReadingBatch
from stream_vae.core.windows import NEVER, WindowConfig

FIRST_VALUE, COUNTER_RESET = "first_value", "counter_reset"
"""Reasons that belong to every counter."""

_REASONS = (
    (FIRST_VALUE, "the first value of its series: there is none before it to compare it with"),
    (COUNTER_RESET, "less than the value of the step before: the counter began anew"),
    ("out_of_order", "not of a later step than the value that it would be compared with"),
    ("beyond_range", "its rule makes it more than a 64-bit float holds"),
)
_FIRST, _RESET, _OUT_OF_ORDER, _BEYOND = range(len(_REASONS))
_GIVEN = -1
_NONE = -1


@dataclass(frozen=True, slots=True, kw_only=True)
class MissingByRule:
    """Values of one feature that are missing by its rule, for one reason."""

    feature: str
    reason: str
    count: int
    at: int
    """Position of the first reading with one."""
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FilledSteps:
    """M readings, some of which are steps that no reading made: they show what is held."""

    source: NDArray[np.int64]
    """(M,) position of the given reading; of a step between, of the one that comes after it."""
    times: NDArray[np.int64]
    """(M,)"""
    is_filled: NDArray[np.bool_]
    """(M,)"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ruled:
    """Readings after the rules: those that were given, and steps between them."""

    values: NDArray[np.float64]
    """(M, F) NaN = not observed."""
    missing: tuple[MissingByRule, ...]
    """Positions are of the given readings."""
    filled: FilledSteps | None
    """None: there are no steps between."""

    def readings(self, given: ReadingBatch) -> ReadingBatch:
        """Return the M readings; a step between has all but time and values of the one after."""
        if self.filled is not None:
            given = replace(given.take(self.filled.source), times=self.filled.times)
        return replace(given, values=self.values)


class FeatureRules:
    """Applies the rules of a model's features.

    Args:
        features: F.
        config: The grid; gaps of more than `max_gap` steps are not filled.
        last_steps: Returns the number of the newest step of series, NEVER where there is none.
        capacity: Rows.
    """

    def __init__(
        self,
        features: Sequence[Feature],
        config: WindowConfig,
        last_steps: Callable[[NDArray[np.int32]], NDArray[np.int64]],
        capacity: int,
    ) -> None:
        rules = [feature.rule or FeatureRule() for feature in features]
        self._names = [feature.name for feature in features]
        self._config = config
        self._last_steps = last_steps
        self._scale = np.array([rule.scale for rule in rules])
        self._is_scaled = bool((self._scale != 1).any())
        self._changed = _where(rule.change is not None for rule in rules)
        self._is_rate = np.array([rules[f].change == "rate" for f in self._changed], np.bool_)
        self._held = _where(rule.hold_s > 0 for rule in rules)
        self._hold_ns = np.array([round(rules[f].hold_s * 1e9) for f in self._held], np.int64)
        self.state = Columns(_initial(len(self._changed), len(self._held)), capacity)

    @classmethod
    def of(
        cls,
        features: Sequence[Feature],
        config: WindowConfig,
        last_steps: Callable[[NDArray[np.int32]], NDArray[np.int64]],
        capacity: int,
    ) -> "FeatureRules | None":
        """Return the rules of features; None if there are none."""
        if not any(feature.rule for feature in features):
            return None
        return cls(features, config, last_steps, capacity)

    @classmethod
    def of_history(
        cls, features: Sequence[Feature], *, step_ns: int, max_gap: int, n_series: int
    ) -> "FeatureRules | None":
        """Return the rules of features over whole series, before which there was nothing.

        Args:
            features: F.
            step_ns: Width of the grid, nanoseconds.
            max_gap: Missing steps in a row that a held value bridges.
            n_series: In rows 0 to n_series - 1.
        """
        grid = WindowConfig(length=0, step_ns=step_ns, max_gap=max_gap, min_observed=0.0)
        rules = cls.of(features, grid, lambda rows: np.full(len(rows), NEVER), n_series)
        if rules is not None:
            rules.state.begin(np.arange(n_series, dtype=np.int32))
        return rules

    @property
    def has_state(self) -> bool:
        """Whether what came before matters."""
        return bool(len(self._changed) or len(self._held))

    def apply(
        self, rows: NDArray[np.int32], times: NDArray[np.int64], values: NDArray[np.float64]
    ) -> Ruled:
        """Return readings after the rules.

        Args:
            rows: (N,) row of each reading's series, started before.
            times: (N,) event time, nanoseconds since 1970; those of a series in arrival order.
            values: (N, F) as sent; NaN = not observed.
        """
        if not self.has_state or not len(rows):
            with np.errstate(over="ignore"):
                line = values * self._scale
            return Ruled(
                values=line, missing=tuple(self._beyond(line, np.arange(len(rows)))), filled=None
            )
        order = _Order.of(rows, times, self._config)
        line = values[order.at]
        missing: list[MissingByRule] = []
        if len(self._changed):
            line[:, self._changed], why = self._changes(order, line[:, self._changed])
            missing += self._tell(why, self._changed, order.at)
        if self._is_scaled:
            with np.errstate(over="ignore"):
                line *= self._scale
        missing += self._beyond(line, order.at)
        gaps = None
        if len(self._held):
            line[:, self._held], gaps = self._hold(order, line[:, self._held])
        ruled = np.empty_like(line)
        ruled[order.at] = line
        if gaps is None:
            return Ruled(values=ruled, missing=tuple(missing), filled=None)
        return self._with_gaps(ruled, times, tuple(missing), gaps)

    def _changes(
        self, order: "_Order", values: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.int8]]:
        """Return (n, C) how counters changed, and why some did not; keep the state.

        Args:
            order: Of the n readings.
            values: (n, C) of the counters, sorted.
        """
        state = _Counters.of(self.state, order.series)
        known = self._config.steps_of(state.time)
        later = (order.steps[order.starts, None] > known) | np.isnan(state.value)
        if order.is_ascending and later.all() and not np.isnan(values).any():
            before, state = _in_order(order, values, state)
        else:
            before, state = self._in_any_order(order, values, state)
        state.keep(self.state, order.series)
        why = np.full(values.shape, _GIVEN, np.int8)
        why[np.isnan(before.value)] = _FIRST
        why[(values < before.value) & (values >= 0)] = _RESET
        if before.is_older is not None:
            why[before.is_older] = _OUT_OF_ORDER
        why[np.isnan(values)] = _GIVEN
        with np.errstate(over="ignore"):
            change = values - before.value
        if self._is_rate.any():
            seconds = (order.times[:, None] - before.time) / 1e9
            np.divide(change, seconds, out=change, where=self._is_rate & (why == _GIVEN))
        change[why != _GIVEN] = np.nan
        return change, why

    def _in_any_order(
        self, order: "_Order", values: NDArray[np.float64], state: "_Counters"
    ) -> tuple["_Before", "_Counters"]:
        """Return what each value is compared with, and the state after them.

        The two newest steps with a value are followed for each series and counter. What is known of
        a series stands before its readings, as if it had come in the same poll.
        """
        line = _Line.of(
            order,
            self._config,
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
        holder = np.where(begins, line.before(current, _NONE), line.at)
        base = line.taken(holder, line.running_at(rises))
        is_older = is_late & (line.step <= second_before)
        compared = np.where(is_late, line.before(base, _NONE), base)
        before = line.of_readings(compared)
        return (
            _Before(value=before[1], time=before[0], is_older=is_older[line.readings]),
            _Counters(*line.at_ends(base), *line.at_ends(current)),
        )

    def _hold(
        self, order: "_Order", values: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], "_Gaps | None"]:
        """Return (n, H) values with what is held in place of none, and the steps between.

        Args:
            order: Of the n readings.
            values: (n, H) of the features that are held, sorted.
        """
        times, held = self.state["held_time"], self.state["held"]
        series = order.series
        missed = order.missed(self._last_steps(series))
        missed[missed > self._config.max_gap] = 0
        later = order.steps[order.starts, None] > self._config.steps_of(times[series])
        later |= np.isnan(held[series])
        if order.is_ascending and later.all() and not missed.any() and not np.isnan(values).any():
            times[series], held[series] = order.times[order.ends, None], values[order.ends]
            return values, None
        line = _Line.of(order, self._config, values, [(times[series], held[series])])
        newest = line.running(line.step)
        newest_before = line.before(newest, 0)
        holder = line.running_at(line.has_value & (line.step >= newest_before))
        times[series], held[series] = line.at_ends(holder)
        since, value = line.of_readings(holder)
        is_known = newest[line.readings] <= line.step_of_readings
        is_known &= order.times[:, None] - since <= self._hold_ns
        filled = np.where(np.isnan(values) & is_known, value, values)
        return filled, self._gaps(order, missed, line, line.before(holder, _NONE))

    def _gaps(
        self,
        order: "_Order",
        missed: NDArray[np.int64],
        line: "_Line",
        holder: NDArray[np.int64],
    ) -> "_Gaps | None":
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
        grid = (order.steps[after] - back) * self._config.step_ns
        since, held = line.of_readings(holder)
        is_known = grid[:, None] - since[after] <= self._hold_ns
        value = np.where(is_known, held[after], np.nan)
        shown = ~np.isnan(value).all(axis=1)
        if not shown.any():
            return None
        return _Gaps(after=order.at[after[shown]], times=grid[shown], values=value[shown])

    def _with_gaps(
        self,
        values: NDArray[np.float64],
        times: NDArray[np.int64],
        missing: tuple[MissingByRule, ...],
        gaps: "_Gaps",
    ) -> Ruled:
        """Return the readings, each with the steps between before it."""
        n, n_between = len(values), len(gaps.after)
        between = np.full((n_between, values.shape[1]), np.nan)
        between[:, self._held] = gaps.values
        source = np.concatenate((gaps.after, np.arange(n)))
        order = np.argsort(source, kind="stable")
        return Ruled(
            values=np.concatenate((between, values))[order],
            missing=missing,
            filled=FilledSteps(
                source=source[order],
                times=np.concatenate((gaps.times, times))[order],
                is_filled=order < n_between,
            ),
        )

    def _beyond(self, line: NDArray[np.float64], at: NDArray[np.int64]) -> Iterator[MissingByRule]:
        """Make infinite values missing, and yield what to tell of them."""
        wrong = np.isinf(line)
        if wrong.any():
            line[wrong] = np.nan
            why = np.where(wrong, np.int8(_BEYOND), np.int8(_GIVEN))
            yield from self._tell(why, np.arange(line.shape[1]), at)

    def _tell(
        self, why: NDArray[np.int8], features: NDArray[np.int64], at: NDArray[np.int64]
    ) -> Iterator[MissingByRule]:
        """Yield what to tell of missing values.

        Args:
            why: (n, C) sorted.
            features: (C,)
            at: (n,) position of each reading.
        """
        for code, (reason, detail) in enumerate(_REASONS):
            found = why == code
            if not found.any():
                continue
            for column in np.flatnonzero(found.any(axis=0)).tolist():
                which = at[found[:, column]]
                yield MissingByRule(
                    feature=self._names[features[column]],
                    reason=reason,
                    count=len(which),
                    at=int(which.min()),
                    detail=detail,
                )


def _where(chosen: Iterable[bool]) -> NDArray[np.int64]:
    return np.flatnonzero(np.array([*chosen], np.bool_))


def _initial(n_changed: int, n_held: int) -> NDArray[np.void]:
    """Return what is known of a new series.

    time, value: the last value of the newest step with one, of each counter; base_time, base: of
    the step before it; held_time, held: the newest value of each held feature. NaN: none.
    """
    counters = [("base_time", "<i8"), ("base", "<f8"), ("time", "<i8"), ("value", "<f8")]
    held = [("held_time", "<i8"), ("held", "<f8")]
    fields = [(name, kind, (n_changed,)) for name, kind in counters if n_changed]
    fields += [(name, kind, (n_held,)) for name, kind in held if n_held]
    begun: NDArray[np.void] = np.zeros((), fields)
    for name, kind, _ in fields:
        if kind == "<f8":
            begun[name] = np.nan
    return begun


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


@dataclass(frozen=True, slots=True, kw_only=True)
class _Gaps:
    """Steps that no reading made."""

    after: NDArray[np.int64]  # (K,) position of the given reading that comes after each
    times: NDArray[np.int64]  # (K,)
    values: NDArray[np.float64]  # (K, H)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Order:
    """n readings sorted by series, in arrival order within."""

    at: NDArray[np.int64]  # (n,) position
    starts: NDArray[np.int64]  # (G,) first reading of each series
    group: NDArray[np.int64]  # (n,)
    series: NDArray[np.int32]  # (G,) row
    times: NDArray[np.int64]  # (n,)
    steps: NDArray[np.int64]  # (n,)
    is_ascending: bool  # each is of a later step of its series than the one before

    @classmethod
    def of(
        cls, rows: NDArray[np.int32], times: NDArray[np.int64], config: WindowConfig
    ) -> "_Order":
        """Return readings, one or more, in that order."""
        at = np.argsort(rows, kind="stable")
        rows, times = rows[at], times[at]
        starts = np.flatnonzero(np.diff(rows, prepend=-1))
        steps = config.steps_of(times)
        ascends = np.diff(steps) > 0
        ascends[starts[1:] - 1] = True
        return cls(
            at=at,
            starts=starts,
            group=np.repeat(np.arange(len(starts)), np.diff(starts, append=len(rows))),
            series=rows[starts],
            times=times,
            steps=steps,
            is_ascending=bool(ascends.all()),
        )

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
class _Line:
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
        order: _Order,
        config: WindowConfig,
        values: NDArray[np.float64],
        known: Sequence[tuple[NDArray[np.int64], NDArray[np.float64]]],
    ) -> "_Line":
        """Return the line of readings behind what is known.

        Args:
            order: Of the n readings.
            config: The grid.
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
            step[begin + nth] = config.steps_of(times)
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
        found = np.maximum.accumulate(np.where(chosen, self.at, _NONE), axis=0)
        return np.where(found >= self.begin[self.group], found, _NONE)

    def before(self, of: NDArray[np.int64], nothing: int) -> NDArray[np.int64]:
        """Return (L, C) what stands before each, of its series."""
        found = np.empty_like(of)
        found[1:] = of[:-1]
        found[self.begin] = nothing
        return found

    def taken(self, of: NDArray[np.int64], at: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return (L, C) what stands at positions; -1 where these are."""
        return np.where(at < 0, _NONE, np.take_along_axis(of, np.maximum(at, 0), axis=0))

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


def _in_order(
    order: _Order, values: NDArray[np.float64], state: _Counters
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
