"""Parts of a topic, read once, without a group: a sample, or a period."""

import time
from collections.abc import Callable, Iterator
from contextlib import closing

from stream_vae.core.ports import EventSink
from stream_vae.core.records import RecordBatch, joined
from stream_vae.edges.kafka.config import KafkaConfig
from stream_vae.edges.kafka.patience import answered
from stream_vae.edges.kafka.read.range_reader import RangeReader
from stream_vae.edges.kafka.read.topic_ends import TopicEnds

_POLL_RECORDS = 1000
_PAUSE_S = 0.02


def read_sample(  # noqa: PLR0913 -- each is a choice of the reader
    config: KafkaConfig,
    topic: str,
    events: EventSink,
    *,
    n_records: int,
    oldest: bool,
    seconds: float,
) -> RecordBatch | None:
    """Return some committed records of a topic; those of a partition in order. None: there is none.

    Args:
        config: Brokers and security.
        topic: Its name.
        events: Receives events of the brokers.
        n_records: Most of them; partitions share them evenly.
        oldest: The oldest kept rather than the newest.
        seconds: Longest time of reading.

    Raises:
        KafkaUnavailableError: If no broker answered for `broker_deadline_s`.
        KafkaRefusedError: If the topic does not exist or may not be read.
    """
    topic_ends = TopicEnds(config, topic)
    ends = answered(
        lambda: topic_ends(range(topic_ends.n_partitions())), config.broker_deadline_s, events
    )
    ends = {partition: end for partition, end in ends.items() if end > 0}
    if not ends:
        return None
    share = -(-n_records // len(ends))
    left = dict.fromkeys(ends, share)
    batches: list[RecordBatch] = []
    with closing(RangeReader(config, topic, events)) as reader:
        for partition, end in ends.items():
            reader.add(partition, None if oldest else max(end - share, 0), end)
        until = time.monotonic() + seconds
        n_open = len(ends)
        while n_open and any(left.values()) and time.monotonic() < until:
            batch = reader.poll(_POLL_RECORDS)
            n_open -= len(reader.take_finished())
            if batch is None:
                time.sleep(_PAUSE_S)
                continue
            rows: list[int] = []
            for row, partition in enumerate(batch.partitions.tolist()):
                if left[partition]:
                    left[partition] -= 1
                    rows.append(row)
            batches.append(batch.take(rows))
    found = joined(batches) if batches else None
    return found if found is not None and len(found) else None


def read_period(  # noqa: PLR0913 -- each is a choice of the reader
    config: KafkaConfig,
    topic: str,
    events: EventSink,
    *,
    since_ns: int | None,
    until_ns: int | None,
    on_progress: Callable[[int, int], None] = lambda *_: None,
) -> Iterator[RecordBatch]:
    """Yield the committed records of a topic by Kafka's times; those of a partition in order.

    It ends where the topic ended when reading began.

    Args:
        config: Brokers and security.
        topic: Its name.
        events: Receives events of the brokers.
        since_ns: Begin with the first record at or after this time; None: the oldest kept.
        until_ns: End before the first record at or after this time; None: the topic's end.
        on_progress: Called with the records read so far and the offsets to read.

    Raises:
        KafkaUnavailableError: If no broker answered for `broker_deadline_s`.
        KafkaRefusedError: If the topic does not exist or may not be read.
    """
    topic_ends = TopicEnds(config, topic)

    def bounds() -> dict[int, tuple[int | None, int]]:
        ends = topic_ends(range(topic_ends.n_partitions()))
        found: dict[int, tuple[int | None, int]] = {}
        for partition, end in ends.items():
            begin = None if since_ns is None else topic_ends.since(partition, since_ns)
            last = None if until_ns is None else topic_ends.since(partition, until_ns)
            if since_ns is None or begin is not None:
                found[partition] = begin, end if last is None else min(last, end)
        return found

    ranges = answered(bounds, config.broker_deadline_s, events)
    n_offsets = sum(max(end - (begin or 0), 0) for begin, end in ranges.values())
    with closing(RangeReader(config, topic, events)) as reader:
        for partition, (begin, end) in ranges.items():
            reader.add(partition, begin, end)
        n_open, n_read = len(ranges), 0
        while n_open:
            batch = reader.poll(_POLL_RECORDS)
            n_open -= len(reader.take_finished())
            if batch is None:
                time.sleep(_PAUSE_S)
                continue
            n_read += len(batch)
            on_progress(n_read, n_offsets)
            yield batch
