"""How far a count is from expected, on the scale on which a normal value's standard deviations are.

A distance in standard deviations says little of a count: where 0.002 lines are expected, one is 22
of them away, and comes by chance once in 500 steps.
"""

import numpy as np
from numpy.typing import NDArray

_LEAST_MEAN = 1e-12
"""Where nothing at all was expected: as improbable as p-values go."""
_LEAST_SHAPE = 0.01
"""Of the negative binomial distribution: a standard deviation of more than ten times the mean is
that which a spread has at least, and tells of no bursts."""
_LESS = 0.999
_MOST = 1e15
"""Beyond, counts are no whole numbers any more."""


def count_size(
    actual: NDArray[np.float64], mean: NDArray[np.float64], std: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return (...) deviance residuals of counts: the root of twice the log-likelihood they lack.

    Of the distribution that `central_interval` takes: the negative binomial with these moments, the
    Poisson distribution where the variance is the mean; and standard deviations where it is
    smaller, unless less than one is expected: such a count cannot vary less than that. NaN where
    nothing was observed.

    Args:
        actual: (...) counts; NaN = not observed.
        mean: (...) expected.
        std: (...) expected standard deviation.

    >>> never_seen, mean, std = np.array([1.0, 3.0, 40.0]), np.full(3, 0.002), np.full(3, 0.0447)
    >>> count_size(never_seen, mean, std).round(1).tolist()
    [3.2, 6.2, 26.7]

    References:
        McCullagh & Nelder (1989), Generalized Linear Models, section 2.4.3.
    """
    mean = np.maximum(mean, _LEAST_MEAN)
    count = np.clip(actual, 0.0, _MOST)
    is_even = (std**2 < _LESS * mean) & (mean >= 1)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        own = np.where(count > 0, count * np.log(count / mean), 0.0)
        excess = std**2 - mean
        shape = np.where(excess > 1e-9 * mean, np.maximum(mean**2 / excess, _LEAST_SHAPE), np.inf)
        more = np.where(
            np.isinf(shape),
            count - mean,
            (count + shape) * np.log1p((count - mean) / (mean + shape)),
        )
        size = np.sqrt(np.maximum(2 * (own - more), 0.0))
        size = np.where(is_even, np.abs(actual - mean) / std, size)
    return np.asarray(np.where(np.isnan(actual), np.nan, size))
