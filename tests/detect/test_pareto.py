from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats

from stream_vae.detect.pareto import fit_pareto


def log_likelihood(excesses: np.ndarray, shape: float, scale: float) -> float:
    return float(stats.genpareto(shape, scale=scale).logpdf(excesses).sum())


@pytest.mark.parametrize("shape", [0.1, 0.25, 0.4])
@pytest.mark.parametrize("scale", [0.02, 7.0])
def test_the_fit_is_as_likely_as_scipys(shape: float, scale: float) -> None:
    """Scipy seeks both parameters at once; where it finds a shape in our range, it is the same."""
    drawn = stats.genpareto(shape, scale=scale).rvs((12, 200), random_state=3)
    fit = fit_pareto(drawn)
    n_compared = 0
    for i, excesses in enumerate(drawn):
        expected, _, expected_scale = stats.genpareto.fit(excesses, floc=0)
        ours = log_likelihood(excesses, fit.shape[i], fit.scale[i])
        if 0.01 < expected < 0.49:
            n_compared += 1
            assert fit.shape[i] == pytest.approx(expected, abs=2e-3)
            assert fit.scale[i] == pytest.approx(expected_scale, rel=2e-3)
            assert ours > log_likelihood(excesses, expected, expected_scale) - 1e-3
    assert n_compared >= 3


@pytest.mark.parametrize("law", [stats.expon(), stats.genpareto(0.3), stats.genpareto(0.45)])
def test_the_drawn_parameters_are_recovered(law: Any) -> None:
    fit = fit_pareto(law.rvs((50, 5000), random_state=4))
    shape = law.args[0] if law.args else 0.0
    assert fit.shape.mean() == pytest.approx(shape, abs=0.02)
    assert fit.scale.mean() == pytest.approx(1, abs=0.02)


def test_a_tail_with_an_end_point_gets_the_exponential_of_its_mean() -> None:
    """The bound of the shape at 0, where the scale is the mean excess."""
    drawn = stats.genpareto(-0.4).rvs((1, 5000), random_state=5)
    fit = fit_pareto(drawn)
    assert fit.shape[0] < 1e-5
    assert fit.scale[0] == pytest.approx(drawn.mean(), rel=1e-4)


def test_a_tail_heavier_than_allowed_gets_the_bound() -> None:
    fit = fit_pareto(stats.genpareto(0.9).rvs((1, 5000), random_state=6))
    assert fit.shape[0] == 0.5


@given(excesses=arrays(np.float64, (2, 30), elements=st.floats(0, 1e9)))
def test_any_excesses_give_usable_parameters(excesses: np.ndarray) -> None:
    fit = fit_pareto(excesses)
    assert np.isfinite(fit.scale).all()
    assert (fit.scale > 0).all()
    assert ((fit.shape > 0) & (fit.shape <= 0.5)).all()
