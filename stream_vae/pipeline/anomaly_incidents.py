"""From judged readings to changes of incidents, and their alert events."""

from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from stream_vae.core.alerts import AlertEvent
from stream_vae.core.incidents import Incident, JudgedReading
from stream_vae.detect.incidents import Change
from stream_vae.detect.tail import LEAST_P
from stream_vae.detect.threshold.threshold import Judgement
from stream_vae.pipeline.alert_builder import AlertBuilder, SeriesEnd, SilentSeries
from stream_vae.pipeline.detector import Detector
from stream_vae.pipeline.explanation import (
    Explanation,
    explain,
    newest_readings,
    reference_of,
)
from stream_vae.pipeline.replay import ReplayFilter
from stream_vae.pipeline.scored_batch import JudgedBatch, ScoredBatch
from stream_vae.pipeline.series_store import SeriesStore

_FAR_LIMIT = 10 * LEAST_P
_UNJUDGED = -1
_LEAST_MOVE = 0.25
"""Scaled units by which a bias must have moved for a level to have been adapted to."""


class AnomalyIncidents:
    """Opens, updates and ends the incidents of series whose readings are anomalous.

    Args:
        store: Of the pipeline.
        detector: Its thresholds are in alert events.
        alerts: Builds alert events.
        replayed: What the saved incidents contain already.
        min_deviation: See `IncidentConfig`.
    """

    def __init__(
        self,
        store: SeriesStore,
        detector: Detector,
        alerts: AlertBuilder,
        replayed: ReplayFilter,
        min_deviation: float,
    ) -> None:
        self._store = store
        self._detector = detector
        self._spec = detector.spec
        self._alerts = alerts
        self._replayed = replayed
        self._min_deviation = min_deviation

    def changes(
        self, batch: JudgedBatch, now: datetime, *, replayed: bool
    ) -> list[tuple[int, int, AlertEvent]]:
        """Process a batch; return position of the reading, row and event of each change.

        Args:
            batch: Judged readings.
            now: Wall clock.
            replayed: The readings were judged before; nothing is published a second time.
        """
        scored, tracker = batch.scored, self._store.incidents
        window_batch = scored.window_batch
        rows = window_batch.rows[window_batch.ready]
        deviation = self._deviation(batch)
        counted = batch.judged.anomalous & (deviation >= self._min_deviation)
        grades = _grades(batch.judged)
        # Normal series with normal readings cannot change an incident; only the others are visited.
        nth = _places_in_records(scored) if self._spec.has_events else None
        visited = np.fromiter({*rows[counted].tolist(), *tracker.tracked_rows}, np.int32)
        found: list[tuple[int, int, AlertEvent]] = []
        for at, b in _in_order(window_batch.rows, window_batch.ready, window_batch.late, visited):
            row, offset = int(window_batch.rows[at]), int(scored.readings.offsets[at])
            decided_at = int(scored.decided_at[at])
            if replayed and self._replayed.knows_incidents(self._store.index.name(row), decided_at):
                continue
            if b == _UNJUDGED:
                step = self._store.windows.step_time(int(scored.readings.times[at]))
                unjudged = tracker.observe_unjudged(row, offset, step=step, replayed=replayed)
                if unjudged is not None:
                    found.append((at, row, self._ended(row, at, unjudged, scored, now)))
                continue
            reading = JudgedReading(
                step=int(window_batch.end_times[b]),
                time=int(scored.readings.times[at]),
                offset=offset,
                nth=0 if nth is None else int(nth[at]),
                anomalous=bool(counted[b]),
                score=float(scored.scores.value[b]),
                grade=float(grades[b]),
                deviation=float(deviation[b]),
                threshold=float(batch.judged.threshold[b]),
                is_adapted=self._is_adapted(batch, b, tracker.incident(row)),
            )
            changed = tracker.observe(row, reading, replayed=replayed)
            if changed is not None:
                events = self._told(*changed, batch, b, now)
                found += [(at, row, event) for event in events]
        return found

    def _told(
        self, change: Change, incident: Incident, batch: JudgedBatch, b: int, now: datetime
    ) -> list[AlertEvent]:
        """Return the event of a change; of an absorbed one also that of the drift."""
        reference = reference_of(batch, self._detector.usual)
        of_window = None if reference is None else reference.of(b)
        explanation = explain(self._spec, batch.scored, b, of_window)
        if change is Change.OPENED:
            row = int(batch.scored.window_batch.rows[batch.scored.window_batch.ready[b]])
            incident = self._named(row, batch, b, explanation)
        event = self._alerts.write(change, incident, batch, b, explanation, now)
        if change is not Change.ABSORBED:
            return [event]
        # About what was usual in training: without what has been learnt since.
        untaught = None if reference is None else reference.untaught()
        moved = explain(self._spec, batch.scored, b, untaught)
        return [event, self._alerts.build_drift(event, moved, incident.leaps)]

    def _named(self, row: int, batch: JudgedBatch, b: int, explanation: Explanation) -> Incident:
        """Return the incident that a series has just opened, with what its window tells."""
        tracker = self._store.incidents
        partition, key = self._store.index.name(row)
        share = np.where(explanation.is_observed, batch.scored.scores.contribution[b], -1.0)
        first = int(share.argmax())
        evidence = tracker.first_evidence(row)
        return tracker.name(
            row,
            self._alerts.anomaly_id(key, partition, evidence),
            opened_by=self._spec.features[first].name,
            deviation=explanation.largest_deviation,
            bias=None if batch.bias is None else float(batch.bias[b, :, first].mean()),
            leaps=explanation.leaps_since(evidence.step),
        )

    def _is_adapted(self, batch: JudgedBatch, b: int, incident: Incident | None) -> bool:
        """Return whether the tracker has followed the feature that opened an incident.

        It has if its bias has made most of the way to where that feature's residuals are now.
        """
        evidence = batch.scored.scores.evidence
        if incident is None or incident.bias is None or batch.bias is None or evidence is None:
            return False
        names = [feature.name for feature in self._spec.features]
        if incident.opened_by not in names:
            return False  # opened under another model
        f = names.index(incident.opened_by)
        moved = abs(float(batch.bias[b, :, f].mean()) - incident.bias)
        to_move = abs(float(evidence[b, :, f, 0].mean()) - incident.bias)
        return moved >= _LEAST_MOVE and 2 * moved >= to_move  # False of what was not observed

    def _ended(
        self, row: int, at: int, incident: Incident, scored: ScoredBatch, now: datetime
    ) -> AlertEvent:
        """Return the event of an incident whose series cannot be judged."""
        readings = scored.readings
        series = SilentSeries(
            key=readings.series[at],
            topic=readings.topic,
            partition=int(readings.partitions[at]),
            last_step=self._store.windows.step_time(int(readings.times[at])),
            silent_s=0.0,
        )
        threshold = self._detector.threshold.in_force(row)
        return self._alerts.build_forgotten(series, incident, threshold, now, SeriesEnd.UNJUDGED)

    def _deviation(self, batch: JudgedBatch) -> NDArray[np.float64]:
        """Return (B,) the largest deviation of each anomalous window's newest reading; others 0."""
        found = np.zeros(len(batch.scored.scores.value))
        at = np.flatnonzero(batch.judged.anomalous)
        if len(at):
            reference = reference_of(batch, self._detector.usual)
            of_windows = None if reference is None else reference.of(at)
            found[at] = newest_readings(self._spec, batch.scored, at, of_windows).largest_deviation
        return found


