"""Silence incidents: series that stop, by the wall clock."""

from collections.abc import Collection

import numpy as np
from numpy.typing import NDArray

from stream_vae.core.incidents import Silence
from stream_vae.core.usual_gaps import GAPS_ALLOWED
from stream_vae.detect.config import SilenceConfig


class SilenceWatch:
    """Detects series without a reading for too long, and tracks the open silences.

    Args:
        config: See `SilenceConfig`.
        step_seconds: Width of the time grid; no series is expected more often.
    """

    def __init__(self, config: SilenceConfig, step_seconds: float) -> None:
        self._config = config
        self._step_seconds = step_seconds
        self._open: dict[int, Silence] = {}

    @property
    def open_rows(self) -> Collection[int]:
        """Series with an open silence."""
        return self._open.keys()

    def allowed_s(
        self, intervals: NDArray[np.float32], gaps: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Return (S,) seconds a series may be without a reading; infinite while unknown.

        Args:
            intervals: (S,) usual seconds between two readings, 0 = not known yet.
            gaps: (S,) usual longest seconds between two readings, 0 = no more than a step.
        """
        if not self._config.intervals:
            return np.full(len(intervals), np.inf)
        usual = np.maximum(intervals.astype(np.float64), self._step_seconds)
        allowed = np.maximum(self._config.intervals * usual, self._config.at_least_s)
        allowed = np.maximum(allowed, min(GAPS_ALLOWED, self._config.intervals) * gaps)
        return np.where(intervals > 0, allowed, np.inf)

    def get(self, row: int) -> Silence | None:
        """Return the open silence of a series, if there is one."""
        return self._open.get(row)

    def open(self, row: int, silence: Silence) -> None:
        """Record the open silence of a series."""
        self._open[row] = silence

    def close(self, row: int) -> Silence | None:
        """Remove the silence of a series; return it."""
        return self._open.pop(row, None)
