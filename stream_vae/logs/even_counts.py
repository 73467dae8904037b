"""Counts that hardly vary, as of a line that comes like clockwork."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

_FEWEST_STEPS = 100
_LARGEST_RATIO = 0.5
"""Of variance to mean, which is 1 where lines come at random, and more where they come in bursts.
Of a hundred random counts it is below this once in some thousand times."""


def are_even(counts: NDArray[np.float64], series: Sequence[str]) -> NDArray[np.bool_]:
    """Return (F,) whether counts vary less, within each series, than lines at random would.

    A distribution of counts is at least as wide as that of lines at random: one beat a minute that
    stops would have a probability of a third. As a number such a feature is known as exactly as it
    is seen.

    Args:
        counts: (N, F) of the steps.
        series: N keys.

    >>> beats, others = np.full(200, 6.0), np.random.default_rng(1).poisson(6.0, 200)
    >>> are_even(np.stack([beats, others], axis=1), ["web-1"] * 200).tolist()
    [True, False]
    """
    n_features = counts.shape[1]
    if len(counts) < _FEWEST_STEPS:
        return np.zeros(n_features, np.bool_)
    codes = np.unique(np.array(series), return_inverse=True)[1]
    n = np.bincount(codes)
    found = np.zeros(n_features, np.bool_)
    for f in range(n_features):
        mean = np.bincount(codes, counts[:, f]) / n
        varies = float(((counts[:, f] - mean[codes]) ** 2).sum())
        found[f] = varies < _LARGEST_RATIO * float(counts[:, f].sum())
    return found
