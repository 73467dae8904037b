import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from stream_vae.core.scaling import Scaler

matrices = arrays(
    np.float64,
    (17, 3),
    elements=st.one_of(st.floats(-1e6, 1e6, allow_subnormal=False), st.just(float("nan"))),
)


@given(values=matrices)
def test_scaler_equals_two_pass_numpy_over_observed_values(values: np.ndarray) -> None:
    scaler = Scaler.fit(values)
    for f in range(3):
        seen = values[:, f][~np.isnan(values[:, f])]
        if len(seen) == 0:
            assert (scaler.mean[f], scaler.std[f]) == (0.0, 1.0)
            continue
        np.testing.assert_allclose(scaler.mean[f], seen.mean(), rtol=1e-9, atol=1e-9)
        floor = 0.01 * (np.ptp(seen) or abs(scaler.mean[f])) or 1.0
        np.testing.assert_allclose(scaler.std[f], max(seen.std(), floor), rtol=1e-6, atol=1e-9)


def test_a_constant_feature_cannot_dominate() -> None:
    """A sensor stuck at 50 that moves by 1 moves by 2 standard deviations, not by thousands."""
    scaler = Scaler.fit(np.full((100, 1), 50.0))
    assert scaler.transform(np.array([[51.0]]))[0, 0] == 2.0


@pytest.mark.parametrize("absurd", [1e200, 1.7e308])
def test_absurd_training_values_keep_the_scaler_finite(absurd: float) -> None:
    """Squares, sums and spreads of such values overflow; the other feature must not notice."""
    values = np.random.default_rng(0).normal(size=(50, 2))
    clean = Scaler.fit(values)
    values[3:6, 1] = absurd, absurd, -absurd
    scaler = Scaler.fit(values)
    assert np.isfinite([scaler.mean, scaler.std]).all()
    assert (scaler.mean[0], scaler.std[0]) == (clean.mean[0], clean.std[0])
    assert scaler.std[1] > absurd / 10


def test_a_value_beyond_float64_after_scaling_is_clipped_too() -> None:
    scaler = Scaler(mean=np.zeros(1), std=np.full(1, 0.5), clip=10.0)
    assert scaler.transform(np.array([[1.7e308], [-1.7e308]])).ravel().tolist() == [10.0, -10.0]


def test_absurd_values_are_clipped_and_missing_ones_stay_missing() -> None:
    scaler = Scaler(mean=np.zeros(2), std=np.ones(2), clip=10.0)
    scaled = scaler.transform(np.array([[1e12, np.nan], [-1e300, 3.0]]))
    assert scaled[0, 0] == 10.0
    assert np.isnan(scaled[0, 1])
    assert scaled[1].tolist() == [-10.0, 3.0]


@given(values=arrays(np.float64, (5, 2), elements=st.floats(-100, 100, width=32)))
def test_inverse_undoes_transform_within_the_clip(values: np.ndarray) -> None:
    scaler = Scaler(mean=np.array([3.0, -40.0]), std=np.array([25.0, 17.0]))
    np.testing.assert_allclose(scaler.inverse(scaler.transform(values)), values, atol=1e-4)


@given(
    values=arrays(np.float64, (5, 1), elements=st.floats(-1e3, 1e3) | st.just(np.nan)),
    magnitude=st.integers(-20, 20),
    relative=st.integers(-17, 10),
    clip=st.sampled_from([10.0, 9.3, 0.1]),
)
def test_restored_values_scale_to_the_same_bits(
    values: NDArray[np.float64], magnitude: int, relative: int, clip: float
) -> None:
    """Also where a mean is so large that an input can only just be told from it."""
    mean = 3.7 * 10.0**magnitude
    std = 1.3 * mean * 10.0**relative
    scaler = Scaler(mean=np.array([mean]), std=np.array([std]), clip=clip)
    scaled = scaler.transform(mean + std * values)
    np.testing.assert_array_equal(scaler.transform(scaler.restore(scaled)), scaled)


def test_transform_into_gives_the_bits_of_clipping_before_rounding() -> None:
    """The written-out formula, values that overflow among them."""
    rng = np.random.default_rng(0)
    scaler = Scaler(mean=rng.normal(size=4), std=rng.uniform(0.01, 3, 4), clip=9.3)
    values = rng.normal(size=(50, 6, 4)) * 10.0 ** rng.uniform(-3, 2, (50, 6, 4))
    values[0, 0], values[1, 1] = 1.7e308, np.nan
    with np.errstate(over="ignore"):
        expected = np.clip((values - scaler.mean) / scaler.std, -9.3, 9.3).astype(np.float32)
    scaled = np.empty(values.shape, np.float32)
    scaler.transform_into(values, np.empty(values.shape), scaled)
    np.testing.assert_array_equal(scaled, expected)
