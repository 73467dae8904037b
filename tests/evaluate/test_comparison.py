"""Baselines as scores of the detector's own windows."""

import numpy as np
from sklearn.ensemble import IsolationForest as Published

from stream_vae.core.scaling import Scaler
from stream_vae.detect.config import DetectConfig
from stream_vae.evaluate.baselines import FeatureZScores, IsolationForest
from stream_vae.evaluate.comparison import cut_windows, encoded, fit_baselines
from tests.conftest import SCALER, F, T, make_spec
from tests.evaluate.test_baselines import draw_windows
from tests.evaluate.test_history import MakeReadings, make_stream


def test_windows_are_those_that_the_detector_scores(make_readings: MakeReadings) -> None:
    readings = make_stream(make_readings)
    rng = np.random.default_rng(0)
    windows = cut_windows(make_spec(), DetectConfig(), readings, rng=rng)
    assert windows.shape == (2 * (120 - T + 1), T, F)
    np.testing.assert_allclose(windows[0], SCALER.transform(readings.values[0 : 2 * T : 2]))


def test_most_windows_are_drawn_from_all(make_readings: MakeReadings) -> None:
    rng = np.random.default_rng(0)
    readings = make_stream(make_readings)
    windows = cut_windows(make_spec(), DetectConfig(), readings, rng=rng, most=40)
    assert 20 < len(windows) <= 40


def test_values_not_observed_are_the_training_mean(make_readings: MakeReadings) -> None:
    readings = make_stream(make_readings)
    readings.values[20, 1] = np.nan
    windows = cut_windows(make_spec(), DetectConfig(), readings, rng=np.random.default_rng(0))
    assert np.isfinite(windows).all()
    assert (windows == 0).sum() == T


def test_every_baseline_finds_what_is_far_from_all_training_windows() -> None:
    """In any company, and with gaps; the isolation forest too."""
    scaler = Scaler(mean=np.full(3, 2.0), std=np.full(3, 2.0))
    methods = fit_baselines(
        scaler.transform(draw_windows(400, 0).astype(np.float64)), scaler, seed=0
    )
    assert len(methods) == 8
    normal = draw_windows(30, 1).astype(np.float64)
    odd = normal.copy()
    odd[:, -3:, 1] += 25 * np.where(np.arange(30) % 2, 1, -1)[:, None]
    odd[0, 0, 0] = np.nan
    for name, score in methods.items():
        usual, high = score(normal), score(odd)
        assert high.shape == (30,)
        assert np.median(high) > np.quantile(usual, 0.8), name
        np.testing.assert_allclose(score(odd[:5]), high[:5], rtol=1e-4, atol=1e-5)


def test_isolation_forest_is_scikit_learns() -> None:
    learnt, new = draw_windows(100, 0), draw_windows(7, 1)
    published = Published(random_state=3).fit(learnt.reshape(100, -1))
    found = IsolationForest(learnt, seed=3).score(new)
    np.testing.assert_allclose(found, -published.score_samples(new.reshape(7, -1)))


def test_z_scores_are_of_the_newest_step() -> None:
    learnt = draw_windows(100, 0)
    new = np.broadcast_to(learnt.mean(axis=(0, 1)), (2, 5, 3)).copy()
    new[0, -1, 2] += 4 * learnt[..., 2].std()
    new[1, -2, 2] += 400.0
    np.testing.assert_allclose(FeatureZScores(learnt).score(new), [4.0, 0.0], atol=1e-3)


def test_constant_training_windows_break_no_baseline() -> None:
    scaler = Scaler(mean=np.zeros(2), std=np.ones(2))
    methods = fit_baselines(np.zeros((100, 4, 2), np.float32), scaler, seed=0)
    for score in methods.values():
        assert np.isfinite(score(np.ones((3, 4, 2)))).all()


def test_a_category_has_no_order_for_a_baseline() -> None:
    """Codes are names: given out otherwise, they leave the scores; an unseen one stands out."""
    rng = np.random.default_rng(0)
    scaler = Scaler(mean=np.zeros(2), std=np.array([1.0, 3.0]), transforms=("linear", "code"))
    codes = rng.choice(3, 200, p=(0.6, 0.3, 0.1))
    records = np.stack([codes + 0.1 * rng.standard_normal(200), codes], axis=1)[:, None, :]
    renamed = records.copy()
    renamed[..., 1] = np.array([2, 0, 1])[codes][:, None]
    first, second = (
        fit_baselines(encoded(values, scaler), scaler, seed=0) for values in (records, renamed)
    )
    for name in first.keys() - {"isolation forest"}:  # which draws columns by their place
        np.testing.assert_allclose(
            first[name](records), second[name](renamed), rtol=1e-3, atol=1e-4, err_msg=name
        )
    seen, unseen = np.array([[[0.0, 0.0]]]), np.array([[[0.0, 3.0]]])
    for name, score in first.items():
        assert score(unseen) > score(seen), name
    assert np.isfinite(first["1-NN"](np.array([[[np.nan, np.nan]]]))).all()
