"""What is known of a step with each of its readings: the newest of each cell, or the sum."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from stream_vae.core.step_spans import Parts

Known = Callable[[NDArray[np.int32], NDArray[np.int64]], NDArray[np.float64]]
"""Returns (K, F) values held for steps of series; NaN where there are none."""

_NOWHERE = -1


def merged(
    rows: NDArray[np.int32], steps: NDArray[np.int64], values: NDArray[np.float64], known: Known
) -> NDArray[np.float64]:
    """Return (n, F) values of each reading's step with it and all before it.

    Args:
        rows: (n,) ascending; arrival order within.
        steps: (n,)
        values: (n, F) NaN = not in this reading.
        known: What was held of the steps before.
    """
    order = np.lexsort((steps, rows))
    values = values[order]
    first, seeds = _seeds(rows[order], steps[order], known)
    here = np.where(np.isnan(values), _NOWHERE, np.arange(len(rows))[:, None])
    newest = np.maximum.accumulate(here, axis=0) if len(rows) else here
    found = np.take_along_axis(values, np.maximum(newest, 0), axis=0)
    of_each = np.empty_like(values)
    of_each[order] = np.where(newest >= first[:, None], found, seeds)
    return of_each


def added_up(
    parts: Parts,
    is_told: NDArray[np.bool_],
    which: NDArray[np.int64],
    known: Known,
    lateness: int,
) -> NDArray[np.float64]:
    """Return (E, F) sums of the steps of readings that are told, with all before them.

    Args:
        parts: n readings.
        is_told: (n,) the last of each step is.
        which: (E,) positions of those that are.
        known: What was held of the steps before.
        lateness: Steps before the newest one that are still open.
    """
    if not len(which):
        return parts.values
    ends, of, values = which, which, parts.values
    if parts.back.any():  # else the readings of each step stand together
        order = np.lexsort((parts.steps, parts.rows))
        ends = np.flatnonzero(is_told[order])
        of, values = order[ends], values[order]
    sums = np.add.reduceat(values, np.append(0, ends[:-1] + 1), axis=0)
    first, seeds = _seeds(parts.rows[of], parts.steps[of], known)
    total = np.cumsum(sums, axis=0)
    added = np.empty_like(sums)
    added[np.searchsorted(which, of)] = total - total[first] + sums[first] + np.nan_to_num(seeds)
    is_late = parts.back[which] > lateness
    added[is_late] = parts.values[which[is_late]]
    return added


def _seeds(
    rows: NDArray[np.int32], steps: NDArray[np.int64], known: Known
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return (n,) the first reading of each one's step, and (n, F) what is known of the step.

    Args:
        rows: (n,) ascending.
        steps: (n,) ascending within.
        known: What was held of the steps before.
    """
    is_first = np.ones(len(rows), np.bool_)
    is_first[1:] = (rows[1:] != rows[:-1]) | (steps[1:] != steps[:-1])
    starts = np.flatnonzero(is_first)
    nth = np.cumsum(is_first) - 1
    return starts[nth], known(rows[starts], steps[starts])[nth]
