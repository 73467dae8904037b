"""librdkafka's messages as columns."""

import numpy as np
from confluent_kafka import TIMESTAMP_LOG_APPEND_TIME, Message

from stream_vae.core.records import Headers, RecordBatch

_NS_PER_MS = 1_000_000


def record_columns(topic: str, messages: list[Message]) -> RecordBatch:
    """Return messages without errors as a batch."""

    def headers(index: int) -> Headers:
        try:
            found = messages[index].headers() or []
        except (SystemError, UnicodeDecodeError):
            # A name that is not UTF-8: this client can neither read nor write it.
            return [("dlq.headers", b"unreadable")]
        pairs = found.items() if isinstance(found, dict) else found
        return [(n, v.encode() if isinstance(v, str) else v) for n, v in pairs]

    timestamps = [m.timestamp() for m in messages]
    return RecordBatch(
        topic=topic,
        partitions=np.array([m.partition() for m in messages], np.int32),
        offsets=np.array([m.offset() for m in messages], np.int64),
        timestamps=np.array([max(time, 0) for _, time in timestamps], np.int64) * _NS_PER_MS,
        timed_by_broker=bool(timestamps) and timestamps[0][0] == TIMESTAMP_LOG_APPEND_TIME,
        keys=[m.key() for m in messages],
        values=[m.value() for m in messages],
        headers=headers,
    )
