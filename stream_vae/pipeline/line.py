"""The straight line as one object: readings in, verdicts and alert events out.

`assemble` places readings and cuts windows, a scorer scores them (elsewhere, in the daemon), and
`decide` judges the scores; `observe` does the three in a row. No I/O, no clock: `now` comes in.
"""

from dataclasses import dataclass
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from stream_vae.core.alerts import AlertEvent
from stream_vae.core.incidents import JudgedReading
from stream_vae.core.model_spec import ModelSpec, Scorer, Scores
from stream_vae.core.readings import ReadingBatch
from stream_vae.core.series_index import SeriesName
from stream_vae.core.verdicts import Verdict, VerdictBatch
from stream_vae.core.windows import Assembly
from stream_vae.detect.config import DetectConfig
from stream_vae.detect.drift import DriftWatch
from stream_vae.detect.tail import LEAST_P
from stream_vae.detect.threshold import Judgement
from stream_vae.events import DriftAbsorbed, DriftDetected, Event, ReadingsJudged
from stream_vae.pipeline.alerting import AlertWriter, Evidence, Origin
from stream_vae.pipeline.replay import ReplayFilter
from stream_vae.pipeline.series_memory import DEFAULT_CAPACITY, Capture, SavedSeries, SeriesMemory
from stream_vae.pipeline.upkeep import Changes, Upkeep

