"""The board that the poll loop writes for the live page, and leaves to others to read."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from stream_vae.core.alerts import AlertEvent, Kind, Severity
from stream_vae.core.incidents import Incident, Silence
from stream_vae.core.series_index import SeriesName
from stream_vae.page.bounds import HISTORIES, INCIDENTS, RANKED, STEPS_PERIOD_S, SUMMARY_PERIOD_S
from stream_vae.page.dead_letters import DeadLetter, DeadLetters
from stream_vae.page.histories import DEVIATION, JudgedSteps, SeriesSteps, StepHistories
from stream_vae.page.incident_list import IncidentList, KnownIncident
from stream_vae.page.quiet import why_quiet
from stream_vae.page.ranking import RankedSeries, Ranking
from stream_vae.pipeline.explanation import Explanation
from stream_vae.pipeline.pipeline import Outcome, Pipeline
from stream_vae.pipeline.polled_batch import PolledBatch

_TRACKED = 1_000
"""Series with a recent anomaly that are looked through for incidents nothing was told of yet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UntoldIncident:
    """An open incident that another instance told of: this one has taken it over."""

    name: SeriesName
    id: str
    kind: Kind
    severity: Severity
    started_at: int
    """Nanoseconds since 1970."""
    peak_score: float | None
    """None of a silence."""
    offset_start: int
    offset_end: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """What is shown of all series; never changed, so that any thread may read it."""

    version: int = 0
    n_series: int = 0
    ranking: tuple[RankedSeries, ...] = ()
    firing: frozenset[SeriesName] = frozenset()
    """Those of the ranking that have an open incident."""
    quiet: Mapping[SeriesName, str] = field(default_factory=dict)
    """Why others of the ranking that are above their threshold have none."""
    newest_at: int | None = None
    """Time of the newest step that was judged, nanoseconds since 1970."""
    incidents: tuple[KnownIncident, ...] = ()
    untold: tuple[UntoldIncident, ...] = ()
    counts: Mapping[str, int] = field(default_factory=dict)
    """Of dead letters and late readings, by reason, since the start."""
    dead_letters: tuple[DeadLetter, ...] = ()


