from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch

from stream_vae.errors import BundleError
from stream_vae.models.bundle import Bundle, build_model, build_score
from stream_vae.models.reconstruct import SMALLEST_BATCH, Reconstructor
from stream_vae.models.scores import SCORES

CPU = torch.device("cpu")


def make_reconstructor(bundle: Bundle, *, samples: int = 1, max_batch: int = 256) -> Reconstructor:
    bundle = replace(bundle, architecture=replace(bundle.architecture, samples=samples))
    scores = [build_score(bundle, name, CPU) for name in SCORES]
    return Reconstructor(bundle, scores, device=CPU, max_batch=max_batch)


def test_padded_sizes_end_at_max_batch(make_bundle: Callable[..., Bundle]) -> None:
    sizes = make_reconstructor(make_bundle(), max_batch=100).sizes
    assert sizes[-1] == 100
    assert sizes[0] >= SMALLEST_BATCH
    assert list(sizes) == sorted(set(sizes))


def test_smallest_max_batch_is_padded(make_bundle: Callable[..., Bundle]) -> None:
    assert make_reconstructor(make_bundle(), max_batch=1).sizes == (SMALLEST_BATCH,)


def test_residual_and_mean_are_the_models_own(make_bundle: Callable[..., Bundle]) -> None:
    """Padding, masks and shared noise do not change what the model itself says."""
    bundle = make_bundle()
    windows = np.random.default_rng(4).normal(size=(7, 5, 3)).astype(np.float32)
    windows[2, 1, 0] = np.nan
    made = make_reconstructor(bundle).reconstruct(windows, np.zeros(7, np.int64))

    model, raw = build_model(bundle, CPU), torch.from_numpy(windows)
    observed = torch.isfinite(raw)
    mean, log_var = model.encode(raw, observed, None).latent
    noise = np.random.default_rng(bundle.noise_seed).standard_normal((1, 2)).astype(np.float32)
    decoded = model.decode(mean + (0.5 * log_var).exp() * torch.from_numpy(noise), None)
    squared = torch.where(observed, (raw - decoded) ** 2, 0.0)
    torch.testing.assert_close(made.squared_residual[:7], squared)
    torch.testing.assert_close(made.expected[:7], decoded)
    assert torch.equal(made.observed[:7], observed)
    assert not made.observed[7:].any()


def test_more_samples_average_squared_residuals(make_bundle: Callable[..., Bundle]) -> None:
    """The first of four shared draws is the one that a single sample uses."""
    bundle = make_bundle()
    windows = np.random.default_rng(4).normal(size=(7, 5, 3)).astype(np.float32)
    times = np.zeros(7, np.int64)
    one = make_reconstructor(bundle, samples=1).reconstruct(windows, times)
    four = make_reconstructor(bundle, samples=4).reconstruct(windows, times)
    model, raw = build_model(bundle, CPU), torch.from_numpy(windows)
    mean, log_var = model.encode(raw, torch.isfinite(raw), None).latent
    noise = np.random.default_rng(bundle.noise_seed).standard_normal((4, 2)).astype(np.float32)
    each = [
        (raw - model.decode(mean + (0.5 * log_var).exp() * draw, None)) ** 2
        for draw in torch.from_numpy(noise)
    ]
    expected = torch.stack(each).mean(dim=0)
    torch.testing.assert_close(four.squared_residual[:7], expected)
    torch.testing.assert_close(one.squared_residual[:7], each[0])
    assert not torch.equal(four.expected, one.expected)


def test_weights_of_another_shape_are_refused_by_name(make_bundle: Callable[..., Bundle]) -> None:
    bundle = make_bundle()
    wrong = {**bundle.weights, "to_mean.bias": torch.zeros(4)}
    with pytest.raises(BundleError, match=r"to_mean.bias: found shape \(4,\), expected \(3,\)"):
        build_model(replace(bundle, weights=wrong), CPU)
    fewer = {name: tensor for name, tensor in bundle.weights.items() if name != "to_mean.bias"}
    with pytest.raises(BundleError, match=r"to_mean.bias: found shape nothing"):
        build_model(replace(bundle, weights=fewer), CPU)
