"""Scores of windows of which only a part was observed."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

HIGH = 0.99
"""Quantile that a score's spread is measured up to, from the median."""

_LEAST_SPREAD = 0.1
"""Of the usual spread: no distance becomes more than ten times as long. Fewer values vary more, so
less is an artefact of the held-out windows."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Coverage:
    """How the score of normal windows depends on the share of them that is missing.

    Fewer values are a noisier mean, of steps that the network knows less about: without a
    correction missing data would raise alarms of themselves.
    """

    missing: NDArray[np.float64]
    """(n,) ascending shares, steps weighted as in the score; the first is that of held-out windows
    as they are."""
    median: NDArray[np.float64]
    """(n,) of normal scores at each share."""
    high: NDArray[np.float64]
    """(n,) their 99 % quantiles."""

    @classmethod
    def of(cls, levels: "list[tuple[NDArray[np.float64], NDArray[np.float64]]]") -> "Coverage":
        """Return that of normal windows at several shares of missing values.

        Args:
            levels: Missing shares and scores of the windows of each level, the first as they are.
        """
        shares = np.array([missing.mean() for missing, _ in levels])
        kept = np.concatenate(([True], np.diff(np.maximum.accumulate(shares)) > 0))
        quantiles = np.array([np.quantile(score, (0.5, HIGH)) for _, score in levels])[kept]
        return cls(missing=shares[kept], median=quantiles[:, 0], high=quantiles[:, 1])

    def adjusted(
        self, value: NDArray[np.float64], missing: NDArray[np.float32]
    ) -> NDArray[np.float64]:
        """Return (B,) scores as if as much of each window had been observed as usual.

        A score keeps its distance from the median, in units of the spread at its share.

        Args:
            value: (B,) scores.
            missing: (B,) shares of the windows; up to the usual one a score stays as it is.
        """
        median = np.interp(missing, self.missing, self.median)
        spread = np.interp(missing, self.missing, self.high) - median
        usual = self.high[0] - self.median[0]
        # A usual spread of 0 leaves nothing to scale: distances stay as they are.
        distance = value - median
        if usual > 0:
            distance = usual * (distance / np.maximum(spread, _LEAST_SPREAD * usual))
        return np.where(missing > self.missing[0], self.median[0] + distance, value)
