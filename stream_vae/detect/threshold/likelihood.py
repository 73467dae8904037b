"""Anomaly likelihood: how far a series' newest scores lie above those of its long past."""

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

from stream_vae.core.columns import Columns
from stream_vae.core.model_spec import Scores
from stream_vae.core.residuals import LEVEL_OFFSET, UsualResiduals
from stream_vae.detect.config import ThresholdConfig
from stream_vae.detect.short_mean import short_means
from stream_vae.detect.tail import LEAST_P, LEAST_SCALE
from stream_vae.detect.threshold.runs import blocks
from stream_vae.detect.threshold.threshold import Judgement

BLOCK: Final = 96
"""Readings between two refreshes of a series' moments."""

_BLOCKS: Final = 90
"""Blocks remembered: 8,640 readings, a month of five-minute ones."""

_FIRST_BLOCKS: Final = 5
"""For which the calibration stands in a new series, until its own readings have replaced it: as
many as a short history has, so that a fault in its first minutes is not most of what it knows."""

_BOUNDS: Final = (-2.0, 8.0)
"""Of one member's standard deviations: no member outvotes the others alone, and no fault lifts the
moments far."""

_BIN: Final = 0.25
_EDGES: Final = np.arange(_BOUNDS[0], _BOUNDS[1] + _BIN, _BIN)
_FIRST_READINGS: Final = 100.0
"""Normally distributed ones, that p-values rest on beside those of the series."""
_LOG_NORMAL_TAIL: Final = np.log([0.5 * math.erfc(z / math.sqrt(2)) for z in _EDGES.tolist()])


