"""Looks after the series by the clock, and makes room for new ones."""

import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime

from stream_vae.delivery.committer import Committer, Recorder
from stream_vae.edges.kafka.consume.input_consumer import InputConsumer
from stream_vae.events import SeriesCounted, SeriesEvicted
from stream_vae.pipeline.pipeline import Pipeline
from stream_vae.pipeline.series_lifecycle import Changes, EvictionClass

_PERIOD_S = 1.0
_CLOCK_JUMP_NS = 30 * 10**9


class SeriesMaintenance:
    """Publishes what happens to series without a reading.

    Args:
        pipeline: Whose series they are.
        delivery: Takes what changes.
        consumer: Knows what is still to be read.
        recorder: Takes events.
        topic: The input topic.
        ttl_s: Seconds without a reading after which a series is forgotten.
        settle: Waits until nothing is on its way through the worker.
    """

    def __init__(  # noqa: PLR0913 -- one part of each kind
        self,
        pipeline: Pipeline,
        delivery: Committer,
        consumer: InputConsumer,
        recorder: Recorder,
        *,
        topic: str,
        ttl_s: float,
        settle: Callable[[], None],
    ) -> None:
        self._pipeline = pipeline
        self._committer = delivery
        self._consumer = consumer
        self._recorder = recorder
        self._topic = topic
        self._ttl_ns = round(ttl_s * 1e9)
        self._settle = settle
        self._looked_at = time.monotonic()
        self._clock_ahead_ns = time.time_ns() - time.monotonic_ns()

    def evict(self, lacking: int, live: set[int], positions: Mapping[int, int]) -> None:
        """Forget at least so many series, the least missed first."""
        index, lifecycle = self._pipeline.store.index, self._pipeline.lifecycle
        wanted, now = index.n_free + lacking, datetime.now(UTC)

        def forget(eviction_class: EvictionClass) -> None:
            rest = wanted - index.n_free
            if rest > 0:
                changes = lifecycle.evict(rest, live, self._topic, now, eviction_class)
                self._publish(changes, positions, "memory")

        forget(EvictionClass.UNWARMED)
        if index.n_free < wanted:
            # Strangers of the last polls may still be in use: they go before anybody known.
            self._settle()
        for eviction_class in EvictionClass:
            forget(eviction_class)
        if index.n_free < wanted:
            others = {index.name(row)[0] for row in index.used().tolist()} - live
            self._publish(lifecycle.drop(wanted - index.n_free, others), positions, "memory")

    def look(self, live: set[int], positions: Mapping[int, int]) -> None:
        """Once a second, forget series that are gone for good and tell of those that fell silent.

        Args:
            live: Input partitions whose state is back.
            positions: Input partition -> next offset to be taken in.
        """
        if time.monotonic() - self._looked_at < _PERIOD_S:
            return
        self._looked_at = time.monotonic()
        lifecycle, now, now_ns = self._pipeline.lifecycle, datetime.now(UTC), time.time_ns()
        self._follow_clock(now_ns)
        index = self._pipeline.store.index
        self._recorder.record(
            SeriesCounted(
                series=len(index),
                capacity=index.capacity,
                incidents_open=self._pipeline.n_open_incidents,
                partitions_live=len(live),
            )
        )
        lag = self._consumer.lag()
        # While there is more to be read, nobody can say that a series has stopped.
        caught_up = {p for p in live if lag.get(p) == 0}
        expired = lifecycle.expire(now_ns - self._ttl_ns, caught_up, self._topic, now)
        self._publish(expired, positions, "idle")
        suspects = lifecycle.overdue(now_ns, caught_up)
        if suspects:
            # The client may not have been told of the newest records: the broker is asked.
            at_end = {p for p in suspects if self._consumer.is_at_end(p)}
            silent = lifecycle.watch_silence(now_ns, at_end, self._topic, now)
            self._committer.add_changes(silent, positions, time.monotonic())

    def _follow_clock(self, now_ns: int) -> None:
        """See that a clock that is set anew makes no series look idle."""
        ahead_ns = now_ns - time.monotonic_ns()
        moved_ns, self._clock_ahead_ns = ahead_ns - self._clock_ahead_ns, ahead_ns
        if abs(moved_ns) > _CLOCK_JUMP_NS:
            self._pipeline.store.index.shift_arrivals(moved_ns)

    def _publish(self, changes: Changes, positions: Mapping[int, int], reason: str) -> None:
        self._committer.add_changes(changes, positions, time.monotonic())
        if changes.forgotten:
            self._recorder.record(
                SeriesEvicted(
                    count=len(changes.forgotten),
                    reason=reason,
                    example_series=changes.forgotten[0][1],
                )
            )
