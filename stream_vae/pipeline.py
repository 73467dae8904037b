"""The straight line as one object: readings in, verdicts and alert events out.

`assemble` places readings and cuts windows, a scorer scores them (elsewhere, in the daemon), and
`decide` judges the scores; `observe` does the three in a row. No I/O, no clock: `now` comes in.
"""

import hashlib
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Annotated

import numpy as np
from annotated_types import Ge, Gt, Le
from numpy.typing import NDArray

from stream_vae.core.alerts import (
    AlertDetector,
    AlertEvent,
    AlertFeature,
    AlertModel,
    AlertSeries,
    AlertSource,
    AlertWindow,
)
from stream_vae.core.model_spec import ModelSpec, Scorer, Scores
from stream_vae.core.readings import ReadingBatch
from stream_vae.core.verdicts import Verdict, VerdictBatch
from stream_vae.core.windows import Assembly, SeriesTable, WindowConfig
from stream_vae.detect.drift import DriftWatch
from stream_vae.detect.incidents import (
    Change,
    Incident,
    IncidentConfig,
    IncidentTracker,
    JudgedReading,
)
from stream_vae.detect.tail import LEAST_P
from stream_vae.detect.threshold import AdaptiveThreshold, Judgement, ThresholdConfig
from stream_vae.events import DriftAbsorbed, DriftDetected, Event, ReadingsJudged

_MARGINS_TOLD = 64
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectConfig:
    """How windows are scored and judged."""

    score: str = "auto"
    """Name of the score; `auto` takes the one the bundle was given at training."""

    max_gap: Annotated[int, Ge(0)] = 8
    """Missing steps in a row that a window bridges; a longer gap restarts warm-up."""

    min_observed: Annotated[float, Gt(0), Le(1)] = 0.5
    """Smallest share of observed values with which a window is scored."""

    threshold: ThresholdConfig = field(default_factory=ThresholdConfig)
    incident: IncidentConfig = field(default_factory=IncidentConfig)


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """What alert events say of where they come from."""

    detector: AlertDetector
    labels: dict[str, str] = field(default_factory=dict)
    links: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of N readings."""

    verdicts: VerdictBatch
    late: NDArray[np.int64]
    """Positions of the readings that came too late for their step."""
    alerts: tuple[AlertEvent, ...]
    events: tuple[Event, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Evidence:
    """What a batch's decisions rest on."""

    readings: ReadingBatch
    assembly: Assembly
    scores: Scores
    judged: Judgement


