"""The production pipeline over a history: every reading's score, verdict and explanation."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stream_vae.core.alerts import AlertEvent, Severity
from stream_vae.core.model_spec import Feature
from stream_vae.core.readings import ReadingBatch
from stream_vae.core.verdicts import Verdict
from stream_vae.core.windows import WindowBatch
from stream_vae.pipeline.explanation import NewestReadings
from stream_vae.pipeline.pipeline import Outcome, Pipeline

BATCH = 4096
"""Readings processed at once; the result does not depend on it."""

OtherScore = Callable[[NDArray[np.float64]], NDArray[np.float64]]
"""Another method: (B, T, F) windows in input units, NaN = not observed -> (B,) scores."""

WindowSink = Callable[[NDArray[np.int64], NDArray[np.float64], NDArray[np.int64]], None]
"""Takes (B,) rows of the history, the (B, T, F) windows that end there and their end times (B,)."""

_PER_FEATURE = ("expected", "expected_std", "log_probability")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundIncident:
    """One incident, as published."""

    series: str
    started_at: int
    """Event time of its first anomalous reading, nanoseconds since 1970."""
    detected_at: int
    """Event time of the reading that opened it, nanoseconds since 1970."""
    ended_at: int
    """Event time of its last anomalous reading, nanoseconds since 1970."""
    is_resolved: bool
    severity: Severity
    peak_score: float
    features: tuple[str, ...]
    """When it opened, largest contribution first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """N readings in input order, and what the detector said of each; NaN where it said nothing."""

    series: list[str]
    times: NDArray[np.int64]
    """(N,) nanoseconds since 1970."""
    values: NDArray[np.float64]
    """(N, F) input units; NaN = not observed."""
    score: NDArray[np.float64]
    """(N,) higher = more anomalous."""
    threshold: NDArray[np.float64]
    """(N,) in force when the score was judged."""
    p_value: NDArray[np.float64]
    """(N,)"""
    verdict: NDArray[np.int8]
    """(N,) of `Verdict`."""
    contribution: NDArray[np.float32]
    """(N, F) share of each feature in the score."""
    expected: NDArray[np.float64]
    """(N, F) input units, as an alert would tell it."""
    expected_std: NDArray[np.float64]
    """(N, F) input units, as an alert would tell it."""
    log_probability: NDArray[np.float64]
    """(N, F) of the values, nats in scaled units; NaN where the pipeline's scorer tells none."""
    incidents: tuple[FoundIncident, ...]
    """In the order in which they opened."""
    others: Mapping[str, NDArray[np.float64]]
    """(N,) scores of other methods on the same windows, by name."""

    def __len__(self) -> int:
        return len(self.series)

    @property
    def is_judged(self) -> NDArray[np.bool_]:
        """(N,) whether the reading has a score."""
        return np.isin(self.verdict, (Verdict.NORMAL, Verdict.ANOMALOUS))


def run_history(  # noqa: PLR0913 -- what is wanted beside the columns
    pipeline: Pipeline,
    readings: ReadingBatch,
    *,
    now: datetime,
    others: Mapping[str, OtherScore] | None = None,
    sink: WindowSink | None = None,
    on_progress: Callable[[int], None] | None = None,
) -> History:
    """Run a fresh pipeline over a history, as the daemon would on the same readings.

    Args:
        pipeline: With room for all series of the history.
        readings: N readings in arrival order.
        now: Wall clock, for the alert events.
        others: Other methods that score the same windows, by name.
        sink: Is given every scored window.
        on_progress: Called with the number of readings done so far.

    Raises:
        IndexError: If there is no room for the series.
    """
    columns = _Columns(readings, others or {}, pipeline.detector.spec.features)
    opened: dict[str, AlertEvent] = {}
    last: dict[str, AlertEvent] = {}

    def tell(outcome: Outcome) -> None:
        """Keep what became of steps; their offsets are rows of the history."""
        scored = outcome.batch.scored
        steps, cut = scored.readings.offsets, scored.window_batch
        columns.write(scored.readings, cut, outcome, pipeline.told(outcome))
        if sink is not None:
            sink(steps[cut.ready], cut.windows, cut.end_times)
        for event in outcome.alerts:
            if event.kind == "anomaly":
                opened.setdefault(event.incident_id, event)
                last[event.incident_id] = event

    for at in range(0, len(readings), BATCH):
        rows = np.arange(at, min(at + BATCH, len(readings)))
        batch = replace(readings.take(rows), offsets=rows)
        tell(pipeline.observe(batch, now))
        if on_progress is not None:
            on_progress(int(rows[-1]) + 1)
    tell(pipeline.finish(readings.topic, now))
    incidents = tuple(_incident(opened[key], last[key]) for key in opened)
    return columns.history(tuple(_continued(pipeline, incidents)))


