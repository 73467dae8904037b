"""Thresholds learnt from each series' own normal scores."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stream_vae.core.columns import Columns
from stream_vae.detect.config import ThresholdConfig
from stream_vae.detect.threshold.threshold import Judgement

_GOLDEN = 0.6180339887498949

_LOOK_AHEAD = 256
"""Scores of a series, beyond those of a refresh, of which a round judges what it can: enough for
anomalies, which do not count towards the refresh, and too few to cost more than the round."""


class LearntThreshold(ABC):
    """A threshold from each series' own last admitted scores.

    A score is judged first and learnt afterwards, and only if it is normal, so an anomaly cannot
    raise its own threshold. Scores of a series that has been anomalous for longer than
    `release_after` readings are admitted too, so that a permanent change is learnt in the end.

    The threshold is refreshed after every `refresh_every` admitted scores of a series, never by
    the clock or the poll, so that the same scores give the same verdicts in any arrival pattern.

    Args:
        config: See `ThresholdConfig`.
        begun: The row of a new series, of `row_type`; `first_scores` are its ring.
        capacity: Series; memory is used only for those that were ever started.
    """

    def __init__(self, config: ThresholdConfig, begun: NDArray[np.void], capacity: int) -> None:
        self._config = config
        self.state = Columns(begun, capacity)
        self._threshold: NDArray[np.float64] = self.state["threshold"]  # (S,)
        self._scores: NDArray[np.float32] = self.state["scores"]  # (S, N) ring of admitted scores
        self._head: NDArray[np.int32] = self.state["head"]  # (S,) next slot
        self._pending: NDArray[np.int32] = self.state["pending"]  # (S,) admitted since a refresh
        self._run: NDArray[np.int32] = self.state["run"]  # (S,) consecutive anomalous readings

    @property
    @abstractmethod
    def method(self) -> str:
        """Description of the threshold, for alert events."""

    @property
    @abstractmethod
    def identity(self) -> str:
        """The method and those of its parameters that give its state another meaning."""

    @property
    def release_after(self) -> int:
        """Consecutive anomalous readings after which a series' new level is learnt."""
        return self._config.release_after

    @abstractmethod
    def _p_values(
        self, rows: NDArray[np.int32], scores: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return (B,) p-values of scores, and those of the threshold in force for each."""

    @abstractmethod
    def _refresh(self, due: NDArray[np.int32]) -> None:
        """Learn from the last `refresh_every` scores of distinct series."""

    def start(self, rows: NDArray[np.int32]) -> None:
        """Initialise new series from the calibration."""
        self.state.begin(rows)

    def in_force(self, row: int) -> float:
        """Return the threshold of a series."""
        return float(self._threshold[row])

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
        limit = np.empty(len(rows))
        anomalous = np.empty(len(rows), np.bool_)
        released = np.zeros(len(rows), np.bool_)
        begins = np.flatnonzero(np.diff(rows, prepend=-1))  # (G,) of each series' scores left
        ends = np.append(begins[1:], len(rows))
        # Each round judges the scores of every series up to its next refresh at once: the threshold
        # is constant over them. It looks only so far ahead that a long series takes linear time.
        while len(begins):
            near = np.minimum(ends - begins, self._config.refresh_every + _LOOK_AHEAD)
            left = _ranges(begins, near)
            now = self._round(rows[left], scores[left], revises[left])
            done = left[now.decided]
            threshold[done] = self._threshold[rows[done]]
            p_value[done], limit[done] = self._p_values(rows[done], scores[done])
            anomalous[done] = now.anomalous[now.decided]
            released[done] = now.run[now.decided] == self._config.release_after
            released[done] &= anomalous[done] & ~revises[done]
            self._learn(rows[left], scores[left], now)
            begins = begins + np.add.reduceat(now.decided, np.cumsum(near) - near, dtype=np.int64)
            begins, ends = begins[begins < ends], ends[begins < ends]
        return Judgement(
            threshold=threshold,
            p_value=p_value,
            limit=limit,
            anomalous=anomalous,
            released=np.flatnonzero(released),
        )

    def _round(
        self, rows: NDArray[np.int32], scores: NDArray[np.float64], revises: NDArray[np.bool_]
    ) -> "_Round":
        """Judge as if no refresh were due; return up to where that holds."""
        starts = np.flatnonzero(np.diff(rows, prepend=-1))
        group = np.repeat(np.arange(len(starts)), np.diff(starts, append=len(rows)))
        anomalous = scores > self._threshold[rows]
        counted = np.where(anomalous & ~revises, 1, 0)
        counted[starts] += self._run[rows[starts]]
        count = _cumulative_sum(counted, group, starts)
        # The count at the last normal reading is the most any normal one has seen.
        lift = group * (int(count.max()) + 1)
        forgiven = np.maximum.accumulate(np.where(anomalous, 0, count) + lift) - lift
        run = count - forgiven
        learnt = ~revises & (~anomalous | (run > self._config.release_after))
        before = _cumulative_sum(learnt.astype(np.int64), group, starts) - learnt
        # Restored state may hold more pending scores than a refresh waits for now.
        room = np.maximum(self._config.refresh_every - self._pending[rows], 1)
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
            self._refresh(due)
            self._pending[due] = 0


def row_type(window: int, fields: Sequence[tuple[object, ...]]) -> np.dtype[np.void]:
    """Return the row type of a series' state: what all learnt thresholds keep, and more fields.

    Args:
        window: N, admitted scores in the ring.
        fields: Of the method, `threshold` among them.
    """
    common = [("scores", "<f4", (window,)), ("head", "<i4"), ("pending", "<i4"), ("run", "<i4")]
    return np.dtype([*common, *fields])


def first_scores(calibration: NDArray[np.float64], window: int) -> NDArray[np.float32]:
    """Return (N,) scores that a new series begins with, as spread as the calibration's.

    Args:
        calibration: Ascending, evenly spaced quantiles of held-out scores.
        window: N.
    """
    points = np.interp(
        (np.arange(window) + 0.5) / window, np.linspace(0, 1, len(calibration)), calibration
    )
    # In a golden-ratio order, without trend: admitted scores replace low and high ones alike.
    return points[np.argsort(np.arange(1, window + 1) * _GOLDEN % 1)].astype(np.float32)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Round:
    anomalous: NDArray[np.bool_]
    run: NDArray[np.int64]
    """Consecutive anomalous readings up to and with this one; 0 at a normal one."""
    learnt: NDArray[np.bool_]
    learnt_before: NDArray[np.int64]
    """Admitted scores of the same series earlier in this round."""
    decided: NDArray[np.bool_]


def _ranges(begins: NDArray[np.int64], lengths: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the numbers from each begin on, so many of each, one range after the other."""
    shift = begins - (np.cumsum(lengths) - lengths)
    return np.asarray(np.arange(lengths.sum()) + np.repeat(shift, lengths))


def _cumulative_sum(
    values: NDArray[np.int64], group: NDArray[np.int64], starts: NDArray[np.int64]
) -> NDArray[np.int64]:
    total = np.cumsum(values)
    return total - (total[starts] - values[starts])[group]
