from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from river.stats import RollingQuantile
from scipy import stats

from stream_vae.detect.tail import LEAST_P, TAIL_SHARE, fit_tail


@pytest.mark.parametrize(
    ("law", "least"),
    [(stats.expon(), 6e-4), (stats.genpareto(0.2), 6e-4), (stats.norm(), 2e-4)],
    ids=["exponential", "heavy", "light"],
)
def test_the_threshold_is_exceeded_as_often_as_asked_or_less(law: Any, least: float) -> None:
    """Over 400 windows of 1,000 scores, 1 in 1,000 is asked for; lighter tails get fewer."""
    scores = law.rvs((400, 1000), random_state=7).astype(np.float32)
    exceeded = law.sf(fit_tail(scores, 0.999).threshold)
    assert least < exceeded.mean() < 1.8e-3


def test_p_values_of_fresh_scores_are_uniform_in_the_body() -> None:
    generator = np.random.default_rng(3)
    fit = fit_tail(generator.normal(size=(2000, 1000)).astype(np.float32), 0.999)
    p = fit.p_value(generator.normal(size=2000))
    assert stats.kstest(p[p > TAIL_SHARE], stats.uniform(TAIL_SHARE, 0.9).cdf).pvalue > 1e-3


def test_a_score_is_above_the_threshold_exactly_when_its_p_value_is_below_the_share() -> None:
    generator = np.random.default_rng(4)
    fit = fit_tail(generator.gamma(2.0, size=(500, 1000)).astype(np.float32), 0.999)
    for nudge in (-0.01, 0.01):
        p = fit.p_value(fit.threshold + nudge)
        assert ((p < 0.001) == (nudge > 0)).all()


@given(
    scores=arrays(np.float32, (3, 100), elements=st.floats(-1e6, 1e6, width=32)),
    new=st.floats(-1e9, 1e9),
)
def test_any_scores_give_finite_thresholds_and_probabilities(
    scores: np.ndarray, new: float
) -> None:
    fit = fit_tail(scores, 0.999)
    p = fit.p_value(np.full(3, new))
    assert np.isfinite(fit.threshold).all()
    assert ((p >= LEAST_P) & (p <= 1)).all()


def test_equal_scores_put_the_threshold_just_above_themselves() -> None:
    fit = fit_tail(np.full((1, 500), 2.0, np.float32), 0.999)
    assert 2.0 < fit.threshold[0] < 2.01


def test_a_percentile_within_the_window_is_rivers_rolling_quantile() -> None:
    """Up to 90 % no tail is fitted: the order statistic that river interpolates from."""
    scores = np.random.default_rng(5).normal(size=400).astype(np.float32)
    oracle = RollingQuantile(0.9, 100)
    for i, score in enumerate(scores):
        oracle.update(float(score))
        if i >= 99:
            window = np.sort(scores[i - 99 : i + 1])
            threshold = fit_tail(window[None], 0.9).threshold[0]
            assert threshold == window[89]
            assert threshold <= oracle.get() <= window[90]
