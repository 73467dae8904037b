"""Scores of partly observed windows, laid onto those of whole ones."""

import numpy as np
import pytest
from numpy.typing import NDArray

from stream_vae.core.coverage import HIGH, Coverage


def scores_of(n_values: int, *, n_windows: int = 20_000, seed: int = 0) -> NDArray[np.float64]:
    """Return the log mean square of so many normal values each: fewer vary more."""
    squares = np.random.default_rng(seed).normal(size=(n_windows, n_values)) ** 2
    return np.asarray(np.log(squares.mean(axis=1)))


LEVELS = [(np.full(20_000, 1 - n / 64), scores_of(n)) for n in (64, 32, 16)]
COVERAGE = Coverage.of(LEVELS)


@pytest.mark.parametrize("n_values", [64, 48, 32, 20, 16])
def test_normal_windows_exceed_a_limit_as_often_whatever_is_missing(n_values: int) -> None:
    """Also between two levels; without the correction it would be up to ten times as often."""
    limit = np.quantile(scores_of(64), HIGH)
    found = scores_of(n_values, seed=1)
    missing = np.full(len(found), 1 - n_values / 64, np.float32)
    assert 0.005 < (COVERAGE.adjusted(found, missing) > limit).mean() < 0.015
    if n_values <= 32:
        assert (found > limit).mean() > 0.03  # the control


def test_whole_windows_keep_every_bit_and_order_is_kept() -> None:
    found = np.sort(scores_of(64, n_windows=50))
    np.testing.assert_array_equal(COVERAGE.adjusted(found, np.zeros(50, np.float32)), found)
    for missing in (0.3, 0.75, 0.99):
        assert (np.diff(COVERAGE.adjusted(found, np.full(50, missing, np.float32))) > 0).all()


@pytest.mark.parametrize(("usual", "most"), [(2.0, 10.0), (0.0, 1.0)])
def test_a_share_without_spread_makes_no_distance_more_than_ten_times_as_long(
    usual: float, most: float
) -> None:
    """Also where scores do not spread at all."""
    coverage = Coverage(
        missing=np.array([0.0, 0.5]), median=np.array([1.0, 3.0]), high=np.array([1.0 + usual, 3.0])
    )
    found = coverage.adjusted(np.array([3.0, 4.0]), np.full(2, 0.5, np.float32))
    np.testing.assert_allclose(found, [1.0, 1.0 + most])


def test_windows_that_always_lack_something_are_the_usual_ones() -> None:
    """The first level is what held-out windows lack by themselves; nothing is taken for less."""
    coverage = Coverage.of(LEVELS[1:])
    found = scores_of(32, n_windows=50)
    np.testing.assert_array_equal(coverage.adjusted(found, np.full(50, 0.4, np.float32)), found)
