"""Rolling mean plus a number of robust standard deviations per series."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from stream_vae.detect.config import ThresholdConfig
from stream_vae.detect.tail import FIT, LEAST_SCALE, TailFit, fit_tail
from stream_vae.detect.threshold.alarm_rate import FixedShare
from stream_vae.detect.threshold.learnt import LearntThreshold, first_scores, row_type

_NORMAL_MAD = 1.482602218505602
"""Standard deviation of a normal distribution over its median absolute deviation."""

_NEAR = 3.0  # robust standard deviations within which a score counts for the mean
_LEAST_SHARE = 1e-6  # for the quota of rejected scores
_UNUSED_QUANTILE = 0.999  # of the fit's own threshold, which is replaced


class MeanSdThreshold(LearntThreshold):
    """Mean + k robust standard deviations of each series' own last admitted scores.

    The robust standard deviation is 1.4826 times the median absolute deviation from the median
    (Hampel 1974), at least 0.001; the mean is that of the scores within three of it from the
    median. So either follows the majority: once a release has taught more than half a window of a
    new level, the old one no longer counts. It suits scores that are spread evenly to both sides of
    their mean: of skewed ones, such as plain squared errors, many lie beyond any few deviations.

    P-values follow the same scores' empirical distribution with a generalised Pareto tail, as for
    the percentile: scores are not normally distributed.

    Args:
        config: `standard_deviations` (k), and those of every learnt threshold.
        calibration: Ascending, evenly spaced quantiles of held-out scores: the initial scores of
            every new series.
        capacity: Series; memory is used only for those that were ever started.
        every: Admitted scores of which one is remembered.
    """

    def __init__(
        self,
        config: ThresholdConfig,
        calibration: NDArray[np.float64],
        capacity: int,
        *,
        every: int = 1,
    ) -> None:
        begun: NDArray[np.void] = np.zeros((), row_type(config.window, FIT))
        begun["scores"] = first_scores(calibration, config.window)
        fit = _fit(begun["scores"][None], config.deviations)
        fit.write(begun)
        share = fit.p_value(fit.threshold)
        begun["limit"], begun["reach"], begun["centre"] = (
            share[0],
            fit.reach(share)[0],
            fit.centre[0],
        )
        super().__init__(config, begun, capacity, every=every)
        self._fit = TailFit.within(self.state)
        self._control(FixedShare(max(float(share[0]), _LEAST_SHARE)))

    @property
    def method(self) -> str:
        """Description of the threshold, for alert events."""
        deviations = self._config.deviations
        return f"rolling mean + {deviations:g} robust sd of {self._config.window} scores"

    @property
    def _asked(self) -> str:
        """The method and its k."""
        return f"mean_sd:{self._config.deviations}"

    def _p_value(self, rows: NDArray[np.int32], scores: NDArray[np.float64]) -> NDArray[np.float64]:
        return self._fit.at(rows).p_value(scores)

    def _refresh(self, due: NDArray[np.int32], share: NDArray[np.float64]) -> None:
        fit = _fit(self._scores[due], self._config.deviations)
        self._fit.set(due, fit)
        self._centre[due] = fit.centre
        self._reach[due] = fit.reach(fit.p_value(fit.threshold))


def _fit(scores: NDArray[np.float32], deviations: float) -> TailFit:
    """Return the distributions of (S, N) scores, each with mean + k robust sd as its threshold."""
    mean, sd = robust_moments(scores)
    return replace(fit_tail(scores, _UNUSED_QUANTILE), threshold=mean + deviations * sd)


def robust_moments(
    scores: NDArray[np.float32],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return (S,) means and standard deviations of each row's (S, N) scores without outliers."""
    distance = np.abs(scores - np.median(scores, axis=1, keepdims=True))
    mad = np.median(distance, axis=1).astype(np.float64)
    sd = np.maximum(_NORMAL_MAD * mad, LEAST_SCALE)
    is_near = distance <= _NEAR * sd[:, None]
    return np.mean(scores, axis=1, dtype=np.float64, where=is_near), sd
