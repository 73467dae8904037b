"""The distribution of a series' recent scores: empirical body, generalised Pareto tail."""

from dataclasses import dataclass, fields, replace
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
LIGHTEST_SHAPE = -0.4
HEAVIEST_SHAPE = 0.5
"""Above it, some hundred scores fit noise."""

_TURN_SHARE = 1e-3
"""Share of the scores beyond which a tail lighter than exponential is taken to be exponential: it
has an end point, which a short or autocorrelated sample puts far too low, and every drift would
have a probability of 0."""
_TO_TURN = float(np.log(TAIL_SHARE / _TURN_SHARE))


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
    """(S,) in [-0.4, 0.5], not 0; towards 0 the exponential tail."""
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
        return np.maximum(np.where(scores > self.start, self.in_tail(scores), in_body), LEAST_P)

    @property
    def centre(self) -> NDArray[np.float64]:
        """(S,) median, about."""
        return np.asarray(self.body[:, round(0.5 / (1 - TAIL_SHARE) * (_BODY_POINTS - 1))], float)

    def level(self, share: NDArray[np.float64] | float) -> NDArray[np.float64]:
        """Return (S,) scores that a share of all scores exceeds.

        Args:
            share: (S,) or one for all, in (0, TAIL_SHARE].
        """
        ratio = np.log(TAIL_SHARE / np.minimum(share, TAIL_SHARE))
        inner = np.where(self.shape < 0, np.minimum(ratio, _TO_TURN), ratio)
        beyond = self.scale * np.exp(self.shape * _TO_TURN) * (ratio - inner)
        inside = self.scale * np.expm1(self.shape * inner) / self.shape
        return np.asarray(self.start + inside + beyond)

    def reach(self, share: NDArray[np.float64] | float) -> NDArray[np.float64]:
        """Return (S,) how much higher a level is that e times fewer scores exceed."""
        return self.level(np.minimum(share, TAIL_SHARE) / np.e) - self.level(share)

    def in_tail(self, scores: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return (B,) probabilities of scores at least this high; of those in the tail alone.

        Args:
            scores: (B,) of S series, or any number of one.
        """
        excess = np.maximum(scores - self.start, 0) / self.scale
        turn = np.where(self.shape < 0, np.expm1(self.shape * _TO_TURN) / self.shape, np.inf)
        inner = np.exp(-np.log1p(self.shape * np.minimum(excess, turn)) / self.shape)
        beyond = np.maximum(excess - turn, 0) * np.exp(-self.shape * _TO_TURN)
        return np.asarray(TAIL_SHARE * inner * np.exp(-beyond))


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
        in_tail = fit.in_tail(scores)
        return np.maximum(np.where(scores > fit.start, in_tail, in_body), LEAST_P)


def fit_tail(scores: NDArray[np.float32], quantile: NDArray[np.float64] | float) -> TailFit:
    """Fit each row's scores and compute its threshold.

    Args:
        scores: (S, N) finite, in any order; N >= 100.
        quantile: (S,) or one for all: share of scores to lie below the threshold.

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
    shape = 2 - mean / spread
    shape = np.where(mean > 0, np.clip(shape, LIGHTEST_SHAPE, HEAVIEST_SHAPE), NEARLY_ZERO)
    shape = np.where(np.abs(shape) < NEARLY_ZERO, NEARLY_ZERO, shape)
    scale = np.maximum(mean * (1 - shape), LEAST_SCALE)  # the mean is scale / (1 - shape)
    at = np.linspace(0, n - n_tail - 1, _BODY_POINTS).round().astype(np.int64)
    fit = TailFit(threshold=start, start=start, scale=scale, shape=shape, body=ordered[:, at])
    quantiles = np.broadcast_to(quantile, len(scores))
    rank = np.clip(np.ceil(quantiles * n).astype(np.int64), 1, n) - 1
    in_body = ordered[np.arange(len(scores)), rank].astype(np.float64)
    is_low = quantiles <= 1 - TAIL_SHARE
    return replace(fit, threshold=np.where(is_low, in_body, fit.level(1 - quantiles)))
