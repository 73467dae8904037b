"""Means of each series' last few scores."""

import numpy as np
from numpy.typing import NDArray


def short_means(
    last: NDArray[np.float64],
    rows: NDArray[np.int32],
    scores: NDArray[np.float64],
    revises: NDArray[np.bool_],
) -> NDArray[np.float64]:
    """Return (B, K) means of each series' last n scores, the newest among them.

    One high score among normal ones is noise more often than a fault is that short; a mean of a few
    tells them apart at the price of a few readings' delay. A new series has the mean of what there
    is of it.

    Args:
        last: (S, n, K) of each series, newest last; NaN: none yet. Updated in place.
        rows: (B,) series; equal ones are adjacent, in arrival order.
        scores: (B, K) finite.
        revises: (B,) the scores take the place of those before them, and are not remembered.
    """
    if not len(rows):
        return scores
    n, K = last.shape[1:]
    starts = np.flatnonzero(np.diff(rows, prepend=-1))
    group = np.repeat(np.arange(len(starts)), np.diff(starts, append=len(rows)))
    kept: NDArray[np.int64] = np.cumsum(~revises, dtype=np.int64)
    kept -= (kept[starts] - ~revises[starts])[group]  # of the series, up to each reading
    count = kept[np.append(starts[1:], len(rows)) - 1]
    # Each series' remembered scores, then its new ones, in one line.
    base = np.cumsum(count + n) - (count + n)
    line = np.empty((int((count + n).sum()), K))
    line[base[:, None] + np.arange(n)] = last[rows[starts]]
    at = base[group] + n - 1 + kept
    line[at[~revises]] = scores[~revises]
    last[rows[starts]] = line[(base + n + count)[:, None] + np.arange(-n, 0)]
    # One after the other, and not as differences of sums: the same bits in any batch.
    total, known = scores.copy(), np.ones((len(rows), 1))
    for back in range(1, n):
        before = line[at - back]
        total += np.nan_to_num(before)
        known += ~np.isnan(before[:, :1])
    return np.asarray(total / known)
