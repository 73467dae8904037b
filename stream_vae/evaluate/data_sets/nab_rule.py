"""The scoring rule of the Numenta Anomaly Benchmark, version 1.1.

In a labelled window the best-placed detection counts, the more the earlier it comes; a window
without one costs. Every detection outside counts against, less so shortly after a window. The first
rows of a file are a probation in which nothing counts.

References:
    Lavin & Ahmad (2015), Evaluating Real-time Anomaly Detection Algorithms: the Numenta Anomaly
    Benchmark, ICMLA.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_FAR_BEHIND = 3.0
"""Window widths after which a false detection costs in full."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NabProfile:
    """Weights of what can happen."""

    hit: float = 1.0
    miss: float = 1.0
    false_alarm: float = 0.11


STANDARD = NabProfile()


@dataclass(frozen=True, slots=True, kw_only=True)
class NabCount:
    """The sum of a file or, added up, of a corpus."""

    raw: float
    windows: int

    def __add__(self, other: "NabCount") -> "NabCount":
        return NabCount(raw=self.raw + other.raw, windows=self.windows + other.windows)


def probation(n_rows: int) -> int:
    """Return how many rows at a file's start are not judged."""
    return min(int(0.15 * n_rows), 750)


class NabFile:
    """The rule on one file.

    Args:
        is_anomalous: (N,) rows within a labelled window; windows do not touch.
        judged_from: First row after the probation.
        profile: Weights.
    """

    def __init__(
        self,
        is_anomalous: NDArray[np.bool_],
        *,
        judged_from: int = 0,
        profile: NabProfile = STANDARD,
    ) -> None:
        self._profile = profile
        edges = np.flatnonzero(np.diff(is_anomalous.astype(np.int8), prepend=0, append=0))
        windows: list[tuple[int, int]] = [
            (int(start), int(end)) for start, end in edges.reshape(-1, 2)
        ]
        self._judged_from = judged_from
        self._windows = [(max(start, judged_from), end) for start, end in windows]
        self._windows = [window for window in self._windows if window[0] < window[1]]
        self._worth = _worth(len(is_anomalous), windows, profile)
        self._outside = ~is_anomalous
        self._outside[:judged_from] = False

    def count(self, detected: NDArray[np.bool_]) -> NabCount:
        """Return the file's sum for (N,) detections."""
        total = float(self._worth[detected & self._outside].sum())
        for start, end in self._windows:
            worth = self._worth[start:end][detected[start:end]]
            total += float(worth.max()) if len(worth) else -self._profile.miss
        return NabCount(raw=total, windows=len(self._windows))


def normalised(count: NabCount, profile: NabProfile = STANDARD) -> float:
    """Return the score: 0 for a detector that never speaks, 100 for a perfect one."""
    if not count.windows:
        return float("nan")
    silent = -profile.miss * count.windows
    return 100 * (count.raw - silent) / (profile.hit * count.windows - silent)


def best_over_cuts(
    files: Sequence[NabFile], scores: Sequence[NDArray[np.float64]], cuts: NDArray[np.float64]
) -> float:
    """Return the largest normalised score over single cuts for all files.

    The leaderboard's convention: the cut is chosen on the labels of the whole corpus.
    """
    nothing = NabCount(raw=0.0, windows=0)
    return max(
        normalised(
            sum((one.count(s >= cut) for one, s in zip(files, scores, strict=True)), nothing)
        )
        for cut in cuts
    )


def _worth(
    n_rows: int, windows: Sequence[tuple[int, int]], profile: NabProfile
) -> NDArray[np.float64]:
    """Return (N,) what a detection at each row is worth."""
    worth = np.full(n_rows, -profile.false_alarm)
    for number, (start, end) in enumerate(windows):
        rows, width = np.arange(start, end), end - start
        worth[start:end] = profile.hit * _sigmoid((rows - end) / width) / _sigmoid(np.array(-1.0))
        behind = np.arange(end, windows[number + 1][0] if number + 1 < len(windows) else n_rows)
        distance = (behind - (end - 1)) / max(width - 1, 1)
        worth[behind] = profile.false_alarm * np.where(
            distance > _FAR_BEHIND, -1.0, _sigmoid(distance)
        )
    return worth


def _sigmoid(position: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return 1 far before, 0 at, and -1 far after the end of a window."""
    return np.asarray(2 / (1 + np.exp(5 * np.minimum(position, _FAR_BEHIND))) - 1)
