"""Polls of records that matter for their values alone."""

from collections.abc import Sequence

import numpy as np

from stream_vae.core.records import Headers, RecordBatch


def poll_of(
    values: Sequence[bytes | None], headers: Sequence[Headers] | None = None
) -> RecordBatch:
    """Return records of one partition with one key, which tell no time.

    Args:
        values: N.
        headers: N; none, if not given.
    """
    n = len(values)
    return RecordBatch(
        topic="readings",
        partitions=np.zeros(n, np.int32),
        offsets=np.arange(n, dtype=np.int64),
        timestamps=np.zeros(n, np.int64),
        timed_by_broker=False,
        keys=[b"key"] * n,
        values=list(values),
        headers=lambda row: () if headers is None else headers[row],
    )
