"""Volume under the precision-recall surface: ranking with tolerance for where a span begins."""

import numpy as np
from numpy.typing import NDArray

from stream_vae.errors import ShapeError
from stream_vae.evaluate.metrics import runs

_CUTS = 250


def vus_pr(
    is_anomalous: NDArray[np.bool_],
    scores: NDArray[np.float64],
    *,
    max_buffer: int,
    groups: NDArray[np.int64] | None = None,
    buffers: int | None = None,
) -> float:
    """Return the mean area under the range-based precision-recall curve over buffer lengths.

    A buffer of w rows gives half of it before and after each span a label that falls with the
    distance d as sqrt(1 - d / w); recall is multiplied by the share of spans that are found at all.
    As the authors' optimised program (`vus` 0.0.6) computes it, except that a row takes its label
    from the nearest span before and the nearest after it alone.

    Args:
        is_anomalous: (N,) labels in time order, at least one true.
        scores: (N,) finite; higher = more anomalous.
        max_buffer: Longest buffer, rows; the authors take the usual length of a period or a span.
        groups: (N,) equal and adjacent for rows of one series, which no buffer leaves; None: one
            series.
        buffers: Most buffer lengths averaged, evenly spaced from 0; None: all.

    Raises:
        ShapeError: If the shapes differ, a score is not finite, or no label is true.

    References:
        Paparrizos et al. (2022), Volume Under the Surface: A New Accuracy Evaluation Measure for
        Time-Series Anomaly Detection, PVLDB 15.
    """
    if is_anomalous.shape != scores.shape or scores.ndim != 1:
        raise ShapeError(f"labels {is_anomalous.shape} and scores {scores.shape}, expected (N,)")
    if not np.isfinite(scores).all() or not is_anomalous.any():
        raise ShapeError("expected finite scores and at least one anomalous row")
    surface = _Surface(is_anomalous, scores, groups)
    count = max_buffer + 1 if buffers is None else min(buffers, max_buffer + 1)
    lengths = np.unique(np.linspace(0, max_buffer, count).round().astype(np.int64))
    return float(np.mean([surface.average_precision(length) for length in lengths.tolist()]))


class _Surface:
    """What curves of all buffers share."""

    def __init__(
        self,
        is_anomalous: NDArray[np.bool_],
        scores: NDArray[np.float64],
        groups: NDArray[np.int64] | None,
    ) -> None:
        N = len(scores)
        self._scores, self._is_core = scores, is_anomalous
        self._order = np.argsort(-scores, kind="stable")
        ranked = scores[self._order]
        self._cuts = ranked[np.linspace(0, N - 1, _CUTS).astype(np.int64)]
        # Rows at or above each cut, rows of one score taken together.
        self._taken = N - np.searchsorted(ranked[::-1], self._cuts, side="left")
        self._core_hits = self._hits(is_anomalous.astype(np.float64))
        self._spans = runs(is_anomalous, groups)
        codes = np.zeros(N, np.int64) if groups is None else groups
        edges = np.concatenate([[0], np.flatnonzero(np.diff(codes)) + 1, [N]])
        where = np.searchsorted(edges, self._spans[:, 0], side="right")
        self._low, self._high = edges[where - 1], edges[where]
        self._since, self._until = self._distances(edges, N)

    def average_precision(self, buffer: int) -> float:
        """Return the area under the curve of one buffer length."""
        weight = self._is_core.astype(np.float64)
        for distance in (self._since, self._until):
            near = (distance > 0) & (distance <= buffer // 2)
            weight[near] += np.sqrt(1 - distance[near] / max(buffer, 1))
        hits = self._hits(np.minimum(weight, 1.0))
        positives = self._core_hits[-1] + (hits - self._core_hits) / 2
        recall = np.minimum(hits / positives, 1.0) * self._found_share(buffer // 2)
        gain = np.diff(recall, prepend=0.0)
        return float((gain * hits / self._taken).sum())

    def _hits(self, weight: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the sum of the weights of the rows at or above each cut."""
        total: NDArray[np.float64] = np.cumsum(weight[self._order])[self._taken - 1]
        return total

    def _found_share(self, half: int) -> NDArray[np.float64]:
        """Return at each cut the share of buffered spans with a row at or above it."""
        starts = np.maximum(self._spans[:, 0] - half, self._low)
        ends = np.minimum(self._spans[:, 1] + half, self._high)
        is_first = np.ones(len(starts), np.bool_)  # overlapping ones count as one
        is_first[1:] = (ends[:-1] <= starts[1:]) | (self._low[1:] != self._low[:-1])
        firsts = np.flatnonzero(is_first)
        bounds = np.stack([starts[firsts], ends[np.append(firsts[1:], len(starts)) - 1]], axis=1)
        # A row below all others lets the last region end where the rows do.
        highest = np.maximum.reduceat(np.append(self._scores, -np.inf), bounds.ravel())[::2]
        found = len(highest) - np.searchsorted(np.sort(highest), self._cuts, side="left")
        return np.asarray(found / len(highest))

    def _distances(
        self, edges: NDArray[np.int64], n: int
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return (N,) rows since the last span's end and until the next one's start; 0 = none."""
        rows = np.arange(n)
        starts, ends = self._spans[:, 0], self._spans[:, 1] - 1
        group = np.searchsorted(edges, rows, side="right")
        before = np.searchsorted(ends, rows, side="left") - 1
        after = np.searchsorted(starts, rows, side="right")
        since, until = np.zeros(n, np.int64), np.zeros(n, np.int64)
        has = before >= 0
        since[has] = rows[has] - ends[before[has]]
        since[has] *= edges[group[has] - 1] <= ends[before[has]]
        has = after < len(starts)
        until[has] = starts[after[has]] - rows[has]
        until[has] *= starts[after[has]] < edges[group[has]]
        outside = ~self._is_core
        return since * outside, until * outside
