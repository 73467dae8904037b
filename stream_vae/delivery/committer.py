"""Commits outputs, state and the offsets of their input in one transaction."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stream_vae.core.alerts import AlertEvent
from stream_vae.core.ports import Clock, EventSink, InputConsumer, OutputProducer
from stream_vae.core.records import Rejection, name_readings
from stream_vae.core.series_index import SeriesName
from stream_vae.delivery.ledger import OffsetLedger
from stream_vae.delivery.outbox import Outbox
from stream_vae.delivery.score_writer import ScoreWriter
from stream_vae.delivery.transaction import Transaction
from stream_vae.errors import FencedError
from stream_vae.events import (
    AlertDelivered,
    ReadingsLate,
    RecordsRejected,
    TransactionCommitted,
)
from stream_vae.pipeline.pipeline import Outcome
from stream_vae.pipeline.polled_batch import PolledBatch
from stream_vae.pipeline.series_lifecycle import Changes
from stream_vae.pipeline.series_store import SavedSeries
from stream_vae.state.changelog import ChangelogWriter
from stream_vae.state.partitions import PartitionTable
from stream_vae.wire.snapshots import Checkpoint, SavedInput

_COMMIT_TRIES = 10
_COMMIT_PAUSE_S = 0.1
# Between the starts of two transactions: each costs the brokers and this process milliseconds of
# work, so one for every alert of a busy stream would leave little time for anything else.
_MIN_INTERVAL_S = 0.02
# The loop continues during a transaction for this long, then waits for its end: uncommitted work
# stays bounded while brokers are unavailable, and a hanging commit stops the loop's heartbeat.
_WAIT_AFTER_S = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class CommitConfig:
    """Input topic and commit interval."""

    topic: str
    """The input topic."""
    interval_s: float
    """Longest time between two transactions while there is something to commit."""


class Committer:
    """Collects the outputs of settled work and commits them with the work's offsets.

    Args:
        config: Topic and interval.
        consumer: Its offsets are committed.
        producer: Commits transactions.
        outbox: Collects the outputs.
        partitions: Hold the committed offsets; updated after a commit.
        changelog: Encodes state; None if none is kept.
        events: Receives what was committed and what was rejected.
        clock: The time.
        on_alert: Receives each alert event when it is added, to be shown.
        transaction: Starts a commit; the tests commit synchronously.
        scores: Encodes the scores that are published; None: none are.
    """

    def __init__(  # noqa: PLR0913 -- one part of each kind
        self,
        config: CommitConfig,
        *,
        consumer: InputConsumer,
        producer: OutputProducer,
        outbox: Outbox,
        partitions: PartitionTable,
        changelog: ChangelogWriter | None,
        events: EventSink,
        clock: Clock,
        on_alert: Callable[[AlertEvent], None] | None = None,
        transaction: Callable[..., Transaction] = Transaction,
        scores: ScoreWriter | None = None,
    ) -> None:
        self._topic = config.topic
        self._interval_s = config.interval_s
        self._consumer = consumer
        self._producer = producer
        self._partitions = partitions
        self._changelog = changelog
        self._events = events
        self._clock = clock
        self._on_alert = on_alert
        self._transaction = transaction
        self._scores = scores
        self.ledger = OffsetLedger()
        self.outbox = outbox
        self._under_way: Transaction | None = None
        self._began_at = clock.monotonic()

    def add_outcome(self, polled: PolledBatch, ticket: int, outcome: Outcome) -> None:
        """Add all outputs of a poll, and settle it.

        Args:
            polled: The poll.
            ticket: Its number in the ledger.
            outcome: Of its readings.
        """
        for event in outcome.events:
            self._events.record(event)
        self.add_changes(outcome.changes, polled.positions, polled.polled_at)
        if self._scores is not None:
            self.outbox.waiting.scores.extend(self._scores.records(outcome))
        for rejection in polled.rejections:
            self.outbox.add_dead_letter(polled.records, rejection)
        self._report_rejected(polled)
        for late in _late_records(polled.steps.index, outcome.late):
            self.outbox.add_late(polled.records, late)
        if len(outcome.late):
            example = polled.steps.readings.series[int(outcome.late[0])]
            self._events.record(
                ReadingsLate(
                    topic=polled.records.topic, count=len(outcome.late), example_series=example
                )
            )
        self.ledger.settle(ticket)

    def add_changes(self, changes: Changes, positions: Mapping[int, int], polled_at: float) -> None:
        """Add alert events and the state that goes with them.

        Args:
            changes: What changed.
            positions: Input partition -> offset up to which readings are included.
            polled_at: Monotonic seconds.
        """
        for alert in changes.alerts:
            self.outbox.add_alert(alert, polled_at)
            if self._on_alert is not None:
                self._on_alert(alert)
        if self._changelog is None:
            return
        for name, incidents in changes.incidents.items():
            self.outbox.waiting.state.append(
                self._changelog.incidents(name, incidents, positions.get(name[0], 0))
            )
        self.add_tombstones({name: positions.get(name[0], 0) for name in changes.tombstones})

    def add_tombstones(self, names: Mapping[SeriesName, int]) -> None:
        """Add tombstones: series -> offset as of which their state is deleted."""
        if self._changelog is not None:
            for name, offset in names.items():
                self.outbox.waiting.state.extend(self._changelog.forgotten(name, offset))

    def add_saved(self, saved: SavedSeries, positions: Mapping[int, int]) -> None:
        """Add saved series, which include all readings before the positions."""
        if self._changelog is not None:
            self.outbox.waiting.state.extend(self._changelog.saved(saved, positions))

    def add_checkpoints(self, checkpoints: Mapping[int, Checkpoint]) -> None:
        """Add the checkpoint of each partition."""
        if self._changelog is not None:
            for partition, checkpoint in checkpoints.items():
                self.outbox.waiting.state.append(self._changelog.checkpoint(partition, checkpoint))

    def add_input(self, partition: int, saved: SavedInput) -> None:
        """Add the record that says which input a partition's later offsets belong to."""
        if self._changelog is not None:
            self.outbox.waiting.state.append(self._changelog.input(partition, saved))

    def add_model(self, partition: int) -> None:
        """Add the record that lets another model use a partition's rows."""
        if self._changelog is not None:
            self.outbox.waiting.state.append(self._changelog.model(partition))

    def commit_if_due(self) -> None:
        """Start a commit if an alert is pending (after a short pause) or the interval is over."""
        now = self._clock.monotonic()
        if self._under_way is not None:
            if not self._under_way.is_over and now - self._began_at < _WAIT_AFTER_S:
                return
            self._end_transaction()
        waited_s = now - self._began_at
        due = waited_s >= self._interval_s
        if due or (self.outbox.waiting.alerts and waited_s >= _MIN_INTERVAL_S):
            self._begin_transaction()

    def commit_or_raise(self) -> None:
        """Commit what is settled while the partitions are still assigned, or raise.

        Raises:
            FencedError: If the group no longer accepts the offsets; the next owner starts from the
                last committed ones.
        """
        self._end_transaction()
        for _ in range(_COMMIT_TRIES):
            if self._begin_transaction() and self._end_transaction():
                return
            self._clock.sleep(_COMMIT_PAUSE_S)
        msg = "the group refuses this member's offsets; uncommitted work is left to others"
        raise FencedError(msg)

    def drop(self, partitions: Collection[int]) -> None:
        """Drop revoked partitions, with their uncommitted outputs.

        The open transaction is finished first: it may contain them, and its outputs are pending
        again if it was refused.
        """
        self._end_transaction()
        self.ledger.revoke(partitions)
        self.outbox.drop(partitions)

    def leave(self, timeout_s: float) -> None:
        """Wait for the open transaction after a failure elsewhere, at most `timeout_s`.

        One left open would block readers of the outputs, and the next owner, until it times out.
        """
        if self._under_way is not None:
            self._under_way.wait(timeout_s)

    def _begin_transaction(self) -> bool:
        """Start a commit of what is settled, if any; return whether that is possible."""
        self._began_at = self._clock.monotonic()
        settled = self.ledger.committable()
        records = self.outbox.waiting.records()
        # State may have changed for partitions whose offset did not: their offsets are committed
        # again, so that a member of an old generation cannot publish it.
        sources = {record.partition for record in records}
        offsets = self._committed(sources) | settled
        if not offsets:
            return True
        if self._changelog is not None:
            # With it nothing is published twice, should the group's offsets be lost.
            reached = sorted((p, offsets[p]) for p in sources & offsets.keys())
            records += [self._changelog.position(p, offset) for p, offset in reached]
        try:
            # Requested here: calls from another thread block during one of this thread.
            membership = self._consumer.membership()
        except FencedError:
            return False
        self._under_way = self._transaction(
            self.outbox.take(),
            settled,
            lambda: self._producer.commit(records, self._topic, offsets, membership),
            self._clock,
        )
        return True

    def _committed(self, partitions: Collection[int]) -> dict[int, int]:
        """Return partition -> committed offset, for assigned partitions that have one."""
        found = {number: self._partitions.find(number) for number in partitions}
        return {
            number: one.committed
            for number, one in found.items()
            if one is not None and one.committed is not None
        }

    def _end_transaction(self) -> bool:
        """Wait for the open transaction; return whether it was committed, or there was none."""
        done, self._under_way = self._under_way, None
        if done is None:
            return True
        if not done.outcome():
            self.outbox.put_back(done.outputs)
            return False
        self.ledger.committed(done.settled)
        for number, offset in done.settled.items():
            one = self._partitions.find(number)
            if one is not None:
                one.committed = offset
        self._report_committed(done)
        return True

    def _report_committed(self, done: Transaction) -> None:
        outputs = done.outputs
        for alert in outputs.alerts:
            self._events.record(
                AlertDelivered(
                    incident_id=alert.event.incident_id,
                    sequence=alert.event.sequence,
                    status=alert.event.status,
                    kind=alert.event.kind,
                    severity=alert.event.severity,
                    series=alert.event.series.key,
                    score=alert.event.score,
                    threshold=alert.event.threshold,
                    latency_s=done.ended_at - alert.polled_at,
                )
            )
        self._events.record(
            TransactionCommitted(
                alerts=len(outputs.alerts),
                dead_letters=len(outputs.dead_letters),
                late=len(outputs.late),
                scores=len(outputs.scores),
                state_records=len(outputs.state),
                state_bytes=sum(len(record.value or b"") for record in outputs.state),
                duration_s=done.ended_at - done.began_at,
                lag_records=self._consumer.lag(),
            )
        )

    def _report_rejected(self, polled: PolledBatch) -> None:
        by_reason: dict[str, list[Rejection]] = {}
        for rejection in polled.rejections:
            by_reason.setdefault(rejection.reason, []).append(rejection)
        for reason, group in by_reason.items():
            first = group[0]
            self._events.record(
                RecordsRejected(
                    topic=polled.records.topic,
                    reason=reason,
                    count=len(group),
                    example_partition=int(polled.records.partitions[first.index]),
                    example_offset=int(polled.records.offsets[first.index]),
                    example_detail=first.detail,
                )
            )


def _late_records(index: NDArray[np.int64], late: NDArray[np.int64]) -> list[Rejection]:
    """Return one rejection per record, for any number of late readings in it.

    Args:
        index: (N,) record of each reading.
        late: Positions of the late ones, ascending.
    """
    by_record: dict[int, list[int]] = {}
    for position, record in zip(late.tolist(), index[late].tolist(), strict=True):
        by_record.setdefault(record, []).append(position)
    return [
        Rejection(
            index=record,
            reason="late",
            detail=f"{name_readings(index, positions)}older than its series' open step",
        )
        for record, positions in by_record.items()
    ]
