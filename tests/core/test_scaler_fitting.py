"""Scalers of features of several kinds."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from stream_vae.core.model_spec import Feature
from stream_vae.core.scaler_fitting import Scaling, fit_scaler, transforms_of
from stream_vae.core.scaling import Scaler

NUMERIC = (Feature(name="a"), Feature(name="b"))
MIXED = (
    Feature(name="level"),
    Feature(name="errors", kind="count"),
    Feature(name="open", kind="binary"),
    Feature(name="city", kind="categorical", categories=("Bonn", "Kiel", "Ulm")),
)
ROWS = np.array(
    [
        [1.0, 0.0, 1.0, 0.0],
        [2.0, 3.0, 0.0, 2.0],
        [3.0, 20.0, 1.0, 3.0],
        [np.nan, np.nan, np.nan, np.nan],
    ]
)


@given(values=arrays(np.float64, (9, 2), elements=st.floats(-1e6, 1e6) | st.just(np.nan)))
def test_numbers_alone_are_standardised_as_ever(values: NDArray[np.float64]) -> None:
    found, expected = fit_scaler(values, NUMERIC), Scaler.fit(values)
    np.testing.assert_array_equal(found.mean, expected.mean)
    np.testing.assert_array_equal(found.std, expected.std)
    assert found.clip == expected.clip
    assert found.transforms == ()


def test_each_kind_by_hand() -> None:
    scaler = fit_scaler(ROWS, MIXED)
    assert scaler.transforms == ("linear", "log1p", "linear", "code")
    logs = np.log1p([0.0, 3.0, 20.0])
    scaled = scaler.transform(ROWS).astype(float)
    np.testing.assert_allclose(scaled[:3, 0], np.array([-1, 0, 1]) * np.sqrt(1.5), rtol=1e-6)
    np.testing.assert_allclose(scaled[:3, 1], (logs - logs.mean()) / logs.std(), rtol=1e-6)
    assert scaled[:3, 2].tolist() == [1.0, 0.0, 1.0]
    np.testing.assert_allclose(scaled[:3, 3], [0.0, 2 / 3, 1.0], rtol=1e-6)
    assert np.isnan(scaled[3]).all()


def test_inverse_gives_the_values_back() -> None:
    scaler = fit_scaler(ROWS, MIXED)
    np.testing.assert_allclose(scaler.inverse(scaler.transform(ROWS)), ROWS, rtol=1e-5, atol=1e-5)
    codes = scaler.inverse(scaler.transform(ROWS))[:3, 3]
    assert codes.tolist() == [0.0, 2.0, 3.0]


@pytest.mark.parametrize("n_categories", [0, 1, 2, 37, 1000])
def test_every_code_survives_scaling_exactly(n_categories: int) -> None:
    feature = Feature(name="x", kind="categorical", categories=tuple(map(str, range(n_categories))))
    codes = np.arange(n_categories + 1.0)[:, None]
    scaler = fit_scaler(codes, [feature])
    np.testing.assert_array_equal(scaler.inverse(scaler.transform(codes)), codes)
    assert np.abs(scaler.transform(codes)).max() <= 1


@pytest.mark.parametrize("mean", [0.0, 0.05, 3.0, 1000.0])
def test_a_count_is_scaled_by_no_less_than_a_poissons_spread(mean: float) -> None:
    """A constant count does not make a thousand deviations of one more event."""
    rng = np.random.default_rng(0)
    counts = rng.poisson(mean, (5000, 1)).astype(float)
    feature = Feature(name="n", kind="count")
    of_poisson = fit_scaler(counts, [feature])
    of_constant = fit_scaler(np.full((50, 1), np.round(mean)), [feature])
    assert of_poisson.std[0] == pytest.approx(np.exp(-of_poisson.mean[0] / 2), rel=0.3)
    one_more = of_constant.transform(np.array([[np.round(mean) + 1]]))[0, 0]
    assert one_more < 1
    spread_out = fit_scaler(rng.negative_binomial(0.5, 0.01, (5000, 1)).astype(float), [feature])
    assert spread_out.std[0] > 3 * np.exp(-spread_out.mean[0] / 2)


def test_counts_never_become_unobserved() -> None:
    """NaN stands for what was not observed; a negative count, which is none, counts as 0."""
    scaler = fit_scaler(ROWS, MIXED)
    wild = np.array([[0.0, -1.0, 0.0, 0.0], [0.0, -1e300, 0.0, 0.0], [0.0, 1e300, 0.0, 0.0]])
    scaled = scaler.transform(wild)[:, 1]
    zero = scaler.transform(np.zeros((1, 4)))[0, 1]
    assert scaled.tolist() == [zero, zero, 10.0]
    values = ROWS.copy()
    scaler.transform(values)
    np.testing.assert_array_equal(values, ROWS)


def test_spread_in_input_units() -> None:
    """Of a count to first order; of a category a probability, which has no unit."""
    scaler = fit_scaler(ROWS, MIXED)
    expected = np.array([[2.0, 5.0, 0.5, 1.0]])
    found = scaler.inverse_spread(np.array([[0.5, 0.1, 0.4, 0.3]]), expected)
    by_hand = [0.5 * scaler.std[0], 0.1 * scaler.std[1] * 6, 0.4, 0.3]
    np.testing.assert_allclose(found[0], by_hand)
    plain = fit_scaler(ROWS[:, :2], NUMERIC)
    spread = np.array([[0.1, 0.7]])
    np.testing.assert_array_equal(plain.inverse_spread(spread, expected), spread * plain.std)


def test_whole_windows_are_scaled_as_their_steps() -> None:
    scaler = fit_scaler(ROWS, MIXED)
    whole = scaler.repeated(3).transform(ROWS[:3].reshape(1, 12))
    np.testing.assert_array_equal(whole.reshape(3, 4), scaler.transform(ROWS[:3]))


def test_min_max_takes_the_training_range_to_zero_and_one() -> None:
    values = np.array([[4.0, 7.0], [6.0, np.nan], [8.0, 7.0]])
    scaler = fit_scaler(values, NUMERIC, scaling="min_max")
    assert scaler.transform(values)[:, 0].tolist() == [0.0, 0.5, 1.0]
    standard = fit_scaler(values, NUMERIC)
    assert (scaler.mean[1], scaler.std[1]) == (standard.mean[1], standard.std[1])


def test_robust_takes_no_notice_of_outliers() -> None:
    rng = np.random.default_rng(0)
    clean = rng.normal(5, 2, (5000, 2))
    soiled = clean.copy()
    soiled[:100] = 1e9
    found = fit_scaler(soiled, NUMERIC, scaling="robust")
    np.testing.assert_allclose(found.mean, 5, atol=0.2)
    np.testing.assert_allclose(found.std, 2, rtol=0.05)
    assert (fit_scaler(soiled, NUMERIC).std > 1e6).all()


@pytest.mark.parametrize("scaling", ["min_max", "robust"])
@pytest.mark.parametrize("column", [[np.nan] * 3, [7.0] * 3, [-1.7e308, 0.0, 1.7e308]])
def test_scales_stay_usable(scaling: Scaling, column: list[float]) -> None:
    """Of a feature that was never observed, never moved, or spans all there is."""
    scaler = fit_scaler(np.array(column)[:, None], NUMERIC[:1], scaling=scaling)
    assert np.isfinite(scaler.mean).all()
    assert np.isfinite(scaler.std).all()
    assert (scaler.std > 0).all()


@pytest.mark.parametrize("scaling", ["min_max", "robust"])
def test_other_kinds_do_not_follow_the_scaling_of_numbers(scaling: Scaling) -> None:
    found, standard = fit_scaler(ROWS, MIXED, scaling=scaling), fit_scaler(ROWS, MIXED)
    np.testing.assert_array_equal(found.mean[1:], standard.mean[1:])
    np.testing.assert_array_equal(found.std[1:], standard.std[1:])
    assert found.std[0] != standard.std[0]


def test_transforms_are_told_by_the_kinds() -> None:
    assert transforms_of(NUMERIC) == ()
    assert transforms_of(MIXED) == ("linear", "log1p", "linear", "code")
