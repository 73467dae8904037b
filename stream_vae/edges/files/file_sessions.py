"""Sessions of the lines of files, or of a topic that is read as a history."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from stream_vae.core.alerts import Closing
from stream_vae.core.partition_clocks import PartitionClocks
from stream_vae.core.readings import CLOSINGS, ReadingBatch
from stream_vae.core.records import RecordBatch
from stream_vae.core.sessions import SessionAssembler, SessionConfig
from stream_vae.inputs.decoder import Decoded

_NO_FILE = -1
_HOW: Mapping[Closing, str] = {
    "ended": "were ended by a line",
    "quiet": "by quiet time (input.session_quiet_s)",
    "full": "by their length (input.session_max_lines)",
    "early": "early, since too many were open (input.session_max_open)",
    "over": "were open when the input was over",
}


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
        self._closed: Counter[Closing] = Counter()
        self._lengths: Counter[int] = Counter()

    @property
    def closed(self) -> Mapping[Closing, int]:
        """How -> sessions that were closed so."""
        return self._closed

    @property
    def note(self) -> str:
        """The sessions so far, for the operator."""
        n = self._closed.total()
        if not n:
            return "no session: no line tells a key"
        how = [f"{count:,} {_HOW[closing]}" for closing, count in self._closed.most_common()]
        middle = sorted(self._lengths.elements())[n // 2]
        alone = (
            f"{self._lengths[1]:,} are of one line" if self._lengths[1] else "none is of one line"
        )
        lines = "1 line" if middle == 1 else f"{middle:,} lines"
        return f"{n:,} sessions, {lines} in the median, {alone}: {', '.join(how)}"

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
            timed_records = replace(records, timestamps=stamps)
            closed, index = self._assembler.assemble(
                decoded.readings, decoded.index, decoded.sessions, timed_records
            )
            self._count(closed)
            yield closed, index

    def rest(self, topic: str) -> ReadingBatch:
        """Return the sessions that are open: nothing more will come."""
        over = self._assembler.release_all(topic)
        self._count(over)
        return over

    def _count(self, closed: ReadingBatch) -> None:
        if closed.sessions is not None:
            self._closed.update(CLOSINGS[how] for how in closed.sessions.closings.tolist())
            self._lengths.update(closed.sessions.n_lines.tolist())
