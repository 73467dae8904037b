"""The pipeline as one object: readings in, verdicts and alert events out.

`assemble` makes steps of readings and cuts windows, a scorer scores them (elsewhere, in the
daemon), and `decide` judges the scores; `observe` does the three in a row. No I/O, no clock: `now`
comes in.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from stream_vae.core.alerts import AlertEvent
from stream_vae.core.assembly_config import AS_USUAL, AssemblyConfig
from stream_vae.core.feature_rules import MissingByRule
from stream_vae.core.model_spec import ModelSpec, Scores
from stream_vae.core.readings import ReadingBatch
from stream_vae.core.records import RecordBatch
from stream_vae.core.series_index import SeriesName
from stream_vae.core.sessions import SessionAssembler, SessionConfig
from stream_vae.core.state_layout import PartitionPart, StatePart
from stream_vae.core.steps import Steps
from stream_vae.core.verdicts import Verdict, VerdictBatch
from stream_vae.core.windows import WindowBatch
from stream_vae.detect.config import DetectConfig, IncidentConfig
from stream_vae.detect.profile import in_profile
from stream_vae.detect.rates import Rates, asked_rates
from stream_vae.detect.threshold.threshold import Judgement
from stream_vae.events import DriftDetected, Event, ReadingsJudged, ThresholdReleased
from stream_vae.pipeline.alert_builder import AlertBuilder
from stream_vae.pipeline.anomaly_incidents import AnomalyIncidents
from stream_vae.pipeline.detector import Detector, detector_parts
from stream_vae.pipeline.explanation import (
    Explanation,
    NewestReadings,
    explain,
    newest_readings,
    reference_of,
)
from stream_vae.pipeline.incident_ids import Origin
from stream_vae.pipeline.line_fit import LineFit
from stream_vae.pipeline.line_totals import LineTotals
from stream_vae.pipeline.polled_batch import Assembled
from stream_vae.pipeline.replay import ReplayFilter
from stream_vae.pipeline.scored_batch import JudgedBatch, ScoredBatch
from stream_vae.pipeline.series_lifecycle import Changes, SeriesLifecycle
from stream_vae.pipeline.series_store import Capture, SavedSeries, SeriesStore, window_config
from stream_vae.pipeline.stream_fit import StreamFit
from stream_vae.pipeline.unjudged import UnjudgedWatch
from stream_vae.pipeline.unread import UnreadWatch
from stream_vae.pipeline.unseen_examples import UnseenExamples
from stream_vae.pipeline.unseen_lines import UnseenLines

_MARGINS_TOLD = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """The result of N readings."""

    batch: JudgedBatch
    """Its windows, as they were judged."""
    verdicts: VerdictBatch
    late: NDArray[np.int64]
    """Positions of the late readings."""
    changes: Changes
    events: tuple[Event, ...]
    n_leaps: int = 0
    """Readings that were not used, since their times leapt ahead; known to `observe` alone."""
    missing: tuple[MissingByRule, ...] = ()
    """Values that the rules of features made missing; known to `observe` alone."""

    @property
    def scores(self) -> Scores:
        """The scores of its windows."""
        return self.batch.scored.scores

    @property
    def alerts(self) -> tuple[AlertEvent, ...]:
        """The alert events."""
        return self.changes.alerts


class Pipeline:
    """Windows and incidents of all series of this instance, and the detector between the two.

    The same readings give the same verdicts and alerts however they are cut into batches
    (`detected_at` aside).

    Args:
        detector: Scores and judges; its capacity is the number of series.
        config: See `DetectConfig`.
        origin: Copied into every alert event.
        assembly: How readings become steps.
        series_parts: Of each series' state, beside those of windows and detector.
        partition_parts: State of each partition as a whole.
    """

    def __init__(  # noqa: PLR0913 -- each part of the state has its own
        self,
        detector: Detector,
        config: DetectConfig,
        origin: Origin,
        *,
        assembly: AssemblyConfig = AS_USUAL,
        series_parts: Sequence[StatePart] = (),
        partition_parts: Sequence[PartitionPart] = (),
    ) -> None:
        spec = detector.spec
        self._config = config = in_profile(config, spec)
        self.detector = detector
        self.store = SeriesStore(
            spec,
            config,
            detector.capacity,
            (*detector.parts, *series_parts),
            assembly=assembly,
        )
        self.unseen_lines = None if spec.logs is None else UnseenLines(spec.logs)
        """Of a model of logs: what lines of no template look like."""
        self.sessions = None
        """Of a model of sessions: what makes them of lines."""
        self._unseen_examples = totals = None
        names = [feature.name for feature in spec.features]
        if spec.has_sessions:
            closing = assembly.sessions or SessionConfig()
            self.sessions = SessionAssembler(closing, names, self.store.steps.clocks)
        elif spec.logs is not None:
            grid = window_config(spec, config, lateness=assembly.lateness_steps)
            self._unseen_examples = UnseenExamples(spec.logs, grid)
            totals = LineTotals(names, step_ns=grid.step_ns, lateness=grid.lateness)
        of_logs = (self.unseen_lines, self.sessions, self._unseen_examples)
        self._partition_parts: tuple[PartitionPart, ...] = (
            self.store.steps.clocks,
            *(part for part in of_logs if part is not None),
            *partition_parts,
        )
        self.replayed = ReplayFilter()
        self.fit = StreamFit(spec)
        self.line_fit = LineFit()
        self.unread = UnreadWatch(spec)
        self.unjudged = UnjudgedWatch(spec, config)
        self.judged_at: datetime | None = None
        """Wall clock when a reading was judged last; None if none ever was."""
        self.n_judged = 0
        """Readings judged so far."""
        writer = AlertBuilder(
            spec,
            origin,
            threshold_method=detector.method,
            max_features=config.incident.max_features,
            unseen=self._unseen_examples,
            totals=totals,
        )
        self._incidents = AnomalyIncidents(
            self.store, detector, writer, self.replayed, config.incident, totals=totals
        )
        self.lifecycle = SeriesLifecycle(self.store, detector, writer, config.silence)

    @property
    def incident_rules(self) -> IncidentConfig:
        """When an incident opens and ends, nothing left open."""
        return self._config.incident

    @property
    def n_series(self) -> int:
        """Series known now."""
        return len(self.store.index)

    @property
    def n_open_incidents(self) -> int:
        """Incidents firing now, of both kinds."""
        return self.store.incidents.n_open + len(self.store.silences.open_rows)

    @property
    def complaint(self) -> str:
        """Description of why the stream cannot be judged as it should be; empty if it can."""
        watches = (self.unread, self.fit, self.line_fit, self.unjudged)
        return "; ".join(one.complaint for one in watches if one.complaint)

    @property
    def asked(self) -> Rates:
        """How often readings are to lie above the threshold, and incidents to open."""
        return asked_rates(self._config, self.n_series)

    def observe(self, readings: ReadingBatch, now: datetime) -> Outcome:
        """Process N readings."""
        self.note_unseen(readings, np.arange(len(readings)))
        assembled = self.assemble(readings)
        outcome = self.decide(self.score(assembled), now)
        return replace(outcome, n_leaps=len(assembled.leaps), missing=assembled.missing)

    def finish(self, topic: str, now: datetime) -> Outcome:
        """Judge the steps that wait for more: nothing will come."""
        steps = self.store.steps.release_all(topic)
        self.store.index.pin(steps.rows)
        cut = self._cut(steps)
        if self._unseen_examples is not None:
            marks = self._unseen_examples.marks(cut.readings.partitions)
            cut = replace(cut, marks=marks)
        return self.decide(self.score(cut), now)

    def shortfall(self, readings: ReadingBatch) -> int:
        """Return how many series must be evicted before these readings can be assembled."""
        known = self.store.index
        return 0 if known.n_free >= len(readings) else known.shortfall(_names(readings))

    def note_unseen(self, readings: ReadingBatch, index: NDArray[np.int64]) -> None:
        """Keep an example of the lines that training never saw, before they are assembled.

        Args:
            readings: All of a poll, those that saved series contain among them.
            index: (N,) position of each reading's record.
        """
        if self._unseen_examples is not None:
            self._unseen_examples.add(readings, index)

    def assemble(
        self,
        readings: ReadingBatch,
        index: NDArray[np.int64] | None = None,
        records: RecordBatch | None = None,
    ) -> Assembled:
        """Assemble N readings to steps, and cut the windows that can be scored; evict first.

        Args:
            readings: In arrival order.
            index: (N,) position of each reading's record; without, that of the reading.
            records: The poll they are of; without, steps wait for no clock.
        """
        known = self.store.index
        known.split.clear()
        found = known.find_all(readings.partitions, readings.series)
        rows = seen = self.store.rows(_names(readings)) if found is None else found
        known.see(rows, readings.arrivals, readings.offsets)
        known.changed[rows] = True
        leaps = self.store.leaps.find(rows, readings, index, records)
        if len(leaps):
            used = np.delete(np.arange(len(rows)), leaps)
            index = used if index is None else index[used]
            rows, readings = rows[used], readings.take(used)
        missing: tuple[MissingByRule, ...] = ()
        filled = None
        if self.store.rules is not None:
            index = np.arange(len(rows)) if index is None else index
            ruled = self.store.rules.apply(rows, readings.times, readings.values)
            missing = tuple(replace(one, at=int(index[one.at])) for one in ruled.missing)
            readings = ruled.readings(readings)
            if ruled.filled is not None:
                of, filled = ruled.filled.source, ruled.filled.is_filled
                rows, index = rows[of], index[of]
        steps = self.store.steps.assemble(rows, readings, index, records, filled)
        known.pin(np.concatenate((seen, steps.rows)) if steps.judged is not None else seen)
        return replace(self._cut(steps), leaps=leaps, missing=missing)

    def _cut(self, steps: Steps) -> Assembled:
        """Place steps in their series' windows, and cut those of the steps to be judged."""
        store = self.store
        batch = store.windows.push(
            steps.rows, steps.readings, steps.judged, steps.revises, steps.begun_at
        )
        readings, index, decided_at = steps.readings, steps.index, steps.decided_at
        if steps.judged is not None:
            told = np.flatnonzero(steps.judged | batch.late)
            readings, batch = readings.take(told), batch.take(told)
            index, decided_at = index[told], decided_at[told]
            store.index.changed[steps.rows] = True
        store.index.warmed_up[batch.rows[~(batch.late | batch.warming_up)]] = True
        marks = None
        if self._unseen_examples is not None:
            marks = self._unseen_examples.marks(readings.partitions, index)
        return Assembled(
            readings=readings,
            index=index,
            decided_at=decided_at,
            window_batch=batch,
            marks=marks,
        )

    def score(self, assembled: Assembled) -> ScoredBatch:
        """Score assembled readings synchronously."""
        batch = assembled.window_batch
        return ScoredBatch(
            readings=assembled.readings,
            decided_at=assembled.decided_at,
            window_batch=batch,
            scores=self.detector.scorer.score(batch.windows, batch.end_times),
            detector=self.detector.version,
            marks=assembled.marks,
        )

    def capture(self, rows: NDArray[np.int32]) -> Capture:
        """Copy series between two assemblies; `complete` it between the same two decisions."""
        self.store.index.pin(rows)
        self.store.index.changed[rows] = False
        self.store.index.recorded[rows] = True
        return self.store.capture(rows)

    def complete(self, capture: Capture) -> SavedSeries:
        """Return the captured series as they were then."""
        self.store.index.unpin()
        return self.store.complete(capture)

    def save_partition(self, partition: int) -> dict[str, bytes]:
        """Return the state of a partition as a whole, by name of the part."""
        saved = {part.name: part.save(partition) for part in self._partition_parts}
        return {name: value for name, value in saved.items() if value is not None}

    def load_partition(self, partition: int, saved: Mapping[str, bytes]) -> None:
        """Restore that state; unknown parts are ignored."""
        for part in self._partition_parts:
            if part.name in saved:
                part.load(partition, saved[part.name])

    def forget_partitions(self, partitions: set[int]) -> int:
        """Drop the series of revoked partitions; return how many there were.

        No window of these partitions may be pending for `decide`.
        """
        self.replayed.forget(partitions)
        for part in self._partition_parts:
            for partition in partitions:
                part.forget(partition)
        return len(self.store.release(self.store.index.of_partitions(partitions)))

    def decide(self, scored: ScoredBatch, now: datetime, *, replayed: bool = False) -> Outcome:
        """Judge scored windows; assemblies must be decided in the order they were made.

        Args:
            scored: Assembled readings and their scores.
            now: Wall clock.
            replayed: These readings were decided before, by the partition's owner then: learn from
                them, but publish nothing.

        Raises:
            LookupError: If another detector scored them.
        """
        detector = self._detector(scored.detector)
        detector.threshold.share_among(self.n_series)
        batch = detector.judge(scored)
        self.store.index.unpin()
        window_batch, scores, judged = scored.window_batch, batch.scored.scores, batch.judged
        verdicts = _verdicts(window_batch, scores, judged)
        self.store.blind.observe(window_batch.rows, verdicts.verdict)
        changes = self._changes(batch, now, replayed=replayed)
        if self._unseen_examples is not None and scored.marks is not None:
            self._unseen_examples.drop(scored.readings.partitions, scored.marks)
        events: tuple[Event, ...] = ()
        if not replayed:
            unjudged = self.unjudged.observe(
                verdicts.verdict, window_batch.late, scored.readings.times
            )
            events = (*self._events(window_batch, scores, judged, verdicts, changes), *unjudged)
            if len(window_batch.ready):
                self.judged_at = now
                self.n_judged += len(window_batch.ready)
        return Outcome(
            batch=batch,
            verdicts=verdicts,
            late=np.flatnonzero(window_batch.late),
            changes=changes,
            events=events,
        )

    def told(self, outcome: Outcome, at: NDArray[np.int64] | None = None) -> NewestReadings:
        """Return what an alert would tell of the newest readings of a result's windows.

        Args:
            outcome: The result.
            at: (A,) positions of windows, ascending; all, if not given.
        """
        batch, spec = outcome.batch, self.detector.spec
        reference = reference_of(batch, self.detector.usual)
        if at is None:
            at = np.arange(len(batch.scored.scores.value))
        elif reference is not None:
            reference = reference.of(at)
        return newest_readings(spec, batch.scored, at, reference)

    def explained(self, outcome: Outcome, b: int) -> Explanation:
        """Return what an alert would tell of the steps of one of a result's windows."""
        batch, spec = outcome.batch, self.detector.spec
        reference = reference_of(batch, self.detector.usual)
        of_window = None if reference is None else reference.of(b)
        return explain(spec, batch.scored, b, of_window)

    def _detector(self, version: str) -> Detector:
        if version != self.detector.version:
            raise LookupError(
                f"windows scored by detector {version}, loaded is {self.detector.version}"
            )
        return self.detector

    def _events(
        self,
        window_batch: WindowBatch,
        scores: Scores,
        judged: Judgement,
        verdicts: VerdictBatch,
        changes: Changes,
    ) -> tuple[Event, ...]:
        asked, n_late = self.asked, int(np.count_nonzero(window_batch.late))
        rows = window_batch.rows[window_batch.ready]
        count = np.bincount(verdicts.verdict, minlength=len(Verdict))
        events: list[Event] = [
            ReadingsJudged(
                normal=int(count[Verdict.NORMAL]),
                anomalous=int(count[Verdict.ANOMALOUS]),
                warming_up=int(count[Verdict.WARMING_UP]),
                unscorable=int(count[Verdict.UNSCORABLE]) - n_late,
                late=n_late,
                score_margins=tuple((scores.value - judged.threshold)[:_MARGINS_TOLD].tolist()),
                incidents_opened=sum(
                    event.kind == "anomaly" and event.sequence == 0 for event in changes.alerts
                ),
                since_judged=self.unjudged.readings,
                step_s=self.detector.spec.step_seconds,
                above_asked=asked.above,
                incidents_asked=asked.incidents,
            )
        ]
        events += [
            ThresholdReleased(
                series=self.store.index.name(row)[1],
                readings=self.detector.threshold.release_after,
            )
            for row in rows[judged.released].tolist()
        ]
        moved = self.detector.watch_drift(scores.value)
        if moved:
            events.append(DriftDetected(mean_before=moved[0], mean_after=moved[1]))
        return tuple(events)

    def _changes(self, batch: JudgedBatch, now: datetime, *, replayed: bool) -> Changes:
        found: list[tuple[int, int, AlertEvent]] = []  # position of the reading, row, event
        if not replayed:
            found += self.lifecycle.returned(batch.scored, now)
        found += self._incidents.changes(batch, now, replayed=replayed)
        found.sort(key=lambda change: change[0])  # arrival order over all series
        names = {row: self.store.index.name(row) for _, row, _ in found}
        self.store.index.recorded[list(names)] = True
        return Changes(
            alerts=tuple(event for _, _, event in found),
            incidents={name: self.store.incidents_of(row) for row, name in names.items()},
        )


def store_of_one(
    spec: ModelSpec, config: DetectConfig, assembly: AssemblyConfig = AS_USUAL
) -> SeriesStore:
    """Return the store of a pipeline for one series, to measure its state.

    Raises:
        ConfigError: If the bundle is not calibrated for the score.
    """
    parts = detector_parts(spec, config)
    return SeriesStore(spec, in_profile(config, spec), 1, parts, assembly=assembly)


def _names(readings: ReadingBatch) -> list[SeriesName]:
    return list(zip(readings.partitions.tolist(), readings.series, strict=True))


def _verdicts(window_batch: WindowBatch, scores: Scores, judged: Judgement) -> VerdictBatch:
    n = len(window_batch.rows)
    verdict = np.full(n, Verdict.UNSCORABLE, np.int8)
    verdict[window_batch.warming_up] = Verdict.WARMING_UP
    verdict[window_batch.ready] = np.where(judged.anomalous, Verdict.ANOMALOUS, Verdict.NORMAL)
    columns = []
    for values in (scores.value, judged.threshold, judged.p_value):
        column = np.full(n, np.nan)
        column[window_batch.ready] = values
        columns.append(column)
    return VerdictBatch(verdict=verdict, score=columns[0], threshold=columns[1], p_value=columns[2])
