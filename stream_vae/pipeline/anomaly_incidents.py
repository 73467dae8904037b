"""From judged readings to changes of incidents, and their alert events."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from stream_vae.core.alerts import UNSEEN_SHARE, AlertEvent
from stream_vae.core.incidents import Incident, JudgedReading, feature_of
from stream_vae.core.log_templates import UNSEEN, counts_any_template
from stream_vae.core.model_spec import Feature
from stream_vae.detect.config import IncidentConfig
from stream_vae.detect.incidents import Change
from stream_vae.detect.tail import LEAST_P
from stream_vae.detect.threshold.threshold import Judgement
from stream_vae.pipeline.alert_builder import AlertBuilder, SeriesEnd, SilentSeries
from stream_vae.pipeline.detector import Detector
from stream_vae.pipeline.explanation import (
    Explanation,
    Reference,
    cause,
    explain,
    newest_readings,
    reference_of,
)
from stream_vae.pipeline.line_totals import LineTotals
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
        config: Of incidents.
        totals: Of lines; None of readings, and of sessions.
    """

    def __init__(  # noqa: PLR0913 -- what incidents are made of, and what is known of lines
        self,
        store: SeriesStore,
        detector: Detector,
        alerts: AlertBuilder,
        replayed: ReplayFilter,
        config: IncidentConfig,
        *,
        totals: LineTotals | None = None,
    ) -> None:
        self._store = store
        self._detector = detector
        self._spec = spec = detector.spec
        self._alerts = alerts
        self._replayed = replayed
        self._config = config
        self._totals = totals
        # Of lines, those of any kind or level deviate with each other cause.
        self._is_specific = np.array(
            [spec.logs is None or not counts_any_template(one.name) for one in spec.features]
        )
        names = [one.name for one in spec.features]
        self._unseen = names.index(UNSEEN) if spec.logs is not None and UNSEEN in names else None

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
        newest = self._newest(batch)
        counted = batch.judged.anomalous & (newest.deviation >= self._config.min_deviation)
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
            is_counted = bool(counted[b])
            reading = JudgedReading(
                step=int(window_batch.end_times[b]),
                time=int(scored.readings.times[at]),
                offset=offset,
                nth=0 if nth is None else int(nth[at]),
                anomalous=is_counted,
                score=float(scored.scores.value[b]),
                grade=float(grades[b]),
                deviation=float(newest.deviation[b]),
                size=float(newest.size[b]),
                cause=newest.cause(b, self._config.warning_deviation) if is_counted else "",
                threshold=float(batch.judged.threshold[b]),
                is_adapted=self._is_adapted(batch, b, tracker.incident(row)),
                is_off=not is_counted and self._is_off(row, batch, b),
            )
            changed = tracker.observe(row, reading, replayed=replayed)
            if changed is not None:
                events = self._told(*changed, batch, b, now)
                found += [(at, row, event) for event in events]
            self._count_lines(row, batch, b)
        return found

    def _count_lines(self, row: int, batch: JudgedBatch, b: int) -> None:
        """Add the lines of a window to those of the incident that is open."""
        incident = self._store.incidents.incident(row)
        if self._totals is not None and incident is not None:
            window_batch = batch.scored.window_batch
            counted = self._totals.settled(
                incident, window_batch.windows[b], int(window_batch.end_times[b])
            )
            self._store.incidents.note_lines(row, counted)

    def _told(
        self, change: Change, incident: Incident, batch: JudgedBatch, b: int, now: datetime
    ) -> list[AlertEvent]:
        """Return the event of a change; of an absorbed one also that of the drift."""
        reference = reference_of(batch, self._detector.usual)
        explanation = self._explained(reference, batch, b)
        row = int(batch.scored.window_batch.rows[batch.scored.window_batch.ready[b]])
        leading = self._leading(batch, b, explanation)
        if change is Change.OPENED:
            incident = self._named(row, batch, b, explanation, leading)
        is_other = change is Change.UPDATED and incident.updated_because == "other_cause"
        other = feature_of(incident.causes[-1]) if is_other and incident.causes else None
        self._store.incidents.note_causes(
            row, explanation.causes(self._spec.features, leading, self._config.warning_deviation)
        )
        incident = self._store.incidents.incident(row) or incident
        event = self._alerts.write(change, incident, batch, b, explanation, now, other)
        if change is not Change.ABSORBED:
            return [event]
        # About what was usual in training: without what has been learnt since.
        untaught = None if reference is None else reference.untaught()
        moved = explain(self._spec, batch.scored, b, untaught)
        return [event, self._alerts.build_drift(event, moved, incident.leaps)]

    def _explained(self, reference: Reference | None, batch: JudgedBatch, b: int) -> Explanation:
        """Return what the events of a window tell of its steps."""
        of_window = None if reference is None else reference.of(b)
        return explain(self._spec, batch.scored, b, of_window)

    def _leading(self, batch: JudgedBatch, b: int, explanation: Explanation) -> int:
        """Return the feature that contributes most to the score of a window.

        Of lines never seen in training half as much is enough; see `AlertEvent.told`.
        """
        share = batch.scored.scores.contribution[b]
        share = np.where(explanation.is_observed, share, -1.0)
        first = int(share.argmax())
        if self._unseen is not None and share[self._unseen] >= UNSEEN_SHARE * share[first]:
            return self._unseen
        return first

    def _named(
        self, row: int, batch: JudgedBatch, b: int, explanation: Explanation, first: int
    ) -> Incident:
        """Return the incident that a series has just opened, with what its window tells."""
        tracker = self._store.incidents
        evidence = tracker.first_evidence(row)
        return tracker.name(
            row,
            self._alerts.anomaly_id(self._store.index.name(row), evidence),
            opened_by=self._spec.features[first].name,
            deviation=explanation.largest_deviation,
            size=explanation.largest_size,
            bias=None if batch.bias is None else float(batch.bias[b, :, first].mean()),
            leaps=explanation.leaps_since(evidence.step),
            lines_to=None if self._totals is None else self._totals.before(evidence.step),
        )

    def _is_off(self, row: int, batch: JudgedBatch, b: int) -> bool:
        """Return whether what an incident that could end is about is still off.

        What an event is about lies within it: those after it are of other things.
        """
        incident, least = self._store.incidents.incident(row), self._config.resolve_deviation
        if not least or self._spec.has_events or incident is None or not incident.causes:
            return False
        if not self._store.incidents.may_end(row):
            return False
        explanation = self._explained(reference_of(batch, self._detector.usual), batch, b)
        steps = self._config.resolve_after
        return explanation.is_off(self._spec.features, incident.causes, steps, least)

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

    def _newest(self, batch: JudgedBatch) -> "_Newest":
        """Return how far the newest reading of each anomalous window is from expected."""
        n = len(batch.scored.scores.value)
        deviation, size, of_cause = np.zeros((3, n))
        leading, is_above = np.zeros(n, np.int64), np.zeros(n, np.bool_)
        at = np.flatnonzero(batch.judged.anomalous)
        if len(at):
            reference = reference_of(batch, self._detector.usual)
            of_windows = None if reference is None else reference.of(at)
            found = newest_readings(self._spec, batch.scored, at, of_windows)
            sizes = np.nan_to_num(found.size)
            deviation[at], size[at] = found.largest_deviation, sizes.max(axis=1)
            specific = np.where(self._is_specific, sizes, 0.0)
            leading[at] = first = specific.argmax(axis=1)
            of_cause[at] = specific.max(axis=1)
            is_above[at] = np.take_along_axis(found.is_above, first[:, None], axis=1)[:, 0]
        return _Newest(
            features=self._spec.features,
            deviation=deviation,
            size=size,
            of_cause=of_cause,
            leading=leading,
            is_above=is_above,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Newest:
    """The newest readings of B windows; of those that are not anomalous nothing is told."""

    features: Sequence[Feature]  # F
    deviation: NDArray[np.float64]  # (B,) the largest of any feature; 0 where nothing is told
    size: NDArray[np.float64]  # (B,) the same
    of_cause: NDArray[np.float64]  # (B,) the largest size of a feature that can be a cause
    leading: NDArray[np.int64]  # (B,) that feature
    is_above: NDArray[np.bool_]  # (B,) whether it is above the expected

    def cause(self, b: int, least: float) -> str:
        """Return what deviates most, "" if its size is below the least that counts."""
        if self.of_cause[b] < least:
            return ""
        return cause(self.features[int(self.leading[b])], is_above=bool(self.is_above[b]))


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
