"""Peaks over a level with drift: the streaming threshold of extreme value theory, per series."""

import numpy as np
from numpy.typing import NDArray

from stream_vae.detect.config import POT_TAIL_SHARE, ThresholdConfig
from stream_vae.detect.pareto import ParetoFit, fit_pareto
from stream_vae.detect.tail import LEAST_P
from stream_vae.detect.threshold.alarm_rate import AskedShare
from stream_vae.detect.threshold.learnt import LearntThreshold, first_scores, row_type

_BODY_POINTS = 99
_ROUNDING = 1e-6  # remembered scores are of single precision
_LAST_QUANTILE = np.log(20)
"""Of 20,000 held-out scores, the most that calibrate, 20 lie above the last but one of a thousand
quantiles; the greatest is so much beyond it, in units of log probability."""


def _fields(n_peaks: int) -> tuple[tuple[object, ...], ...]:
    return (
        ("threshold", "<f8"),
        ("drift", "<f8"),
        ("scale", "<f8"),
        ("shape", "<f8"),
        ("represented", "<f8"),
        ("peak_head", "<i4"),
        ("peaks", "<f4", (n_peaks,)),
    )


class PotThreshold(LearntThreshold):
    """A generalised Pareto tail over the peaks of each series' scores, relative to their drift.

    DSPOT: a score's excess is what it has above drift + level. The drift is the mean of the last
    `window` admitted scores, the level the 98 % quantile of the calibration about its mean. To the
    last `peaks` excesses a generalised Pareto distribution is fitted by maximum likelihood, and the
    threshold is the score above which it expects 1 - `quantile` of all scores.

    Two things differ from the paper. Drift and tail change after every `refresh_every` admitted
    scores, not after each (with 1 they are the paper's). And memory is constant: where a new excess
    replaces the oldest, the scores it stood for are forgotten too, so that the share of scores
    beyond the level follows the last ones. The shape is kept within [0, 0.5], as in the tail of the
    percentile. Scores learnt at a release move the drift alone: about a drift that is still the old
    one they are no sample of the tail.

    P-values are the fitted tail's above the level and the calibration's about its mean below.

    Args:
        config: `quantile`, `peaks` (P), and those of every learnt threshold.
        calibration: Ascending, evenly spaced quantiles of held-out scores: the initial scores and
            peaks of every new series.
        capacity: Series; memory is used only for those that were ever started.
        every: Admitted scores of which one is remembered.

    References:
        Siffer, Fouque, Termier & Largouet (2017), Anomaly detection in streams with extreme value
        theory: SPOT (algorithm 2), DSPOT (algorithm 3).
    """

    def __init__(
        self,
        config: ThresholdConfig,
        calibration: NDArray[np.float64],
        capacity: int,
        *,
        every: int = 1,
    ) -> None:
        n_peaks = config.peaks
        begun: NDArray[np.void] = np.zeros(
            (), row_type(config.window, (*_fields(n_peaks), *AskedShare.FIELDS))
        )
        begun["scores"] = first_scores(calibration, config.window)
        begun["drift"] = begun["scores"].mean(dtype=np.float64)
        levels = np.linspace(0, 1, len(calibration))
        centred = calibration - begun["drift"]
        self._level = float(np.interp(1 - POT_TAIL_SHARE, levels, centred))
        in_body = np.linspace(0, 1 - POT_TAIL_SHARE, _BODY_POINTS)
        self._body = np.interp(in_body, levels, centred)
        begun["peaks"] = np.maximum(_tail_scores(centred, n_peaks) - self._level, 0)
        begun["represented"] = n_peaks / POT_TAIL_SHARE
        fit = fit_pareto(begun["peaks"][None].astype(np.float64))
        begun["scale"], begun["shape"] = fit.scale[0], fit.shape[0]
        risk, share = np.array([1 - config.asked]), np.array([POT_TAIL_SHARE])
        beyond = _expected_beyond(fit, share, risk)
        begun["threshold"] = begun["drift"] + self._level + beyond[0]
        begun["reach"] = (_expected_beyond(fit, share, risk / np.e) - beyond)[0]
        begun["centre"] = begun["drift"]
        begun["limit"] = min(POT_TAIL_SHARE, risk[0])
        super().__init__(config, begun, capacity, every=every)
        self._control(AskedShare(float(risk[0]), self.state))
        self._drift: NDArray[np.float64] = self.state["drift"]  # (S,) mean of the ring
        self._scale: NDArray[np.float64] = self.state["scale"]  # (S,)
        self._shape: NDArray[np.float64] = self.state["shape"]  # (S,)
        self._represented: NDArray[np.float64] = self.state["represented"]  # (S,) scores
        self._peak_head: NDArray[np.int32] = self.state["peak_head"]  # (S,) next slot
        self._peaks: NDArray[np.float32] = self.state["peaks"]  # (S, P) ring of excesses

    @property
    def method(self) -> str:
        """Description of the threshold, for alert events."""
        config = self._config
        return (
            f"generalised Pareto tail {config.asked * 100:g} of {config.peaks} peaks over the "
            f"drift of {config.window} scores"
        )

    @property
    def _asked(self) -> str:
        """The method and its quantile; the lengths of its rings are those of its state."""
        return f"pot:{self._config.asked}"

    def _tail_share(self, rows: NDArray[np.int32]) -> NDArray[np.float64]:
        """Return (B,) share of scores above the level."""
        return np.asarray(self._config.peaks / self._represented[rows])

    def _p_value(self, rows: NDArray[np.int32], scores: NDArray[np.float64]) -> NDArray[np.float64]:
        share, shape = self._tail_share(rows), self._shape[rows]
        centred = scores - self._drift[rows]
        below = np.interp(centred, self._body, np.linspace(0, 1, _BODY_POINTS))
        excess = np.maximum(centred - self._level, 0) / self._scale[rows]
        above = np.exp(-np.log1p(shape * excess) / shape)
        p_value = np.where(centred > self._level, share * above, 1 - (1 - share) * below)
        return np.maximum(p_value, LEAST_P)

    def _refresh(self, due: NDArray[np.int32], share: NDArray[np.float64]) -> None:
        n = self._config.refresh_every
        slots = (self._head[due, None] - n + np.arange(n)) % self._config.window
        new = self._scores[due[:, None], slots].astype(np.float64)  # (D, n)
        # Learnt at a release, if further above the threshold in force than the quota admits.
        is_normal = new <= (self._ceiling(due) + _ROUNDING)[:, None]
        excess = new - self._drift[due, None] - self._level
        is_peak = is_normal & (excess > 0)
        self._represented[due] += np.count_nonzero(is_normal, axis=1)
        rises = is_peak.any(axis=1)
        if rises.any():
            self._add_peaks(due[rises], excess[rises], is_peak[rises])
        self._drift[due] = self._centre[due] = self._scores[due].mean(axis=1, dtype=np.float64)
        fit = ParetoFit(shape=self._shape[due], scale=self._scale[due])
        tail_share = self._tail_share(due)
        beyond = _expected_beyond(fit, tail_share, share)
        self._threshold[due] = self._drift[due] + self._level + beyond
        self._reach[due] = _expected_beyond(fit, tail_share, share / np.e) - beyond

    def _add_peaks(
        self, rows: NDArray[np.int32], excess: NDArray[np.float64], is_peak: NDArray[np.bool_]
    ) -> None:
        """Let (D, n) excesses, those that are peaks, replace the oldest ones, and fit anew."""
        n_peaks = self._config.peaks
        count = np.count_nonzero(is_peak, axis=1)
        nth = np.cumsum(is_peak, axis=1) - 1
        slots = (self._peak_head[rows, None] + nth) % n_peaks
        series = np.broadcast_to(rows[:, None], is_peak.shape)
        self._peaks[series[is_peak], slots[is_peak]] = excess[is_peak]
        self._peak_head[rows] = (self._peak_head[rows] + count) % n_peaks
        # P + count peaks stood for that many scores; P of them are left.
        self._represented[rows] *= n_peaks / (n_peaks + count)
        fit = fit_pareto(self._peaks[rows].astype(np.float64))
        self._scale[rows], self._shape[rows] = fit.scale, fit.shape


