"""What of an input that is read again has been taken in already."""

import numpy as np
from numpy.typing import NDArray

from stream_vae.core.readings import ReadingBatch
from stream_vae.core.series_index import SeriesName


class ReplayFilter:
    """Remembers, while a partition is read again, where each of its series was saved.

    A saved series stands at its own offset, somewhere in the range that is read again.
    """

    def __init__(self) -> None:
        self._series: dict[SeriesName, int] = {}
        self._incidents: dict[SeriesName, int] = {}

    def note_series(self, name: SeriesName, offset: int) -> None:
        """Note that a series was saved, or was forgotten, with all readings before `offset`."""
        self._series[name] = offset

    def note_incidents(self, name: SeriesName, offset: int) -> None:
        """Note that a series' incidents were saved with all readings before `offset`."""
        self._incidents[name] = offset

    def unseen(self, readings: ReadingBatch) -> NDArray[np.int64]:
        """Return the positions of the readings that the saved series do not hold yet.

        Series are saved between two polls: all readings of a record are in one, or none is.
        """
        partitions = readings.partitions.tolist()
        find = self._series.get
        saved = [find(name, -1) for name in zip(partitions, readings.series, strict=True)]
        return np.flatnonzero(readings.offsets >= np.array(saved, np.int64))

    def knows_incidents(self, name: SeriesName, offset: int) -> bool:
        """Tell whether the saved incidents of a series hold the reading at `offset` already."""
        return offset < self._incidents.get(name, -1)

    def saved_at(self, name: SeriesName) -> int:
        """Return where a series was saved; -1 if it was not."""
        return self._series.get(name, -1)

    def forget_before(self, partition: int, offset: int) -> None:
        """Forget what was saved of a partition before an offset that is where reading begins."""
        self._series = {
            name: at for name, at in self._series.items() if name[0] != partition or at > offset
        }

    def forget(self, partitions: set[int]) -> None:
        """Forget partitions that have been read again, or have left."""
        self._series = {n: at for n, at in self._series.items() if n[0] not in partitions}
        self._incidents = {n: at for n, at in self._incidents.items() if n[0] not in partitions}
