"""Counts along runs of adjacent rows of one series, all series of a batch at once."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, kw_only=True)
class Runs:
    """B adjacent rows cut where the series, or anything else, changes."""

    starts: NDArray[np.int64]
    """(G,) first position of each run."""
    group: NDArray[np.int64]
    """(B,) number of the run."""

    @classmethod
    def of(cls, *keys: NDArray[np.integer]) -> "Runs":
        """Return the runs of B rows with equal keys (B,)."""
        changes = np.zeros(len(keys[0]), np.bool_)
        changes[:1] = True
        for key in keys:
            changes[1:] |= key[1:] != key[:-1]
        starts = np.flatnonzero(changes)
        return cls(starts=starts, group=np.cumsum(changes) - 1)

    @property
    def ends(self) -> NDArray[np.int64]:
        """(G,) last position of each run."""
        return np.append(self.starts[1:], len(self.group)) - 1

    def cumulative(self, amounts: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return (B,) sums of (B,) amounts from the start of each run, the row's own included."""
        total = np.cumsum(amounts)
        return np.asarray(total - (total[self.starts] - amounts[self.starts])[self.group])

    def since(self, is_last: NDArray[np.bool_], count: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return (B,) how much a count has grown since the last marked row of the run.

        Args:
            is_last: (B,) marked rows; before the first of a run the count itself is returned.
            count: (B,) >= 0 and never falling within a run.
        """
        lift = self.group * (int(count.max(initial=0)) + 1)
        at_mark = np.maximum.accumulate(np.where(is_last, count, 0) + lift) - lift
        return np.asarray(count - at_mark)


def adjacent(starts: NDArray[np.int64], sizes: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return all positions of some ranges, one range after the other.

    >>> adjacent(np.array([3, 10]), np.array([2, 3])).tolist()
    [3, 4, 10, 11, 12]

    Args:
        starts: (G,) first position of each.
        sizes: (G,) how many.
    """
    first = np.cumsum(sizes) - sizes
    return np.asarray(np.arange(int(sizes.sum())) + np.repeat(starts - first, sizes))


def blocks(
    rows: NDArray[np.int32],
    counts: NDArray[np.bool_],
    pending: NDArray[np.int32],
    size: int,
) -> Iterator[NDArray[np.int64]]:
    """Yield positions in 0..B until all are yielded, each series' up to its block's end.

    Args:
        rows: (B,) series; equal ones are adjacent, in arrival order.
        counts: (B,) whether the reading is one of its block's.
        pending: (B,) readings that the series' first block has so far, below `size`.
        size: Readings of a block.
    """
    number = (pending + Runs.of(rows).cumulative(counts.astype(np.int64)) - counts) // size
    order = np.argsort(number, kind="stable")
    starts = Runs.of(number[order]).starts
    yield from np.split(order, starts[1:]) if len(rows) else ()
