"""Consumes the input topic as a member of a group."""

import time
from collections.abc import Collection, Mapping
from contextlib import suppress
from typing import Literal

from confluent_kafka import (
    Consumer,
    KafkaError,
    KafkaException,
    Message,
    TopicPartition,
)

from stream_vae.core.ports import EventSink, RebalanceListener
from stream_vae.core.records import RecordBatch
from stream_vae.edges.kafka.broker_watch import BrokerWatch
from stream_vae.edges.kafka.client_log import ConsumerLog
from stream_vae.edges.kafka.config import KafkaConfig
from stream_vae.edges.kafka.consume.membership import MembershipWatch
from stream_vae.edges.kafka.deadline import Deadline
from stream_vae.edges.kafka.error_codes import UNSUPPORTED, unwrapped
from stream_vae.edges.kafka.errors import Operation, error_of, translate, translated
from stream_vae.edges.kafka.offsets import InputOffsets
from stream_vae.edges.kafka.properties import consumer_properties
from stream_vae.edges.kafka.record_columns import record_columns
from stream_vae.errors import FencedError, InputChangedError, KafkaUnavailableError
from stream_vae.events import ConsumptionDelayed, MemberReplaced, RecordsLost

Protocol = Literal["consumer", "classic"]
_REJOIN_PAUSE_S = 1.0
_REQUEST_TIMEOUT_S = 10.0
_WAKE_S = 0.5
_HEAD_START_S = 0.5
"""Longest time for which partitions wait for what others have to give first."""