def _in_order(
    rows: NDArray[np.int32],
    ready: NDArray[np.int64],
    late: NDArray[np.bool_],
    visited: NDArray[np.int32],
) -> list[tuple[int, int]]:
    """Return the readings of some series, those of one series in arrival order.

    Args:
        rows: (N,) row of each reading's series.
        ready: (B,) positions of the readings that end a scorable window.
        late: (N,) readings that were not used.
        visited: Rows of the series.

    Returns:
        Position of each reading, and of its window; the latter -1 where there is none.
    """
    if not len(visited):
        return []
    window = np.full(len(rows), _UNJUDGED)
    window[ready] = np.arange(len(ready))
    at = np.flatnonzero(np.isin(rows, visited) & ~late)
    at = at[np.argsort(rows[at], kind="stable")]
    return list(zip(at.tolist(), window[at].tolist(), strict=True))


def _places_in_records(scored: ScoredBatch) -> NDArray[np.int64]:
    """Return (N,) how many readings of the same series stand before each in its record."""
    readings, rows = scored.readings, scored.window_batch.rows
    order = np.lexsort((rows, readings.offsets, readings.partitions))  # keeps the order of equals
    same = np.stack([readings.partitions[order], readings.offsets[order], rows[order]])
    is_first = np.diff(same, axis=1, prepend=same[:, :1] - 1).any(axis=0)
    place = np.arange(len(order))
    nth = np.empty(len(order), np.int64)
    nth[order] = place - np.maximum.accumulate(np.where(is_first, place, 0))
    return nth


def _grades(judged: Judgement) -> NDArray[np.float64]:
    """Return (B,) how far beyond the threshold, on the scale of log probability.

    Beyond a threshold that is itself as improbable as p-values go, every score is far.
    """
    limit = np.log(np.maximum(judged.limit, _FAR_LIMIT))
    beyond = (limit - np.log(judged.p_value)) / (limit - np.log(LEAST_P))
    return np.asarray(np.clip(beyond, 0, 1))
