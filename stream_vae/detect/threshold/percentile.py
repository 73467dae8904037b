"""Adaptive percentile threshold per series."""

import numpy as np
from numpy.typing import NDArray

from stream_vae.detect.config import ThresholdConfig
from stream_vae.detect.tail import FIT, TailFit, fit_tail
from stream_vae.detect.threshold.learnt import LearntThreshold, first_scores, row_type


class PercentileThreshold(LearntThreshold):
    """A percentile over each series' own last admitted scores.

    Far tails, for which the window holds too few scores, follow a generalised Pareto distribution
    over the highest tenth (peaks over threshold; Pickands 1975, fitted by probability-weighted
    moments, Hosking & Wallis 1987). The shape is kept within [0, 0.5]: tails lighter than
    exponential are treated as exponential, which is conservative (about 1 in 3,000 where 1 in 1,000
    is configured, on Gaussian scores). P-values follow the same fit.

    Args:
        config: `quantile`, and those of every learnt threshold.
        calibration: Ascending, evenly spaced quantiles of held-out scores: the initial scores of
            every new series.
        capacity: Series; memory is used only for those that were ever started.
    """

    def __init__(
        self, config: ThresholdConfig, calibration: NDArray[np.float64], capacity: int
    ) -> None:
        begun: NDArray[np.void] = np.zeros((), row_type(config.window, FIT))
        begun["scores"] = first_scores(calibration, config.window)
        fit_tail(begun["scores"][None], config.quantile).write(begun)
        super().__init__(config, begun, capacity)
        self._fit = TailFit.within(self.state)

    @property
    def method(self) -> str:
        """Description of the threshold, for alert events."""
        return f"rolling percentile {self._config.quantile * 100:g} of {self._config.window} scores"

    @property
    def identity(self) -> str:
        """The percentile alone, as before there were other methods: saved state stays valid."""
        return f"{self._config.quantile}"

    def _p_values(
        self, rows: NDArray[np.int32], scores: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        p_value = self._fit.at(rows).p_value(scores)
        return p_value, np.full(len(rows), 1 - self._config.quantile)

    def _refresh(self, due: NDArray[np.int32]) -> None:
        self._fit.set(due, fit_tail(self._scores[due], self._config.quantile))
