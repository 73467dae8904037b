"""When the records of a poll were written."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stream_vae.core.records import RecordBatch

LATER = int(np.iinfo(np.int64).max)
"""Later than any record, and than any time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordTimes:
    """When the records of a poll were written."""

    partitions: Sequence[int]
    of: Sequence[NDArray[np.int64]]  # positions of the records of each partition
    clock: NDArray[np.int64]  # (M,) newest record time of its partition

    @classmethod
    def of_records(cls, records: RecordBatch, clock: NDArray[np.int64]) -> "RecordTimes":
        """Return that of a poll."""
        partitions = np.unique(records.partitions).tolist()
        of = [np.flatnonzero(records.partitions == partition) for partition in partitions]
        return cls(partitions=partitions, of=of, clock=clock)

    def newest(self, partition: int) -> int:
        """Return the clock of a partition after the poll."""
        return int(self.clock[self.of[self.partitions.index(partition)][-1]])

    def first_at(self, partitions: NDArray[np.int32], due: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the first record of each partition at or after a time; `LATER` if none is."""
        found = np.full(len(due), LATER)
        for partition, records in zip(self.partitions, self.of, strict=True):
            which = np.flatnonzero(partitions == partition)
            nth = np.searchsorted(self.clock[records], due[which])
            found[which] = np.append(records, LATER)[nth]
        return found
