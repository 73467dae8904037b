"""Which series send readings of which none can be judged."""

import numpy as np
from numpy.typing import NDArray

from stream_vae.core.verdicts import Verdict


class BlindSeries:
    """Counts each series' readings since its last one that could be judged.

    A series that has sent more than `limit` of them is blind: it would have filled a window by
    then, if it sent what the model expects. Not part of the saved state.

    Args:
        capacity: Rows of series.
        limit: Readings.
    """

    def __init__(self, capacity: int, limit: int) -> None:
        self._run: NDArray[np.int32] = np.zeros(capacity, np.int32)
        self._limit = limit

    def observe(self, rows: NDArray[np.int32], verdicts: NDArray[np.int8]) -> None:
        """Add N readings.

        Args:
            rows: (N,) series.
            verdicts: (N,) see `Verdict`.
        """
        is_judged = (verdicts == Verdict.NORMAL) | (verdicts == Verdict.ANOMALOUS)
        if not is_judged.all():
            np.add.at(self._run, rows[~is_judged], 1)
        self._run[rows[is_judged]] = 0

    def forget(self, rows: NDArray[np.int32]) -> None:
        """Begin anew with series whose rows are released."""
        self._run[rows] = 0

    def among(self, rows: NDArray[np.int32]) -> NDArray[np.int32]:
        """Return the blind ones of these series."""
        return rows[self._run[rows] > self._limit]