class LikelihoodThreshold:
    """A number of standard deviations of each series' own long past.

    Scores are taken by their roots: a negative log-probability by that of what it has above the
    least one of the calibration, residuals by that of their mean square, which are spread evenly.
    Of each member of a model, the mean of the last few is compared with the mean and standard
    deviation of such means over the last 8,640 readings, whatever they were: what was often is
    usual. The mean over the members is the likelihood; it is anomalous above `standard_deviations`.
    So members must agree, each by its own measure, and no level is alarming for ever.

    Moments change after each block of a series' readings, never by the clock or the poll. What
    enters them is at most eight standard deviations above the mean.

    P-values are shares of the series' own readings so far, a hundred normally distributed ones
    among them.

    Args:
        config: `standard_deviations` and `short_mean`.
        calibration: Ascending, evenly spaced quantiles of held-out scores: a new series begins with
            their moments.
        capacity: Series; memory is used only for those that were ever started.
        usual: Of the members' residuals, for a score that tells them; None for other scores.

    References:
        Ahmad et al. (2017), Unsupervised real-time anomaly detection for streaming data,
        Neurocomputing 262: the likelihood of one score.
    """

    def __init__(
        self,
        config: ThresholdConfig,
        calibration: NDArray[np.float64],
        capacity: int,
        *,
        usual: UsualResiduals | None = None,
    ) -> None:
        self._config = config
        self._origin = float(calibration[0])
        mean, sd = self._first_moments(calibration, usual)
        self._members = K = len(mean)
        row = np.dtype(
            [
                ("threshold", "<f8"),
                ("last", "<f8", (config.short_mean, K)),
                ("block", "<f8", (BLOCK, K)),
                ("pending", "<i4"),
                ("sums", "<f8", (_BLOCKS, K, 2)),
                ("blocks", "<i4"),
                ("mean", "<f8", (K,)),
                ("sd", "<f8", (K,)),
                ("counts", "<i8", (len(_EDGES),)),
                ("above", "<f8", (len(_EDGES),)),
            ]
        )
        begun: NDArray[np.void] = np.zeros((), row)
        begun["threshold"] = config.deviations
        begun["last"] = np.nan
        begun["mean"], begun["sd"] = mean, sd
        begun["sums"][:_FIRST_BLOCKS, :, 0] = BLOCK * mean
        begun["sums"][:_FIRST_BLOCKS, :, 1] = BLOCK * (mean**2 + sd**2)
        self.state = Columns(begun, capacity)
        self._last: NDArray[np.float64] = self.state["last"]  # (S, n, K)
        self._block: NDArray[np.float64] = self.state["block"]  # (S, BLOCK, K) means, pending
        self._pending: NDArray[np.int32] = self.state["pending"]  # (S,) of them
        self._sums: NDArray[np.float64] = self.state["sums"]  # (S, blocks, K, 2) of 1st, 2nd power
        self._blocks: NDArray[np.int32] = self.state["blocks"]  # (S,) of its own so far
        self._mean: NDArray[np.float64] = self.state["mean"]  # (S, K)
        self._sd: NDArray[np.float64] = self.state["sd"]  # (S, K)
        self._counts: NDArray[np.int64] = self.state["counts"]  # (S, edges) readings by likelihood
        self._above: NDArray[np.float64] = self.state["above"]  # (S, edges) readings at least there

    @property
    def method(self) -> str:
        """Description of the threshold, for alert events."""
        return (
            f"anomaly likelihood: the mean of {self._config.short_mean} scores, in standard "
            f"deviations of the last {BLOCK * _BLOCKS}"
        )

    @property
    def identity(self) -> str:
        """The method and its parameters."""
        return f"likelihood:{self._config.deviations}:{self._config.short_mean}"

    @property
    def release_after(self) -> int:
        """Never: every reading is learnt."""
        return 0

    def start(self, rows: NDArray[np.int32]) -> None:
        """Initialise new series from the calibration."""
        self.state.begin(rows)

    def share_among(self, n_series: int) -> None:
        """Change nothing: nothing is shared."""

    def in_force(self, row: int) -> float:
        """Return the threshold of a series, in standard deviations."""
        return float(self.state["threshold"][row])

    def bounded(self, rows: NDArray[np.int32]) -> tuple[int, int]:
        """Return how many series have a threshold at its floor, and at its ceiling: no bounds."""
        return 0, 0

    def judge(
        self, rows: NDArray[np.int32], scores: NDArray[np.float64], revises: NDArray[np.bool_]
    ) -> Judgement:
        """Judge B scores of one member; see `Threshold`."""
        return self._judge(rows, self._roots(scores)[:, None], revises)

    def judge_members(
        self, rows: NDArray[np.int32], scores: Scores, revises: NDArray[np.bool_]
    ) -> Judgement:
        """Judge the scores of B windows by their members' residuals where they tell them."""
        if scores.evidence is None:
            return self.judge(rows, scores.value, revises)
        energy = np.nan_to_num(scores.evidence[..., 1].astype(np.float64))
        seen = np.isfinite(scores.evidence[..., 1]).sum(axis=2)
        return self._judge(rows, np.sqrt(energy.sum(axis=2) / np.maximum(seen, 1)), revises)

    def _judge(
        self, rows: NDArray[np.int32], roots: NDArray[np.float64], revises: NDArray[np.bool_]
    ) -> Judgement:
        short = short_means(self._last, rows, roots, revises)
        value, p_value, limit = (np.empty(len(rows)) for _ in range(3))
        for which in blocks(rows, ~revises, self._pending[rows], BLOCK):
            of = rows[which]
            members = (short[which] - self._mean[of]) / self._sd[of]
            value[which] = np.clip(members, *_BOUNDS).mean(axis=1)
            p_value[which] = self._share_above(of, value[which])
            limit[which] = self._share_above(of, self.state["threshold"][of])
            new = which[~revises[which]]
            self._learn(rows[new], short[new], value[new])
        threshold = np.asarray(self.state["threshold"][rows])
        return Judgement(
            threshold=threshold,
            p_value=p_value,
            limit=limit,
            anomalous=value > threshold,
            released=np.empty(0, np.int64),
            value=value,
        )

    def _roots(self, scores: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray(np.sqrt(np.maximum(scores - self._origin, 0.0)))

    def _first_moments(
        self, calibration: NDArray[np.float64], usual: UsualResiduals | None
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return (K,) means and standard deviations of roots that a new series begins with."""
        if usual is None:
            roots = self._roots(calibration)
            return np.array([roots.mean()]), np.array([max(float(roots.std()), LEAST_SCALE)])
        energy = (np.exp(usual.level) - LEVEL_OFFSET) * (usual.variance + 1) + usual.bias**2
        mean = np.sqrt(np.maximum(energy, 0.0).mean(axis=1))
        return mean, np.maximum(mean / 2, LEAST_SCALE)

    def _learn(
        self, rows: NDArray[np.int32], short: NDArray[np.float64], value: NDArray[np.float64]
    ) -> None:
        """Add readings that complete a block of each series at most."""
        if not len(rows):
            return
        starts = np.flatnonzero(np.diff(rows, prepend=-1))
        count = np.diff(starts, append=len(rows)).astype(np.int32)
        place = self._pending[rows] + np.arange(len(rows)) - np.repeat(starts, count)
        most = self._mean[rows] + _BOUNDS[1] * self._sd[rows]
        self._block[rows, place] = np.minimum(short, most)
        np.add.at(self._counts, (rows, ((value - _BOUNDS[0]) / _BIN).astype(np.int64)), 1)
        series = rows[starts]
        self._pending[series] += count
        due = series[self._pending[series] == BLOCK]
        if len(due):
            self._refresh(due)

    def _refresh(self, due: NDArray[np.int32]) -> None:
        """Take the pending blocks of distinct series into their moments, and forget the oldest."""
        block, oldest = self._block[due], self._blocks[due] % _BLOCKS
        self._sums[due, oldest] = np.stack((block.sum(axis=1), (block**2).sum(axis=1)), axis=-1)
        self._blocks[due] += 1
        n = BLOCK * np.clip(self._blocks[due], _FIRST_BLOCKS, _BLOCKS)[:, None, None]
        mean, square = np.moveaxis(self._sums[due].sum(axis=1) / n, -1, 0)
        self._mean[due] = mean
        self._sd[due] = np.maximum(np.sqrt(np.maximum(square - mean**2, 0.0)), LEAST_SCALE)
        self._above[due] = np.cumsum(self._counts[due, ::-1], axis=1)[:, ::-1]
        self._pending[due] = 0

    def _share_above(
        self, rows: NDArray[np.int32], value: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Return (B,) shares of each series' readings at least as unusual."""
        place = (np.clip(value, *_BOUNDS) - _BOUNDS[0]) / _BIN
        left = np.minimum(place.astype(np.int64), len(_EDGES) - 2)
        part = place - left
        above = self._above[rows, left] * (1 - part) + self._above[rows, left + 1] * part
        log_tail = _LOG_NORMAL_TAIL[left] * (1 - part) + _LOG_NORMAL_TAIL[left + 1] * part
        readings = self._above[rows, 0] + _FIRST_READINGS
        share = (above + _FIRST_READINGS * np.exp(log_tail)) / readings
        return np.asarray(np.clip(share, LEAST_P, 1.0))
