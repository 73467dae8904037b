"""The straight line as one object: readings in, verdicts and alert events out.

`assemble` places readings and cuts windows, a scorer scores them (elsewhere, in the daemon), and
`decide` judges the scores; `observe` does the three in a row. No I/O, no clock: `now` comes in.
"""

from dataclasses import dataclass
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from stream_vae.alerting import AlertWriter, Evidence, Origin
from stream_vae.core.alerts import AlertEvent
from stream_vae.core.model_spec import ModelSpec, Scorer, Scores
from stream_vae.core.readings import ReadingBatch
from stream_vae.core.verdicts import Verdict, VerdictBatch
from stream_vae.core.windows import Assembly, SeriesTable, WindowConfig
from stream_vae.detect.config import DetectConfig
from stream_vae.detect.drift import DriftWatch
from stream_vae.detect.incidents import IncidentTracker, JudgedReading
from stream_vae.detect.tail import LEAST_P
from stream_vae.detect.threshold import AdaptiveThreshold, Judgement
from stream_vae.errors import ConfigError
from stream_vae.events import DriftAbsorbed, DriftDetected, Event, ReadingsJudged

_MARGINS_TOLD = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of N readings."""

    verdicts: VerdictBatch
    late: NDArray[np.int64]
    """Positions of the readings that came too late for their step."""
    alerts: tuple[AlertEvent, ...]
    events: tuple[Event, ...]


class Pipeline:
    """Windows, thresholds and incidents of all series of this instance.

    The same readings give the same verdicts and alerts however they are cut into batches
    (`detected_at` aside).

    Args:
        spec: The model's inputs and calibration.
        config: See `DetectConfig`.
        origin: Copied into every alert event.

    Raises:
        ConfigError: If the bundle has no calibration for the score.
    """

    def __init__(self, spec: ModelSpec, config: DetectConfig, origin: Origin) -> None:
        self._min_deviation = config.incident.min_deviation
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
        if score not in spec.calibration:
            msg = (
                f"detect.score: found {score!r}, expected auto or one the bundle is calibrated "
                f"for: {sorted(spec.calibration)}"
            )
            raise ConfigError(msg)
        self._threshold = AdaptiveThreshold(config.threshold, spec.calibration[score])
        self._incidents = IncidentTracker(config.incident)
        self._writer = AlertWriter(
            spec,
            origin,
            threshold_method=self._threshold.method,
            max_features=config.incident.max_features,
        )
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
        evidence = Evidence(readings=readings, assembly=assembly, scores=scores, judged=judged)
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

    def _alerts(self, evidence: Evidence, now: datetime) -> list[AlertEvent]:
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
                step=int(assembly.end_times[b]),
                time=int(evidence.readings.times[at]),
                offset=int(evidence.readings.offsets[at]),
                anomalous=bool(counted[b]),
                score=float(evidence.scores.value[b]),
                grade=float(grades[b]),
            )
            changed = self._incidents.observe(int(rows[b]), reading)
            if changed:
                changes.append((at, self._writer.write(*changed, evidence, b, now)))
        changes.sort(key=lambda change: change[0])  # arrival order over all series
        return [event for _, event in changes]

    def _grades(self, judged: Judgement) -> NDArray[np.float64]:
        """Return (B,) how far beyond the threshold, on the scale of log probability."""
        limit = np.log(self._false_alarm_share)
        beyond = (limit - np.log(judged.p_value)) / (limit - np.log(LEAST_P))
        return np.asarray(np.clip(beyond, 0, 1))

    def _deviating(self, evidence: Evidence) -> NDArray[np.bool_]:
        """Tell which windows' newest readings are far enough from expected to matter, (B,)."""
        actual = evidence.readings.values[evidence.assembly.ready]
        scores = evidence.scores
        with np.errstate(over="ignore"):  # infinitely far is far enough
            distance = np.abs(actual - scores.expected) / scores.expected_std
        return np.asarray((distance >= self._min_deviation).any(axis=1))


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
