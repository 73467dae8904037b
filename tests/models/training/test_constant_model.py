from typing import get_args

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from stream_vae.core.model_spec import Feature, FeatureKind
from stream_vae.core.scaler_fitting import fit_scaler
from stream_vae.models.training.constant_model import constant_log_likelihood
from stream_vae.models.training.training_windows import WindowSet


def constant(
    training: NDArray[np.float64], validation: NDArray[np.float64], feature: Feature
) -> float:
    """Return the log-likelihood of single steps of one feature."""
    scaler = fit_scaler(training[:, None], [feature])

    def windows(values: NDArray[np.float64]) -> WindowSet:
        return WindowSet(
            steps=scaler.transform(values[:, None]),
            times=np.arange(len(values), dtype=np.int64),
            starts=np.arange(len(values), dtype=np.int64),
            window_length=1,
        )

    parts = {"training": windows(training), "validation": windows(validation)}
    return constant_log_likelihood(parts, [feature], scaler=scaler, sigma_floor=0.4)


def test_numbers_are_normal() -> None:
    values = np.random.default_rng(0).normal(5, 2, 300)
    found = constant(values, values[:50], Feature(name="x"))
    scaled = (values[:50] - values.mean()) / values.std()
    assert found == pytest.approx(stats.norm.logpdf(scaled).mean(), rel=1e-5)


def test_categories_have_their_shares() -> None:
    """Of ten: six, three and one, each once more, and one that was never there."""
    training = np.array([0.0] * 6 + [1.0] * 3 + [2.0])
    city = Feature(name="x", kind="categorical", categories=("a", "b", "c"))
    for code, share in enumerate([7 / 14, 4 / 14, 2 / 14, 1 / 14]):
        found = constant(training, np.array([code, np.nan, code]), city)
        assert found == pytest.approx(np.log(share))


def test_binary_values_have_their_shares() -> None:
    door = Feature(name="x", kind="binary")
    found = constant(np.array([1.0] * 7 + [0.0]), np.array([1.0, 1.0, 0.0]), door)
    assert found == pytest.approx((2 * np.log(0.8) + np.log(0.2)) / 3)


def test_counts_have_mean_and_variance_of_the_training_part() -> None:
    counts = np.random.default_rng(0).negative_binomial(2, 0.1, 4000).astype(float)
    found = constant(counts, counts[:100], Feature(name="n", kind="count"))
    mean, var = counts.mean(), counts.var()
    oracle = stats.nbinom(mean**2 / (var - mean), mean / var)
    assert found == pytest.approx(oracle.logpmf(counts[:100]).mean(), rel=1e-4)


@pytest.mark.parametrize("value", [0.0, 3.0])
def test_counts_that_never_vary_are_of_a_poisson(value: float) -> None:
    """There is none wide enough among the negative binomials."""
    found = constant(np.full(20, value), np.full(5, value), Feature(name="n", kind="count"))
    assert found == pytest.approx(stats.poisson(max(value, 1e-3)).logpmf(value), rel=1e-4)


@pytest.mark.parametrize("kind", get_args(FeatureKind))
def test_nothing_observed_is_no_error(kind: FeatureKind) -> None:
    nothing = np.full(5, np.nan)
    assert constant(nothing, nothing, Feature(name="x", kind=kind)) == 0.0
