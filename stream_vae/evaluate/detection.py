"""Figures of a detector over labelled readings: of its ranking, and of its own threshold."""

import numpy as np
from numpy.typing import NDArray

from stream_vae.evaluate.labelled import LabelledRows
from stream_vae.evaluate.metrics import average_precision, best_f1, point_adjusted_f1, roc_auc
from stream_vae.evaluate.vus import vus_pr

Figures = dict[str, float]
"""By name; NaN where a figure is not defined, such as the delay when nothing was found."""

RANKING = ("average_precision", "roc_auc", "vus_pr", "best_f1")

_LEAST_S = 600.0
_WEEK_S = 7 * 86_400.0
_BUFFERS = 11


def ranking_figures(
    labelled: LabelledRows,
    scores: NDArray[np.float64],
    ranges: NDArray[np.int64],
    *,
    max_buffer: int,
    point_adjusted: bool = False,
) -> Figures:
    """Return how well scores rank the judged readings of some ranges.

    VUS-PR averages at most eleven buffers, evenly spaced from 0 to `max_buffer`.

    Args:
        labelled: M readings.
        scores: (M,) higher = more anomalous; finite where a reading is judged.
        ranges: (U, 2) start and end (exclusive) in 0..M; each counts as a series of its own.
        max_buffer: Longest buffer of VUS-PR, rows.
        point_adjusted: Whether to add `point_adjusted_f1`, which is inflated.
    """
    rows, groups = _rows_of(ranges)
    judged = labelled.is_judged[rows]
    rows, groups = rows[judged], groups[judged]
    labels, values = labelled.is_anomalous[rows], scores[rows]
    names = (*RANKING, *(("point_adjusted_f1",) if point_adjusted else ()))
    if labels.all() or not labels.any():
        return dict.fromkeys(names, np.nan)
    figures = {
        "average_precision": average_precision(labels, values),
        "roc_auc": roc_auc(labels, values),
        "vus_pr": vus_pr(labels, values, max_buffer=max_buffer, groups=groups, buffers=_BUFFERS),
        "best_f1": best_f1(labels, values)[0],
    }
    if point_adjusted:
        figures["point_adjusted_f1"] = point_adjusted_f1(labels, values, groups)
    return figures


def threshold_figures(
    labelled: LabelledRows, ranges: NDArray[np.int64], step_seconds: float
) -> Figures:
    """Return what the detector's verdicts and incidents are worth on some ranges.

    Precision, recall and F1 are of judged readings. A span is found if an incident holds a reading
    of it; an incident is false if it holds no anomalous reading. Both belong to the range in which
    they begin.

    Args:
        labelled: M readings.
        ranges: (U, 2) start and end (exclusive) in 0..M.
        step_seconds: Time for which a reading stands.
    """
    rows, _ = _rows_of(ranges)
    rows = rows[labelled.is_judged[rows]]
    labels, found = labelled.is_anomalous[rows], labelled.is_found[rows]
    hits = int((labels & found).sum())
    delays = labelled.delay_s[_starting_in(labelled.spans[:, 0], ranges)]
    n_incidents = len(_starting_in(labelled.incidents[:, 0], ranges))
    n_false = int(labelled.is_false[_starting_in(labelled.incidents[:, 0], ranges)].sum())
    reached = delays[np.isfinite(delays)]
    weeks = len(rows) * step_seconds / _WEEK_S  # incidents open at judged readings only
    if weeks * _WEEK_S < _LEAST_S:  # of events without a time, say: no rate can be told
        weeks = np.nan
    return {
        "precision": _share(hits, int(found.sum())),
        "recall": _share(hits, int(labels.sum())),
        "f1": _share(2 * hits, int(found.sum()) + int(labels.sum())),
        "spans": float(len(delays)),
        "spans_found": float(len(reached)),
        "spans_missed": float(len(delays) - len(reached)),
        "span_recall": _share(len(reached), len(delays)),
        "incidents": float(n_incidents),
        "false_incidents": float(n_false),
        "incident_precision": _share(n_incidents - n_false, n_incidents),
        "false_incidents_per_series_week": _share(n_false, weeks),
        "delay_median_s": float(np.median(reached)) if len(reached) else np.nan,
        "delay_90_s": float(np.quantile(reached, 0.9)) if len(reached) else np.nan,
    }


def _rows_of(ranges: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return all rows of ranges one after the other, and the number of each row's range."""
    sizes = ranges[:, 1] - ranges[:, 0]
    groups = np.repeat(np.arange(len(ranges)), sizes)
    first = np.cumsum(sizes) - sizes
    return np.arange(int(sizes.sum())) - (first - ranges[:, 0])[groups], groups


def _starting_in(starts: NDArray[np.int64], ranges: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return which of the starts lie in each range, one range after the other."""
    order = np.argsort(starts, kind="stable")
    bounds = np.searchsorted(starts[order], ranges)
    chosen, _ = _rows_of(bounds.astype(np.int64))
    return order[chosen]


def _share(part: float, whole: float) -> float:
    return part / whole if whole else float("nan")
