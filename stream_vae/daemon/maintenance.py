"""Series maintenance: periodic expiry and silence, and eviction for new series."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stream_vae.core.ports import Clock, EventSink, InputConsumer
from stream_vae.core.usual_gaps import GAPS_ALLOWED
from stream_vae.daemon.clock import utc_now
from stream_vae.daemon.end_checks import EndChecks
from stream_vae.daemon.key_search import KeySearch
from stream_vae.delivery.committer import Committer
from stream_vae.errors import KafkaUnavailableError
from stream_vae.events import KeySearchUnfinished, SeriesEvicted
from stream_vae.pipeline.pipeline import Pipeline
from stream_vae.pipeline.series_lifecycle import Changes, EvictionClass
from stream_vae.state.partitions import PartitionTable

_PERIOD_S = 1.0
_CLOCK_JUMP_NS = 30 * 10**9
_SEARCHED_INTERVALS = 10
"""Usual intervals, of the slowest series that is searched for: one that sends, sends in these.

Three would do if producers, whose clocks time the records, were never behind.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class MaintenanceConfig:
    """Input topic and time to live of series."""

    topic: str
    """The input topic."""
    ttl_s: float
    """Seconds without a reading after which a series is evicted."""


class SeriesMaintenance:
    """Evicts series for new ones, and publishes changes of series without a reading.

    Args:
        config: See `MaintenanceConfig`.
        pipeline: Holds the series.
        committer: Receives the changes.
        consumer: For lag and ends of partitions.
        partitions: Phases and positions.
        search: Looks for series in partitions of other instances.
        events: Receives evictions and counts.
        clock: The time.
        settle: Waits until no work is in flight.
    """

    def __init__(  # noqa: PLR0913 -- one part of each kind
        self,
        config: MaintenanceConfig,
        *,
        pipeline: Pipeline,
        committer: Committer,
        consumer: InputConsumer,
        partitions: PartitionTable,
        search: KeySearch,
        events: EventSink,
        clock: Clock,
        settle: Callable[[], None],
    ) -> None:
        self._topic = config.topic
        self._ttl_ns = round(config.ttl_s * 1e9)
        self._pipeline = pipeline
        self._committer = committer
        self._consumer = consumer
        self._partitions = partitions
        self._search = search
        self._ends = EndChecks(consumer, clock)
        self._events = events
        self._clock = clock
        self._settle = settle
        self._ticked_at = clock.monotonic()
        self._clock_ahead_ns = clock.time_ns() - round(clock.monotonic() * 1e9)

    def evict(self, shortfall: int) -> None:
        """Evict at least this many series, in the order of `EvictionClass`."""
        index, lifecycle = self._pipeline.store.index, self._pipeline.lifecycle
        live = self._partitions.live
        wanted, now = index.n_free + shortfall, utc_now(self._clock)

        def forget(eviction_class: EvictionClass) -> None:
            rest = wanted - index.n_free
            if rest > 0:
                self._publish(
                    lifecycle.evict(rest, live, self._topic, now, eviction_class), "memory"
                )

        forget(EvictionClass.UNWARMED)
        if index.n_free < wanted:
            # Unwarmed series of the last polls may be pinned: evict them before warmed-up ones.
            self._settle()
        for eviction_class in EvictionClass:
            forget(eviction_class)
        if index.n_free < wanted:
            others = {index.name(row)[0] for row in index.used().tolist()} - live
            self._publish(lifecycle.drop(wanted - index.n_free, others), "memory")

    def tick(self) -> None:
        """Once a second, expire idle series, and report silent ones."""
        now_s = self._clock.monotonic()
        if now_s - self._ticked_at < _PERIOD_S:
            return
        self._ticked_at = now_s
        lifecycle, index = self._pipeline.lifecycle, self._pipeline.store.index
        now, now_ns = utc_now(self._clock), self._clock.time_ns()
        self._follow_clock(now_ns)
        live = self._partitions.live
        lag = self._consumer.lag()
        # While there is unread input, silence cannot be determined.
        caught_up = {p for p in live if lag.get(p) == 0}
        expired = lifecycle.expire(now_ns - self._ttl_ns, caught_up, self._topic, now)
        self._publish(expired, "idle")
        moved = lifecycle.moved(now_ns, caught_up)
        overdue = lifecycle.overdue(now_ns, caught_up)
        unsure = np.setdiff1d(lifecycle.unsure(overdue, now_ns, caught_up), moved)
        # The client may not know the newest records yet, so the broker is asked.
        suspects = self._partitions_of(np.concatenate((moved, overdue, unsure)))
        at_end = self._ends.at_end(suspects)
        retired = lifecycle.retire(index.within(moved, at_end), self._topic, now)
        self._publish(retired, "moved")
        unsure = self._search_for(index.within(unsure, at_end), now_ns)
        rows = np.setdiff1d(index.within(overdue, at_end), unsure)
        if len(rows):
            silent = lifecycle.watch_silence(rows, now_ns, self._topic, now)
            self._committer.add_changes(silent, self._partitions.positions, self._clock.monotonic())

    def advance(self, max_records: int) -> None:
        """Go on with a search; called in every turn."""
        over = self._search.advance(max_records)
        if over is None:
            return
        index = self._pipeline.store.index
        for names, times in ((over.searched, index.searched), (over.found, index.elsewhere)):
            rows = [row for name in names if (row := index.find(name)) is not None]
            times[rows] = over.began_ns
        if over.unread:
            self._events.record(
                KeySearchUnfinished(
                    topic=self._topic,
                    partitions=over.unread,
                    series=over.n_series - len(over.found),
                    waited_s=over.waited_s,
                    is_last=over.is_last,
                )
            )

    def close(self) -> None:
        """Close the client of searches."""
        self._search.close()

    def _search_for(self, rows: NDArray[np.int32], now_ns: int) -> NDArray[np.int32]:
        """Search for series elsewhere; return those of which it is not known yet."""
        index = self._pipeline.store.index
        if not len(rows) or not self._search.is_free:
            return rows
        series = {index.name(row): int(index.arrived[row]) for row in rows.tolist()}
        usual_s = max(float(index.interval[rows].max()), self._pipeline.detector.spec.step_seconds)
        longest_s = float(index.gaps.usual_s(rows).max())
        span_ns = round(max(_SEARCHED_INTERVALS * usual_s, GAPS_ALLOWED * longest_s) * 1e9)
        with suppress(KafkaUnavailableError):
            if not self._search.begin(series, now_ns - span_ns):
                index.searched[rows] = now_ns
                return rows[:0]
        return rows

    def _partitions_of(self, rows: NDArray[np.int32]) -> set[int]:
        name = self._pipeline.store.index.name
        return {name(row)[0] for row in rows.tolist()}

    def _follow_clock(self, now_ns: int) -> None:
        """Shift arrival times after a clock jump, so that no series looks idle."""
        ahead_ns = now_ns - round(self._clock.monotonic() * 1e9)
        moved_ns, self._clock_ahead_ns = ahead_ns - self._clock_ahead_ns, ahead_ns
        if abs(moved_ns) > _CLOCK_JUMP_NS:
            self._pipeline.store.index.shift_arrivals(moved_ns)

    def _publish(self, changes: Changes, reason: str) -> None:
        self._committer.add_changes(changes, self._partitions.positions, self._clock.monotonic())
        if changes.forgotten:
            self._events.record(
                SeriesEvicted(
                    count=len(changes.forgotten),
                    reason=reason,
                    example_series=changes.forgotten[0][1],
                )
            )
