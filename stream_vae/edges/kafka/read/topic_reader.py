"""Reads a topic's committed records without a group."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from stream_vae.core.ports import EventSink
from stream_vae.core.records import Headers
from stream_vae.edges.kafka.admin.topic_metadata import topic_partitions
from stream_vae.edges.kafka.broker_watch import BrokerWatch
from stream_vae.edges.kafka.config import KafkaConfig
from stream_vae.edges.kafka.errors import Operation, translated
from stream_vae.edges.kafka.offsets import answer_missing
from stream_vae.edges.kafka.patience import answered
from stream_vae.edges.kafka.properties import reader_properties
from stream_vae.edges.kafka.record_columns import record_headers, record_time_ms

_POLL_S = 0.1
_POLL_RECORDS = 500
_REQUEST_TIMEOUT_S = 3.0


@dataclass(frozen=True, slots=True, kw_only=True)
class TopicRecord:
    """One committed record, undecoded."""

    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: Headers
    time_ms: int
    """Kafka's time of the record, milliseconds since 1970; 0 where it has none."""


def read_topic(  # noqa: PLR0913 -- each is a choice of the reader
    config: KafkaConfig,
    topic: str,
    events: EventSink,
    *,
    follow: bool,
    from_beginning: bool = True,
    until_idle_s: float | None = None,
    stop: Callable[[], bool] = lambda: False,
    on_start: Callable[[int], None] = lambda _: None,
) -> Iterator[TopicRecord]:
    """Yield the committed records of a topic; those of one partition in offset order.

    Without `follow` it ends where the topic ended when reading began. That end is no record's
    offset where transaction markers or an open transaction stand last, so a partition is done when
    the client reports to have reached its end, whether or not a record stood there.

    Args:
        config: Brokers and security; `broker_deadline_s` bounds every wait for them.
        topic: Its name. Partitions added later are not seen.
        events: Receives events of the brokers.
        follow: Continue with records published later.
        from_beginning: Start with the oldest record kept; else with the next one published, which
            makes sense only with `follow`.
        until_idle_s: End after this time without a record, with or without `follow`.
        stop: Called between polls (every 0.1 s); returns whether to end.
        on_start: Called before the first record with the number of offsets ahead; some hold no
            record.

    Raises:
        KafkaUnavailableError: If no broker answered for `broker_deadline_s`.
        KafkaRefusedError: If the topic does not exist or may not be read, or the brokers do not
            take the credentials.
    """
    operation = Operation(doing=f"reading topic {topic!r}", topic=topic)
    watch = BrokerWatch(operation, config.broker_deadline_s, events)
    with translated(operation):
        consumer = Consumer({**reader_properties(config), "error_cb": watch.client_error})
    try:
        partitions = topic_partitions(
            consumer,
            operation,
            deadline_s=config.broker_deadline_s,
            events=events,
            check=watch.raise_refusal,
        )
        bounds = answered(
            lambda: {p: _bounds(consumer, operation, p) for p in partitions},
            config.broker_deadline_s,
            events,
            watch.raise_refusal,
        )
        with translated(operation):
            starts = {p: low if from_beginning else end for p, (low, end) in bounds.items()}
            consumer.assign([TopicPartition(topic, p, at) for p, at in starts.items()])
        ends = None if follow else {p: end for p, (_, end) in bounds.items() if end > starts[p]}
        on_start(sum(end - starts[p] for p, (_, end) in bounds.items()))
        idle_since = time.monotonic()
        while ends != {} and not stop():
            with translated(operation):
                messages = consumer.consume(_POLL_RECORDS, _POLL_S)
            watch.tick(consumer)
            for record in _records(messages, ends, watch):
                yield record
                idle_since = time.monotonic()
            if until_idle_s is not None and time.monotonic() - idle_since > until_idle_s:
                return
    finally:
        consumer.close()


def _bounds(consumer: Consumer, operation: Operation, partition: int) -> tuple[int, int]:
    """Return the oldest offset kept and the next one (with open transactions: their first)."""
    at = TopicPartition(operation.topic or "", partition)
    try:
        return consumer.get_watermark_offsets(at, timeout=_REQUEST_TIMEOUT_S) or (0, 0)
    except KafkaException as exc:  # its leader may be away while others tell of it
        raise answer_missing(exc, operation) from exc


def _records(
    messages: list[Message], ends: dict[int, int] | None, watch: BrokerWatch
) -> Iterator[TopicRecord]:
    """Yield the records before their partition's end; drop partitions that are done from `ends`."""
    for message in messages:
        partition, offset = message.partition() or 0, message.offset() or 0
        error = message.error()
        at_end = error is not None and error.code() == KafkaError._PARTITION_EOF  # noqa: SLF001 -- the client's public name for it
        if error is not None and not at_end:
            watch.client_error(error)
            continue
        end = None if ends is None else ends.get(partition, 0)
        if not at_end and (end is None or offset < end):
            yield TopicRecord(
                partition=partition,
                offset=offset,
                key=message.key(),
                value=message.value(),
                headers=record_headers(message),
                time_ms=record_time_ms(message),
            )
        if ends is not None and end is not None and (at_end or offset + 1 >= end):
            ends.pop(partition, None)
