"""A history beside its labels: rows by series and time, labelled spans and found incidents."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stream_vae.core.verdicts import Verdict
from stream_vae.errors import ShapeError
from stream_vae.evaluate.history import History
from stream_vae.evaluate.metrics import runs

UNLABELLED = -1
"""Label of a reading of which nothing is known: it is not evaluated."""

_SUB_MICROSECOND_NS = 999  # alert events hold whole microseconds


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelledRows:
    """M evaluated readings by series and time, K labelled spans of them, J found incidents."""

    rows: NDArray[np.int64]
    """(M,) positions in the history."""
    groups: NDArray[np.int64]
    """(M,) number of the series; those of one series are adjacent."""
    is_anomalous: NDArray[np.bool_]
    """(M,) label."""
    is_judged: NDArray[np.bool_]
    """(M,) whether there is a score."""
    is_found: NDArray[np.bool_]
    """(M,) verdict ANOMALOUS."""
    spans: NDArray[np.int64]
    """(K, 2) start and end (exclusive) in 0..M of each run of anomalous readings."""
    delay_s: NDArray[np.float64]
    """(K,) seconds from a span's first reading to the reading that opened the first incident on
    it, at least 0; NaN where none is."""
    incidents: NDArray[np.int64]
    """(J, 2) start and end (exclusive) in 0..M of each incident that holds an evaluated reading."""
    is_false: NDArray[np.bool_]
    """(J,) whether the incident holds no reading labelled anomalous."""

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def series_bounds(self) -> NDArray[np.int64]:
        """(S, 2) start and end (exclusive) in 0..M of each series."""
        edges = np.flatnonzero(np.diff(self.groups)) + 1
        return np.stack([np.append(0, edges), np.append(edges, len(self))], axis=1)


def label_rows(
    history: History, labels: NDArray[np.int8], excluded: NDArray[np.bool_] | None = None
) -> LabelledRows:
    """Return the evaluated readings of a history.

    Args:
        history: N readings.
        labels: (N,) 0 normal, 1 anomalous, -1 unlabelled.
        excluded: (N,) readings that are not evaluated, such as those that baselines learnt from.

    Raises:
        ShapeError: If the shapes differ, or nothing is left to evaluate.
    """
    N = len(history)
    is_excluded = np.zeros(N, np.bool_) if excluded is None else excluded
    if labels.shape != (N,) or is_excluded.shape != (N,):
        raise ShapeError(f"labels {labels.shape} and excluded {is_excluded.shape}, expected ({N},)")
    keys = {key: number for number, key in enumerate(dict.fromkeys(history.series))}
    codes = np.array([keys[key] for key in history.series], np.int64)
    order = np.lexsort((history.times, codes))
    kept = np.flatnonzero((labels[order] != UNLABELLED) & ~is_excluded[order])
    if not len(kept):
        raise ShapeError("no labelled reading to evaluate")
    rows = order[kept]
    is_anomalous = labels[rows] == 1
    # A stretch without labels ends a span.
    stretch = np.cumsum(np.diff(kept, prepend=kept[0] - 1) != 1)
    groups = codes[rows]
    spans = runs(is_anomalous, groups * (int(stretch[-1]) + 1) + stretch)
    incidents, detected = _incident_rows(history, keys, groups, history.times[rows])
    return LabelledRows(
        rows=rows,
        groups=groups,
        is_anomalous=is_anomalous,
        is_judged=history.is_judged[rows],
        is_found=history.verdict[rows] == Verdict.ANOMALOUS,
        spans=spans,
        delay_s=_delays(spans, history.times[rows], incidents, detected),
        incidents=incidents,
        is_false=np.array([not is_anomalous[a:b].any() for a, b in incidents], np.bool_),
    )


def _incident_rows(
    history: History, keys: dict[str, int], groups: NDArray[np.int64], times: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return (J, 2) rows of each incident, and (J,) when it opened."""
    bounds, detected = [], []
    for one in history.incidents:
        low, high = np.searchsorted(groups, [keys[one.series], keys[one.series] + 1])
        span = (one.started_at, one.ended_at + _SUB_MICROSECOND_NS)
        start = low + np.searchsorted(times[low:high], span[0], side="left")
        end = low + np.searchsorted(times[low:high], span[1], side="right")
        if end > start:
            bounds.append((start, end))
            detected.append(one.detected_at)
    return np.array(bounds, np.int64).reshape(-1, 2), np.array(detected, np.int64)


def _delays(
    spans: NDArray[np.int64],
    times: NDArray[np.int64],
    incidents: NDArray[np.int64],
    detected: NDArray[np.int64],
) -> NDArray[np.float64]:
    delays = np.full(len(spans), np.nan)
    for k, (start, end) in enumerate(spans.tolist()):
        on_it = (incidents[:, 0] < end) & (incidents[:, 1] > start)
        if on_it.any():
            delays[k] = max(int(detected[on_it].min()) - int(times[start]), 0) / 1e9
    return delays
