from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from stream_vae.core.model_spec import Scorer, Scores
from stream_vae.errors import ConfigError, ShapeError
from stream_vae.models.bundle import Bundle
from stream_vae.models.config import ArchitectureConfig
from stream_vae.models.scores import SCORES
from stream_vae.models.scoring import WindowScorer

MakeBundle = Callable[..., Bundle]
T, F = 5, 3


def draw_windows(n_windows: int, seed: int = 0) -> NDArray[np.float64]:
    """Return (B, T, F) windows, a tenth of them not observed."""
    rng = np.random.default_rng(seed)
    windows = rng.normal(size=(n_windows, T, F))
    windows[rng.random(windows.shape) < 0.1] = np.nan
    return windows


def draw_times(n_windows: int, seed: int = 0) -> NDArray[np.int64]:
    return np.random.default_rng(seed).integers(0, 2**60, n_windows)


def assert_same(found: Scores, expected: Scores, rows: NDArray[np.intp] | slice) -> None:
    """Hold scores against some rows of others, bit for bit."""
    np.testing.assert_array_equal(found.value, expected.value[rows])
    np.testing.assert_array_equal(found.contribution, expected.contribution[rows])
    np.testing.assert_array_equal(found.expected, expected.expected[rows])
    np.testing.assert_array_equal(found.expected_std, expected.expected_std[rows])


@pytest.fixture(scope="module", params=sorted(SCORES))
def scorer(request: pytest.FixtureRequest, make_bundle: MakeBundle) -> WindowScorer:
    architecture = ArchitectureConfig(window_length=T, hidden_size=8, latent_size=2, calendar=True)
    bundle = make_bundle(architecture=architecture)
    return WindowScorer(bundle, score=request.param, device="cpu", max_batch=64)


@given(n_windows=st.integers(1, 150), alone=st.integers(1, 20), seed=st.integers(0, 1000))
def test_score_is_independent_of_company_and_place(
    scorer: WindowScorer, n_windows: int, alone: int, seed: int
) -> None:
    """Any part of a batch, in any order, scores bit for bit as within the whole."""
    windows, times = draw_windows(n_windows, seed), draw_times(n_windows, seed)
    whole = scorer.score(windows, times)
    rows = np.random.default_rng(seed).permutation(n_windows)[:alone]
    assert_same(scorer.score(windows[rows], times[rows]), whole, rows)


def test_score_depends_on_the_window(scorer: WindowScorer) -> None:
    """The control of independence: other values give another score."""
    windows, times = draw_windows(3), draw_times(3)
    before = scorer.score(windows, times).value
    windows[1, -1] += 3.0
    after = scorer.score(windows, times).value
    assert after[1] != before[1]
    assert after[[0, 2]].tolist() == before[[0, 2]].tolist()


@given(
    junk=st.sampled_from([np.nan, -np.nan]),
    payload=st.integers(1, 2**51 - 1),
    seed=st.integers(0, 1000),
)
def test_masked_values_never_change_a_score(
    scorer: WindowScorer, junk: float, payload: int, seed: int
) -> None:
    """Whatever bits stand for "not observed", the score is the same."""
    windows, times = draw_windows(7, seed), draw_times(7, seed)
    masked = np.isnan(windows)
    expected = scorer.score(windows, times)
    windows[masked] = junk
    windows.view(np.uint64)[masked] |= np.uint64(payload)
    assert_same(scorer.score(windows, times), expected, slice(None))


