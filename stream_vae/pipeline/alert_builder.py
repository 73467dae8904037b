"""From a change of an incident and its scored window to an alert event."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import Enum

import numpy as np

from stream_vae.core.alerts import (
    AlertCourse,
    AlertDeviation,
    AlertEvent,
    AlertFeature,
    AlertModel,
    AlertSeries,
    AlertSession,
    AlertSource,
    AlertWindow,
    Kind,
    Reason,
    Severity,
)
from stream_vae.core.durations import describe_duration
from stream_vae.core.event_time import utc
from stream_vae.core.excerpts import printable
from stream_vae.core.incidents import Incident, JudgedReading, Silence
from stream_vae.core.log_templates import UNSEEN
from stream_vae.core.model_spec import ModelSpec
from stream_vae.core.readings import CLOSINGS, ReadingBatch, SessionColumns
from stream_vae.core.series_index import SeriesName
from stream_vae.core.time_grid import nearest_grid_point
from stream_vae.detect.incidents import Change
from stream_vae.logs.masks import example_mask
from stream_vae.pipeline.alert_features import build_features, build_levels, with_places
from stream_vae.pipeline.alert_summary import (
    bounded,
    course_in_words,
    duration_of,
    opened_by_in_words,
    shown_key,
    summary_of_change,
    summary_of_drift,
)
from stream_vae.pipeline.explanation import Explanation
from stream_vae.pipeline.incident_ids import (
    EventPlace,
    Origin,
    digest,
    incident_id,
    incident_id_by_name,
)
from stream_vae.pipeline.line_totals import LineTotals
from stream_vae.pipeline.scored_batch import JudgedBatch, ScoredBatch
from stream_vae.pipeline.unseen_examples import UnseenExamples


@dataclass(frozen=True, slots=True, kw_only=True)
class SilentSeries:
    """A series with an incident that changes without a reading."""

    key: str
    topic: str
    partition: int
    last_step: int
    """Start of its newest step, nanoseconds since 1970."""
    silent_s: float
    """Seconds without a reading so far."""


class SeriesEnd(Enum):
    """Why an incident ends without a reading that was judged; in words after the series key."""

    RETURNED = "sends readings again"
    FORGOTTEN = "is forgotten: no reading for long"
    MOVED = "sends in another partition now"
    UNJUDGED = "cannot be judged: too little of it is observed"


_REASONS: dict[SeriesEnd, Reason] = {
    SeriesEnd.RETURNED: "returned",
    SeriesEnd.FORGOTTEN: "forgotten",
    SeriesEnd.MOVED: "moved",
    SeriesEnd.UNJUDGED: "cannot_be_judged",
}
_REASON_OF: dict[Change, Reason] = {
    Change.RESOLVED: "back_to_normal",
    Change.ABSORBED: "new_level",
}


class AlertBuilder:
    """Builds alert events for one model and detector.

    Args:
        spec: Names and units of the features, identity of the model.
        origin: Copied into every event.
        threshold_method: Description of the threshold.
        max_features: Features listed, largest contribution first.
        unseen: Lines of logs that training never saw; None of readings.
        totals: Of lines of logs; None of readings, and of sessions.
    """

    def __init__(  # noqa: PLR0913 -- the rules of events, and what is known of lines
        self,
        spec: ModelSpec,
        origin: Origin,
        *,
        threshold_method: str,
        max_features: int,
        unseen: UnseenExamples | None = None,
        totals: LineTotals | None = None,
    ) -> None:
        self._spec = spec
        self._origin = origin
        self._threshold_method = threshold_method
        self._max_features = max_features
        self._unseen = unseen
        self._totals = totals

    def anomaly_id(self, series: SeriesName, first: JudgedReading) -> str:
        """Return the id of an incident that opens.

        Args:
            series: Input partition and key.
            first: Its first anomalous reading.
        """
        place = EventPlace(offset=first.offset, nth=first.nth)
        event = place if self._spec.has_events else None
        return incident_id(self._origin, series, first.time, event=event)

    def silence_id(self, series: SeriesName, since: int, offset: int) -> str:
        """Return the id of a silence that opens.

        Args:
            series: Input partition and key.
            since: Event time of its last step, nanoseconds since 1970.
            offset: Of its last reading: after a late one it may fall silent at a step again.
        """
        return incident_id(self._origin, series, since, silent_at=offset)

    def write(  # noqa: PLR0913, PLR0917 -- the change, its window and the clock
        self,
        change: Change,
        incident: Incident,
        batch: JudgedBatch,
        b: int,
        explanation: Explanation,
        now: datetime,
        cause: str | None = None,
    ) -> AlertEvent:
        """Return the alert event of an incident's change.

        Args:
            change: The change.
            incident: The incident after the change.
            batch: Contains the window that caused the change.
            b: That window's position in the batch.
            explanation: Of that window.
            now: Wall clock.
            cause: Of an update for another cause, the feature.
        """
        scored, judged = batch.scored, batch.judged
        readings, scores = scored.readings, scored.scores
        at = int(scored.window_batch.ready[b])
        key = readings.series[at]
        window = self._window(int(scored.window_batch.end_times[b]))
        session = None if readings.sessions is None else _session(readings.sessions, readings, at)
        contribution = scores.contribution[b]
        is_over = change is Change.RESOLVED or change is Change.ABSORBED
        because = incident.updated_because if change is Change.UPDATED else None
        lines = self._lines(incident, scored, b)
        if cause is not None:
            names = [feature.name for feature in self._spec.features]
            explanation = explanation.about_newest(names.index(cause))
        features = build_features(self._spec, explanation, contribution, self._max_features, cause)
        offsets = scored.window_batch.offsets
        places = None if offsets is None else offsets[b]
        if session is not None:  # another one's record may have closed it
            places = np.array([[session.offset_start, session.offset_end]])
        features = with_places(features, self._spec, explanation, places)
        features = self._with_unseen(features, scored, at, explanation)
        if lines is not None:
            features = tuple(replace(one, total=lines.get(one.name, 0)) for one in features)
        event = AlertEvent(
            incident_id=self._id_of(incident, key),
            sequence=incident.sequence,
            status="resolved" if is_over else "firing",
            severity=incident.severity,
            series=AlertSeries(key=key, labels=self._origin.labels),
            starts_at=utc(incident.started_at),
            ends_at=utc(incident.last_anomalous_at) if is_over else None,
            detected_at=now,
            window=window,
            score=float(scores.value[b]),
            score_peak=incident.peak_score,
            threshold=float(judged.threshold[b]),
            threshold_method=self._threshold_method,
            grade=incident.peak_grade,
            p_value=float(judged.p_value[b]),
            features=features,
            detector=self._origin.detector,
            model=self._model,
            source=self._source(readings.topic, int(readings.partitions[at]), incident),
            summary="",
            deviation=AlertDeviation(
                newest=explanation.newest_deviation,
                window=explanation.largest_deviation,
                peak=incident.peak_deviation,
            ),
            reason=_REASON_OF.get(change),
            duration_s=duration_of(self._spec, incident),
            opened_by=incident.opened_by or None,
            links=self._origin.links,
            session=None if is_over else session,
            course=self._course(incident, lines),
            updated_because=because,
            cause=cause,
        )
        return replace(event, summary=bounded(summary_of_change(self._spec, change, event)))

    def _lines(self, incident: Incident, scored: ScoredBatch, b: int) -> dict[str, int] | None:
        """Return the lines of an incident so far by feature; None if they are not known."""
        if self._totals is None:
            return None
        window_batch = scored.window_batch
        return self._totals.until(incident, window_batch.windows[b], int(window_batch.end_times[b]))

    def _course(self, incident: Incident, lines: Mapping[str, int] | None = None) -> AlertCourse:
        """Return what an incident was so far."""
        begin, end = incident.started_at, incident.last_anomalous_at
        if not self._spec.has_events:
            width_ns = round(self._spec.step_seconds * 1e9)
            begin = max(nearest_grid_point(begin, width_ns) - width_ns // 2, 0)
            end = nearest_grid_point(end, width_ns) - width_ns // 2 + width_ns
        return AlertCourse(
            anomalous=incident.n_anomalous,
            starts_at=utc(begin),
            ends_at=utc(end),
            opened_by=opened_by_in_words(self._spec, incident),
            opened_by_lines=None if lines is None else lines.get(incident.opened_by, 0),
            unseen_lines=None if lines is None else lines.get(UNSEEN, 0),
        )

    def _with_unseen(
        self,
        features: tuple[AlertFeature, ...],
        scored: ScoredBatch,
        at: int,
        explanation: Explanation,
    ) -> tuple[AlertFeature, ...]:
        """Add a line of the session, or of the worst step, to lines that training never saw."""
        unseen, marks = self._unseen, scored.marks
        if scored.readings.sessions is not None:
            return tuple(
                _with_example(one, self._unseen_of(scored.readings, at))
                if one.direction == "unseen"
                else one
                for one in features
            )
        if unseen is None or marks is None:
            return features
        names = [feature.name for feature in self._spec.features]
        readings = scored.readings

        def line(name: str) -> str | None:
            worst = explanation.worst_steps[names.index(name)]
            return unseen.find(
                int(readings.partitions[at]),
                readings.series[at],
                int(explanation.times[worst]),
                int(marks[at]),
            )

        return tuple(
            _with_example(one, line(one.name)) if one.direction == "unseen" else one
            for one in features
        )

    def _unseen_of(self, sessions: ReadingBatch, at: int) -> str | None:
        """Return the first line of a session that training never saw."""
        text = None if sessions.unseen is None else sessions.unseen[at]
        if text is None or self._spec.logs is None:
            return None
        return printable(example_mask(self._spec.logs)(text))

    def build_drift(
        self, resolved: AlertEvent, explanation: Explanation, leaps: Sequence[float | None]
    ) -> AlertEvent:
        """Return the event of a drift: the level that ended an incident, taken as normal.

        Args:
            resolved: The event of that end.
            explanation: Of the window that ended it, about what the model expects.
            leaps: Of the features when the incident opened.
        """
        key = resolved.series.key
        levels = build_levels(self._spec.features, explanation, leaps, self._max_features)
        return replace(
            resolved,
            kind="drift",
            incident_id=digest(f"drift:{resolved.incident_id}"),
            sequence=0,
            severity="info",
            features=(),
            levels=levels,
            course=None,
            summary=bounded(summary_of_drift(key, resolved.duration_s or 0.0, levels)),
        )

    def build_forgotten(
        self,
        silent: SilentSeries,
        incident: Incident,
        threshold: float,
        now: datetime,
        end: SeriesEnd = SeriesEnd.FORGOTTEN,
    ) -> AlertEvent:
        """Return the last event of an incident that ends without a reading that was judged."""
        event = self._build_without_reading(
            silent,
            now,
            kind="anomaly",
            incident_id=self._id_of(incident, silent.key),
            sequence=incident.sequence + 1,
            severity=incident.severity,
            starts_at=incident.started_at,
            ends_at=incident.last_anomalous_at,
            score=incident.peak_score,
            threshold=threshold,
            threshold_method=self._threshold_method,
            grade=incident.peak_grade,
            offsets=(incident.offset_start, incident.offset_end),
            reason=_REASONS[end],
            duration_s=duration_of(self._spec, incident),
            opened_by=incident.opened_by or None,
            summary="",
        )
        event = replace(event, course=self._course(incident))
        told = f"{shown_key(silent.key)} {end.value}; {course_in_words(self._spec, event)}"
        return replace(event, summary=bounded(told))

    def build_silence(
        self,
        silent: SilentSeries,
        silence: Silence,
        severity: Severity,
        now: datetime,
        end: SeriesEnd | None = None,
    ) -> AlertEvent:
        """Return the event that opens, or for a reason ends, the incident of a silent series."""
        detail = (
            f"is silent: no reading for {silent.silent_s:.0f} s, {silence.allowed_s:.0f} s allowed"
        )
        if end is not None:
            detail = f"{end.value}; was silent for {describe_duration(silent.silent_s)}"
        return self._build_without_reading(
            silent,
            now,
            kind="silence",
            incident_id=self._id_of_silence(silence, silent.key),
            sequence=0 if end is None else 1,
            severity=severity,
            starts_at=silence.since,
            ends_at=None if end is None else silent.last_step,
            score=silent.silent_s,
            threshold=silence.allowed_s,
            threshold_method="seconds without a reading",
            grade=1.0,
            offsets=(silence.offset, silence.offset),
            reason=None if end is None else _REASONS[end],
            duration_s=silent.silent_s,
            opened_by=None,
            summary=f"{shown_key(silent.key)} {detail}",
        )

    def _build_without_reading(  # noqa: PLR0913 -- the fields in which these events differ
        self,
        silent: SilentSeries,
        now: datetime,
        *,
        kind: Kind,
        incident_id: str,
        sequence: int,
        severity: Severity,
        starts_at: int,
        ends_at: int | None,
        score: float,
        threshold: float,
        threshold_method: str,
        grade: float,
        offsets: tuple[int, int],
        reason: Reason | None,
        duration_s: float,
        opened_by: str | None,
        summary: str,
    ) -> AlertEvent:
        return AlertEvent(
            kind=kind,
            incident_id=incident_id,
            sequence=sequence,
            status="firing" if ends_at is None else "resolved",
            severity=severity,
            series=AlertSeries(key=silent.key, labels=self._origin.labels),
            starts_at=utc(starts_at),
            ends_at=None if ends_at is None else utc(ends_at),
            detected_at=now,
            window=self._window(silent.last_step),
            score=score,
            score_peak=score,
            threshold=threshold,
            threshold_method=threshold_method,
            grade=grade,
            p_value=None,
            features=(),
            detector=self._origin.detector,
            model=self._model,
            source=AlertSource(
                topic=silent.topic,
                partition=silent.partition,
                offset_start=offsets[0],
                offset_end=offsets[1],
            ),
            summary=bounded(summary),
            reason=reason,
            duration_s=duration_s,
            opened_by=opened_by,
            links=self._origin.links,
        )

    def _source(self, topic: str, partition: int, incident: Incident) -> AlertSource:
        return AlertSource(
            topic=topic,
            partition=partition,
            offset_start=incident.offset_start,
            offset_end=incident.offset_end,
        )

    def _id_of(self, incident: Incident, series: str) -> str:
        name = self._origin.detector.name
        return incident.id or incident_id_by_name(name, series, incident.started_at)

    def _id_of_silence(self, silence: Silence, series: str) -> str:
        name = f"{self._origin.detector.name}:silence:{silence.offset}"
        return silence.id or incident_id_by_name(name, series, silence.since)

    @property
    def _model(self) -> AlertModel:
        spec = self._spec
        return AlertModel(id=spec.id, version=spec.version, trained_at=spec.trained_at)

    def _window(self, end: int) -> AlertWindow:
        """Return the window whose newest step starts at `end`."""
        step_ns = round(self._spec.step_seconds * 1e9)
        return AlertWindow(
            start=utc(end - (self._spec.window_length - 1) * step_ns),
            end=utc(end),
            length=self._spec.window_length,
            step_seconds=self._spec.step_seconds,
        )


def _with_example(told: AlertFeature, line: str | None) -> AlertFeature:
    """Add a line of the worst step, if one is known."""
    return told if line is None else replace(told, example=line, example_from="worst_step")


def _session(sessions: SessionColumns, readings: ReadingBatch, at: int) -> AlertSession:
    """Return the session that a reading is."""
    return AlertSession(
        key=sessions.keys[at],
        lines=int(sessions.n_lines[at]),
        starts_at=utc(int(sessions.first_times[at])),
        ends_at=utc(int(readings.times[at])),
        offset_start=int(sessions.first_offsets[at]),
        offset_end=int(sessions.last_offsets[at]),
        closed=CLOSINGS[sessions.closings[at]],
    )
