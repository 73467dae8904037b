"""The instance's status: observed by the loop once a second, told to whoever asks."""

from collections.abc import Mapping

import numpy as np

from stream_vae.core.excerpts import printable
from stream_vae.core.health import Condition, Heartbeat
from stream_vae.core.log_templates import shown
from stream_vae.core.ports import Clock, EventSink
from stream_vae.core.records import RecordBatch
from stream_vae.daemon.clock import utc_now
from stream_vae.daemon.conditions import ConditionSources, InstanceProgress, PartitionStatus
from stream_vae.daemon.observed import Counts, Observed, UnseenTemplate
from stream_vae.daemon.status_report import status_report
from stream_vae.events import InstanceObserved, SeriesCounted, UnseenTemplates
from stream_vae.state.partitions import Partition, PartitionTable, Phase

_PERIOD_S = 1.0
_SERIES_NAMED = 10
_UNSEEN_PERIOD_S = 60.0
_UNSEEN_TOLD = 5
_TRAIN_ANEW = (
    "if they are of normal operation, train anew on a history that has them (train --force keeps "
    "the names of templates)"
)


class StatusBoard:
    """Knows what the instance does.

    `tick` and `saw` belong to the loop; the rest, any thread may ask.

    Args:
        topic: The input topic.
        sources: Of conditions.
        partitions: Phases and positions.
        heartbeats: Of loop and worker, by name.
        events: Receives each observation.
        clock: The time.
    """

    def __init__(  # noqa: PLR0913 -- one part of each kind
        self,
        topic: str,
        sources: ConditionSources,
        *,
        partitions: PartitionTable,
        heartbeats: Mapping[str, Heartbeat],
        events: EventSink,
        clock: Clock,
    ) -> None:
        self._topic = topic
        self._sources = sources
        self._partitions = partitions
        self._heartbeats = heartbeats
        self._events = events
        self._clock = clock
        now = clock.monotonic()
        self._ticked_at = -float("inf")
        self._polled_at = self._judged_at = now
        self._n_judged = 0
        self._records_since_verdict = 0
        self._unseen_at, self._n_unseen = -float("inf"), 0
        self._latest = Observed(
            at=utc_now(clock),
            at_monotonic=now,
            progress=InstanceProgress(),
            counts=Counts(),
            since={},
        )

    def saw(self, records: RecordBatch) -> None:
        """Take note of a poll."""
        self._polled_at = self._clock.monotonic()
        self._records_since_verdict += len(records)
        numbers, back = np.unique(records.partitions[::-1], return_index=True)
        for number, at in zip(numbers.tolist(), (len(records) - 1 - back).tolist(), strict=True):
            one = self._partitions.find(number)
            if one is not None:
                one.progress.newest_ns = int(records.timestamps[at])

    def tick(self) -> None:
        """Observe the instance, once a second."""
        now = self._clock.monotonic()
        if now - self._ticked_at < _PERIOD_S:
            return
        self._ticked_at = now
        lag = self._sources.consumer.lag()
        self._sources.lag_trend.observe(lag, now)
        progress, counts = self._progress(lag, now), self._count()
        conditions = self._sources.current(progress)
        before = self._latest.since
        self._latest = Observed(
            at=utc_now(self._clock),
            at_monotonic=now,
            progress=progress,
            counts=counts,
            unseen=self._unseen(now),
            since={one.code: before.get(one.code, now) for one in conditions},
        )
        self._record(progress, conditions, now)

    @property
    def conditions(self) -> tuple[Condition, ...]:
        """What keeps the instance from judging readings now."""
        return self._sources.current(self._latest.progress)

    def report(self) -> dict[str, object]:
        """Return the status for `/statusz`."""
        return status_report(
            self._latest,
            self._topic,
            self._sources,
            now=utc_now(self._clock),
            now_monotonic=self._clock.monotonic(),
        )

    def _progress(self, lag: Mapping[int, int], now: float) -> InstanceProgress:
        n_judged = self._sources.pipeline.n_judged
        if n_judged != self._n_judged:
            self._n_judged, self._judged_at, self._records_since_verdict = n_judged, now, 0
        table = self._partitions
        return InstanceProgress(
            partitions=tuple(self._of(one, lag, now) for one in table.within(*Phase)),
            no_record_s=now - self._polled_at,
            no_verdict_s=now - self._judged_at,
            records_since_verdict=self._records_since_verdict,
        )

    def _of(self, one: Partition, lag: Mapping[int, int], now: float) -> PartitionStatus:
        is_live, waiting = one.phase is Phase.LIVE, self._sources.restorer.waiting
        is_held = not is_live and one.number in waiting
        records = waiting[one.number] if is_held else lag.get(one.number) if is_live else None
        held_s = now - one.assigned_at
        stalled_s = self._stalled_s(one, records, now) if is_live else 0.0
        if is_held and records != 0:
            stalled_s = held_s
        return PartitionStatus(
            number=one.number,
            phase=one.phase,
            position=one.position if is_live else None,
            committed=one.committed,
            lag_records=records,
            lag_s=self._lag_s(one, records, now) if is_live or is_held else None,
            stalled_s=stalled_s,
            restoring_s=0.0 if is_live or is_held else held_s,
        )

    def _stalled_s(self, one: Partition, lag: int | None, now: float) -> float:
        """Return for how long a live partition has not advanced, and take note if it has."""
        progress, consumer = one.progress, self._sources.consumer
        if lag == 0 and consumer.reachable and not consumer.paused:
            progress.at_end_at = progress.moved_at = now
        if one.position != progress.position:
            progress.position, progress.moved_at = one.position, now
        # Of an empty partition, too, a broker says soon that this is its end.
        waits = lag is None or lag > 0
        return now - progress.moved_at if waits else 0.0

    def _lag_s(self, one: Partition, lag: int | None, now: float) -> float | None:
        """Return the age of the oldest record that waits, at most.

        It was written after the newest one that was polled, and after the partition was last at
        its end. While nothing is fetched, nobody knows whether any has been written since.
        """
        progress = one.progress
        if lag is None or progress.at_end_at == now or (lag == 0 and one.phase is not Phase.LIVE):
            return None if lag is None else 0.0
        bounds = [] if progress.at_end_at is None else [now - progress.at_end_at]
        if progress.newest_ns:
            bounds.append((self._clock.time_ns() - progress.newest_ns) / 1e9)
        return max(min(bounds, default=now - one.assigned_at), 0.0)

    def _count(self) -> Counts:
        store = self._sources.pipeline.store
        rows = store.index.used()
        blind = store.blind.among(rows)
        names = [printable(store.index.name(row)[1]) for row in blind[:_SERIES_NAMED].tolist()]
        at_floor, at_ceiling = self._sources.pipeline.detector.threshold.bounded(rows)
        counts = Counts(
            series=len(rows),
            warmed_up=int(np.count_nonzero(store.index.warmed_up[rows])),
            blind=len(blind),
            blind_examples=tuple(names),
            repeated=store.index.n_repeated_keys,
            incidents_open=store.incidents.n_open,
            silences_open=len(store.silences.open_rows),
        )
        self._events.record(
            SeriesCounted(
                series=counts.series,
                capacity=store.index.capacity,
                blind=counts.blind,
                repeated=counts.repeated,
                at_floor=at_floor,
                at_ceiling=at_ceiling,
                incidents_open=counts.incidents_open + counts.silences_open,
                partitions_live=len(self._partitions.live),
            )
        )
        return counts

    def _unseen(self, now: float) -> tuple[UnseenTemplate, ...]:
        """Return what lines of no template look like, and tell of it if there are more."""
        found = self._sources.pipeline.unseen_lines
        if found is None or now - self._unseen_at < _UNSEEN_PERIOD_S:
            return self._latest.unseen
        self._unseen_at = now
        if found.lines == self._n_unseen:
            return self._latest.unseen
        unseen = tuple(
            UnseenTemplate(
                template=printable(shown(one.pattern)),
                lines=one.count,
                example=printable(one.example, 200),
            )
            for one in found.most_frequent()
        )
        if found.lines > self._n_unseen:
            told = tuple(f"{one.lines:,} x {one.template}" for one in unseen[:_UNSEEN_TOLD])
            self._events.record(
                UnseenTemplates(lines=found.lines, templates=told, advice=_TRAIN_ANEW)
            )
        self._n_unseen = found.lines
        return unseen

    def _record(
        self, progress: InstanceProgress, conditions: tuple[Condition, ...], now: float
    ) -> None:
        partitions, wall_s = progress.partitions, self._clock.time_ns() / 1e9
        self._events.record(
            InstanceObserved(
                topic=self._topic,
                lag_records={
                    one.number: one.lag_records for one in partitions if one.lag_records is not None
                },
                lag_seconds={one.number: one.lag_s for one in partitions if one.lag_s is not None},
                restoring_s={one.number: one.restoring_s for one in partitions},
                stalled_s={one.number: one.stalled_s for one in partitions},
                beats={name: wall_s - beat.age(now) for name, beat in self._heartbeats.items()},
                conditions=tuple(one.code for one in conditions),
            )
        )