class _Columns:
    """The columns of a history, filled batch by batch."""

    def __init__(
        self,
        readings: ReadingBatch,
        others: Mapping[str, OtherScore],
        features: Sequence[Feature],
    ) -> None:
        N, F = readings.values.shape
        self._readings = readings
        self._values = readings.values.copy()
        # What a producer sends is not what the model is of; steps have the latter.
        self._values[:, [one.rule is not None for one in features]] = np.nan
        self._methods = others
        self._rows: dict[str, NDArray[Any]] = {
            **{name: np.full(N, np.nan) for name in ("score", "threshold", "p_value")},
            **{name: np.full((N, F), np.nan) for name in _PER_FEATURE},
            "contribution": np.full((N, F), np.nan, np.float32),
            "verdict": np.full(N, Verdict.UNSCORABLE, np.int8),
        }
        self._others = {name: np.full(N, np.nan) for name in others}

    def write(
        self,
        steps: ReadingBatch,
        cut: WindowBatch,
        outcome: Outcome,
        told: NewestReadings,
    ) -> None:
        """Add a batch; the offsets of its steps are rows."""
        rows = steps.offsets
        self._values[rows] = steps.values
        for name in ("score", "threshold", "p_value", "verdict"):
            self._rows[name][rows] = getattr(outcome.verdicts, name)
        ready = rows[cut.ready]
        self._rows["expected"][ready] = told.expected
        self._rows["expected_std"][ready] = told.expected_std
        self._rows["contribution"][ready] = outcome.scores.contribution
        if outcome.scores.log_probability is not None:
            self._rows["log_probability"][ready] = outcome.scores.log_probability
        if len(ready):
            for name, score in self._methods.items():
                self._others[name][ready] = score(cut.windows)

    def history(self, incidents: tuple[FoundIncident, ...]) -> History:
        """Return the whole."""
        readings = self._readings
        return History(
            series=readings.series,
            times=readings.times,
            values=self._values,
            incidents=incidents,
            others=self._others,
            **self._rows,
        )


def _incident(opened: AlertEvent, last: AlertEvent) -> FoundIncident:
    is_resolved = last.status == "resolved"
    return FoundIncident(
        series=opened.series.key,
        started_at=_ns(opened.starts_at),
        detected_at=_ns(opened.window.end),
        ended_at=_ns(last.ends_at if last.ends_at is not None else last.window.end),
        is_resolved=is_resolved,
        severity=last.severity,
        peak_score=last.score_peak,
        features=tuple(feature.name for feature in opened.features),
    )


def _continued(pipeline: Pipeline, incidents: tuple[FoundIncident, ...]) -> Iterator[FoundIncident]:
    """Yield the incidents, those still open with the end that the pipeline knows."""
    for one in incidents:
        row = None if one.is_resolved else pipeline.store.index.find((0, one.series))
        still_open = None if row is None else pipeline.store.incidents.incident(row)
        if still_open is None:
            yield one
        else:
            yield replace(
                one,
                ended_at=still_open.last_anomalous_at,
                peak_score=still_open.peak_score,
                severity=still_open.severity,
            )


def _ns(when: datetime) -> int:
    return (when - _EPOCH) // timedelta(microseconds=1) * 1000
