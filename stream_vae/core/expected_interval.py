"""The interval in which most values were expected, as alerts tell it and pictures draw it."""

import numpy as np
from numpy.typing import NDArray

from stream_vae.core.count_interval import central_interval
from stream_vae.core.model_spec import Feature

BAND_STDS = 2.0
"""Standard deviations on either side of the mean of a number."""

_DIGITS = 3
"""Significant digits of mean and standard deviation by which intervals of counts are told apart."""


def expected_interval(
    feature: Feature, expected: NDArray[np.float64], std: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return (N,) ends of the interval in which most values of a number were expected.

    Args:
        feature: Numeric, or a count: then the ends are its central 95 %, as alert events tell it.
        expected: (N,) means, NaN = unknown.
        std: (N,) standard deviations.
    """
    if feature.kind != "count":
        return expected - BAND_STDS * std, expected + BAND_STDS * std
    known = np.flatnonzero(np.isfinite(expected) & np.isfinite(std))
    moments = np.stack([_rounded(expected[known]), _rounded(std[known])], axis=1)
    distinct, which = np.unique(moments, axis=0, return_inverse=True)
    ends = np.array([central_interval(*one) for one in distinct.tolist()]).reshape(-1, 2)
    found = np.full((2, len(expected)), np.nan)
    found[:, known] = ends[which.reshape(-1)].T
    return found[0], found[1]


def _rounded(amounts: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return amounts >= 0 with a few significant digits."""
    scale = 10.0 ** (np.floor(np.log10(np.maximum(amounts, 1e-12))) - (_DIGITS - 1))
    return np.asarray(np.round(amounts / scale) * scale)
