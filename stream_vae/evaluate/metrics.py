"""Ranking metrics over labelled rows; point-wise, without point adjustment."""

from dataclasses import dataclass

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


def best_f1(is_anomalous: NDArray[np.bool_], scores: NDArray[np.float64]) -> tuple[float, float]:
    """Return the largest F1 over all cuts, and the score from which rows count there.

    The cut is chosen on the labels themselves: what a threshold could reach, not what one does.

    Args:
        is_anomalous: (N,) labels, at least one true.
        scores: (N,) finite; higher = more anomalous.

    Raises:
        ShapeError: If the shapes differ, a score is not finite, or no label is true.

    >>> best_f1(np.array([True, False, True, False]), np.array([0.9, 0.5, 0.4, 0.1]))
    (0.8, 0.4)
    """
    hits, taken = _cumulative(is_anomalous, scores)
    f1 = 2 * hits / (taken + hits[-1])
    best = int(f1.argmax())
    return float(f1[best]), float(-np.sort(-scores)[taken[best] - 1])


@dataclass(frozen=True, slots=True, kw_only=True)
class Curves:
    """The ROC and precision-recall curves at M distinct scores, highest first."""

    false_positive_rate: NDArray[np.float64]
    """(M,)"""
    recall: NDArray[np.float64]
    """(M,)"""
    precision: NDArray[np.float64]
    """(M,)"""


def curves(is_anomalous: NDArray[np.bool_], scores: NDArray[np.float64]) -> Curves:
    """Return the curves behind `roc_auc` and `average_precision`.

    Args:
        is_anomalous: (N,) labels, at least one true and one false.
        scores: (N,) finite; higher = more anomalous.

    Raises:
        ShapeError: If the shapes differ, a score is not finite, or no label is true.
    """
    hits, taken = _cumulative(is_anomalous, scores)
    misses = taken - hits
    return Curves(
        false_positive_rate=misses / max(int(misses[-1]), 1),
        recall=hits / hits[-1],
        precision=hits / taken,
    )


def point_adjusted_f1(
    is_anomalous: NDArray[np.bool_],
    scores: NDArray[np.float64],
    groups: NDArray[np.int64] | None = None,
) -> float:
    """Return the largest F1 over all cuts if a span counts whole once any row of it is found.

    It is inflated: random scores reach high values where spans are long. For comparison with
    published figures alone.

    Args:
        is_anomalous: (N,) labels in time order, at least one true.
        scores: (N,) finite; higher = more anomalous.
        groups: (N,) equal and adjacent for rows of one series; None: one series.

    Raises:
        ShapeError: If the shapes differ, a score is not finite, or no label is true.

    References:
        Kim et al. (2022), Towards a Rigorous Evaluation of Time-Series Anomaly Detection, AAAI.

    >>> labels = np.array([False, True, True, True, False])
    >>> point_adjusted_f1(labels, np.array([0.1, 0.2, 0.9, 0.1, 0.3]))
    1.0
    """
    adjusted = scores.copy()
    for start, end in runs(is_anomalous, groups):
        adjusted[start:end] = scores[start:end].max()
    return best_f1(is_anomalous, adjusted)[0]


def runs(is_true: NDArray[np.bool_], groups: NDArray[np.int64] | None = None) -> NDArray[np.int64]:
    """Return (K, 2) start and end (exclusive) of each run of true rows of one group.

    >>> runs(np.array([True, True, False, True])).tolist()
    [[0, 2], [3, 4]]
    >>> runs(np.array([True, True, False, True]), np.array([0, 1, 1, 1])).tolist()
    [[0, 1], [1, 2], [3, 4]]
    """
    before, after = np.roll(is_true, 1), np.roll(is_true, -1)
    before[:1] = after[-1:] = False
    if groups is not None:
        changes = np.flatnonzero(np.diff(groups))
        before[changes + 1] = after[changes] = False
    starts, ends = np.flatnonzero(is_true & ~before), np.flatnonzero(is_true & ~after) + 1
    return np.stack([starts, ends], axis=1).astype(np.int64)


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