class PageBoard:
    """What the live page shows, kept by the loop in bounded memory; see `bounds`.

    `observe`, `add_alert` and `tick` belong to the loop, which never waits for a reader: what it
    hands over are values that it does not change afterwards. The rest belongs to one reader.

    Args:
        pipeline: Of the loop.
    """

    def __init__(self, pipeline: Pipeline) -> None:
        self._pipeline = pipeline
        self._index = pipeline.store.index
        self._ranking = Ranking(self._index)
        self._histories = StepHistories(self._index, len(pipeline.detector.spec.features))
        self._incidents = IncidentList()
        self._dead_letters = DeadLetters()
        self._bare: set[int] = set()
        self._summed_at = self._copied_at = -float("inf")
        self._version = 0
        self.summary = Summary()
        """The newest one."""
        self.steps: Mapping[SeriesName, SeriesSteps] = {}
        """Of the watched series."""
        self.watched: frozenset[SeriesName] = frozenset()
        """The reader's wish."""
        self.is_watched = False
        """Whether there is a reader: else nothing is handed over."""

    # The loop

    def observe(self, polled: PolledBatch, outcome: Outcome) -> None:
        """Take note of the verdicts on a poll."""
        batch = outcome.batch.scored.window_batch
        rows = batch.rows[batch.ready]
        if len(rows):
            threshold = outcome.batch.judged.threshold
            self._ranking.observe(rows, outcome.scores.value, threshold, batch.end_times)
            self._keep(rows, outcome)
            self._add_steps(rows, outcome)
        if polled.ticket is not None:
            self._dead_letters.observe(polled, len(outcome.late))

    def add_alert(self, event: AlertEvent) -> None:
        """Take note of an alert event."""
        self._incidents.add(event)

    def tick(self, now: float) -> None:
        """Hand over what has changed, while somebody watches.

        Args:
            now: Monotonic seconds.
        """
        if not self.is_watched:
            return
        if now - self._copied_at >= STEPS_PERIOD_S:
            self._copied_at = now
            self._copy_watched()
        if now - self._summed_at >= SUMMARY_PERIOD_S:
            self._summed_at = now
            self._sum_up()

    # The reader

    def ranked(self, name: SeriesName) -> RankedSeries | None:
        """Return the newest verdict on a series, if there is one."""
        row = self._index.find(name)
        return None if row is None else self._ranking.find(row)

    def names(self) -> list[SeriesName | None]:
        """Return the series that are known; None stands where there is none."""
        return self._index.names()

    # Steps

    def _keep(self, rows: NDArray[np.int32], outcome: Outcome) -> None:
        """Give rings to series of a batch that are to have one."""
        alerted = (self._row_of(event) for event in outcome.alerts[:HISTORIES])
        chosen = {row for row in alerted if row is not None}
        if self._histories.has_room:
            chosen.update(np.delete(rows, self._histories.kept(rows))[:HISTORIES].tolist())
        if not chosen and not self._bare:
            return
        wanted = self._wanted()
        distinct, at = np.unique(rows, return_index=True)
        first = dict(zip(distinct.tolist(), at.tolist(), strict=True))
        for row in chosen & first.keys():
            if self._histories.keep(row, wanted):
                self._seed(row, self._pipeline.explained(outcome, first[row]))
        for row in self._bare & first.keys():
            self._bare.discard(row)
            explanation = self._pipeline.explained(outcome, first[row])
            if len(explanation.times) > 1 and self._histories.restart(row):
                self._seed(row, explanation)

    def _row_of(self, event: AlertEvent) -> int | None:
        return self._index.find((event.source.partition, event.series.key))

    def _wanted(self) -> set[int]:
        """Return the rows whose rings stay: of watched series, and of open incidents."""
        watched = {self._index.find(name) for name in self.watched}
        tracker = self._pipeline.store.incidents
        kept = self._histories.rows
        return {row for row in kept if row in watched or tracker.incident(row) is not None}

    def _seed(self, row: int, explanation: Explanation) -> None:
        """Begin a ring with the steps before the newest of a window."""
        told = slice(0, len(explanation.times) - 1)
        is_observed = ~np.isnan(explanation.actual[told]).all(axis=1)
        parts = (
            explanation.actual,
            explanation.expected,
            explanation.expected_std,
            explanation.deviation,
        )
        values = np.stack([part[told][is_observed] for part in parts])
        self._add_unscored(row, explanation.times[told][is_observed], values)

    def _add_unscored(
        self, row: int, times: NDArray[np.int64], values: NDArray[np.float64]
    ) -> None:
        unknown = np.full(len(times), np.nan)
        steps = JudgedSteps(times=times, score=unknown, threshold=unknown, values=values)
        if len(times):
            self._histories.add(np.full(len(times), row, np.int32), steps)

    def _add_steps(self, rows: NDArray[np.int32], outcome: Outcome) -> None:
        at = self._histories.kept(rows)
        if not len(at):
            return
        batch, told = outcome.batch.scored, self._pipeline.told(outcome, at)
        actual = batch.readings.values[batch.window_batch.ready[at]]
        self._histories.add(
            rows[at],
            JudgedSteps(
                times=batch.window_batch.end_times[at],
                score=outcome.scores.value[at],
                threshold=outcome.batch.judged.threshold[at],
                values=np.stack([actual, told.expected, told.expected_std, told.deviation]),
            ),
        )

    def _copy_watched(self) -> None:
        """Hand over the steps of watched series that have new ones."""
        self._keep_watched()
        before, found = self.steps, {}
        for name in self.watched:
            row = self._index.find(name)
            if row is None:
                continue
            known = before.get(name)
            if known is not None and (known.life, known.total) == self._histories.total(row):
                found[name] = known
                continue
            copied = self._histories.copy(row)
            if copied is not None:
                found[name] = replace(copied, quiet=self._why_quiet(name, copied.steps))
        self.steps = found

    def _keep_watched(self) -> None:
        """Give watched series a ring, and what is known of them before their next reading."""
        for name in self.watched:
            row = self._index.find(name)
            if row is not None and self._histories.keep(row, self._wanted()):
                self._bare.add(row)
                self._seed_bare(row)

    def _seed_bare(self, row: int) -> None:
        """Begin a ring with the values of a window: what was expected of them is not kept."""
        spec, windows = self._pipeline.detector.spec, self._pipeline.store.windows
        ages = np.arange(spec.window_length - 1, -1, -1)
        rows = np.full(len(ages), row, np.int32)
        steps = windows.last_steps(rows) - ages
        actual = windows.values_at(rows, steps)
        is_observed = ~np.isnan(actual).all(axis=1)
        unknown = np.full(actual[is_observed].shape, np.nan)
        values = np.stack([actual[is_observed], unknown, unknown, unknown])
        times = steps[is_observed] * round(spec.step_seconds * 1e9)
        self._add_unscored(row, times, values)

    # Summary

    def _sum_up(self) -> None:
        ranking = tuple(self._ranking.top(RANKED))
        self._incidents.drop_moved(lambda name: self._index.find(name) is not None)
        incidents = tuple(self._incidents.newest_first())
        untold = tuple(islice(self._untold(), INCIDENTS))
        firing = frozenset(one.name for one in ranking if self._is_firing(one.name))
        quiet = {
            one.name: self._why_quiet(one.name)
            for one in ranking
            if one.is_above and one.name not in firing
        }
        self._version += 1
        self.summary = Summary(
            version=self._version,
            n_series=len(self._index),
            ranking=ranking,
            firing=firing,
            quiet=quiet,
            newest_at=self._ranking.newest(),
            incidents=incidents,
            untold=untold,
            counts=dict(self._dead_letters.counts),
            dead_letters=tuple(self._dead_letters.newest),
        )

    def _is_firing(self, name: SeriesName) -> bool:
        row, store = self._index.find(name), self._pipeline.store
        return row is not None and (
            store.incidents.incident(row) is not None or row in store.silences.open_rows
        )

    def _why_quiet(self, name: SeriesName, steps: JudgedSteps | None = None) -> str:
        """Return why a series above its threshold has no incident; "" if it is not, or has one."""
        row, ranked = self._index.find(name), self.ranked(name)
        if row is None or ranked is None or not ranked.is_above or self._is_firing(name):
            return ""
        deviation = None
        if steps is not None and len(steps):
            deviation = float(np.nan_to_num(steps.values[DEVIATION, -1]).max(initial=0.0))
        tracker, rules = self._pipeline.store.incidents, self._pipeline.incident_rules
        return why_quiet(tracker.save(row), rules, deviation)

    def _untold(self) -> Iterator[UntoldIncident]:
        store = self._pipeline.store
        for row in islice(store.incidents.tracked_rows, _TRACKED):
            incident, name = store.incidents.incident(row), self._index.name(row)
            if incident is not None and not self._incidents.has(name, incident.id):
                yield _of_anomaly(name, incident)
        for row in islice(store.silences.open_rows, _TRACKED):
            silence, name = store.silences.get(row), self._index.name(row)
            if silence is not None and not self._incidents.has(name, silence.id):
                yield _of_silence(name, silence)


def _of_anomaly(name: SeriesName, one: Incident) -> UntoldIncident:
    return UntoldIncident(
        name=name,
        id=one.id,
        kind="anomaly",
        severity=one.severity,
        started_at=one.started_at,
        peak_score=one.peak_score,
        offset_start=one.offset_start,
        offset_end=one.offset_end,
    )


def _of_silence(name: SeriesName, one: Silence) -> UntoldIncident:
    return UntoldIncident(
        name=name,
        id=one.id,
        kind="silence",
        severity="warning",
        started_at=one.since,
        peak_score=None,
        offset_start=one.offset,
        offset_end=one.offset,
    )
