"""The clocks by which steps and sessions wait: the times of the partitions' own records."""

import struct

import numpy as np
from numpy.typing import NDArray

from stream_vae.core.event_time import END_NS
from stream_vae.core.records import RecordBatch

_CLOCK = struct.Struct("<q")


class PartitionClocks:
    """The newest record time of each partition, by which steps and sessions wait.

    It is part of the partition's state, so that a replay decides as the first time.
    """

    name = "record_clock"

    def __init__(self) -> None:
        self._newest: dict[int, int] = {}

    def advance(self, records: RecordBatch) -> NDArray[np.int64]:
        """Return (M,) the clock of its partition at each record, and keep the last."""
        clock = np.empty(len(records), np.int64)
        for partition in np.unique(records.partitions).tolist():
            at = np.flatnonzero(records.partitions == partition)
            # A producer may set any time, also one to which no wait can be added.
            times = np.clip(records.timestamps[at], 0, END_NS)
            times[0] = max(int(times[0]), self._newest.get(partition, 0))
            clock[at] = np.maximum.accumulate(times)
            self._newest[partition] = int(clock[at[-1]])
        return clock

    def save(self, partition: int) -> bytes | None:
        """See `PartitionPart.save`."""
        newest = self._newest.get(partition)
        return None if newest is None else _CLOCK.pack(newest)

    def load(self, partition: int, saved: bytes) -> None:
        """See `PartitionPart.load`."""
        (self._newest[partition],) = _CLOCK.unpack(saved)

    def forget(self, partition: int) -> None:
        """See `PartitionPart.forget`."""
        self._newest.pop(partition, None)
