"""The generalised Pareto distribution of excesses over a level, by maximum likelihood."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stream_vae.detect.tail import HEAVIEST_SHAPE, LEAST_SCALE, NEARLY_ZERO

_STEPS = 24  # of the bisection, over 7 decades: to 1e-6 of the root
_LEAST_ROOT, _GREATEST_ROOT = 1e-6, 20.0  # in units of 1 / mean excess


@dataclass(frozen=True, slots=True, kw_only=True)
class ParetoFit:
    """Fitted tails of S series, one each."""

    shape: NDArray[np.float64]
    """(S,) in (0, 0.5]; towards 0 the exponential tail."""
    scale: NDArray[np.float64]
    """(S,) > 0, in the unit of the excesses."""


def fit_pareto(excesses: NDArray[np.float64]) -> ParetoFit:
    """Return the most likely shape and scale of each row, the shape kept within [0, 0.5].

    With theta = shape / scale the likelihood has one unknown: the shape is the mean of
    log(1 + theta x), and its derivative is 0 where mean(1 / (1 + theta x)) (1 + shape) = 1. The
    root is sought by bisection, in all rows at once; where there is none above 0, the exponential
    tail is the most likely one.

    Args:
        excesses: (S, P) >= 0, finite.

    References:
        Grimshaw (1993), Computing maximum likelihood estimates for the generalized Pareto
        distribution.
    """
    mean = excesses.mean(axis=1)
    unit = excesses / np.maximum(mean, LEAST_SCALE)[:, None]
    low = np.full(len(mean), np.log(_LEAST_ROOT))
    high = np.full(len(mean), np.log(_GREATEST_ROOT))
    for _ in range(_STEPS):
        middle = (low + high) / 2
        rises = _slope(unit, np.exp(middle)) > 0
        low, high = np.where(rises, middle, low), np.where(rises, high, middle)
    root = np.exp((low + high) / 2)
    # The second moment tells near 0, where rounding hides the slope's sign.
    is_heavy = (unit**2).mean(axis=1) > 2 * unit.mean(axis=1) ** 2
    likeliest = np.where(is_heavy, np.log1p(root[:, None] * unit).mean(axis=1), 0.0)
    shape = np.clip(likeliest, NEARLY_ZERO, HEAVIEST_SHAPE)
    inside = is_heavy & (likeliest < HEAVIEST_SHAPE)
    # At a bound, the scale that gives the mean: it is scale / (1 - shape).
    scale = np.where(inside, shape / root * np.maximum(mean, LEAST_SCALE), mean * (1 - shape))
    return ParetoFit(shape=shape, scale=np.maximum(scale, LEAST_SCALE))


def _slope(unit: NDArray[np.float64], theta: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return (S,) numbers with the sign of the log-likelihood's derivative by theta."""
    grown = 1 + theta[:, None] * unit
    slope = (1 / grown).mean(axis=1) * (1 + np.log(grown).mean(axis=1)) - 1
    return np.asarray(slope, np.float64)
