"""Ranking metrics over labelled rows; point-wise, without point adjustment."""

import numpy as np
from numpy.typing import NDArray

from stream_vae.errors import ShapeError


def average_precision(is_anomalous: NDArray[np.bool_], scores: NDArray[np.float64]) -> float:
    """Return the area under the precision-recall curve, as a step function.

    Rows of equal score are taken together, so their order does not matter.

    Args:
        is_anomalous: (N,) labels, at least one true.
        scores: (N,) finite; higher = more anomalous.

    Raises:
        ShapeError: If the shapes differ, a score is not finite, or no label is true.

    >>> average_precision(np.array([True, False, True]), np.array([0.9, 0.5, 0.1]))
    0.8333333333333333
    """
    hits, taken = _cumulative(is_anomalous, scores)
    precision = hits / taken
    recall_gain = np.diff(hits, prepend=0) / hits[-1]
    return float((precision * recall_gain).sum())


def roc_auc(is_anomalous: NDArray[np.bool_], scores: NDArray[np.float64]) -> float:
    """Return the probability that an anomalous row scores above a normal one, ties counting half.

    Args:
        is_anomalous: (N,) labels, at least one true and one false.
        scores: (N,) finite; higher = more anomalous.

    Raises:
        ShapeError: If the shapes differ, a score is not finite, or labels are all the same.

    >>> roc_auc(np.array([True, False, True, False]), np.array([0.9, 0.5, 0.5, 0.1]))
    0.875
    """
    hits, taken = _cumulative(is_anomalous, scores)
    misses = taken - hits
    if misses[-1] == 0:
        raise ShapeError(f"labels: found {len(is_anomalous)} anomalous rows and no normal one")
    width = np.diff(misses, prepend=0)
    height = hits - 0.5 * np.diff(hits, prepend=0)
    return float((width * height).sum() / (hits[-1] * misses[-1]))


def _cumulative(
    is_anomalous: NDArray[np.bool_], scores: NDArray[np.float64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return anomalous rows and all rows at or above each distinct score, highest score first."""
    if is_anomalous.shape != scores.shape or scores.ndim != 1:
        raise ShapeError(f"labels {is_anomalous.shape} and scores {scores.shape}, expected (N,)")
    if not np.isfinite(scores).all() or not is_anomalous.any():
        raise ShapeError("expected finite scores and at least one anomalous row")
    order = np.argsort(-scores, kind="stable")
    ranked = scores[order]
    last_of_score = np.append(np.flatnonzero(np.diff(ranked)), len(ranked) - 1)
    hits = np.cumsum(is_anomalous[order].astype(np.int64))[last_of_score]
    return hits, last_of_score.astype(np.int64) + 1
