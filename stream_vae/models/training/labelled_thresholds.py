"""Thresholds chosen on labelled data."""

import numpy as np
from numpy.typing import NDArray

from stream_vae.core.model_spec import Criterion


def best_thresholds(
    is_anomalous: NDArray[np.bool_], scores: NDArray[np.float64]
) -> dict[Criterion, float]:
    """Return the thresholds above which scores are best called anomalous.

    Each lies in the middle between the two neighbouring scores that it divides; the highest of
    equally good ones is taken.

    Args:
        is_anomalous: (N,) labels.
        scores: (N,) finite.

    Returns:
        `youden`: the largest true minus false positive rate; `best_f1`: the largest F1. Nothing
        unless there are labels of both kinds.

    References:
        Youden (1950), Index for rating diagnostic tests.

    >>> best_thresholds(np.array([False, True, False, True]), np.array([0.1, 0.3, 0.2, 0.4]))
    {'youden': 0.25, 'best_f1': 0.25}
    """
    n_anomalous = int(np.count_nonzero(is_anomalous))
    n_normal = len(is_anomalous) - n_anomalous
    if not n_anomalous or not n_normal:
        return {}
    order = np.argsort(-scores, kind="stable")
    ranked = scores[order]
    is_cut = np.append(ranked[1:] < ranked[:-1], True)  # equal scores are on one side
    taken = np.flatnonzero(is_cut) + 1
    hits = np.cumsum(is_anomalous[order])[is_cut]
    lowest = ranked[is_cut]
    values: dict[Criterion, NDArray[np.float64]] = {
        "youden": hits / n_anomalous - (taken - hits) / n_normal,
        "best_f1": 2 * hits / (taken + n_anomalous),
    }
    return {name: _below(lowest, int(value.argmax())) for name, value in values.items()}


def _below(distinct: NDArray[np.float64], best: int) -> float:
    """Return a threshold between one of the descending scores and the next."""
    score = float(distinct[best])
    lower = float(distinct[best + 1]) if best + 1 < len(distinct) else score - 1.0
    middle = (score + lower) / 2
    return middle if middle < score else lower
