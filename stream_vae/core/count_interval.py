"""The interval in which most counts of a given mean and spread lie."""

import numpy as np
from numpy.typing import NDArray

_TAIL = 0.025
_NORMAL = 1.959964
_MOST_TERMS = 100_000
_LESS = 0.999


def central_interval(mean: float, std: float) -> tuple[float, float]:
    """Return the 2.5 % and the 97.5 % quantile of a count.

    Of the negative binomial distribution with these moments, the Poisson distribution where the
    variance is the mean, and the normal distribution where it is smaller. Where the first would
    take more than a hundred thousand terms, of the gamma distribution with these moments, by its
    cube root.

    Args:
        mean: >= 0.
        std: Standard deviation, >= 0.

    >>> central_interval(4.0, 2.0), central_interval(0.0, 0.0), central_interval(3.0, 0.1)
    ((1.0, 8.0), (0.0, 0.0), (3.0, 3.0))

    References:
        Wilson & Hilferty (1931), The Distribution of Chi-square: a gamma variable's cube root is
        close to normal.
    """
    if mean <= 0:
        return 0.0, 0.0
    if std**2 < _LESS * mean:
        within = _NORMAL * std
        return float(max(round(mean - within), 0)), float(round(mean + within))
    std = max(std, mean**0.5)
    n_terms = int(min(mean + 20 * std + 20, _MOST_TERMS + 1.0))
    if n_terms > _MOST_TERMS:
        ninth = std**2 / (9 * mean**2)
        roots = [1 - ninth + z * ninth**0.5 for z in (-_NORMAL, _NORMAL)]
        return float(round(mean * max(roots[0], 0.0) ** 3)), float(round(mean * roots[1] ** 3))
    cumulative = np.exp(_log_probabilities(mean, std**2, n_terms)).cumsum()
    low, high = np.searchsorted(cumulative, (_TAIL, 1 - _TAIL)).tolist()
    return float(low), float(high)


def _log_probabilities(mean: float, variance: float, n_terms: int) -> NDArray[np.float64]:
    """Return those of 0, 1, ..., each from the one before."""
    k = np.arange(n_terms - 1)
    excess = variance - mean
    if excess <= 1e-9 * mean:
        first, ratios = -mean, mean / (k + 1)
    else:
        shape = mean**2 / excess
        first, ratios = shape * np.log(mean / variance), (k + shape) / (k + 1) * (excess / variance)
    return first + np.concatenate([[0.0], np.log(ratios).cumsum()])
