"""Windows of the last T steps of each series, kept in arrays and cut for a whole poll at once.

Event time is rounded to a grid of `step_ns`. Each series holds its last T steps contiguously,
newest last; a poll's steps are appended and windows are cut from the result. Copying all T steps
costs less than indexing single steps in a ring buffer.

Steps up to `lateness` before the newest one are still open: what arrives for them is put in its
place, and the window that ends there is cut again. As many steps before the last T are kept.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from stream_vae.core.columns import Columns
from stream_vae.core.placing import Advance, Placed, advance, place
from stream_vae.core.readings import ReadingBatch
from stream_vae.core.step_offsets import StepOffsets
from stream_vae.core.time_grid import NEVER, nearest_grid_point, nearest_steps


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowConfig:
    """Shape of a window and of the time grid under it."""

    length: int
    """T, in steps."""
    step_ns: int
    """Width of a step, nanoseconds; at least one millisecond."""
    max_gap: int
    """Missing steps in a row that a window bridges; a longer gap restarts warm-up."""
    min_observed: float
    """Smallest share of observed values with which a window is scored."""
    lateness: int = 0
    """L, steps before the newest one that are still open."""
    adds_up: bool = False
    """Readings are counts: those of a step are added up, and a step within a gap that a window
    bridges is zero, not missing."""

    def steps_of(self, times: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return (N,) number of the nearest grid point of each time; halves go up."""
        return nearest_steps(times, self.step_ns)


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowBatch:
    """N readings placed on their series' grids, and the B windows that can be scored."""

    rows: NDArray[np.int32]
    """(N,) row of each reading's series in the tables."""
    late: NDArray[np.bool_]
    """(N,) older than the series' open steps: not used at all. Windows of one step have no order in
    time, so nothing is late for them."""
    warming_up: NDArray[np.bool_]
    """(N,) the series has not filled one window since its start or its last long gap."""
    ready: NDArray[np.int64]
    """(B,) positions in 0..N of the readings that end a scorable window; one series' readings
    are adjacent and in arrival order."""
    revises: NDArray[np.bool_]
    """(B,) the reading replaced an earlier one of the same step. Windows of one step are events:
    two of one time are two."""
    windows: NDArray[np.float64]
    """(B, T, F) in input units; NaN = not observed."""
    end_times: NDArray[np.int64]
    """(B,) time of the newest step, nanoseconds since 1970."""
    offsets: NDArray[np.int64] | None = None
    """(B, T, 2) input offsets of the first and the last record of each step, -1 where there is none
    or it is not known; None: not known at all."""

    def take(self, which: NDArray[np.int64]) -> "WindowBatch":
        """Return the batch of some of the readings.

        Args:
            which: (M,) positions, ascending; those of all readings that end a scorable window are
                among them.
        """
        return WindowBatch(
            rows=self.rows[which],
            late=self.late[which],
            warming_up=self.warming_up[which],
            ready=np.searchsorted(which, self.ready),
            revises=self.revises,
            windows=self.windows,
            end_times=self.end_times,
            offsets=self.offsets,
        )


def new_series(length: int, n_features: int) -> NDArray[np.void]:
    """Return the initial window state of a series.

    values: its last T steps in input units, NaN = not observed; last_step: the newest seen;
    first_step: where the current warm-up began.
    """
    row = np.dtype(
        [("values", "<f8", (length, n_features)), ("last_step", "<i8"), ("first_step", "<i8")]
    )
    begun: NDArray[np.void] = np.zeros((), row)
    begun["values"] = np.nan
    begun["last_step"] = begun["first_step"] = NEVER
    return begun


def earlier_steps(lateness: int, n_features: int) -> NDArray[np.void]:
    """Return the initial steps before the last T of a series: (L, F) in input units."""
    begun: NDArray[np.void] = np.zeros((), [("values", "<f8", (lateness, n_features))])
    begun["values"] = np.nan
    return begun


