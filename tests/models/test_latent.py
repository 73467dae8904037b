"""Posterior means of windows."""

import numpy as np

from stream_vae.models.latent import LatentEncoder
from tests.models.conftest import MakeBundle


def test_means_do_not_depend_on_the_batch_and_ignore_what_was_not_observed(
    make_bundle: MakeBundle,
) -> None:
    bundle = make_bundle()
    T, F = bundle.spec.window_length, len(bundle.spec.features)
    rng = np.random.default_rng(0)
    windows, times = rng.normal(size=(300, T, F)), np.arange(300, dtype=np.int64) * 10**9
    windows[4, 0, 0] = np.nan
    encoder = LatentEncoder(bundle, "cpu")
    means = encoder.encode(windows, times)
    assert means.shape == (300, bundle.architecture.latent_size)
    assert np.isfinite(means).all()
    np.testing.assert_array_equal(encoder.encode(windows[3:5], times[3:5]), means[3:5])
    assert np.ptp(means, axis=0).min() > 0