def _tail_scores(calibration: NDArray[np.float64], n: int) -> NDArray[np.float64]:
    """Return (n,) ascending scores that stand for the highest `POT_TAIL_SHARE`.

    Between the last two quantiles scores thin out as in an exponential tail. Evenly spaced there,
    they would look like a tail far heavier than it is.

    Args:
        calibration: Ascending, evenly spaced quantiles.
        n: How many.
    """
    levels = np.linspace(0, 1, len(calibration))
    beyond = POT_TAIL_SHARE * (n - np.arange(n) - 0.5) / n
    scores = np.interp(1 - beyond, levels, calibration)
    last, greatest = calibration[-2:]
    step = levels[1]
    part = np.clip(np.log(step / beyond) / _LAST_QUANTILE, 0, 1)
    return np.where(beyond < step, last + part * (greatest - last), scores)


def _expected_beyond(
    fit: ParetoFit, share: NDArray[np.float64], risk: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return (S,) excess over the level that a share `risk` of all scores is expected to exceed.

    Args:
        fit: Of S tails.
        share: (S,) of scores above the level; where it is less than `risk`, the level is returned.
        risk: (S,) in (0, 1).
    """
    ratio = np.log(np.maximum(share / risk, 1.0))
    return np.asarray(fit.scale * np.expm1(fit.shape * ratio) / fit.shape)