class SeriesTable:
    """The last T steps of every known series, and L before them.

    Each window contains exactly what had arrived up to its own reading: the result does not depend
    on how the stream was polled.

    Args:
        config: Shape and grid.
        n_features: F
        capacity: Rows; memory is used only for those that were ever started.
    """

    def __init__(self, config: WindowConfig, n_features: int, capacity: int) -> None:
        self._config = config
        # An event has no place in time beside others.
        self._lateness = config.lateness if config.length > 1 else 0
        self.state = Columns(new_series(config.length, n_features), capacity)
        self.earlier = Columns(earlier_steps(self._lateness, n_features), capacity)
        # Of events the reading itself tells.
        n_kept = self._lateness + config.length if config.length > 1 else 0
        self.offsets = StepOffsets(n_kept, capacity)
        self._values: NDArray[np.float64] = self.state["values"]  # (S, T, F)
        self._earlier: NDArray[np.float64] = self.earlier["values"]  # (S, L, F)
        self._last_step: NDArray[np.int64] = self.state["last_step"]  # (S,)
        self._first_step: NDArray[np.int64] = self.state["first_step"]  # (S,)

    def start(self, rows: NDArray[np.int32]) -> None:
        """Initialise the rows of new series."""
        self.state.begin(rows)
        self.earlier.begin(rows)
        self.offsets.state.begin(rows)

    def step_time(self, time: int) -> int:
        """Return the grid point nearest to a time, nanoseconds since 1970."""
        return nearest_grid_point(time, self._config.step_ns)

    def newest_step(self, row: int) -> int:
        """Return the time of the newest step of a series, nanoseconds since 1970."""
        return max(int(self._last_step[row]), 0) * self._config.step_ns

    def last_steps(self, rows: NDArray[np.int32]) -> NDArray[np.int64]:
        """Return (K,) number of the newest step of each series; far below 0 where there is none."""
        return self._last_step[rows]

    def values_at(self, rows: NDArray[np.int32], steps: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return (K, F) values held for a step of each series; NaN where there are none."""
        back = np.where(
            self._last_step[rows] == NEVER, -1, self._last_step[rows] - steps
        )  # steps before the newest
        length = self._config.length
        found = np.full((len(rows), self._values.shape[2]), np.nan)
        recent = (back >= 0) & (back < length)
        found[recent] = self._values[rows[recent], length - 1 - back[recent]]
        older = (back >= length) & (back < length + self._lateness)
        found[older] = self._earlier[rows[older], self._lateness - 1 - (back[older] - length)]
        return found

    def push(
        self,
        rows: NDArray[np.int32],
        readings: ReadingBatch,
        judged: NDArray[np.bool_] | None = None,
        revises: NDArray[np.bool_] | None = None,
        begun_at: NDArray[np.int64] | None = None,
    ) -> WindowBatch:
        """Add N readings and cut the windows that they complete.

        Costs a few dozen array operations whatever N is, and as many again for each reading in a
        row that comes after one of a later step.

        Args:
            rows: (N,) row of each reading's series, started before.
            readings: Those of one series in arrival order, each with all values of its step.
            judged: (N,) whether a window is cut that ends with it; all, if not given.
            revises: (N,) whether the newest step of its series, if it is of that, was judged
                before; if not given, it was if it was there.
            begun_at: (N,) offset of the first record that it is of; if not given, its own.
        """
        if not len(readings):
            return self.empty_batch()
        begun_at = readings.offsets if begun_at is None else begun_at
        order = np.argsort(rows, kind="stable")
        steps = self._config.steps_of(readings.times[order])
        given = _Given(
            rows=rows[order],
            steps=steps,
            values=readings.values[order],
            offsets=readings.offsets[order],
            begun_at=begun_at[order],
            judged=None if judged is None else judged[order],
            revises=None if revises is None else revises[order],
        )
        if judged is not None and not judged.any() and self._is_of_newest(given):
            return self._kept(rows, readings, begun_at)
        parts = list(self._rounds(given))
        return _joined(parts, order, given.rows, self._config.step_ns)

    def _is_of_newest(self, given: "_Given") -> bool:
        """Return whether all readings are of the step that is the newest of their series."""
        return bool((given.steps == self._last_step[given.rows]).all())

    def _kept(
        self, rows: NDArray[np.int32], readings: ReadingBatch, begun_at: NDArray[np.int64]
    ) -> WindowBatch:
        """Put readings of the newest steps, none of which is judged, in their places.

        So it is with most polls of counts.
        """
        self._values[rows, -1] = readings.values
        self.offsets.widen_newest(rows, begun_at, readings.offsets)
        held = self._last_step[rows] - self._first_step[rows] + 1
        return replace(
            self.empty_batch(),
            rows=rows,
            late=np.zeros(len(rows), np.bool_),
            warming_up=held < self._config.length,
        )

    def advance(self, rows: NDArray[np.int32], steps: NDArray[np.int64]) -> Advance:
        """Return how readings move their series on.

        Args:
            rows: (N,) ascending, started before.
            steps: (N,) of the readings, those of one series in arrival order.
        """
        return advance(rows, steps, self._last_step, self._config.max_gap)

    def _rounds(self, given: "_Given") -> Iterator["_Added"]:
        """Add readings, as many as can be added together, sorted by series.

        A reading that is put among earlier steps begins a new round of its series: windows cut
        before must not contain it.
        """
        moved_by = self.advance(given.rows, given.steps)
        back = moved_by.newest - given.steps
        goes_back = (back > 0) & (back <= self._lateness)
        if not goes_back.any():
            yield self._add(np.arange(len(given.rows)), given, moved_by)
            return
        starts = moved_by.starts
        nth = np.cumsum(goes_back.astype(np.int64))
        nth = nth - (nth[starts] - goes_back[starts])[moved_by.group]
        for number in np.unique(nth).tolist():
            which = np.flatnonzero(nth == number)
            part = given.take(which)
            yield self._add(which, part, self.advance(part.rows, part.steps))

    def _add(self, which: NDArray[np.int64], given: "_Given", moved_by: Advance) -> "_Added":
        """Add the readings of a round."""
        placed = self._place(given, moved_by)
        if given.judged is not None:
            placed = replace(placed, complete=placed.complete & given.judged)
        if given.revises is not None:
            placed = replace(placed, revises=given.revises & (placed.back == 0))
        ready = np.flatnonzero(placed.complete)
        windows, was_there = self._slide(placed, given.values, ready)
        # The history holds the last reading of each step. A later reading of this poll may have
        # replaced this one; its window must not contain the later one.
        windows[:, -1] = given.values[ready]
        offsets = self.offsets.slide(
            placed, given.begun_at, given.offsets, ready, self._config.length
        )
        scorable = self._scorable(windows)
        if not scorable.all():  # windows are large: they are copied only where some drop out
            ready, windows, offsets = ready[scorable], windows[scorable], offsets[scorable]
        return _Added(
            which=which,
            late=placed.late,
            warming_up=placed.warming_up,
            ready=ready,
            revises=(placed.revises | was_there)[ready],
            windows=windows,
            offsets=offsets,
            steps=placed.step[ready],
        )

    def empty_batch(self) -> WindowBatch:
        """Return the batch of no readings."""
        none = np.empty(0, np.int64)
        return WindowBatch(
            rows=none.astype(np.int32),
            late=none.astype(np.bool_),
            warming_up=none.astype(np.bool_),
            ready=none,
            revises=none.astype(np.bool_),
            windows=np.empty((0, *self._values.shape[1:])),
            end_times=none,
            offsets=np.empty((0, self._config.length, 2), np.int64),
        )

    def _place(self, given: "_Given", moved_by: Advance) -> Placed:
        """Find each reading's place on its series' grid, and move the series on."""
        series = given.rows[moved_by.starts]
        unseen = self._last_step[series] == NEVER
        placed = place(
            given.rows,
            given.steps,
            moved_by,
            np.where(unseen, moved_by.last, self._first_step[series]),
            length=self._config.length,
            lateness=self._lateness,
            max_gap=self._config.max_gap,
        )
        self._last_step[series] = placed.newest
        self._first_step[series] = placed.began
        return placed

    def _slide(
        self, placed: Placed, values: NDArray[np.float64], ready: NDArray[np.int64]
    ) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        """Shift the series; return the windows of the ready readings.

        Returns:
            (B, T, F) windows, and (N,) whether a reading went back to a step that was there.
        """
        length, lateness, n_features = self._config.length, self._lateness, values.shape[1]
        # (G,) a series' history and the places it moves on
        n_places = lateness + length + placed.moved
        base = np.cumsum(n_places) - n_places
        empty = 0.0 if self._config.adds_up else np.nan
        line = np.full((int(n_places.sum()), n_features), empty)
        # (places, T, F) without a copy: entry base + L + d is the series' window d places on.
        windows = np.moveaxis(sliding_window_view(line, length, axis=0, writeable=True), -1, 1)
        windows[base + lateness] = self._values[placed.series]
        for one in range(lateness):
            line[base + one] = self._earlier[placed.series, one]
        first = (base + lateness)[placed.group] + placed.distance - placed.back
        used = ~placed.late
        at = first[used] + length - 1
        was_there = np.zeros(len(first), np.bool_)
        if placed.back.any():
            was_there[used] = (placed.back[used] > 0) & self._is_there(line[at])
        line[at] = values[used]
        end = base + placed.moved
        self._values[placed.series] = windows[end + lateness]
        for one in range(lateness):
            self._earlier[placed.series, one] = line[end + one]
        cut: NDArray[np.float64] = windows[first[ready]]
        return cut, was_there

    def _is_there(self, values: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Return (n,) whether there was a reading of these steps (n, F)."""
        if self._config.adds_up:
            return np.asarray((values > 0).any(axis=1))
        return np.asarray(~np.isnan(values).all(axis=1))

    def _scorable(self, windows: NDArray[np.float64]) -> NDArray[np.bool_]:
        B, length, n_features = windows.shape
        scorable = np.ones(B, np.bool_)
        # A sum tells of a gap in a fraction of the time that looking at each value takes; numbers
        # so large that they overflow may look like one, and are looked at.
        with np.errstate(over="ignore", invalid="ignore"):
            sums = windows.reshape(B, length * n_features).sum(axis=1)
        gaps = np.flatnonzero(np.isnan(sums))
        observed = ~np.isnan(windows[gaps])
        enough = max(self._config.min_observed * length * n_features, 1)
        many = np.count_nonzero(observed, axis=(1, 2)) >= enough
        scorable[gaps] = many & observed[:, -1].any(axis=1)
        return scorable


@dataclass(frozen=True, slots=True, kw_only=True)
class _Given:
    """N readings sorted by series, in arrival order within."""

    rows: NDArray[np.int32]
    steps: NDArray[np.int64]
    values: NDArray[np.float64]
    offsets: NDArray[np.int64]
    begun_at: NDArray[np.int64]
    judged: NDArray[np.bool_] | None
    revises: NDArray[np.bool_] | None

    def take(self, which: NDArray[np.int64]) -> "_Given":
        """Return some of them."""
        if len(which) == len(self.rows):
            return self
        return _Given(
            rows=self.rows[which],
            steps=self.steps[which],
            values=self.values[which],
            offsets=self.offsets[which],
            begun_at=self.begun_at[which],
            judged=None if self.judged is None else self.judged[which],
            revises=None if self.revises is None else self.revises[which],
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Added:
    """A round of M readings and B windows; positions count within the round."""

    which: NDArray[np.int64]  # (M,) positions in the sorted batch
    late: NDArray[np.bool_]  # (M,)
    warming_up: NDArray[np.bool_]  # (M,)
    ready: NDArray[np.int64]  # (B,)
    revises: NDArray[np.bool_]  # (B,)
    windows: NDArray[np.float64]  # (B, T, F)
    offsets: NDArray[np.int64]  # (B, T, 2)
    steps: NDArray[np.int64]  # (B,)


def _joined(
    parts: Sequence[_Added], order: NDArray[np.int64], rows: NDArray[np.int32], step_ns: int
) -> WindowBatch:
    """Return the batch of all rounds.

    Args:
        parts: One or more.
        order: (N,) position in the batch of each sorted reading.
        rows: (N,) sorted.
        step_ns: Width of a step.
    """
    n = len(order)
    back = np.empty(n, np.int32)
    back[order] = rows
    late, warming_up = np.empty(n, np.bool_), np.empty(n, np.bool_)
    for part in parts:
        late[order[part.which]] = part.late
        warming_up[order[part.which]] = part.warming_up
    ready = np.concatenate([part.which[part.ready] for part in parts])
    revises = np.concatenate([part.revises for part in parts])
    steps = np.concatenate([part.steps for part in parts])
    windows, offsets = parts[0].windows, parts[0].offsets
    if len(parts) > 1:
        by_series = np.argsort(ready)
        ready, revises, steps = ready[by_series], revises[by_series], steps[by_series]
        windows = np.concatenate([part.windows for part in parts])[by_series]
        offsets = np.concatenate([part.offsets for part in parts])[by_series]
    return WindowBatch(
        rows=back,
        late=late,
        warming_up=warming_up,
        ready=order[ready],
        revises=revises,
        windows=windows,
        end_times=steps * step_ns,
        offsets=offsets,
    )
