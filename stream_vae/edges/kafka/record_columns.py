"""librdkafka's messages as columns."""

import numpy as np
from confluent_kafka import TIMESTAMP_LOG_APPEND_TIME, Message

from stream_vae.core.event_time import END_NS
from stream_vae.core.records import Headers, RecordBatch

_NS_PER_MS = 1_000_000
# Producers may send any int64; in nanoseconds only a millionth of that range fits.
_END_MS = END_NS // _NS_PER_MS


def record_columns(topic: str, messages: list[Message]) -> RecordBatch:
    """Return messages without errors as a batch."""
    times_ms = np.array([m.timestamp()[1] for m in messages], np.int64)
    return RecordBatch(
        topic=topic,
        partitions=np.array([m.partition() for m in messages], np.int32),
        offsets=np.array([m.offset() for m in messages], np.int64),
        timestamps=np.clip(times_ms, 0, _END_MS) * _NS_PER_MS,
        timed_by_broker=bool(messages) and messages[0].timestamp()[0] == TIMESTAMP_LOG_APPEND_TIME,
        keys=[m.key() for m in messages],
        values=[m.value() for m in messages],
        headers=lambda index: record_headers(messages[index]),
    )


def record_headers(message: Message) -> Headers:
    """Return a record's headers in their order."""
    try:
        found = message.headers() or []
    except (SystemError, UnicodeDecodeError):
        # A name that is not UTF-8: this client can neither read nor write it.
        return [("dlq.headers", b"unreadable")]
    pairs = found.items() if isinstance(found, dict) else found
    return [(n, v.encode() if isinstance(v, str) else v) for n, v in pairs]


def record_time_ms(message: Message) -> int:
    """Return Kafka's time of a record, milliseconds since 1970; 0 where it has none."""
    return min(max(message.timestamp()[1], 0), _END_MS)
