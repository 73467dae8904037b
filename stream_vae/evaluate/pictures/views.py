"""Which part of a history a picture shows: one series, its spans and its telling features."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from stream_vae.core.model_spec import Feature, ModelSpec
from stream_vae.evaluate.history import History

MOST_SERIES = 4
"""Series drawn; those with labelled spans or incidents come first."""
MOST_FEATURES = 4
"""Features drawn of a series; those that contribute most to its highest scores come first."""
MOST_EVENTS = 40
"""Event records drawn side by side, each with what was expected of it."""

_TELLING_SHARE = 0.05
_COLUMNS = (
    *("actual", "expected", "expected_std", "log_probability"),
    *("score", "threshold", "is_labelled", "is_found"),
)

Span = tuple[float, float]
"""Start and end, in the unit of `SeriesView.places`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SeriesView:
    """N readings of one series: in time order, or event records, which have no order.

    Lines break at `gap`; between event records there are none.
    """

    key: str
    places: NDArray[np.int64]
    """(N,) ascending: nanoseconds since 1970; of event records their numbers in the input, from 1.
    """
    actual: NDArray[np.float64]
    """(N, F) input units, of a category its code; NaN = not observed."""
    expected: NDArray[np.float64]
    """(N, F) input units; NaN = no score."""
    expected_std: NDArray[np.float64]
    """(N, F) input units; of a category the probability of all others."""
    log_probability: NDArray[np.float64]
    """(N, F) of the actual values, nats in scaled units; NaN = not observed, or no score."""
    score: NDArray[np.float64]
    """(N,)"""
    threshold: NDArray[np.float64]
    """(N,)"""
    is_labelled: NDArray[np.bool_]
    """(N,) whether labelled anomalous."""
    is_found: NDArray[np.bool_]
    """(N,) whether within an incident."""
    features: Sequence[Feature]
    """F."""
    telling: Sequence[int]
    """Positions of the features to draw."""
    step: int
    """Width of a step, in the unit of `places`."""
    gap: int
    is_events: bool = False
    trained_on: Sequence[Span] = ()

    @property
    def labelled(self) -> list[Span]:
        """What is labelled anomalous, the last step of each span included."""
        return self._spans(self.is_labelled)

    @property
    def found(self) -> list[Span]:
        """The incidents, the last step of each included."""
        return self._spans(self.is_found)

    def broken(
        self, *columns: NDArray[np.float64]
    ) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Return places and (C, M) columns with NaN inside each long gap, where lines break."""
        gaps = np.flatnonzero(np.diff(self.places) > self.gap) + 1
        places = np.insert(self.places, gaps, self.places[gaps - 1] + self.step)
        return places, np.stack([np.insert(column, gaps, np.nan) for column in columns])

    def highest(self) -> "tuple[SeriesView, NDArray[np.int64]]":
        """Return a view of the event records with the highest scores, and their numbers.

        Highest first; a record's place is its rank, from 1.
        """
        order = np.argsort(-np.nan_to_num(self.score, nan=-np.inf), kind="stable")[:MOST_EVENTS]
        columns = {name: getattr(self, name)[order] for name in _COLUMNS}
        return replace(self, places=np.arange(1, len(order) + 1), **columns), self.places[order]

    def _spans(self, chosen: NDArray[np.bool_]) -> list[Span]:
        edges = np.diff(chosen.astype(np.int8), prepend=0, append=0)
        starts, ends = np.flatnonzero(edges == 1), np.flatnonzero(edges == -1) - 1
        shift = self.step / 2 if self.is_events else 0  # a record is drawn at its place's middle
        return [
            (self.places[a] - shift, self.places[b] + self.step - shift)
            for a, b in zip(starts, ends, strict=True)
        ]


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
    incidents: dict[str, list[tuple[int, int]]] = {key: [] for key in rows}
    for one in history.incidents:
        incidents[one.series].append((one.started_at, one.ended_at))
    known = np.zeros(len(history), np.int8) if labels is None else labels

    def weight(key: str) -> float:
        return float((known[rows[key]] == 1).sum()) + len(incidents[key])

    is_events = spec.has_events
    step_ns = round(spec.step_seconds * 1e9)
    views = []
    for key in sorted(rows, key=weight, reverse=True)[:MOST_SERIES]:
        at = np.array(rows[key], np.int64)
        if not is_events:
            at = at[np.argsort(history.times[at], kind="stable")]
        views.append(
            SeriesView(
                key=key,
                places=at + 1 if is_events else history.times[at],
                actual=history.values[at],
                expected=history.expected[at],
                expected_std=history.expected_std[at],
                log_probability=history.log_probability[at],
                score=history.score[at],
                threshold=history.threshold[at],
                is_labelled=known[at] == 1,
                is_found=_within(history.times[at], incidents[key]),
                features=spec.features,
                telling=_telling_features(history, at),
                step=1 if is_events else step_ns,
                gap=(max_gap + 1) * step_ns,
                is_events=is_events,
            )
        )
    return views


def _within(times: NDArray[np.int64], spans: Sequence[tuple[int, int]]) -> NDArray[np.bool_]:
    """Return (N,) whether a time lies in one of the spans, whose ends hold whole microseconds."""
    found = np.zeros(len(times), np.bool_)
    for start, end in spans:
        found |= (times >= start) & (times // 1000 <= end // 1000)
    return found


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
