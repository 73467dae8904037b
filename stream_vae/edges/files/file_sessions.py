"""Sessions of the lines of files, or of a topic that is read as a history."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from stream_vae.core.partition_clocks import PartitionClocks
from stream_vae.core.readings import ReadingBatch
from stream_vae.core.records import RecordBatch
from stream_vae.core.sessions import SessionAssembler, SessionConfig
from stream_vae.inputs.decoder import Decoded

_NO_FILE = -1


class FileSessions:
    """Makes sessions as the daemon does.

    Lines of a file are of no record that has a time of its own: quiet time is that between the
    lines. A file that begins before the end of the one before it is no continuation of that: the
    sessions open there are over.

    Args:
        config: When sessions are closed.
        features: Names of what is counted.
    """

    def __init__(self, config: SessionConfig, features: Sequence[str]) -> None:
        self._clocks = PartitionClocks()
        self._assembler = SessionAssembler(config, features, self._clocks)
        self._file = _NO_FILE
        self._newest = 0

    def take(
        self, file_number: int, records: RecordBatch, decoded: Decoded
    ) -> Iterator[tuple[ReadingBatch, NDArray[np.int64]]]:
        """Yield the sessions that some records close, with the position of the record of each.

        Args:
            file_number: Which file they are of.
            records: As read.
            decoded: Their lines.
        """
        stamps = records.timestamps.copy()
        untimed = np.flatnonzero(stamps[decoded.index] == 0)
        stamps[decoded.index[untimed]] = decoded.readings.times[untimed]
        timed = stamps[stamps > 0]
        if file_number != self._file and len(timed) and int(timed[0]) < self._newest:
            for partition in np.unique(records.partitions).tolist():
                self._clocks.forget(partition)
            self._newest = 0
            over = self.rest(records.topic)
            yield over, np.zeros(len(over), np.int64)
        self._file = file_number
        self._newest = int(timed.max(initial=self._newest))
        if decoded.sessions is not None:
            yield self._assembler.assemble(
                decoded.readings,
                decoded.index,
                decoded.sessions,
                replace(records, timestamps=stamps),
            )

    def rest(self, topic: str) -> ReadingBatch:
        """Return the sessions that are open: nothing more will come."""
        return self._assembler.release_all(topic)
