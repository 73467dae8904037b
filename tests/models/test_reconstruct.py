from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch

from stream_vae.errors import BundleError
from stream_vae.models.bundle import Bundle, build_network
from stream_vae.models.reconstruct import SMALLEST_BATCH, Reconstructor

CPU = torch.device("cpu")


def test_padded_sizes_end_at_max_batch(make_bundle: Callable[..., Bundle]) -> None:
    sizes = Reconstructor(make_bundle(), device=CPU, max_batch=100).sizes
    assert sizes[-1] == 100
    assert sizes[0] >= SMALLEST_BATCH
    assert list(sizes) == sorted(set(sizes))


def test_smallest_max_batch_is_padded(make_bundle: Callable[..., Bundle]) -> None:
    assert Reconstructor(make_bundle(), device=CPU, max_batch=1).sizes == (SMALLEST_BATCH,)


def test_residual_and_mean_are_the_networks_own(make_bundle: Callable[..., Bundle]) -> None:
    """Padding, masks and shared noise do not change what the network itself says."""
    bundle = make_bundle()
    windows = np.random.default_rng(4).normal(size=(7, 5, 3)).astype(np.float32)
    windows[2, 1, 0] = np.nan
    made = Reconstructor(bundle, device=CPU).reconstruct(windows, np.zeros(7, np.int64))

    network, raw = build_network(bundle, CPU), torch.from_numpy(windows)
    observed = torch.isfinite(raw)
    mean, log_var = network.encode(raw, observed, None)
    noise = np.random.default_rng(bundle.noise_seed).standard_normal((1, 2)).astype(np.float32)
    decoded = network.decode(mean + (0.5 * log_var).exp() * torch.from_numpy(noise), None)
    squared = torch.where(observed, (raw - decoded) ** 2, 0.0)
    torch.testing.assert_close(made.reconstruction.squared_residual[:7], squared)
    torch.testing.assert_close(made.newest_mean[:7], decoded[:, -1])


def test_more_samples_average_squared_residuals(make_bundle: Callable[..., Bundle]) -> None:
    """The first of four shared draws is the one that a single sample uses."""
    bundle = make_bundle()
    windows = np.random.default_rng(4).normal(size=(7, 5, 3)).astype(np.float32)
    times = np.zeros(7, np.int64)
    one = Reconstructor(bundle, device=CPU, samples=1).reconstruct(windows, times)
    four = Reconstructor(bundle, device=CPU, samples=4).reconstruct(windows, times)
    network, raw = build_network(bundle, CPU), torch.from_numpy(windows)
    mean, log_var = network.encode(raw, torch.isfinite(raw), None)
    noise = np.random.default_rng(bundle.noise_seed).standard_normal((4, 2)).astype(np.float32)
    each = [
        (raw - network.decode(mean + (0.5 * log_var).exp() * draw, None)) ** 2
        for draw in torch.from_numpy(noise)
    ]
    expected = torch.stack(each).mean(dim=0)
    torch.testing.assert_close(four.reconstruction.squared_residual[:7], expected)
    torch.testing.assert_close(one.reconstruction.squared_residual[:7], each[0])


def test_weights_of_another_shape_are_refused_by_name(make_bundle: Callable[..., Bundle]) -> None:
    bundle = make_bundle()
    wrong = {**bundle.weights, "to_mean.bias": torch.zeros(4)}
    with pytest.raises(BundleError, match=r"to_mean.bias: found shape \(4,\), expected \(3,\)"):
        build_network(replace(bundle, weights=wrong), CPU)
    fewer = {name: tensor for name, tensor in bundle.weights.items() if name != "to_mean.bias"}
    with pytest.raises(BundleError, match=r"to_mean.bias: found shape nothing"):
        build_network(replace(bundle, weights=fewer), CPU)