@given(
    scale=st.sampled_from([0.0, 1e-30, 1.0, 10.0, 1e12, 1.7e308]),
    missing=st.sampled_from([0.0, 0.5, 1.0]),
    seed=st.integers(0, 1000),
)
def test_scores_are_finite_and_contributions_are_shares(
    scorer: WindowScorer, scale: float, missing: float, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    windows = rng.uniform(-1, 1, size=(7, T, F)) * scale
    windows[rng.random(windows.shape) < missing] = np.nan
    found = scorer.score(windows, draw_times(7))
    for array in (found.value, found.expected, found.expected_std, found.contribution):
        assert np.isfinite(array).all()
    assert (found.contribution >= 0).all()
    assert (found.expected_std > 0).all()
    np.testing.assert_allclose(found.contribution.sum(axis=1), 1.0, atol=1e-6)


def test_feature_without_observations_contributes_nothing(scorer: WindowScorer) -> None:
    windows = np.ones((7, T, F))
    windows[:, :, 1] = np.nan
    found = scorer.score(windows, draw_times(7)).contribution
    assert (found[:, 1] == 0).all()
    assert (found[:, [0, 2]] > 0).all()


def test_window_without_observations_shares_equally(scorer: WindowScorer) -> None:
    found = scorer.score(np.full((2, T, F), np.nan), draw_times(2))
    np.testing.assert_allclose(found.contribution, 1 / F, rtol=1e-6)


def test_odd_feature_contributes_most(scorer: WindowScorer) -> None:
    windows = np.zeros((7, T, F))
    windows[:, :, 2] = 8.0
    assert (scorer.score(windows, draw_times(7)).contribution.argmax(axis=1) == 2).all()


def test_no_windows_give_no_scores(scorer: WindowScorer) -> None:
    found = scorer.score(draw_windows(0), draw_times(0))
    assert found.value.shape == (0,)
    assert found.contribution.shape == found.expected.shape == found.expected_std.shape == (0, F)


def test_input_is_not_written_to(scorer: WindowScorer) -> None:
    windows, times = draw_windows(7), draw_times(7)
    windows.setflags(write=False)
    times.setflags(write=False)
    scorer.score(windows, times)


def test_scorer_keeps_the_protocol(make_bundle: MakeBundle) -> None:
    scorer: Scorer = WindowScorer(make_bundle(), device="cpu")
    assert scorer.score(draw_windows(7), draw_times(7)).value.dtype == np.float64


def test_two_scorers_of_one_bundle_agree_bit_for_bit(make_bundle: MakeBundle) -> None:
    """The control: another seed of the noise gives other scores."""
    windows, times = draw_windows(7), draw_times(7)
    bundle = make_bundle()
    first = WindowScorer(bundle, device="cpu").score(windows, times)
    assert_same(WindowScorer(bundle, device="cpu").score(windows, times), first, slice(None))
    other = WindowScorer(replace(bundle, noise_seed=1), device="cpu").score(windows, times)
    assert (other.value != first.value).all()


def test_expected_is_in_input_units(make_bundle: MakeBundle) -> None:
    """Doubling the scaler's unit doubles the expected standard deviation and moves the mean."""
    bundle, windows, times = make_bundle(), draw_windows(7), draw_times(7)
    scaler = bundle.spec.scaler
    wider = replace(scaler, mean=scaler.mean + 100, std=scaler.std * 2)
    found = WindowScorer(bundle, device="cpu").score(windows, times)
    same_scaled = wider.mean + (windows - scaler.mean) * 2
    moved = WindowScorer(
        replace(bundle, spec=replace(bundle.spec, scaler=wider)), device="cpu"
    ).score(same_scaled, times)
    np.testing.assert_allclose(moved.expected_std, 2 * found.expected_std)
    np.testing.assert_allclose(
        (moved.expected - wider.mean) / 2, found.expected - scaler.mean, rtol=1e-5
    )
    # A network that has learnt nothing has sigma 1: one standard deviation of the input.
    np.testing.assert_allclose(found.expected_std, np.tile(scaler.std, (7, 1)), rtol=1e-6)


def test_auto_is_the_bundles_own_score(make_bundle: MakeBundle) -> None:
    assert WindowScorer(make_bundle(score="last_step"), device="cpu").score_name == "last_step"
    chosen = WindowScorer(make_bundle(score="last_step"), score="recency", device="cpu")
    assert chosen.score_name == "recency"


def test_calendar_moves_the_score_only_where_it_is_an_input(make_bundle: MakeBundle) -> None:
    windows = draw_windows(7)
    noon, midnight = np.full(7, 12 * 3600 * 10**9), np.zeros(7, np.int64)
    blind = WindowScorer(make_bundle(), device="cpu")
    assert_same(blind.score(windows, noon), blind.score(windows, midnight), slice(None))
    calendar = ArchitectureConfig(window_length=T, hidden_size=8, latent_size=2, calendar=True)
    seeing = WindowScorer(make_bundle(architecture=calendar), device="cpu")
    assert (seeing.score(windows, noon).value != seeing.score(windows, midnight).value).all()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"score": "elbo"}, "score: found 'elbo', expected auto or one the bundle"),
        ({"score": "reconstruction_error"}, "is now called 'squared_error'"),
        ({"max_batch": 0}, "max_batch: found 0, expected >= 1"),
        ({"device": "tpu"}, "device: found 'tpu'"),
    ],
)
def test_wrong_arguments_are_refused(
    make_bundle: MakeBundle, arguments: dict[str, object], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        WindowScorer(make_bundle(), **{"device": "cpu", **arguments})  # type: ignore[arg-type] # wrong on purpose


@pytest.mark.parametrize("shape", [(7, T, F + 1), (7, T - 1, F), (7, F, T)])
def test_wrong_shapes_are_a_bug(scorer: WindowScorer, shape: tuple[int, ...]) -> None:
    with pytest.raises(ShapeError, match=r"expected \(B, 5, 3\)"):
        scorer.score(np.zeros(shape), draw_times(7))


def test_missing_times_are_a_bug(scorer: WindowScorer) -> None:
    with pytest.raises(ShapeError, match=r"end_times \(6,\)"):
        scorer.score(draw_windows(7), draw_times(6))
