"""The distribution of a series' recent scores: empirical body, generalised Pareto tail."""

from dataclasses import dataclass, fields
from typing import Final

import numpy as np
from numpy.typing import NDArray

from stream_vae.core.columns import Columns

TAIL_SHARE = 0.1
"""Share of the scores used for the tail fit: 100 of 1,000, few enough to be tail and many enough
to fit two parameters."""

LEAST_P = 1e-12
"""Lower bound of p-values: a thousand scores support nothing below it."""

LEAST_SCALE = 1e-3
"""Score units: a series of equal scores would else alarm at rounding noise."""

_BODY_POINTS = 33
_SHARED_POINTS = 1000
NEARLY_ZERO = 1e-6  # stands for the exponential limit, without a case of its own
# Below 0 the tail has an end point, which a short or autocorrelated calibration puts far too low:
# every drift would get a probability of 0. Above 0.5, 100 scores fit noise.
SHAPES = (0.0, 0.5)


FIT: Final = (
    ("threshold", "<f8"),
    ("start", "<f8"),
    ("scale", "<f8"),
    ("shape", "<f8"),
    ("body", "<f4", (_BODY_POINTS,)),
)
"""Fields of one row of a `TailFit`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TailFit:
    """Fitted distributions of S series' scores, one row each."""

    threshold: NDArray[np.float64]
    """(S,) score exceeded with the configured probability."""
    start: NDArray[np.float64]
    """(S,) where the tail begins: the (1 - TAIL_SHARE) quantile."""
    scale: NDArray[np.float64]
    """(S,) > 0, score units."""
    shape: NDArray[np.float64]
    """(S,) in (0, 0.5]; towards 0 the exponential tail."""
    body: NDArray[np.float32]
    """(S, 33) evenly spaced quantiles from 0 to 1 - TAIL_SHARE."""

    @classmethod
    def within(cls, state: Columns) -> "TailFit":
        """Return a view of the fits in the columns `FIT` of a table."""
        return cls(**{f.name: state[f.name] for f in fields(cls)})

    def at(self, rows: NDArray[np.int32]) -> "TailFit":
        """Return a copy of some rows."""
        return TailFit(**{f.name: getattr(self, f.name)[rows] for f in fields(self)})

    def set(self, rows: NDArray[np.int32], other: "TailFit") -> None:
        """Overwrite rows in place with the rows of another fit."""
        for f in fields(self):
            getattr(self, f.name)[rows] = getattr(other, f.name)

    def write(self, row: NDArray[np.void]) -> None:
        """Write the one fit to the fields `FIT` of a row."""
        for f in fields(self):
            row[f.name] = getattr(self, f.name)[0]

    def p_value(self, scores: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the probability of a score at least this high.

        Args:
            scores: (S,) one for each row.

        Returns:
            (S,) in [LEAST_P, 1].
        """
        rank = np.count_nonzero(self.body <= scores[:, None], axis=1)
        left = np.clip(rank - 1, 0, _BODY_POINTS - 2)
        at = np.arange(len(scores))
        low, high = self.body[at, left], self.body[at, left + 1]
        part = np.clip((scores - low) / np.maximum(high - low, 1e-12), 0, 1)
        in_body = 1 - (1 - TAIL_SHARE) * (left + part) / (_BODY_POINTS - 1)
        excess = np.maximum(scores - self.start, 0) / self.scale
        in_tail = TAIL_SHARE * np.exp(-np.log1p(self.shape * excess) / self.shape)
        return np.maximum(np.where(scores > self.start, in_tail, in_body), LEAST_P)


class SharedTail:
    """The distribution of held-out scores, the same for all series.

    Args:
        calibration: Ascending, evenly spaced quantiles of held-out scores.
    """

    def __init__(self, calibration: NDArray[np.float64]) -> None:
        levels = (np.arange(_SHARED_POINTS) + 0.5) / _SHARED_POINTS
        scores = np.interp(levels, np.linspace(0, 1, len(calibration)), calibration)
        self._fit = fit_tail(scores.astype(np.float32)[None], 1 - TAIL_SHARE)

    def p_value(self, scores: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the probability of a score at least this high.

        Args:
            scores: (B,)

        Returns:
            (B,) in [LEAST_P, 1].
        """
        fit = self._fit
        in_body = 1 - np.interp(scores, fit.body[0], np.linspace(0, 1 - TAIL_SHARE, _BODY_POINTS))
        excess = np.maximum(scores - fit.start, 0) / fit.scale
        in_tail = TAIL_SHARE * np.exp(-np.log1p(fit.shape * excess) / fit.shape)
        return np.maximum(np.where(scores > fit.start, in_tail, in_body), LEAST_P)


def fit_tail(scores: NDArray[np.float32], quantile: float) -> TailFit:
    """Fit each row's scores and compute its threshold.

    Args:
        scores: (S, N) finite, in any order; N >= 100.
        quantile: Share of scores to lie below the threshold.

    References:
        Pickands (1975), Statistical inference using extreme order statistics.
        Hosking & Wallis (1987), Parameter and quantile estimation for the generalized Pareto
        distribution: probability-weighted moments, plotting positions (i - 0.35) / n.
    """
    ordered = np.sort(scores, axis=1)
    n = ordered.shape[1]
    n_tail = round(TAIL_SHARE * n)
    start = ordered[:, n - n_tail - 1].astype(np.float64)
    excess = ordered[:, n - n_tail :] - start[:, None]
    mean = excess.mean(axis=1)
    weight = 1 - (np.arange(1, n_tail + 1) - 0.35) / n_tail
    weighted = (excess * weight).mean(axis=1)
    spread = np.maximum(mean - 2 * weighted, 1e-12)
    shape = np.where(mean > 0, np.clip(2 - mean / spread, *SHAPES), 0.0)
    shape = np.maximum(shape, NEARLY_ZERO)
    scale = np.maximum(mean * (1 - shape), LEAST_SCALE)  # the mean is scale / (1 - shape)
    at = np.linspace(0, n - n_tail - 1, _BODY_POINTS).round().astype(np.int64)
    if quantile <= 1 - TAIL_SHARE:
        threshold = ordered[:, min(int(np.ceil(quantile * n)), n) - 1].astype(np.float64)
    else:
        ratio = np.log(TAIL_SHARE / (1 - quantile))
        threshold = start + scale * np.expm1(shape * ratio) / shape
    return TailFit(threshold=threshold, start=start, scale=scale, shape=shape, body=ordered[:, at])
