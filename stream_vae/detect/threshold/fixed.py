"""One value for all series and for ever."""

import numpy as np
from numpy.typing import NDArray

from stream_vae.core.columns import Columns
from stream_vae.detect.tail import SharedTail
from stream_vae.detect.threshold.threshold import Judgement

_ROW = np.dtype([("threshold", "<f8")])


class FixedThreshold:
    """A value in score units that nothing changes.

    It learns nothing, so a permanent change stays anomalous for ever: no release is told. P-values
    are those of the bundle's calibration, of all series together.

    Args:
        value: In score units.
        calibration: Ascending, evenly spaced quantiles of held-out scores.
        capacity: Series; memory is used only for those that were ever started.
        method: Description of the value, for alert events.
        identity: Of the method and its parameters, without the value.
    """

    def __init__(
        self,
        value: float,
        calibration: NDArray[np.float64],
        capacity: int,
        *,
        method: str,
        identity: str,
    ) -> None:
        self.state = Columns(np.array((value,), _ROW), capacity)
        self._threshold: NDArray[np.float64] = self.state["threshold"]
        self._tail = SharedTail(calibration)
        self._limit = float(self._tail.p_value(np.array([value]))[0])
        self._method = method
        self._identity = f"{identity}:{value}"

    @property
    def method(self) -> str:
        """Description of the threshold, for alert events."""
        return self._method

    @property
    def identity(self) -> str:
        """The method, its parameters and the value."""
        return self._identity

    @property
    def release_after(self) -> int:
        """Never: there is nothing to learn."""
        return 0

    def start(self, rows: NDArray[np.int32]) -> None:
        """Initialise new series."""
        self.state.begin(rows)

    def share_among(self, n_series: int) -> None:
        """Change nothing: nothing is shared."""

    def in_force(self, row: int) -> float:
        """Return the threshold of a series."""
        return float(self._threshold[row])

    def bounded(self, rows: NDArray[np.int32]) -> tuple[int, int]:
        """Return how many series have a threshold at its floor, and at its ceiling: no bounds."""
        return 0, 0

    def judge(
        self,
        rows: NDArray[np.int32],
        scores: NDArray[np.float64],
        revises: NDArray[np.bool_],
    ) -> Judgement:
        """Judge B scores; see `Threshold`."""
        threshold = self._threshold[rows]
        return Judgement(
            threshold=threshold,
            p_value=self._tail.p_value(scores),
            limit=np.full(len(rows), self._limit),
            anomalous=scores > threshold,
            released=np.empty(0, np.int64),
        )
