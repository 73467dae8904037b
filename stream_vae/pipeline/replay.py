"""Which readings of a replayed input the saved state already contains."""

import numpy as np
from numpy.typing import NDArray

from stream_vae.core.readings import ReadingBatch
from stream_vae.core.series_index import SeriesName


class ReplayFilter:
    """Keeps, while a partition is replayed, the offset at which each of its series was saved.

    A saved series has its own offset, somewhere in the replayed range.
    """

    def __init__(self) -> None:
        self._series: dict[SeriesName, int] = {}
        self._incidents: dict[SeriesName, int] = {}

    def note_series(self, name: SeriesName, offset: int) -> None:
        """Record that a series was saved, or evicted, with all readings before `offset`."""
        self._series[name] = offset

    def note_incidents(self, name: SeriesName, offset: int) -> None:
        """Record that a series' incidents were saved with all readings before `offset`."""
        self._incidents[name] = offset

    def unseen(self, readings: ReadingBatch) -> NDArray[np.int64]:
        """Return the positions of the readings that the saved series do not contain.

        Series are saved between two polls: they contain all readings of a record, or none.
        """
        partitions = readings.partitions.tolist()
        find = self._series.get
        saved = [find(name, -1) for name in zip(partitions, readings.series, strict=True)]
        return np.flatnonzero(readings.offsets >= np.array(saved, np.int64))

    def knows_incidents(self, name: SeriesName, offset: int) -> bool:
        """Return whether the saved incidents of a series include the reading at `offset`."""
        return offset < self._incidents.get(name, -1)

    def saved_at(self, name: SeriesName) -> int:
        """Return the offset at which a series was saved; -1 if it was not."""
        return self._series.get(name, -1)

    def forget_before(self, partition: int, offset: int) -> None:
        """Drop the offsets of a partition before the start of its replay."""
        self._series = {
            name: at for name, at in self._series.items() if name[0] != partition or at > offset
        }

    def forget(self, partitions: set[int]) -> None:
        """Drop partitions that have been replayed or revoked."""
        self._series = {n: at for n, at in self._series.items() if n[0] not in partitions}
        self._incidents = {n: at for n, at in self._incidents.items() if n[0] not in partitions}
