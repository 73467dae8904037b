"""Windows of the last T steps of each series, kept in arrays and cut for a whole poll at once.

Event time is divided into a grid of `step_ns`. Each series holds its last T steps contiguously,
newest last; a poll's steps are appended and windows are cut from the result. Copying all T steps
costs less than indexing single steps in a ring buffer.
"""

from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from stream_vae.core.columns import Columns
from stream_vae.core.readings import ReadingBatch

_NEVER = np.iinfo(np.int64).min


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


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowBatch:
    """N readings placed on their series' grids, and the B windows that can be scored."""

    rows: NDArray[np.int32]
    """(N,) row of each reading's series in the tables."""
    late: NDArray[np.bool_]
    """(N,) older than the series' open step: not used at all. Windows of one step have no order in
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
    """(B,) start of the newest step, nanoseconds since 1970."""


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
    begun["last_step"] = begun["first_step"] = _NEVER
    return begun


class SeriesTable:
    """The last T steps of every known series.

    Each window contains exactly what had arrived up to its own reading: the result does not depend
    on how the stream was polled.

    Args:
        config: Shape and grid.
        n_features: F
        capacity: Rows; memory is used only for those that were ever started.
    """

    def __init__(self, config: WindowConfig, n_features: int, capacity: int) -> None:
        self._config = config
        self.state = Columns(new_series(config.length, n_features), capacity)
        self._values: NDArray[np.float64] = self.state["values"]  # (S, T, F)
        self._last_step: NDArray[np.int64] = self.state["last_step"]  # (S,)
        self._first_step: NDArray[np.int64] = self.state["first_step"]  # (S,)

    def start(self, rows: NDArray[np.int32]) -> None:
        """Initialise the rows of new series."""
        self.state.begin(rows)

    def step_start(self, time: int) -> int:
        """Return the start of the step that a time falls into, nanoseconds since 1970."""
        return time // self._config.step_ns * self._config.step_ns

    def newest_step(self, row: int) -> int:
        """Return the start of the newest step of a series, nanoseconds since 1970."""
        return max(int(self._last_step[row]), 0) * self._config.step_ns

    def push(self, rows: NDArray[np.int32], readings: ReadingBatch) -> WindowBatch:
        """Add N readings and cut the windows that they complete.

        Costs a few dozen array operations whatever N is.

        Args:
            rows: (N,) row of each reading's series, started before.
            readings: Those of one series in arrival order.
        """
        if not len(readings):
            return self.empty_batch()
        order = np.argsort(rows, kind="stable")
        placed = self._place(rows[order], readings.times[order] // self._config.step_ns)
        values = readings.values[order]
        ready = np.flatnonzero(placed.complete)
        windows = self._slide(placed, values, ready)
        # The history holds the last reading of each step. A later reading of this poll may have
        # replaced this one; its window must not contain the later one.
        windows[:, -1] = values[ready]
        scorable = self._scorable(windows)
        if not scorable.all():  # windows are large: they are copied only where some drop out
            ready, windows = ready[scorable], windows[scorable]
        late = np.empty(len(rows), np.bool_)
        late[order] = placed.late
        warming_up = np.empty(len(rows), np.bool_)
        warming_up[order] = ~(placed.late | placed.complete)
        return WindowBatch(
            rows=rows,
            late=late,
            warming_up=warming_up,
            ready=order[ready],
            revises=placed.revises[ready],
            windows=windows,
            end_times=placed.step[ready] * self._config.step_ns,
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
        )

    def _place(self, rows: NDArray[np.int32], steps: NDArray[np.int64]) -> "_Placed":
        """Find each reading's place on its series' grid; `rows` ascending, arrival order within."""
        length, max_gap = self._config.length, self._config.max_gap
        starts = np.flatnonzero(np.diff(rows, prepend=-1))  # first reading of each series
        group = np.repeat(np.arange(len(starts)), np.diff(starts, append=len(rows)))
        series = rows[starts]
        # A new series starts as if after an infinite gap.
        unseen = self._last_step[series] == _NEVER
        last = np.where(unseen, steps[starts] - max_gap - 2, self._last_step[series])
        first = np.where(unseen, last, self._first_step[series])

        newest = _cumulative_max(steps, group, starts, last)  # newest step up to each reading
        before = np.empty_like(newest)
        before[1:] = newest[:-1]
        before[starts] = last
        advance = newest - before
        restart = advance > max_gap + 1
        began = _cumulative_max(np.where(restart, steps, first[group]), group, starts, first)
        late = (steps < before) & (length > 1)
        # Nothing older than a restart is read again, so a long gap takes T places at most.
        moved = np.where(restart, length, np.minimum(advance, length))
        total = np.cumsum(moved)
        distance = total - (total[starts] - moved[starts])[group]
        ends = np.append(starts[1:], len(rows)) - 1
        self._last_step[series] = newest[ends]
        self._first_step[series] = began[ends]
        return _Placed(
            step=steps,
            late=late,
            revises=(steps == before) & ~late & (length > 1),
            complete=~late & (newest - began + 1 >= length),
            group=group,
            distance=distance,
            series=series,
            moved=distance[ends],
        )

    def _slide(
        self, placed: "_Placed", values: NDArray[np.float64], ready: NDArray[np.int64]
    ) -> NDArray[np.float64]:
        """Shift the series and return the windows that end at the ready readings."""
        length, n_features = self._config.length, values.shape[1]
        n_places = length + placed.moved  # (G,) a series' history and the places it moves on
        base = np.cumsum(n_places) - n_places
        line = np.full((int(n_places.sum()), n_features), np.nan)
        # (places, T, F) without a copy: entry base + d is the series' window d places on.
        windows = np.moveaxis(sliding_window_view(line, length, axis=0, writeable=True), -1, 1)
        windows[base] = self._values[placed.series]
        first = base[placed.group] + placed.distance  # (N,) where each reading's window begins
        used = ~placed.late
        line[first[used] + length - 1] = values[used]
        self._values[placed.series] = windows[base + placed.moved]
        cut: NDArray[np.float64] = windows[first[ready]]
        return cut

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
class _Placed:
    """Readings sorted by series; (N,) per reading, (G,) per series among them."""

    step: NDArray[np.int64]  # (N,)
    late: NDArray[np.bool_]  # (N,)
    revises: NDArray[np.bool_]  # (N,)
    complete: NDArray[np.bool_]  # (N,) T steps are there since warm-up began
    group: NDArray[np.int64]  # (N,) position of the series in `series`
    distance: NDArray[np.int64]  # (N,) places on from the newest step before this batch
    series: NDArray[np.int32]  # (G,) row
    moved: NDArray[np.int64]  # (G,) places the series moves on in all


def _cumulative_max(
    values: NDArray[np.int64],
    group: NDArray[np.int64],
    starts: NDArray[np.int64],
    seeds: NDArray[np.int64],
) -> NDArray[np.int64]:
    """Return the running maximum within each group, starting from the group's seed."""
    seeded = values.copy()
    seeded[starts] = np.maximum(seeded[starts], seeds)
    low = seeded.min()
    # An offset per group, above all values of the group before, lets one pass serve all groups.
    # Steps of a millisecond within 1970..2200 and a million groups stay below 2**63.
    lift = group * (seeded.max() - low + 1)
    running: NDArray[np.int64] = np.maximum.accumulate(seeded - low + lift) - lift + low
    return running
