import numpy as np
import pytest
from numpy.typing import NDArray

from stream_vae.errors import ConfigError
from stream_vae.models.residuals import ResidualScorer
from stream_vae.models.scores.single import SINGLE_SCORES

OF_MORE = (
    *("latent_wasserstein", "latent_cluster", "latent_outlier", "supervised"),
    *("fused", "fused_window"),
)
OF_RESIDUALS = [name for name in SINGLE_SCORES if name not in OF_MORE]


def draw(n_windows: int, seed: int) -> NDArray[np.float32]:
    rng = np.random.default_rng(seed)
    return (rng.normal(size=(n_windows, 4, 3)) * [0.2, 1.0, 3.0]).astype(np.float32)


@pytest.mark.parametrize("name", OF_MORE)
def test_scores_of_the_latent_or_of_windows_are_refused(name: str) -> None:
    with pytest.raises(ConfigError, match=f"score: found '{name}', expected one of residuals"):
        ResidualScorer(name, draw(9, 0))


def test_squared_error_by_hand() -> None:
    residual = np.zeros((2, 4, 3), np.float32)
    residual[1, :, 0] = 2.0
    found = ResidualScorer("squared_error", residual).score(residual)
    assert found == pytest.approx([0.0, 4 / 3])


def test_log_probability_takes_the_held_out_scale_as_sigma() -> None:
    """Twice the root mean square in every value is 2 nats above a fit without residual."""
    held_out = np.tile(np.array([0.2, 1.0, 3.0], np.float32), (5, 4, 1))
    scorer = ResidualScorer("log_probability", held_out)
    off, exact = scorer.score(2 * held_out[:1]), scorer.score(0 * held_out[:1])
    assert off - exact == pytest.approx([2.0])


def test_recency_is_fitted_to_the_held_out_residuals() -> None:
    """The same residuals are less odd where such ones were usual."""
    residual = draw(9, 0)
    after_small = ResidualScorer("recency", draw(2000, 1)).score(residual)
    after_large = ResidualScorer("recency", 5 * draw(2000, 1)).score(residual)
    assert (after_large < after_small).all()


@pytest.mark.parametrize("name", OF_RESIDUALS)
def test_a_feature_without_residual_leaves_scores_finite(name: str) -> None:
    held_out = draw(9, 0)
    held_out[:, :, 1] = 0
    assert np.isfinite(ResidualScorer(name, held_out).score(draw(9, 1))).all()


@pytest.mark.parametrize("name", OF_RESIDUALS)
def test_long_inputs_are_scored_as_short_ones(name: str) -> None:
    """In batches, so that a data set's residuals need not be held twice."""
    scorer, residual = ResidualScorer(name, draw(1500, 0)), draw(2500, 1)
    parts = [scorer.score(residual[at : at + 7]) for at in (0, 1020, 2400)]
    whole = scorer.score(residual)
    for at, part in zip((0, 1020, 2400), parts, strict=True):
        np.testing.assert_allclose(part, whole[at : at + 7], rtol=1e-5)
