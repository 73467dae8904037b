"""How large a deviation of a count is."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from stream_vae.core.count_size import count_size


def size(actual: float, mean: float, std: float) -> float:
    return float(count_size(np.array([actual]), np.array([mean]), np.array([std]))[0])


@pytest.mark.parametrize("shape", [0.5, 3.0, None])
@pytest.mark.parametrize("mean", [0.01, 4.0, 250.0])
def test_a_size_is_the_deviance_residual_of_the_distribution(
    mean: float, shape: float | None
) -> None:
    """The likelihood that the count itself as the mean would have, less that of the mean."""
    std = math.sqrt(mean if shape is None else mean + mean**2 / shape)

    def log_probability(count: int, about: float) -> float:
        if shape is None:
            return float(stats.poisson.logpmf(count, about))
        return float(stats.nbinom.logpmf(count, shape, shape / (shape + about)))

    for count in (0, 1, 3, 40, 1000):
        saturated = log_probability(count, max(count, 1e-12))
        expected = math.sqrt(2 * max(saturated - log_probability(count, mean), 0.0))
        assert size(count, mean, std) == pytest.approx(expected, abs=1e-3, rel=1e-3)


def test_a_line_never_seen_is_small_and_many_are_large_whatever_the_spread_says() -> None:
    """In standard deviations one is 22 off, as large as what is critical."""
    assert size(1, 0.002, math.sqrt(0.002)) == pytest.approx(3.2, abs=0.1)
    for std in (math.sqrt(0.002), 0.05, 1.0):
        assert size(40, 0.002, std) > 10
    assert size(40, 0.0, 1.0) > 20
    assert size(0, 0.0, 0.0) == pytest.approx(0, abs=1e-5)


def test_counts_as_even_as_the_beats_of_a_clock_are_told_in_standard_deviations() -> None:
    assert size(0, 6.0, 0.1) == pytest.approx(60.0)
    assert size(9, 6.0, 0.1) == pytest.approx(30.0)


@given(st.floats(0, 1e9), st.floats(0, 1e9), st.floats(1e-6, 1e6), st.floats(1e-3, 1e6))
def test_a_size_grows_with_the_distance_and_is_finite(
    one: float, other: float, mean: float, std: float
) -> None:
    near, far = sorted((mean + one, mean + other))
    assert size(near, mean, std) <= size(far, mean, std) * (1 + 1e-6) + 1e-2
    assert math.isfinite(size(1e300, mean, std))
    assert math.isnan(size(math.nan, mean, std))
