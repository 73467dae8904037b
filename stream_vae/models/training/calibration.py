"""Calibration: quantiles of normal scores on held-out windows."""

from collections.abc import Iterator, Mapping
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray

from stream_vae.models.bundle import Bundle
from stream_vae.models.outputs import WindowOutput
from stream_vae.models.reconstruct import Reconstructor
from stream_vae.models.scores import SCORES, Score
from stream_vae.models.training.training_windows import WindowSet

QUANTILE_LEVELS = np.linspace(0.0, 1.0, 1001)
"""Levels of the quantiles kept in a bundle."""

_MAX_WINDOWS = 20_000
"""Enough for the 0.999 quantile to rest on 20 windows, and a few seconds of work."""

_BATCH = 256


def calibrate(bundle: Bundle, windows: WindowSet, device: torch.device) -> Bundle:
    """Return the bundle with every score fitted to held-out windows, and its quantiles on them.

    Quantiles are those of single windows scored with one posterior sample.
    """
    n_features = len(bundle.spec.features)
    unfitted = {name: score.unfitted(n_features, device) for name, score in SCORES.items()}
    scores = _fitted(unfitted, bundle, windows, device)
    found = _values(scores, bundle, windows, device)
    states = {name: score.state() for name, score in scores.items()}
    calibration = {name: np.quantile(values, QUANTILE_LEVELS) for name, values in found.items()}
    return replace(
        bundle,
        score_states={name: state for name, state in states.items() if state},
        spec=replace(bundle.spec, calibration=calibration),
    )


def _fitted(
    scores: Mapping[str, Score], bundle: Bundle, windows: WindowSet, device: torch.device
) -> dict[str, Score]:
    reconstructor = Reconstructor(bundle, scores.values(), device=device, max_batch=_BATCH)
    # One generator per score: the windows are computed only for scores that consume it.
    return {
        name: score.fitted(output for output, _ in _outputs(reconstructor, windows))
        for name, score in scores.items()
    }


def _values(
    scores: Mapping[str, Score], bundle: Bundle, windows: WindowSet, device: torch.device
) -> dict[str, NDArray[np.float64]]:
    reconstructor = Reconstructor(bundle, scores.values(), device=device, max_batch=_BATCH)
    found: dict[str, list[NDArray[np.float64]]] = {name: [] for name in scores}
    for output, n_windows in _outputs(reconstructor, windows):
        for name, score in scores.items():
            found[name].append(score(output)[0][:n_windows].double().cpu().numpy())
    return {name: np.concatenate(values) for name, values in found.items()}


def _outputs(
    reconstructor: Reconstructor, windows: WindowSet
) -> Iterator[tuple[WindowOutput, int]]:
    """Yield padded batches of at most `_MAX_WINDOWS` windows, evenly spaced, and their sizes."""
    every = -(-len(windows) // _MAX_WINDOWS)
    chosen = np.arange(0, len(windows), every, dtype=np.int64)
    for at in range(0, len(chosen), _BATCH):
        batch = chosen[at : at + _BATCH]
        yield reconstructor.reconstruct(*windows.take(batch)), len(batch)
