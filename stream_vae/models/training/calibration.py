"""What normal scores look like, measured on held-out windows."""

from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray

from stream_vae.models.bundle import Bundle
from stream_vae.models.reconstruct import Reconstructor
from stream_vae.models.scores import SCORES
from stream_vae.models.training.training_windows import WindowSet

QUANTILE_LEVELS = np.linspace(0.0, 1.0, 1001)
"""Levels of the quantiles kept in a bundle."""

_MAX_WINDOWS = 20_000
"""Enough for the 0.999 quantile to rest on 20 windows, and a few seconds of work."""

_BATCH = 256


def calibrate(bundle: Bundle, windows: WindowSet, device: torch.device) -> Bundle:
    """Return the bundle with residual variances and score quantiles of held-out windows.

    Quantiles are those of single windows scored with one posterior sample.
    """
    batches = _batches(len(windows))
    bundle = replace(bundle, residual_variance=_residual_variance(bundle, windows, batches, device))
    found = _scores(bundle, windows, batches, device)
    calibration = {name: np.quantile(values, QUANTILE_LEVELS) for name, values in found.items()}
    return replace(bundle, spec=replace(bundle.spec, calibration=calibration))


def _batches(n_windows: int) -> list[NDArray[np.int64]]:
    """Return the indices of at most `_MAX_WINDOWS` windows, evenly spaced, in batches."""
    every = -(-n_windows // _MAX_WINDOWS)
    chosen = np.arange(0, n_windows, every, dtype=np.int64)
    return [chosen[at : at + _BATCH] for at in range(0, len(chosen), _BATCH)]


def _residual_variance(
    bundle: Bundle, windows: WindowSet, batches: list[NDArray[np.int64]], device: torch.device
) -> NDArray[np.float64]:
    """Return (F,) mean squared residuals; 1, the scale of the data, where nothing was observed."""
    reconstructor = Reconstructor(bundle, device=device, max_batch=_BATCH)
    total = np.zeros(len(bundle.spec.features))
    count = np.zeros(len(bundle.spec.features))
    for batch in batches:
        made = reconstructor.reconstruct(*windows.take(batch)).reconstruction
        total += made.squared_residual.double().sum(dim=(0, 1)).cpu().numpy()
        count += made.observed.sum(dim=(0, 1)).cpu().numpy()
    return np.where(count > 0, total / np.maximum(count, 1), 1.0)


def _scores(
    bundle: Bundle, windows: WindowSet, batches: list[NDArray[np.int64]], device: torch.device
) -> dict[str, NDArray[np.float64]]:
    reconstructor = Reconstructor(bundle, device=device, max_batch=_BATCH)
    found: dict[str, list[NDArray[np.float64]]] = {name: [] for name in SCORES}
    for batch in batches:
        made = reconstructor.reconstruct(*windows.take(batch)).reconstruction
        for name, score in SCORES.items():
            found[name].append(score(made)[0][: len(batch)].double().cpu().numpy())
    return {name: np.concatenate(values) for name, values in found.items()}