class Pipeline:
    """Windows, thresholds and incidents of all series of this instance.

    The same readings give the same verdicts and alerts however they are cut into batches
    (`detected_at` aside).

    Args:
        spec: The model's inputs and calibration.
        config: See `DetectConfig`.
        origin: Copied into every alert event.
    """

    def __init__(self, spec: ModelSpec, config: DetectConfig, origin: Origin) -> None:
        self._spec = spec
        self._origin = origin
        self._incident_config = config.incident
        self._false_alarm_share = 1 - config.threshold.quantile
        self._series = SeriesTable(
            WindowConfig(
                length=spec.window_length,
                step_ns=round(spec.step_seconds * 1e9),
                max_gap=config.max_gap,
                min_observed=config.min_observed,
            ),
            spec.scaler,
        )
        score = spec.score if config.score == "auto" else config.score
        self._threshold = AdaptiveThreshold(config.threshold, spec.calibration[score])
        self._incidents = IncidentTracker(config.incident)
        self._drift = DriftWatch()

    @property
    def n_series(self) -> int:
        """Series known now."""
        return len(self._series)

    @property
    def n_open_incidents(self) -> int:
        """Incidents firing now."""
        return self._incidents.n_open

    @property
    def nbytes(self) -> int:
        """Bytes held by the series' arrays."""
        return self._series.nbytes + self._threshold.nbytes

    def observe(self, readings: ReadingBatch, scorer: Scorer, now: datetime) -> Outcome:
        """Take N readings in and say what they mean."""
        assembly = self.assemble(readings)
        scores = scorer.score(assembly.windows, assembly.end_times)
        return self.decide(readings, assembly, scores, now)

    def assemble(self, readings: ReadingBatch) -> Assembly:
        """Place N readings and cut the windows that can be scored."""
        assembly = self._series.push(readings)
        self._threshold.resize(self._series.capacity)
        self._threshold.start(assembly.new_rows)
        return assembly

    def forget(self, partitions: set[int]) -> int:
        """Drop the series of partitions that left; return how many there were.

        Nothing assembled from these partitions may be waiting for `decide`.
        """
        rows = self._series.forget(partitions)
        for row in rows.tolist():
            self._incidents.forget(row)
        return len(rows)

    def decide(
        self, readings: ReadingBatch, assembly: Assembly, scores: Scores, now: datetime
    ) -> Outcome:
        """Judge scored windows; assemblies must be decided in the order they were made."""
        rows = assembly.rows[assembly.ready]
        judged = self._threshold.judge(rows, scores.value, assembly.revises)
        verdicts = _verdicts(assembly, scores, judged)
        evidence = _Evidence(readings=readings, assembly=assembly, scores=scores, judged=judged)
        alerts = self._alerts(evidence, now)
        return Outcome(
            verdicts=verdicts,
            late=np.flatnonzero(assembly.late),
            alerts=tuple(alerts),
            events=self._events(rows, scores, judged, verdicts),
        )

    def _events(
        self,
        rows: NDArray[np.int32],
        scores: Scores,
        judged: Judgement,
        verdicts: VerdictBatch,
    ) -> tuple[Event, ...]:
        count = np.bincount(verdicts.verdict, minlength=len(Verdict))
        events: list[Event] = [
            ReadingsJudged(
                normal=int(count[Verdict.NORMAL]),
                anomalous=int(count[Verdict.ANOMALOUS]),
                warming_up=int(count[Verdict.WARMING_UP]),
                unscorable=int(count[Verdict.UNSCORABLE]),
                series_active=self.n_series,
                score_margins=tuple((scores.value - judged.threshold)[:_MARGINS_TOLD].tolist()),
            )
        ]
        events += [
            DriftAbsorbed(series=self._series.name(row), readings=self._threshold.release_after)
            for row in rows[judged.released].tolist()
        ]
        if len(rows):
            moved = self._drift.update(float(scores.value.mean()))
            if moved:
                events.append(DriftDetected(mean_before=moved[0], mean_after=moved[1]))
        return tuple(events)

    def _alerts(self, evidence: "_Evidence", now: datetime) -> list[AlertEvent]:
        assembly, judged = evidence.assembly, evidence.judged
        rows = assembly.rows[assembly.ready]
        grades = self._grades(judged)
        counted = judged.anomalous & self._deviating(evidence)
        # Calm series with calm readings cannot change an incident; only the others are visited.
        restless = {*rows[counted].tolist(), *self._incidents.restless}
        changes: list[tuple[int, AlertEvent]] = []
        for b in np.flatnonzero(np.isin(rows, list(restless))).tolist():
            at = int(assembly.ready[b])
            reading = JudgedReading(
                time=int(evidence.readings.times[at]),
                offset=int(evidence.readings.offsets[at]),
                anomalous=bool(counted[b]),
                score=float(evidence.scores.value[b]),
                grade=float(grades[b]),
            )
            changed = self._incidents.observe(
                int(rows[b]), reading, revises=bool(assembly.revises[b])
            )
            if changed:
                changes.append((at, self._alert(*changed, evidence, b, now)))
        changes.sort(key=lambda change: change[0])  # arrival order over all series
        return [event for _, event in changes]

    def _grades(self, judged: Judgement) -> NDArray[np.float64]:
        """Return (B,) how far beyond the threshold, on the scale of log probability."""
        limit = np.log(self._false_alarm_share)
        beyond = (limit - np.log(judged.p_value)) / (limit - np.log(LEAST_P))
        return np.asarray(np.clip(beyond, 0, 1))

    def _deviating(self, evidence: "_Evidence") -> NDArray[np.bool_]:
        """Tell which windows' newest readings are far enough from expected to matter, (B,)."""
        actual = evidence.readings.values[evidence.assembly.ready]
        scores = evidence.scores
        distance = np.abs(actual - scores.expected) / scores.expected_std
        return np.asarray((distance >= self._incident_config.min_deviation).any(axis=1))

    def _alert(
        self, change: Change, incident: Incident, evidence: "_Evidence", b: int, now: datetime
    ) -> AlertEvent:
        readings, scores, judged = evidence.readings, evidence.scores, evidence.judged
        at = int(evidence.assembly.ready[b])
        key = readings.series[at]
        features = self._features(readings.values[at], scores, b)
        resolved = change is Change.RESOLVED
        step_ns = round(self._spec.step_seconds * 1e9)
        end = int(evidence.assembly.end_times[b])
        return AlertEvent(
            incident_id=incident_id(self._origin.detector.name, key, incident.started_at),
            sequence=incident.sequence,
            status="resolved" if resolved else "firing",
            severity=incident.severity,
            series=AlertSeries(key=key, labels=self._origin.labels),
            starts_at=_utc(incident.started_at),
            ends_at=_utc(incident.last_anomalous_at) if resolved else None,
            detected_at=now,
            window=AlertWindow(
                start=_utc(end - (self._spec.window_length - 1) * step_ns),
                end=_utc(end),
                length=self._spec.window_length,
                step_seconds=self._spec.step_seconds,
            ),
            score=float(scores.value[b]),
            score_peak=incident.peak_score,
            threshold=float(judged.threshold[b]),
            threshold_method=self._threshold.method,
            grade=incident.peak_grade,
            p_value=float(judged.p_value[b]),
            features=features,
            detector=self._origin.detector,
            model=AlertModel(
                id=self._spec.id, version=self._spec.version, trained_at=self._spec.trained_at
            ),
            source=AlertSource(
                topic=readings.topic,
                partition=int(readings.partitions[at]),
                offset_start=incident.offset_start,
                offset_end=incident.offset_end,
            ),
            summary=_summary(key, features[0], resolved=resolved),
            links=self._origin.links,
        )

    def _features(
        self, actual: NDArray[np.float64], scores: Scores, b: int
    ) -> tuple[AlertFeature, ...]:
        contribution = scores.contribution[b].astype(np.float64)
        largest = np.argsort(-contribution, kind="stable")[: self._incident_config.max_features]
        return tuple(
            AlertFeature(
                name=self._spec.features[f].name,
                unit=self._spec.features[f].unit,
                actual=None if np.isnan(actual[f]) else float(actual[f]),
                expected=float(scores.expected[b, f]),
                expected_std=float(scores.expected_std[b, f]),
                contribution=float(contribution[f]),
            )
            for f in largest.tolist()
        )


