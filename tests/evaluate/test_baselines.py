import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.decomposition import PCA
from sklearn.neighbors import NearestNeighbors

from stream_vae.evaluate.baselines import T2Q, NearestWindow, PcaWindows


def draw_windows(n_windows: int, seed: int) -> NDArray[np.float32]:
    """Return (W, 5, 3) windows that mostly vary along four directions."""
    rng = np.random.default_rng(seed)
    mixing = np.random.default_rng(99).normal(size=(4, 15))
    flat = rng.normal(size=(n_windows, 4)) @ mixing + 0.3 * rng.normal(size=(n_windows, 15)) + 2
    return flat.reshape(n_windows, 5, 3).astype(np.float32)


@pytest.mark.parametrize("explained", [0.5, 0.9, 0.99])
def test_pca_residual_agrees_with_scikit_learn(explained: float) -> None:
    learnt, new = draw_windows(200, 0), draw_windows(7, 1)
    oracle = PCA(n_components=explained, svd_solver="full").fit(learnt.reshape(200, 15))
    flat = new.reshape(7, 15)
    expected = flat - oracle.inverse_transform(oracle.transform(flat))
    found = PcaWindows(learnt, explained).residual(new)
    np.testing.assert_allclose(found, expected.reshape(7, 5, 3), atol=1e-4)


def test_hotelling_agrees_with_scikit_learn() -> None:
    learnt, new = draw_windows(200, 0), draw_windows(7, 1)
    oracle = PCA(n_components=0.9, svd_solver="full").fit(learnt.reshape(200, 15))
    inside = oracle.transform(new.reshape(7, 15))
    # scikit-learn divides by N - 1, here the variance is that of the N windows.
    expected = (inside**2 / (oracle.explained_variance_ * 199 / 200)).sum(axis=1)
    np.testing.assert_allclose(PcaWindows(learnt).hotelling(new), expected, rtol=1e-4)


def test_t2q_weighs_both_parts_by_their_held_out_limits() -> None:
    pca, held_out, new = PcaWindows(draw_windows(200, 0)), draw_windows(100, 2), draw_windows(7, 1)

    def squared(windows: NDArray[np.float32]) -> NDArray[np.float64]:
        found: NDArray[np.float64] = (pca.residual(windows).astype(float) ** 2).sum(axis=(1, 2))
        return found

    expected = pca.hotelling(new) / np.quantile(pca.hotelling(held_out), 0.99)
    expected += squared(new) / np.quantile(squared(held_out), 0.99)
    np.testing.assert_allclose(T2Q(pca, held_out).score(new), expected)


def test_nearest_window_agrees_with_scikit_learn() -> None:
    learnt, new = draw_windows(50, 0), draw_windows(7, 1)
    nearest = NearestWindow(learnt, most=50, rng=np.random.default_rng(0))
    oracle = NearestNeighbors(n_neighbors=1).fit(learnt.reshape(50, 15))
    _, which = oracle.kneighbors(new.reshape(7, 15))
    np.testing.assert_allclose(nearest.residual(new), new - learnt[which[:, 0]], atol=1e-6)


def test_nearest_window_keeps_a_sample() -> None:
    """With one window kept, every residual is the distance to that one."""
    learnt, new = draw_windows(50, 0), draw_windows(7, 1)
    kept = new - NearestWindow(learnt, most=1, rng=np.random.default_rng(0)).residual(new)
    assert np.ptp(kept, axis=0).max() < 1e-5
    assert np.abs(learnt - kept[0]).max(axis=(1, 2)).min() < 1e-5


def test_wide_windows_have_components_too() -> None:
    """From a sample of the windows: their number bounds that of the components."""
    rng = np.random.default_rng(0)
    windows = (rng.normal(size=(300, 3)) @ rng.normal(size=(3, 2100))).astype(np.float32)
    pca = PcaWindows(windows.reshape(300, 21, 100), explained=0.999)
    rest = pca.residual(windows.reshape(300, 21, 100))
    assert np.abs(rest).max() < 0.01 * np.abs(windows).max()
    assert np.isfinite(pca.hotelling(windows.reshape(300, 21, 100))).all()