_MARGINS_TOLD = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of N readings."""

    verdicts: VerdictBatch
    late: NDArray[np.int64]
    """Positions of the readings that came too late for their step."""
    changes: Changes
    events: tuple[Event, ...]

    @property
    def alerts(self) -> tuple[AlertEvent, ...]:
        """The alert events."""
        return self.changes.alerts


class Pipeline:
    """Windows, thresholds and incidents of all series of this instance.

    The same readings give the same verdicts and alerts however they are cut into batches
    (`detected_at` aside).

    Args:
        spec: The model's inputs and calibration.
        config: See `DetectConfig`.
        origin: Copied into every alert event.
        capacity: Most series remembered.

    Raises:
        ConfigError: If the bundle has no calibration for the score.
    """

    def __init__(
        self,
        spec: ModelSpec,
        config: DetectConfig,
        origin: Origin,
        capacity: int = DEFAULT_CAPACITY,
    ) -> None:
        self._min_deviation = config.incident.min_deviation
        self._false_alarm_share = 1 - config.threshold.quantile
        self.memory = SeriesMemory(spec, config, capacity)
        self.replayed = ReplayFilter()
        writer = AlertWriter(
            spec,
            origin,
            threshold_method=self.memory.threshold.method,
            max_features=config.incident.max_features,
        )
        self._writer = writer
        self.upkeep = Upkeep(self.memory, writer, config.silence)
        self._drift = DriftWatch()

    @property
    def n_series(self) -> int:
        """Series known now."""
        return len(self.memory.index)

    @property
    def n_open_incidents(self) -> int:
        """Incidents firing now, of both kinds."""
        return self.memory.incidents.n_open + len(self.memory.silences.open_rows)

    def observe(self, readings: ReadingBatch, scorer: Scorer, now: datetime) -> Outcome:
        """Take N readings in and say what they mean."""
        assembly = self.assemble(readings)
        scores = scorer.score(assembly.windows, assembly.end_times)
        return self.decide(readings, assembly, scores, now)

    def lack_of_room(self, readings: ReadingBatch) -> int:
        """Return how many series must be forgotten before these readings can be assembled."""
        return self.memory.index.lack_of_room(_names(readings))

    def assemble(self, readings: ReadingBatch) -> Assembly:
        """Place N readings and cut the windows that can be scored; make room first."""
        index = self.memory.index
        rows = self.memory.rows(_names(readings))
        assembly = self.memory.windows.push(rows, readings)
        index.see(rows, readings.arrivals, readings.offsets)
        index.established[rows[~(assembly.late | assembly.warming_up)]] = True
        index.changed[rows] = True
        index.hand_out(rows)
        return assembly

    def capture(self, rows: NDArray[np.int32]) -> Capture:
        """Take series out between two assemblies; `complete` it between the same two decisions."""
        self.memory.index.hand_out(rows)
        self.memory.index.changed[rows] = False
        self.memory.index.recorded[rows] = True
        return self.memory.capture(rows)

    def complete(self, capture: Capture) -> SavedSeries:
        """Return the captured series as they were then."""
        self.memory.index.take_back()
        return self.memory.complete(capture)

    def forget_partitions(self, partitions: set[int]) -> int:
        """Drop the series of partitions that left; return how many there were.

        Nothing assembled from these partitions may be waiting for `decide`.
        """
        self.replayed.forget(partitions)
        return len(self.memory.release(self.memory.index.of_partitions(partitions)))

    def decide(
        self,
        readings: ReadingBatch,
        assembly: Assembly,
        scores: Scores,
        now: datetime,
        *,
        replayed: bool = False,
    ) -> Outcome:
        """Judge scored windows; assemblies must be decided in the order they were made.

        Args:
            readings: What was assembled.
            assembly: What came of it.
            scores: Of its windows.
            now: Wall clock.
            replayed: These readings were decided before, by whoever had the partition then: learn
                from them, but publish nothing.
        """
        self.memory.index.take_back()
        rows = assembly.rows[assembly.ready]
        judged = self.memory.threshold.judge(rows, scores.value, assembly.revises)
        verdicts = _verdicts(assembly, scores, judged)
        evidence = Evidence(readings=readings, assembly=assembly, scores=scores, judged=judged)
        changes = self._changes(evidence, now, replayed=replayed)
        return Outcome(
            verdicts=verdicts,
            late=np.flatnonzero(assembly.late),
            changes=changes,
            events=() if replayed else self._events(rows, scores, judged, verdicts),
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
                score_margins=tuple((scores.value - judged.threshold)[:_MARGINS_TOLD].tolist()),
            )
        ]
        events += [
            DriftAbsorbed(
                series=self.memory.index.name(row)[1],
                readings=self.memory.threshold.release_after,
            )
            for row in rows[judged.released].tolist()
        ]
        if len(rows):
            moved = self._drift.update(float(scores.value.mean()))
            if moved:
                events.append(DriftDetected(mean_before=moved[0], mean_after=moved[1]))
        return tuple(events)

    def _changes(self, evidence: Evidence, now: datetime, *, replayed: bool) -> Changes:
        found: list[tuple[int, int, AlertEvent]] = []  # position of the reading, row, event
        if not replayed:
            found += self.upkeep.returned(evidence, now)
        found += self._incident_changes(evidence, now, replayed=replayed)
        found.sort(key=lambda change: change[0])  # arrival order over all series
        names = {row: self.memory.index.name(row) for _, row, _ in found}
        self.memory.index.recorded[list(names)] = True
        return Changes(
            alerts=tuple(event for _, _, event in found),
            incidents={name: self.memory.incidents_of(row) for row, name in names.items()},
        )

    def _incident_changes(
        self, evidence: Evidence, now: datetime, *, replayed: bool
    ) -> list[tuple[int, int, AlertEvent]]:
        assembly, judged = evidence.assembly, evidence.judged
        rows = assembly.rows[assembly.ready]
        grades = self._grades(judged)
        counted = judged.anomalous & self._deviating(evidence)
        # Calm series with calm readings cannot change an incident; only the others are visited.
        restless = {*rows[counted].tolist(), *self.memory.incidents.restless}
        changes: list[tuple[int, int, AlertEvent]] = []
        for b in np.flatnonzero(np.isin(rows, list(restless))).tolist():
            at, row = int(assembly.ready[b]), int(rows[b])
            reading = JudgedReading(
                step=int(assembly.end_times[b]),
                time=int(evidence.readings.times[at]),
                offset=int(evidence.readings.offsets[at]),
                anomalous=bool(counted[b]),
                score=float(evidence.scores.value[b]),
                grade=float(grades[b]),
            )
            if replayed and self.replayed.knows_incidents(
                self.memory.index.name(row), reading.offset
            ):
                continue
            changed = self.memory.incidents.observe(row, reading, replayed=replayed)
            if changed:
                changes.append((at, row, self._writer.write(*changed, evidence, b, now)))
        return changes

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


def _names(readings: ReadingBatch) -> list[SeriesName]:
    return list(zip(readings.partitions.tolist(), readings.series, strict=True))


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
