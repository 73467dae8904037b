"""Thresholds learnt from each series' own recent scores."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stream_vae.core.columns import Columns
from stream_vae.detect.config import ThresholdConfig
from stream_vae.detect.threshold.alarm_rate import AlarmRate, Seen
from stream_vae.detect.threshold.quota import QUOTA_FIELDS, Admission, Quota
from stream_vae.detect.threshold.runs import Runs, adjacent
from stream_vae.detect.threshold.threshold import Judgement

_GOLDEN = 0.6180339887498949

_LOOK_AHEAD = 256
"""Scores of a series, beyond those of a refresh, of which a round judges what it can: enough for
anomalies, which do not count towards the refresh, and too few to cost more than the round."""

_LONGEST_EXCURSION = 8
"""Readings above the threshold in a row, of which those beyond are an anomaly and teach nothing.

With 16, server metrics with anomalies of hours lose a tenth of F1. Excursions of very slow series
(AR(0.99)) are longer: they are above the threshold two to three times as often as asked."""

_FLOOR_RATE = 3.0
"""Scores like the calibration's are above the threshold at most about three times as often as at
first, however quiet the series was in between."""

_CEILING_REACH = 1.0
"""By as much as makes scores e times rarer can the threshold rise while a quota lasts."""


class LearntThreshold(ABC):
    """A threshold from each series' own last admitted scores.

    A score is judged first and learnt afterwards. A normal one is admitted as it is. A rejected one
    is admitted within a quota, and as no more than a ceiling a little above the threshold: so what
    is remembered stays an unbiased sample of the series, of which an anomaly can be no more than
    the quota and cannot lift the threshold above the ceiling, whatever its size. The ceiling is
    held above the middle of what is remembered, which drifts as the normal scores do, and set anew
    whenever the quota is. Once a series has been anomalous for
    longer than `release_after` readings, all its scores are admitted as they are, so that a
    permanent change is learnt in the end. The threshold never falls far below that of the
    calibration, so that a quiet stretch does not make the usual unusual.

    The threshold is refreshed after every `refresh_every` scores remembered of a series, never by
    the clock or the poll, so that the same scores give the same verdicts in any arrival pattern.

    Args:
        config: See `ThresholdConfig`.
        begun: The row of a new series, of `row_type`, with threshold, reach, limit and centre;
            `first_scores` are its ring.
        capacity: Series; memory is used only for those that were ever started.
        every: Admitted scores of which one is remembered: more than 1 where the ring is to hold a
            longer time.
    """

    _rate: AlarmRate
    """Set by the subclass, after this constructor."""

    def __init__(
        self, config: ThresholdConfig, begun: NDArray[np.void], capacity: int, *, every: int = 1
    ) -> None:
        self._config = config
        self._every = every
        above = begun["threshold"] - begun["centre"]
        begun["headroom"] = headroom_of(above, begun["reach"])
        begun["floor"] = floor_of(begun["threshold"], begun["reach"])
        self.state = Columns(begun, capacity)
        self._threshold: NDArray[np.float64] = self.state["threshold"]  # (S,)
        self._reach: NDArray[np.float64] = self.state["reach"]  # (S,) e times rarer beyond it
        self._limit: NDArray[np.float64] = self.state["limit"]  # (S,) p-value of the threshold
        self._floor: NDArray[np.float64] = self.state["floor"]  # (S,)
        self._centre: NDArray[np.float64] = self.state["centre"]  # (S,) of the ring's scores
        self._headroom: NDArray[np.float64] = self.state["headroom"]  # (S,) from there to a ceiling
        self._unbounded: NDArray[np.int32] = self.state["unbounded"]  # (S,) to be remembered so
        self._scores: NDArray[np.float32] = self.state["scores"]  # (S, N) ring of admitted scores
        self._head: NDArray[np.int32] = self.state["head"]  # (S,) next slot
        self._passed: NDArray[np.int32] = self.state["passed"]  # (S,) admitted since remembering
        self._pending: NDArray[np.int32] = self.state["pending"]  # (S,) remembered since a refresh
        self._run: NDArray[np.int32] = self.state["run"]  # (S,) consecutive anomalous readings

    @property
    @abstractmethod
    def method(self) -> str:
        """Description of the threshold, for alert events."""

    @property
    def identity(self) -> str:
        """What is asked, and of how many scores one is remembered if not of each."""
        return self._asked if self._every == 1 else f"{self._asked}:{self._every}"

    @property
    @abstractmethod
    def _asked(self) -> str:
        """The method and those of its parameters that give its state another meaning."""

    @property
    def release_after(self) -> int:
        """Consecutive anomalous readings after which a series' new level is learnt."""
        return self._config.release_after

    @abstractmethod
    def _p_value(self, rows: NDArray[np.int32], scores: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return (B,) p-values of scores."""

    @abstractmethod
    def _refresh(self, due: NDArray[np.int32], share: NDArray[np.float64]) -> None:
        """Learn from the last `refresh_every` scores of distinct series.

        Threshold, reach and centre are set.

        Args:
            due: (D,) series.
            share: (D,) of their scores to lie above the threshold.
        """

    def _control(self, rate: AlarmRate) -> None:
        """Take the share of readings above the threshold from `rate`; called once."""
        self._rate = rate
        self._quota = Quota.within(self.state, rate.nominal)

    def start(self, rows: NDArray[np.int32]) -> None:
        """Initialise new series from the calibration."""
        self.state.begin(rows)

    def share_among(self, n_series: int) -> None:  # noqa: B027 -- most share nothing
        """Take note of how many series share what is asked of all of them together."""

    def in_force(self, row: int) -> float:
        """Return the threshold of a series."""
        return float(self._threshold[row])

    def bounded(self, rows: NDArray[np.int32]) -> tuple[int, int]:
        """Return how many of these series have a threshold at its floor, and at its ceiling."""
        threshold = self._threshold[rows]
        at_floor = threshold <= self._floor[rows]
        at_ceiling = ~at_floor & (threshold >= self._ceiling(rows))  # a floor may be higher
        return int(np.count_nonzero(at_floor)), int(np.count_nonzero(at_ceiling))

    def judge(
        self, rows: NDArray[np.int32], scores: NDArray[np.float64], revises: NDArray[np.bool_]
    ) -> Judgement:
        """Judge B scores and learn from them.

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
        runs = Runs.of(rows)
        at, end = runs.starts.copy(), runs.ends + 1
        # Each round judges the scores of every series up to its next refresh at once: the threshold
        # is constant over them. It looks only so far ahead that a long series takes linear time.
        most = self._config.refresh_every * self._every + _LOOK_AHEAD
        while len(at):
            size = np.minimum(end - at, most)
            part = adjacent(at, size)
            now = self._round(rows[part], scores[part], revises[part])
            done = part[now.decided]
            threshold[done] = self._threshold[rows[done]]
            p_value[done] = self._p_value(rows[done], scores[done])
            limit[done] = self._limit[rows[done]]
            anomalous[done] = now.anomalous[now.decided]
            released[done] = now.run[now.decided] == self._config.release_after
            released[done] &= anomalous[done] & ~revises[done]
            self._learn(rows[part], scores[part], revises[part], now)
            at += np.add.reduceat(now.decided.astype(np.int64), np.cumsum(size) - size)
            at, end = at[at < end], end[at < end]
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
        runs = Runs.of(rows)
        anomalous = scores > self._threshold[rows]
        counted = np.where(anomalous & ~revises, 1, 0)
        counted[runs.starts] += self._run[rows[runs.starts]]
        # The count at the last normal reading is the most any normal one has seen.
        run = runs.since(~anomalous, runs.cumulative(counted))
        is_released = anomalous & (run > self._config.release_after)
        rejected = anomalous & (run <= _LONGEST_EXCURSION) & ~revises
        admission = self._quota.admits(rows, runs, ~revises, rejected)
        learnt = ~revises & (~anomalous | is_released | admission.admitted)
        admitted = self._passed[rows] + runs.cumulative(learnt.astype(np.int64))
        remembered = learnt & (admitted % self._every == 0)
        before = runs.cumulative(remembered.astype(np.int64)) - remembered
        # Restored state may hold more pending scores than a refresh waits for now.
        room = np.maximum(self._config.refresh_every - self._pending[rows], 1)
        return _Round(
            anomalous=anomalous,
            run=run,
            admission=admission,
            learnt=learnt,
            admitted=admitted,
            remembered=remembered,
            remembered_before=before,
            decided=before < room,
        )

    def _learn(
        self,
        rows: NDArray[np.int32],
        scores: NDArray[np.float64],
        revises: NDArray[np.bool_],
        now: "_Round",
    ) -> None:
        """Store the scores that a round admitted and refresh the series that are due."""
        decided = np.flatnonzero(now.decided)
        last = decided[Runs.of(rows[decided]).ends]
        self._run[rows[last]] = now.run[last]
        self._passed[rows[last]] = now.admitted[last] % self._every
        self._quota.take(rows, last, now.admission)
        seen = decided[~revises[decided]]
        self._rate.observe(
            Seen(
                rows=rows[seen],
                scores=scores[seen],
                anomalous=now.anomalous[seen],
                learnt=now.learnt[seen],
            )
        )
        new = np.flatnonzero(now.decided & now.remembered)
        if not len(new):
            return
        n = self._config.window
        slots = (self._head[rows[new]] + now.remembered_before[new]) % n
        within_quota = now.admission.admitted[new]
        most = np.where(within_quota, self._ceiling(rows[new]), np.inf)
        self._scores[rows[new], slots] = np.minimum(scores[new], most)
        runs = Runs.of(rows[new])
        series, count = rows[new][runs.starts], runs.ends - runs.starts + 1
        self._head[series] = (self._head[series] + count) % n
        self._pending[series] += count.astype(np.int32)
        due = series[self._pending[series] >= self._config.refresh_every]
        if len(due):
            self._refresh(due, self._rate.revise(due))
            self._bound(due)
            self._pending[due] = 0

    def _bound(self, due: NDArray[np.int32]) -> None:
        """Keep the thresholds of series within their bounds, and set these anew where it is time.

        A level that is learnt at a release has no ceiling until the ring has forgotten the old one.
        """
        is_released = self._run[due] > self._config.release_after
        left = np.maximum(self._unbounded[due] - self._config.refresh_every, 0)
        self._unbounded[due] = np.where(is_released, self._config.window, left)
        is_free = self._unbounded[due] > 0
        most = np.where(is_free, np.inf, self._ceiling(due))
        threshold = np.maximum(np.minimum(self._threshold[due], most), self._floor[due])
        self._threshold[due] = threshold
        self._limit[due] = self._p_value(due, threshold)
        anew = due[is_free | self._quota.renewed[due]]
        above = self._threshold[anew] - self._centre[anew]
        self._headroom[anew] = headroom_of(above, self._reach[anew])
        self._quota.renewed[due] = False

    def _ceiling(self, rows: NDArray[np.int32]) -> NDArray[np.float64]:
        """Return (B,) most that a rejected score is remembered as."""
        return np.asarray(self._centre[rows] + self._headroom[rows])


def headroom_of(above: NDArray[np.float64], reach: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return (S,) ceilings from thresholds and their reach (S,), all but it above the centre."""
    return np.asarray(above + _CEILING_REACH * reach)


def floor_of(threshold: NDArray[np.float64], reach: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return (S,) lowest thresholds to be, from those of the calibration and their reach (S,)."""
    return np.asarray(threshold - np.log(_FLOOR_RATE) * reach)


def row_type(window: int, fields: Sequence[tuple[object, ...]]) -> np.dtype[np.void]:
    """Return the row type of a series' state: what all learnt thresholds keep, and more fields.

    Args:
        window: N, scores in the ring.
        fields: Of the subclass and of its `AlarmRate`; `threshold` among them.
    """
    common = [
        ("scores", "<f4", (window,)),
        ("head", "<i4"),
        ("passed", "<i4"),
        ("pending", "<i4"),
        ("run", "<i4"),
        ("floor", "<f8"),
        ("centre", "<f8"),
        ("headroom", "<f8"),
        ("unbounded", "<i4"),
        ("reach", "<f8"),
        ("limit", "<f8"),
        *QUOTA_FIELDS,
    ]
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
    admission: Admission
    learnt: NDArray[np.bool_]
    """Admitted, of whatever kind."""
    admitted: NDArray[np.int64]
    """Of the series since one was remembered before this round, with this one."""
    remembered: NDArray[np.bool_]
    remembered_before: NDArray[np.int64]
    """Scores of the same series remembered earlier in this round."""
    decided: NDArray[np.bool_]
