"""Where the readings of a poll stand on the grids of their series, and how they move these on."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stream_vae.core.time_grid import NEVER


@dataclass(frozen=True, slots=True, kw_only=True)
class Advance:
    """How N readings, sorted by series, move G series on."""

    starts: NDArray[np.int64]
    """(G,) first reading of each series."""
    group: NDArray[np.int64]
    """(N,) position of its series in these."""
    last: NDArray[np.int64]
    """(G,) the newest step before all of them."""
    newest: NDArray[np.int64]
    """(N,) the newest step up to each reading."""
    before: NDArray[np.int64]
    """(N,) the newest step before each reading."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Placed:
    """Readings sorted by series; (N,) per reading, (G,) per series among them."""

    step: NDArray[np.int64]  # (N,)
    late: NDArray[np.bool_]  # (N,)
    back: NDArray[np.int64]  # (N,) steps before the newest one
    revises: NDArray[np.bool_]  # (N,) of the step of the reading before
    complete: NDArray[np.bool_]  # (N,) T steps are there since warm-up began
    warming_up: NDArray[np.bool_]  # (N,) they are not
    group: NDArray[np.int64]  # (N,) position of the series in `series`
    distance: NDArray[np.int64]  # (N,) places on from the newest step before this batch
    series: NDArray[np.int32]  # (G,) row
    moved: NDArray[np.int64]  # (G,) places the series moves on in all
    newest: NDArray[np.int64]  # (G,) the newest step after all of them
    began: NDArray[np.int64]  # (G,) where its warm-up began


def advance(
    rows: NDArray[np.int32],
    steps: NDArray[np.int64],
    last_step: NDArray[np.int64],
    max_gap: int,
) -> Advance:
    """Return how readings move their series on.

    Args:
        rows: (N,) ascending, started before.
        steps: (N,) of the readings, those of one series in arrival order.
        last_step: (S,) the newest step of every series.
        max_gap: Missing steps in a row that a window bridges.
    """
    starts = np.flatnonzero(np.diff(rows, prepend=-1))
    group = np.repeat(np.arange(len(starts)), np.diff(starts, append=len(rows)))
    last = last_step[rows[starts]]
    # A new series starts as if after an infinite gap.
    last = np.where(last == NEVER, steps[starts] - max_gap - 2, last)
    newest = _cumulative_max(steps, group, starts, last)
    before = np.empty_like(newest)
    before[1:] = newest[:-1]
    before[starts] = last
    return Advance(starts=starts, group=group, last=last, newest=newest, before=before)


def place(  # noqa: PLR0913 -- readings, how they move their series, and the shape of windows
    rows: NDArray[np.int32],
    steps: NDArray[np.int64],
    moved_by: Advance,
    began: NDArray[np.int64],
    *,
    length: int,
    lateness: int,
    max_gap: int,
) -> Placed:
    """Find each reading's place on its series' grid.

    Args:
        rows: (N,) ascending, arrival order within.
        steps: (N,)
        moved_by: How they move their series on.
        began: (G,) step where the warm-up of each series began before them.
        length: T
        lateness: L, steps before the newest one that are still open.
        max_gap: Missing steps in a row that a window bridges.
    """
    starts, group, newest = moved_by.starts, moved_by.group, moved_by.newest
    step_by = newest - moved_by.before
    restart = step_by > max_gap + 1
    begins = _cumulative_max(np.where(restart, steps, began[group]), group, starts, began)
    back = np.where(length > 1, newest - steps, 0)
    late = back > lateness
    # Nothing older than a restart is read again, so a long gap takes so many places at most.
    held = length + lateness
    moved = np.where(restart, held, np.minimum(step_by, held))
    total = np.cumsum(moved)
    distance = total - (total[starts] - moved[starts])[group]
    ends = np.append(starts[1:], len(rows)) - 1
    return Placed(
        step=steps,
        late=late,
        back=back,
        revises=(steps == moved_by.before) & (length > 1),
        complete=~late & (newest - back - begins + 1 >= length),
        warming_up=~late & (newest - back - begins + 1 < length),
        group=group,
        distance=distance,
        series=rows[starts],
        moved=distance[ends],
        newest=newest[ends],
        began=begins[ends],
    )


def _cumulative_max(
    values: NDArray[np.int64],
    group: NDArray[np.int64],
    starts: NDArray[np.int64],
    seeds: NDArray[np.int64],
) -> NDArray[np.int64]:
    """Return the running maximum within each group, starting from the group's seed."""
    if not len(values):
        return values
    seeded = values.copy()
    seeded[starts] = np.maximum(seeded[starts], seeds)
    low = seeded.min()
    # An offset per group, above all values of the group before, lets one pass serve all groups.
    # Steps of a millisecond within 1970..2200 and a million groups stay below 2**63.
    lift = group * (seeded.max() - low + 1)
    running: NDArray[np.int64] = np.maximum.accumulate(seeded - low + lift) - lift + low
    return running
