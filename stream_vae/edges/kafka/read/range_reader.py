"""Reads ranges of a topic's partitions, without group membership."""

import time
from collections.abc import Iterable
from contextlib import suppress

from confluent_kafka import (
    OFFSET_BEGINNING,
    Consumer,
    KafkaError,
    KafkaException,
    Message,
    TopicPartition,
)

from stream_vae.core.ports import EventSink
from stream_vae.core.records import RecordBatch
from stream_vae.edges.kafka.broker_watch import BrokerWatch
from stream_vae.edges.kafka.config import KafkaConfig
from stream_vae.edges.kafka.errors import Operation, translated
from stream_vae.edges.kafka.properties import reader_properties
from stream_vae.edges.kafka.read.topic_ends import TopicEnds
from stream_vae.edges.kafka.record_columns import record_columns
from stream_vae.errors import KafkaUnavailableError

_SHORT_FOR_S = 2.0
_CONNECT_TIMEOUT_S = 0.5
_ASK_PAUSE_S = 5.0


class RangeReader:
    """Fetches several ranges at once; memory is bounded by the client's queue.

    Only committed records are returned. A range is finished when no record before its end is left,
    only transaction markers or the end of the partition. If the partition ends permanently before
    the range does, because the topic was recreated or truncated, the range ends there.

    Args:
        config: Brokers.
        topic: The topic.
        events: Receives events of the brokers.
    """

    def __init__(self, config: KafkaConfig, topic: str, events: EventSink) -> None:
        self._topic = topic
        self._operation = Operation(doing=f"reading {topic!r}", topic=topic)
        self._watch = watch = BrokerWatch(self._operation.doing, config.broker_deadline_s, events)
        self._topic_ends = TopicEnds(config, topic)
        with translated(self._operation):
            self._consumer = Consumer({**reader_properties(config), "error_cb": watch.client_error})
        self._ends: dict[int, int] = {}
        self._begins: dict[int, int] = {}
        self._short: dict[int, float] = {}
        self._finished: list[int] = []
        self._ask_at = 0.0

    def end_offsets(self, partitions: Iterable[int]) -> dict[int, int]:
        """Return partition -> offset after its newest record, open transactions included.

        Raises:
            KafkaUnavailableError: If no broker answered.
            KafkaRefusedError: If the broker refuses the topic.
        """
        return self._topic_ends(partitions)

    def n_partitions(self) -> int:
        """Return how many partitions the topic has.

        Raises:
            KafkaUnavailableError: If no broker answered.
            KafkaRefusedError: If the broker refuses the topic.
        """
        return self._topic_ends.n_partitions()

    def add(self, partition: int, begin: int | None, end: int) -> None:
        """Start reading a range.

        Args:
            partition: A no-op if it is already being read.
            begin: First offset; None or one no longer kept: the oldest record kept.
            end: Offset after the last.
        """
        if end <= 0 or (begin is not None and begin >= end):
            self._finished.append(partition)
            return
        if partition in self._ends:
            return
        self._ends[partition], self._begins[partition] = end, begin or 0
        oldest = self._oldest(partition)
        start = oldest if begin is None else begin
        with translated(self._operation):
            self._consumer.incremental_assign([TopicPartition(self._topic, partition, start)])

    def remove(self, partition: int) -> None:
        """Stop reading a partition; a no-op if it is not being read."""
        if partition in self._ends:
            self._leave(partition)
        with suppress(ValueError):
            self._finished.remove(partition)

    def poll(self, max_records: int) -> RecordBatch | None:
        """Return the records that have arrived, without waiting.

        Raises:
            KafkaRefusedError: If the broker refuses the topic.
            KafkaUnavailableError: If no broker answered for `broker_deadline_s`.
        """
        if not self._ends:
            return None
        with translated(self._operation):
            messages = self._consumer.consume(max_records, 0)
        self._watch.tick(self._consumer)
        records = [message for message in messages if self._is_wanted(message)]
        self._give_up_short_ones()
        return record_columns(self._topic, records) if records else None

    def take_finished(self) -> list[int]:
        """Return the partitions whose range is finished: all records have been returned."""
        done, self._finished = self._finished, []
        return done

    def close(self) -> None:
        """Close the client."""
        with suppress(KafkaException, RuntimeError):
            self._consumer.close()

    def _oldest(self, partition: int) -> int:
        """Return the offset of the oldest record kept.

        The client can look it up itself, but half a second later while it is not connected to the
        partition's leader; once it is, it fetches within milliseconds.
        """
        here = TopicPartition(self._topic, partition)
        if time.monotonic() > self._ask_at:
            try:
                return self._consumer.get_watermark_offsets(here, timeout=_CONNECT_TIMEOUT_S)[0]
            except KafkaException:
                self._ask_at = time.monotonic() + _ASK_PAUSE_S  # the loop has other partitions
        return OFFSET_BEGINNING

    def _is_wanted(self, message: Message) -> bool:
        """Return whether a message is a record of its range; detect the end of the range."""
        error, partition, offset = message.error(), message.partition(), message.offset()
        end = self._ends.get(partition if partition is not None else -1)
        if error is not None and error.code() != KafkaError._PARTITION_EOF:  # noqa: SLF001 -- the client's public name for it
            self._watch.client_error(error)
            return False
        if partition is None or offset is None or end is None:
            return False  # of a range that was removed
        begin = self._begins[partition]
        if offset >= end or (error is None and offset == end - 1):
            self._finish(partition)
        elif error is not None:
            self._short.setdefault(partition, time.monotonic())
        else:
            self._short.pop(partition, None)
        # If the first offset is no longer kept, the client starts with the oldest record.
        return error is None and begin <= offset < end

    def _give_up_short_ones(self) -> None:
        """End the ranges whose partitions permanently end before them.

        An open transaction also looks like the end of the partition, but only until it ends.
        """
        now = time.monotonic()
        for partition, since in list(self._short.items()):
            if now - since < _SHORT_FOR_S:
                continue
            self._short[partition] = now
            with suppress(KafkaUnavailableError):
                if self._topic_ends([partition])[partition] < self._ends[partition]:
                    self._finish(partition)

    def _finish(self, partition: int) -> None:
        self._finished.append(partition)
        self._leave(partition)

    def _leave(self, partition: int) -> None:
        del self._ends[partition]
        self._begins.pop(partition, None)
        self._short.pop(partition, None)
        with translated(self._operation):
            self._consumer.incremental_unassign([TopicPartition(self._topic, partition)])
