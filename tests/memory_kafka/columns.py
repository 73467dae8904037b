"""Entries of a log as the columns that the ports hand out."""

from collections.abc import Sequence

import numpy as np

from stream_vae.core.records import RecordBatch
from tests.memory_kafka.partition_log import Entry


def record_batch(topic: str, found: Sequence[tuple[int, Entry]]) -> RecordBatch | None:
    """Return partitions and entries as a batch; None of none."""
    if not found:
        return None
    entries = [entry for _, entry in found]
    return RecordBatch(
        topic=topic,
        partitions=np.array([partition for partition, _ in found], np.int32),
        offsets=np.array([entry.offset for entry in entries], np.int64),
        timestamps=np.array([entry.timestamp_ns for entry in entries], np.int64),
        timed_by_broker=True,
        keys=[entry.key for entry in entries],
        values=[entry.value for entry in entries],
        headers=lambda index: entries[index].headers,
    )
