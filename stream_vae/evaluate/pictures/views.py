"""Which part of a history a picture shows: one series, its spans and its telling features."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stream_vae.core.model_spec import ModelSpec
from stream_vae.evaluate.history import History

MOST_SERIES = 4
"""Series drawn; those with labelled spans or incidents come first."""
MOST_FEATURES = 4
"""Features drawn of a series; those that contribute most to its highest scores come first."""

_TELLING_SHARE = 0.05

Span = tuple[int, int]
"""Start and end, nanoseconds since 1970."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SeriesView:
    """N readings of one series in time order; lines break at `gap_ns`."""

    key: str
    times: NDArray[np.int64]
    """(N,) nanoseconds since 1970."""
    actual: NDArray[np.float64]
    """(N, F) input units; NaN = not observed."""
    expected: NDArray[np.float64]
    """(N, F) input units; NaN = no score."""
    expected_std: NDArray[np.float64]
    """(N, F) input units."""
    score: NDArray[np.float64]
    """(N,)"""
    threshold: NDArray[np.float64]
    """(N,)"""
    found: Sequence[Span]
    """Incidents."""
    labelled: Sequence[Span]
    features: Sequence[int]
    """Positions of the features to draw."""
    names: Sequence[str]
    """F names, with units."""
    gap_ns: int

    def broken(
        self, *columns: NDArray[np.float64]
    ) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Return times and (C, M) columns with NaN inside each long gap, where lines then break."""
        gaps = np.flatnonzero(np.diff(self.times) > self.gap_ns) + 1
        times = np.insert(self.times, gaps, self.times[gaps] - 1)
        return times, np.stack([np.insert(column, gaps, np.nan) for column in columns])


def series_views(
    history: History, spec: ModelSpec, *, max_gap: int, labels: NDArray[np.int8] | None = None
) -> list[SeriesView]:
    """Return the series to draw, `MOST_SERIES` at most.

    Args:
        history: N readings.
        spec: Names and units.
        max_gap: Missing steps at which lines break.
        labels: (N,) 1 = anomalous; None where there are none.
    """
    rows: dict[str, list[int]] = {}
    for row, key in enumerate(history.series):
        rows.setdefault(key, []).append(row)
    incidents: dict[str, list[Span]] = {key: [] for key in rows}
    for one in history.incidents:
        incidents[one.series].append((one.started_at, one.ended_at))
    known = np.zeros(len(history), np.int8) if labels is None else labels

    def weight(key: str) -> float:
        return float((known[rows[key]] == 1).sum()) + len(incidents[key])

    chosen = sorted(rows, key=weight, reverse=True)[:MOST_SERIES]
    step_ns = round(spec.step_seconds * 1e9)
    views = []
    for key in chosen:
        at = np.array(rows[key], np.int64)
        at = at[np.argsort(history.times[at], kind="stable")]
        views.append(
            SeriesView(
                key=key,
                times=history.times[at],
                actual=history.values[at],
                expected=history.expected[at],
                expected_std=history.expected_std[at],
                score=history.score[at],
                threshold=history.threshold[at],
                found=incidents[key],
                labelled=_spans(history.times[at], known[at] == 1, step_ns),
                features=_telling_features(history, at),
                names=[f"{f.name} [{f.unit}]" if f.unit else f.name for f in spec.features],
                gap_ns=(max_gap + 1) * step_ns,
            )
        )
    return views


def _spans(times: NDArray[np.int64], is_anomalous: NDArray[np.bool_], step_ns: int) -> list[Span]:
    """Return the spans of anomalous readings, the last step of each included."""
    edges = np.diff(is_anomalous.astype(np.int8), prepend=0, append=0)
    starts, ends = np.flatnonzero(edges == 1), np.flatnonzero(edges == -1) - 1
    return [(int(times[a]), int(times[b]) + step_ns) for a, b in zip(starts, ends, strict=True)]


def _telling_features(history: History, rows: NDArray[np.int64]) -> list[int]:
    """Return the features that contribute most to the highest scores of a series."""
    scored = rows[np.isfinite(history.score[rows])]
    if not len(scored):
        return list(range(min(history.values.shape[1], MOST_FEATURES)))
    n = max(round(len(scored) * _TELLING_SHARE), 1)
    highest = scored[np.argsort(-history.score[scored], kind="stable")[:n]]
    mean = history.contribution[highest].mean(axis=0)
    order: list[int] = np.argsort(-mean, kind="stable")[:MOST_FEATURES].tolist()
    return order
