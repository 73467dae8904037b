"""Adaptive percentile threshold per series."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stream_vae.core.columns import Columns
from stream_vae.detect.config import ThresholdConfig
from stream_vae.detect.tail import FIT, TailFit, fit_tail

_GOLDEN = 0.6180339887498949


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """B scores compared with the threshold in force for each."""

    threshold: NDArray[np.float64]
    """(B,)"""
    p_value: NDArray[np.float64]
    """(B,) share of admitted scores expected to be at least this high; in [1e-12, 1]."""
    anomalous: NDArray[np.bool_]
    """(B,)"""
    released: NDArray[np.int64]
    """Positions in 0..B at which a series has been anomalous so long that learning starts."""


def row_type(window: int) -> np.dtype[np.void]:
    """Return the row type of a series' threshold state; `window` is N."""
    return np.dtype(
        [
            ("scores", "<f4", (window,)),
            ("head", "<i4"),
            ("pending", "<i4"),
            ("run", "<i4"),
            *FIT,
        ]
    )


class AdaptiveThreshold:
    """A percentile over each series' own last admitted scores.

    A score is judged first and learnt afterwards, and only if it is normal, so an anomaly cannot
    raise its own threshold. Far tails, for which the window holds too few scores, follow a
    generalised Pareto distribution over the highest tenth (peaks over threshold; Pickands 1975,
    fitted by probability-weighted moments, Hosking & Wallis 1987). The shape is kept within
    [0, 0.5]: tails lighter than exponential are treated as exponential, which is conservative
    (about 1 in 3,000 where 1 in 1,000 is configured, on Gaussian scores).

    The threshold is refreshed after every `refresh_every` admitted scores of a series, never by
    the clock or the poll, so that the same scores give the same verdicts in any arrival pattern.

    Args:
        config: See `ThresholdConfig`.
        calibration: Ascending, evenly spaced quantiles of held-out scores: the initial scores of
            every new series.
        capacity: Series; memory is used only for those that were ever started.
    """

    def __init__(
        self, config: ThresholdConfig, calibration: NDArray[np.float64], capacity: int
    ) -> None:
        self._config = config
        n = config.window
        points = np.interp(
            (np.arange(n) + 0.5) / n, np.linspace(0, 1, len(calibration)), calibration
        )
        # In a golden-ratio order, without trend: admitted scores replace low and high ones alike.
        first_scores = points[np.argsort(np.arange(1, n + 1) * _GOLDEN % 1)].astype(np.float32)
        begun: NDArray[np.void] = np.zeros((), row_type(n))
        begun["scores"] = first_scores
        fit_tail(first_scores[None], config.quantile).write(begun)
        self.state = Columns(begun, capacity)
        self._scores: NDArray[np.float32] = self.state["scores"]  # (S, N) ring of admitted scores
        self._head: NDArray[np.int32] = self.state["head"]  # (S,) next slot
        self._pending: NDArray[np.int32] = self.state["pending"]  # (S,) admitted since a refresh
        self._run: NDArray[np.int32] = self.state["run"]  # (S,) consecutive anomalous readings
        self._fit = TailFit.within(self.state)

    @property
    def method(self) -> str:
        """Description of the threshold, for alert events."""
        return f"rolling percentile {self._config.quantile * 100:g} of {self._config.window} scores"

    @property
    def release_after(self) -> int:
        """Consecutive anomalous readings after which a series' new level is learnt."""
        return self._config.release_after

    def start(self, rows: NDArray[np.int32]) -> None:
        """Initialise new series from the calibration."""
        self.state.begin(rows)

    def in_force(self, row: int) -> float:
        """Return the threshold of a series."""
        return float(self._fit.threshold[row])

    def judge(
        self, rows: NDArray[np.int32], scores: NDArray[np.float64], revises: NDArray[np.bool_]
    ) -> Judgement:
        """Judge B scores and learn from the normal ones.

        Args:
            rows: (B,) series; equal ones are adjacent, in arrival order.
            scores: (B,) finite.
            revises: (B,) the score replaces the one before it and is not learnt a second time.
        """
        threshold = np.empty(len(rows))
        p_value = np.empty(len(rows))
        anomalous = np.empty(len(rows), np.bool_)
        released = np.zeros(len(rows), np.bool_)
        left = np.arange(len(rows))
        # Each round judges the scores of every series up to its next refresh at once: the threshold
        # is constant over them.
        while len(left):
            now = self._round(rows[left], scores[left], revises[left])
            done = left[now.decided]
            fit = self._fit.at(rows[done])
            threshold[done] = fit.threshold
            p_value[done] = fit.p_value(scores[done])
            anomalous[done] = now.anomalous[now.decided]
            released[done] = now.run[now.decided] == self._config.release_after
            released[done] &= anomalous[done] & ~revises[done]
            self._learn(rows[left], scores[left], now)
            left = left[~now.decided]
        return Judgement(
            threshold=threshold,
            p_value=p_value,
            anomalous=anomalous,
            released=np.flatnonzero(released),
        )

    def _round(
        self, rows: NDArray[np.int32], scores: NDArray[np.float64], revises: NDArray[np.bool_]
    ) -> "_Round":
        """Judge as if no refresh were due; return up to where that holds."""
        starts = np.flatnonzero(np.diff(rows, prepend=-1))
        group = np.repeat(np.arange(len(starts)), np.diff(starts, append=len(rows)))
        anomalous = scores > self._fit.threshold[rows]
        counted = np.where(anomalous & ~revises, 1, 0)
        counted[starts] += self._run[rows[starts]]
        count = _cumulative_sum(counted, group, starts)
        # The count at the last normal reading is the most any normal one has seen.
        lift = group * (int(count.max()) + 1)
        forgiven = np.maximum.accumulate(np.where(anomalous, 0, count) + lift) - lift
        run = count - forgiven
        learnt = ~revises & (~anomalous | (run > self._config.release_after))
        before = _cumulative_sum(learnt.astype(np.int64), group, starts) - learnt
        room = self._config.refresh_every - self._pending[rows]
        return _Round(
            anomalous=anomalous,
            run=run,
            learnt=learnt,
            learnt_before=before,
            decided=before < room,
        )

    def _learn(self, rows: NDArray[np.int32], scores: NDArray[np.float64], now: "_Round") -> None:
        """Store the scores that a round admitted and refresh the series that are due."""
        decided = np.flatnonzero(now.decided)
        self._run[rows[decided]] = now.run[decided]  # the last of equal rows stays
        new = np.flatnonzero(now.decided & now.learnt)
        n = self._config.window
        self._scores[rows[new], (self._head[rows[new]] + now.learnt_before[new]) % n] = scores[new]
        starts = np.flatnonzero(np.diff(rows[new], prepend=-1))
        series, count = rows[new][starts], np.diff(starts, append=len(new))
        self._head[series] = (self._head[series] + count) % n
        self._pending[series] += count.astype(np.int32)
        due = series[self._pending[series] >= self._config.refresh_every]
        if len(due):
            self._fit.set(due, fit_tail(self._scores[due], self._config.quantile))
            self._pending[due] = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class _Round:
    anomalous: NDArray[np.bool_]
    run: NDArray[np.int64]
    """Consecutive anomalous readings up to and with this one; 0 at a normal one."""
    learnt: NDArray[np.bool_]
    learnt_before: NDArray[np.int64]
    """Admitted scores of the same series earlier in this round."""
    decided: NDArray[np.bool_]


def _cumulative_sum(
    values: NDArray[np.int64], group: NDArray[np.int64], starts: NDArray[np.int64]
) -> NDArray[np.int64]:
    total = np.cumsum(values)
    return total - (total[starts] - values[starts])[group]
