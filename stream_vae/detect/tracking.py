"""Scores that follow a slow change of what is usual for a series."""

import math
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from stream_vae.core.columns import Columns
from stream_vae.core.residuals import LEVEL_OFFSET, UsualResiduals
from stream_vae.detect.config import TrackingConfig
from stream_vae.detect.threshold.runs import blocks

BLOCK = 16
"""Readings of a series for which its reference is constant."""

_LEVEL_STEP = math.log(2) / 2
"""By which a level moves while a bias moves by one."""

_REMEMBERED_BLOCKS = 16
"""Blocks over which what a series has lately been is averaged."""

_LEAST_ENERGY = 1e-3
"""Of a feature that never varies."""

_SCORE_OFFSET = 1e-3


class ResidualTracker:
    """Scores windows by their residuals about a reference that each series moves slowly.

    The reference of a feature is a bias b and a level L of its energy, for each member of the
    model. With the mean m and energy E of a window's residuals (`UsualResiduals`), the relative
    energy is e = max(E - 2 b m + b^2, 0) / (variance + 1), and a member's score
    log(mean over the observed features of (e exp(usual level - L))^0.75 + 0.001). The score is the
    mean over the members that expect more than a constant does.

    After each block of a series' readings b moves towards m of the newest one, and L towards
    log(e + 0.1), by a fixed distance whatever theirs is; both are bounded. So a series that drifts
    keeps its scores, a fault at its new level is as visible as at the old one, and a lasting
    fault is forgotten at that rate alone, and never whole if it is larger than the bounds.
    Always learning, it needs no gate; a reading is scored before anything is learnt from it, and
    how a stream is cut into batches changes nothing.

    Args:
        usual: Of held-out windows.
        config: See `TrackingConfig`.
        capacity: Series; memory is used only for those that were ever started.
    """

    def __init__(self, usual: UsualResiduals, config: TrackingConfig, capacity: int) -> None:
        self._usual = usual
        self._config = config
        self._weight = usual.weight
        shape = usual.bias.shape
        names = ("bias", "centre", "level", "scale", "mean", "energy")
        fields: list[tuple[object, ...]] = [(name, "<f4", shape) for name in names]
        fields += [("pending", "<i4"), ("run", "<i4"), ("recentres", "?")]
        begun: NDArray[np.void] = np.zeros((), np.dtype(fields))
        begun["bias"] = begun["centre"] = begun["mean"] = usual.bias
        begun["level"] = usual.level
        begun["scale"] = 1
        self._usual_energy = np.maximum(np.exp(usual.level) - LEVEL_OFFSET, _LEAST_ENERGY)
        begun["energy"] = self._usual_energy * (usual.variance + 1) + usual.bias**2
        self.state = Columns(begun, capacity)
        """One row per series. The bias is bounded about `centre`, and energies are multiplied by
        `scale`; `mean` and `energy` are those of the last few hundred readings, and of a run of
        anomalous ones alone while it lasts."""
        self._bias: NDArray[np.float32] = self.state["bias"]  # (S, K, F)
        self._centre: NDArray[np.float32] = self.state["centre"]  # (S, K, F)
        self._level: NDArray[np.float32] = self.state["level"]  # (S, K, F)
        self._scale: NDArray[np.float32] = self.state["scale"]  # (S, K, F)
        self._mean: NDArray[np.float32] = self.state["mean"]  # (S, K, F)
        self._energy: NDArray[np.float32] = self.state["energy"]  # (S, K, F)
        self._pending: NDArray[np.int32] = self.state["pending"]  # (S,) readings of the block
        self._run: NDArray[np.int32] = self.state["run"]  # (S,) consecutive anomalous blocks
        self._recentres: NDArray[np.bool_] = self.state["recentres"]  # (S,) when the block ends

    def blocks(
        self, rows: NDArray[np.int32], revises: NDArray[np.bool_]
    ) -> Iterator[NDArray[np.int64]]:
        """Yield positions in 0..B until all are yielded, each series' up to its block's end.

        `learn` from each before asking for the next.

        Args:
            rows: (B,) series; equal ones are adjacent, in arrival order.
            revises: (B,) the reading replaces the one before it and does not count.
        """
        return blocks(rows, ~revises, self._pending[rows], BLOCK)

    def score(
        self, rows: NDArray[np.int32], evidence: NDArray[np.float32]
    ) -> tuple[NDArray[np.float64], NDArray[np.float32]]:
        """Return (B,) scores and (B, F) shares of the features, which sum to 1.

        Args:
            rows: (B,) series.
            evidence: (B, K, F, 2) mean and energy of each window's residuals; NaN where a feature
                was not observed: it takes no share.
        """
        energy = self._relative_energy(rows, evidence)
        seen = np.isfinite(energy)
        gained = np.where(seen, energy * np.exp(self._usual.level - self._level[rows]), 0.0)
        root = np.sqrt(gained)  # exactly rounded everywhere, unlike a power
        parts = root * np.sqrt(root)
        total = parts.sum(axis=2)
        mean = total / np.maximum(seen.sum(axis=2), 1)
        n_features = parts.shape[2]
        shares = np.where(
            total[..., None] > 0, parts / np.maximum(total, 1e-30)[..., None], 1 / n_features
        )
        value: NDArray[np.float64] = (np.log(mean + _SCORE_OFFSET) * self._weight).sum(axis=1)
        return value, (shares * self._weight[:, None]).sum(axis=1).astype(np.float32)

    def bias(self, rows: NDArray[np.int32]) -> NDArray[np.float32]:
        """Return (B, K, F) the bias in force for windows of these series."""
        return self._bias[rows]

    def gain(self, rows: NDArray[np.int32]) -> NDArray[np.float32]:
        """Return (B, K, F) factors in force of these energies, 1 as in training."""
        lift = np.exp(self._usual.level - self._level[rows])
        return np.asarray(self._scale[rows] * lift, np.float32)

    def follow(self, rows: NDArray[np.int32], evidence: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return (B,) scores of windows in order, each learnt from after it was scored."""
        revises = np.zeros(len(rows), np.bool_)
        value = np.empty(len(rows))
        for which in self.blocks(rows, revises):
            value[which], _ = self.score(rows[which], evidence[which])
            self.learn(rows[which], evidence[which], revises[which])
        return value

    def learn(
        self,
        rows: NDArray[np.int32],
        evidence: NDArray[np.float32],
        revises: NDArray[np.bool_],
        anomalous: NDArray[np.bool_] | None = None,
    ) -> None:
        """Count readings that `blocks` yielded, and move the series whose block is complete.

        Args:
            rows: (B,) series.
            evidence: (B, K, F, 2) of their windows.
            revises: (B,) see `blocks`.
            anomalous: (B,) as judged; None if nothing is judged.
        """
        taught = np.flatnonzero(~revises)
        ends = np.flatnonzero(np.diff(rows[taught], append=-1))
        series = rows[taught][ends]
        self._pending[series] += np.diff(ends, prepend=-1).astype(np.int32)
        due = self._pending[series] >= BLOCK
        if due.any():
            newest = taught[ends[due]]
            is_run = np.zeros(len(newest), np.bool_) if anomalous is None else anomalous[newest]
            self._run[series[due]] = np.where(is_run, self._run[series[due]] + 1, 0)
            self._move(series[due], evidence[newest])
            self._pending[series[due]] = 0
            self._recentre(series[due & self._recentres[series]])

    def recentre(self, rows: NDArray[np.int32]) -> None:
        """Let series take what they have lately been as their new normal, whatever the bounds.

        Call it before learning from the readings that tell: it is done at the end of their block,
        since how many of a block are judged at once must not matter.
        """
        self._recentres[rows] = True

    def _recentre(self, rows: NDArray[np.int32]) -> None:
        self._recentres[rows] = False
        mean, energy = self._mean[rows], self._energy[rows]
        self._bias[rows] = self._centre[rows] = mean
        relative = np.maximum(energy - mean**2, 0.0) / (self._usual.variance + 1)
        self._scale[rows] = np.minimum(
            self._usual_energy / np.maximum(relative, _LEAST_ENERGY), 1.0
        )
        self._level[rows] = self._usual.level

    def _move(self, rows: NDArray[np.int32], evidence: NDArray[np.float32]) -> None:
        """Move distinct series towards the residuals of one window each."""
        usual, config = self._usual, self._config
        energy = self._relative_energy(rows, evidence)
        bias, centre, level = self._bias[rows], self._centre[rows], self._level[rows]
        share = BLOCK / config.readings
        to_bias = np.sign(np.nan_to_num(evidence[..., 0] - bias, nan=0.0))
        self._bias[rows] = np.clip(
            bias + share * to_bias, centre - config.max_bias, centre + config.max_bias
        )
        self._remember(rows, evidence)
        highest = usual.level + math.log(config.max_energy)
        to_level = np.sign(np.nan_to_num(np.log(energy + LEVEL_OFFSET) - level, nan=0.0))
        self._level[rows] = np.clip(level + share * _LEVEL_STEP * to_level, usual.level, highest)

    def _remember(self, rows: NDArray[np.int32], evidence: NDArray[np.float32]) -> None:
        """Add windows of distinct series to their exponentially weighted means.

        The first of an anomalous run begins them anew: a level is not mixed with the one before.
        """
        run = self._run[rows]
        blocks = np.where(run > 0, np.minimum(run, _REMEMBERED_BLOCKS), _REMEMBERED_BLOCKS)
        share = (1 / blocks).astype(np.float32)[:, None, None]
        for kept, found in ((self._mean, evidence[..., 0]), (self._energy, evidence[..., 1])):
            last = kept[rows]
            kept[rows] = last + share * np.nan_to_num(found - last, nan=0.0)

    def _relative_energy(
        self, rows: NDArray[np.int32], evidence: NDArray[np.float32]
    ) -> NDArray[np.float64]:
        """Return (B, K, F) e about each series' bias; NaN where a feature was not observed."""
        return self._usual.relative_energy(evidence, self._bias[rows]) * self._scale[rows]