class InputConsumer:
    """One member of the consumer group, subscribed to one topic; see `ports.InputConsumer`.

    Offsets are never committed here but in the producer's transactions (KIP-447). An assigned
    partition is not fetched until `release` sets its start. The listener is called inside `poll`,
    in the caller's thread.

    Args:
        config: Brokers and group.
        topic: The input topic.
        events: Receives events of brokers, group and lost records.
        topic_id: Of the topic that is meant, where another may have its name by now; "" for the one
            that is there.
    """

    def __init__(
        self, config: KafkaConfig, topic: str, events: EventSink, *, topic_id: str = ""
    ) -> None:
        self._topic_id = topic_id
        self._config = config
        self._topic = topic
        self._operation = Operation(
            doing=f"consuming from {topic!r}",
            topic=topic,
            group=config.group_id,
            session_timeout_s=config.session_timeout_s,
        )
        self._events = events
        self._listener: RebalanceListener | None = None
        self._protocol: Protocol = "classic" if config.group_protocol == "classic" else "consumer"
        self._assignment: set[int] = set()
        self._held: set[int] = set()
        self._paused = False
        self._turn = 1  # counts calls of `resume`
        self._served: dict[int, int] = {}  # partition -> turn in which it last gave records
        self._later: set[int] = set()  # partitions that others are ahead of
        self._later_at = 0.0
        self._next_offset: dict[int, int] = {}
        self._heard_of: set[int] = set()  # partitions, since they were released
        self._ends: dict[int, int] = {}
        self._refused: Deadline | None = None
        self._watch = BrokerWatch(self._operation, config.broker_deadline_s, events)
        self._membership = MembershipWatch(config.group_id, self._longest_out_s(), events)
        self._log: ConsumerLog
        self._consumer = self._make_client()

    def subscribe(self, listener: RebalanceListener) -> None:
        """Join the group; once, before the first `poll`."""
        self._listener = listener
        self._join()

    @property
    def joined(self) -> bool:
        """Whether this instance is in the group, possibly without partitions."""
        return self._membership.joined

    @property
    def out_since_ns(self) -> int | None:
        """Wall clock since when it is out of the group; None if it is in it, or never was."""
        return self._membership.out_since_ns

    @property
    def reachable(self) -> bool:
        """Whether a broker answered when last asked."""
        return self._watch.out_s == 0

    def poll(self, max_records: int, timeout_s: float) -> RecordBatch | None:
        """Return up to `max_records` records, waiting at most `timeout_s` for that many.

        Raises:
            KafkaRefusedError: If the broker refuses the topic or the group.
            KafkaUnavailableError: If no broker answered for `broker_deadline_s`.
            FencedError: If another instance of the same id took over.
            InputChangedError: If a partition ends before what was to be read next, or the topic
                was made anew.
        """
        with translated(self._operation):
            messages = self._consumer.consume(max_records, timeout_s)
        self._refuse_another_topic()
        self._watch.tick(self._consumer)
        if self._log.is_refused and self._config.group_protocol == "auto":
            self._take_classic()
            return None
        if self._membership.must_replace(self._consumer, is_reachable=self.reachable):
            self._replace_member()
            return None  # what was fetched is of partitions that are lost
        records = [message for message in messages if message.error() is None]
        if len(records) < len(messages):
            for message in messages:
                error = message.error()
                if error is not None:
                    self._handle_error(error, message)
        self._fetch_later(is_due=bool(records))
        return self._columns(records) if records else None

    def take_eof_offsets(self) -> dict[int, int]:
        """Return input partition -> end offset of those that reached it since the last call.

        Between the last record and the end there are only transaction markers.
        """
        ends = {p: end for p, end in self._ends.items() if self._next_offset.get(p) == end}
        self._ends.clear()
        return ends

    def pause(self) -> None:
        """Stop fetching until `resume`; polling keeps the membership alive."""
        self._paused = True
        self._later.clear()
        self._consumer.pause(self._partitions(self._assignment))

    def resume(self) -> None:
        """Resume fetching, except from held partitions.

        A pause discards what was fetched, and the client fetches partitions in the same order each
        time: those that have waited longest come first, or they would never.
        """
        self._paused = False
        wanted, lag = self._assignment - self._held, self.lag()
        served = {p: self._served.get(p, 0) for p in wanted if lag.get(p, 1) > 0}
        longest = min(served.values(), default=0)
        first = {p for p, turn in served.items() if turn == longest}
        self._later = wanted - first if first else set()
        self._later_at = time.monotonic() + _HEAD_START_S
        self._turn += 1
        self._fetch(first or wanted)

    def release(self, begins: Mapping[int, int]) -> None:
        """Start fetching from held partitions.

        Args:
            begins: Partition, still assigned -> start offset.
        """
        for partition, begin in begins.items():
            self._held.discard(partition)
            self._heard_of.discard(partition)
            self._next_offset[partition] = begin
            with translated(self._operation):
                self._seek(TopicPartition(self._topic, partition, begin))
        if not self._paused:
            self._fetch(begins)

    def rewind(self, begins: Mapping[int, int]) -> None:
        """Poll again from earlier offsets, as if what follows them had not been polled.

        Args:
            begins: Partition -> offset; those that are no longer fetched from are left alone.
        """
        for partition in begins.keys() & (self._assignment - self._held):
            self._next_offset[partition] = begins[partition]
            with translated(self._operation):
                self._seek(TopicPartition(self._topic, partition, begins[partition]))

    @property
    def paused(self) -> bool:
        """Whether fetching is paused."""
        return self._paused

    def membership(self) -> object:
        """Return the current membership, for the producer's transaction.

        Raises:
            FencedError: If it has ended: the client is closing after its session expired.
        """
        try:
            return self._consumer.consumer_group_metadata()
        except RuntimeError as exc:
            raise FencedError(f"{self._operation.doing}: {exc}") from exc

    @property
    def offsets(self) -> InputOffsets:
        """Offset requests for the input as this member."""
        return InputOffsets(self._consumer, self._topic, self._operation)

    def is_at_end(self, partition: int) -> bool:
        """Return whether a broker confirms that every record of a partition has been polled."""
        try:
            return self._next_offset.get(partition, -1) >= self.offsets.end(partition)
        except KafkaUnavailableError:
            return False

    def lag(self) -> dict[int, int]:
        """Return partition -> records not yet polled, by its leader's latest watermark.

        The high watermark counts transaction markers; a partition read to its end lags by 0.
        """
        lag: dict[int, int] = {}
        for partition in self._heard_of:
            at = self._next_offset[partition]
            _, high = self._consumer.get_watermark_offsets(
                TopicPartition(self._topic, partition), cached=True
            )
            lag[partition] = max(high - at, 0)
        return lag

    def close(self) -> None:
        """Leave the group; the listener is called for the remaining partitions."""
        self._consumer.close()

    def abandon(self) -> None:
        """Leave the group without calling the listener; a no-op after `close`."""
        self._listener = None
        with suppress(KafkaException, RuntimeError):
            self._consumer.close()

    def _make_client(self) -> Consumer:
        properties = consumer_properties(
            self._config, self._protocol, instance=self._config.instance_id
        )
        wanted = properties.get("debug")
        needed = ["metadata"]
        if self._config.group_protocol == "auto" and self._protocol == "consumer":
            needed += ["cgrp"]
        self._log = ConsumerLog(keeps_debug=bool(wanted))
        debug = ",".join([str(wanted), *needed] if wanted else needed)
        properties |= {"debug": debug, "logger": self._log}
        return Consumer({**properties, "error_cb": self._watch.client_error})

    def _refuse_another_topic(self) -> None:
        """End where the topic is not the one that it was.

        Raises:
            InputChangedError: Then: a start is to find out where to go on.
        """
        found = self._log.topic_ids.get(self._topic, "")
        if found and self._topic_id and found != self._topic_id:
            raise InputChangedError(_made_anew(self._topic, self._topic_id, found))
        self._topic_id = found or self._topic_id

    def _join(self) -> None:
        self._consumer.subscribe(
            [self._topic],
            on_assign=self._assigned,
            on_revoke=lambda client, partitions: self._taken(client, partitions, is_lost=False),
            on_lost=lambda client, partitions: self._taken(client, partitions, is_lost=True),
        )

    def _handle_error(self, error: KafkaError, message: Message) -> None:
        error = unwrapped(error)
        if error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001 -- see above
            self._reach_end(message.partition() or 0, message.offset() or 0)
        elif error.code() in UNSUPPORTED and self._config.group_protocol == "auto":
            self._take_classic()
        elif error.code() == KafkaError._AUTO_OFFSET_RESET:  # noqa: SLF001 -- see above
            self._skip_lost(message.partition() or 0)
        elif error.code() == KafkaError.UNRELEASED_INSTANCE_ID:
            self._await_name(error)
        else:
            self._watch.client_error(error)

    def _fetch(self, partitions: Collection[int]) -> None:
        """Fetch from partitions that were paused.

        The client's connection to a leader sleeps up to a second when nothing is fetched from it;
        a request wakes it.
        """
        self._consumer.resume(self._partitions(partitions))
        deadline = time.monotonic() + _WAKE_S
        for here in self._partitions(partitions):
            if time.monotonic() < deadline:
                with suppress(KafkaException):
                    self._consumer.get_watermark_offsets(here, timeout=_WAKE_S)

    def _fetch_later(self, *, is_due: bool) -> None:
        """Fetch from partitions that others were ahead of, once these have given or need not."""
        if self._later and (is_due or time.monotonic() >= self._later_at):
            still_here = self._later & (self._assignment - self._held)
            self._later.clear()
            if still_here:
                self._fetch(still_here)

    def _skip_lost(self, partition: int) -> None:
        """Continue with the oldest record kept, if the next one is gone.

        The client could reset by itself (`auto.offset.reset`), but would hide lost records.

        Raises:
            InputChangedError: If there never was a next one: a start is to find out what happened.
        """
        if partition not in self._assignment or partition in self._held:
            return  # revoked before its error arrived
        here = TopicPartition(self._topic, partition)
        wanted = self._next_offset[partition]
        with translated(self._operation):
            oldest, end = self._consumer.get_watermark_offsets(here, timeout=_REQUEST_TIMEOUT_S)
            if wanted > end:
                raise InputChangedError(_cut(here, wanted, end))
            # Within these bounds the error is from before the last seek.
            start = wanted if oldest <= wanted <= end else oldest
            if start != wanted:
                self._events.record(
                    RecordsLost(
                        topic=self._topic,
                        partition=partition,
                        wanted_offset=wanted,
                        oldest_offset=oldest,
                    )
                )
                self._next_offset[partition] = start
            self._reassign(TopicPartition(self._topic, partition, start))
            if not self._paused:
                self._fetch([partition])

    def _seek(self, at: TopicPartition) -> None:
        try:
            self._consumer.seek(at)
        except KafkaException as exc:
            if error_of(exc).code() != KafkaError._STATE:  # noqa: SLF001 -- see above
                raise
            self._reassign(at)  # fetching failed before it was paused: its records are gone

    def _reassign(self, at: TopicPartition) -> None:
        """Assign another start offset, paused, after an error that stopped the client's fetching.

        Only for this case: to the client an assignment also acknowledges a pending revocation, and
        the partitions would go to another member before they are committed.
        """
        self._consumer.incremental_unassign([at])
        self._consumer.incremental_assign([at])
        self._consumer.pause([at])

    def _reach_end(self, partition: int, offset: int) -> None:
        if partition not in self._assignment or partition in self._held:
            return
        self._heard_of.add(partition)
        if offset > self._next_offset[partition]:
            self._next_offset[partition] = self._ends[partition] = offset

    def _await_name(self, error: KafkaError) -> None:
        """Rejoin while the group holds this instance id, for a rival or our own dead process."""
        why = translate(error, self._operation)
        self._refused = self._refused or Deadline(self._config.broker_deadline_s)
        if self._refused.has_passed:
            raise why
        self._refused.pause(_REJOIN_PAUSE_S)
        self._join_again(str(why))

    def _take_classic(self) -> None:
        """Join with the protocol `classic`, for good; what an earlier member had is lost."""
        self._protocol = "classic"
        self._membership.allow(self._longest_out_s())
        self._left(self._partitions(self._assignment), is_lost=True)
        self._join_again("the brokers do not offer the protocol `consumer`: taking `classic`")

    def _join_again(self, why: str) -> None:
        self._events.record(
            ConsumptionDelayed(
                detail=why,
                waited_s=0.0 if self._refused is None else self._refused.waited_s,
                deadline_s=self._config.broker_deadline_s,
            )
        )
        self._renew_client()

    def _replace_member(self) -> None:
        """Join as another member: the group may never let this one in again.

        Whoever has its partitions now, they are lost to this instance.
        """
        self._left(self._partitions(self._assignment), is_lost=True)
        self._events.record(
            MemberReplaced(group=self._config.group_id, out_s=self._membership.replaced())
        )
        self._renew_client()

    def _renew_client(self) -> None:
        """Replace the client, and with it the member's id; the old one has nothing to say."""
        old, self._consumer = self._consumer, self._make_client()
        old.close()
        self._join()

    def _longest_out_s(self) -> float:
        """Return how long the group may be without this instance before its client is replaced.

        A classic group may let a member wait for as long as another one takes to poll.
        """
        properties = consumer_properties(self._config, self._protocol, instance=None)
        waits = self._protocol == "classic"
        return self._config.session_timeout_s + (
            int(properties["max.poll.interval.ms"]) / 1000 if waits else 0.0
        )

    def _columns(self, messages: list[Message]) -> RecordBatch:
        batch = record_columns(self._topic, messages)
        after = dict(zip(batch.partitions.tolist(), (batch.offsets + 1).tolist(), strict=True))
        for partition, offset in after.items():
            # The same poll may have reached the end: it comes after these records.
            self._next_offset[partition] = max(offset, self._next_offset.get(partition, 0))
        self._heard_of.update(after)
        self._served.update(dict.fromkeys(after, self._turn))
        return batch

    def _partitions(self, partitions: Collection[int]) -> list[TopicPartition]:
        return [TopicPartition(self._topic, p) for p in sorted(partitions)]

    def _assigned(self, client: Consumer, partitions: list[TopicPartition]) -> None:
        if client is not self._consumer:
            return
        self._membership.enter()
        self._refused = None
        new = tuple(sorted(p.partition for p in partitions))
        self._assignment.update(new)
        self._held.update(new)
        # Assigned here rather than by the client, so that nothing is fetched yet. The offset is
        # arbitrary, since `release` seeks; but it must be a number: an offset that the client has
        # to request from a broker may arrive after the seek, and undo it.
        anywhere = [TopicPartition(self._topic, p, 0) for p in new]
        self._consumer.incremental_assign(anywhere)
        self._consumer.pause(anywhere)
        if new and self._listener is not None:
            self._listener.partitions_assigned(new)

    def _taken(self, client: Consumer, partitions: list[TopicPartition], *, is_lost: bool) -> None:
        if client is self._consumer:  # a replaced one has nothing left
            self._left(partitions, is_lost=is_lost)

    def _left(self, partitions: list[TopicPartition], *, is_lost: bool) -> None:
        gone = tuple(sorted(p.partition for p in partitions))
        self._assignment.difference_update(gone)
        self._held.difference_update(gone)
        self._heard_of.difference_update(gone)
        for partition in gone:
            self._next_offset.pop(partition, None)
            self._served.pop(partition, None)
        if not gone or self._listener is None:
            return
        if is_lost:
            self._listener.partitions_lost(gone)
        else:
            self._listener.partitions_revoked(gone)


def _made_anew(topic: str, wanted: str, found: str) -> str:
    return (
        f"topic {topic!r} was deleted and made anew: found the id {found}, expected {wanted}; "
        "the next start reads it from its oldest record, and incidents that are open go on"
    )


def _cut(at: TopicPartition, wanted: int, end: int) -> str:
    return (
        f"partition {at.partition} of {at.topic!r} ends at offset {end}, and {wanted} was to be "
        "read next: the topic was deleted and made anew, or its brokers lost records; the next "
        "start finds out where to go on"
    )