def incident_id(detector: str, series: str, started_at: int) -> str:
    """Return the id of an incident: a function of who, what and when alone.

    A replay, or a second daemon that does the same work, gives the same id.

    Args:
        detector: The detector's name.
        series: The series key.
        started_at: Event time of the first anomalous reading, nanoseconds since 1970.

    >>> incident_id("plant", "pump-7", 1_700_000_000_000_000_000)
    '1c1531a0c4e6e32ee626debb5ff14ba7'
    """
    identity = f"{len(detector)}:{detector}{len(series)}:{series}{started_at}"
    return hashlib.sha256(identity.encode()).hexdigest()[:32]


def _utc(time: int) -> datetime:
    return _EPOCH + timedelta(microseconds=time // 1000)


def _summary(key: str, top: AlertFeature, *, resolved: bool) -> str:
    if resolved:
        return f"{key[:200]} is back to normal"
    actual = "not observed" if top.actual is None else f"{top.actual:.4g}"
    unit = f" {top.unit[:20]}" if top.unit else ""
    return (
        f"{key[:200]}: {top.name[:100]} {actual}, expected {top.expected:.4g} "
        f"± {top.expected_std:.2g}{unit}, {top.contribution:.0%} of the score"
    )


def _verdicts(assembly: Assembly, scores: Scores, judged: Judgement) -> VerdictBatch:
    n = len(assembly.rows)
    verdict = np.full(n, Verdict.UNSCORABLE, np.int8)
    verdict[assembly.warming_up] = Verdict.WARMING_UP
    verdict[assembly.ready] = np.where(judged.anomalous, Verdict.ANOMALOUS, Verdict.NORMAL)
    columns = []
    for values in (scores.value, judged.threshold, judged.p_value):
        column = np.full(n, np.nan)
        column[assembly.ready] = values
        columns.append(column)
    return VerdictBatch(verdict=verdict, score=columns[0], threshold=columns[1], p_value=columns[2])
