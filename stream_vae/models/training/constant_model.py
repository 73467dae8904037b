"""The constant model, which a trained one is compared with."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch.distributions import NegativeBinomial, Poisson

from stream_vae.core.model_spec import Feature
from stream_vae.core.scaling import Scaler
from stream_vae.models.likelihoods.likelihood import log_density
from stream_vae.models.training.fitting import held_out_batches
from stream_vae.models.training.training_windows import WindowSet

_Density = Callable[[NDArray[np.float64]], NDArray[np.float64]]
"""From scaled values of one feature (NaN = not observed) to log-probabilities, nats."""

_LEAST_RATE = 1e-3
_LEAST_EXCESS = 1e-6
"""Variance over the mean, as a share of the mean squared, below which a Poisson is as good."""


def constant_log_likelihood(
    parts: Mapping[str, WindowSet],
    features: Sequence[Feature],
    *,
    scaler: Scaler,
    sigma_floor: float,
) -> float:
    """Return the log-likelihood per observed value of the validation windows under a constant.

    The constant has the training part's mean and standard deviation of each number, floored like
    the model's sigma, so that neither gains from a smaller scale alone; its mean and variance of
    each count; and its shares of the categories of each other feature.

    Args:
        parts: Windows of at least the parts `training` and `validation`.
        features: F.
        scaler: Of the windows.
        sigma_floor: Least sigma, scaled units.

    Returns:
        Nats per observed value.
    """
    steps = parts["training"].steps.astype(np.float64)
    observed = np.isfinite(steps)
    count = np.maximum(observed.sum(axis=0), 1)
    mean = np.where(observed, steps, 0.0).sum(axis=0) / count
    variance = np.where(observed, (steps - mean) ** 2, 0.0).sum(axis=0) / count
    sigma = np.maximum(np.sqrt(variance), sigma_floor)
    others = {
        f: _density_of(feature, steps[:, f], mean=scaler.mean[f], std=scaler.std[f])
        for f, feature in enumerate(features)
        if feature.kind != "numeric"
    }
    total, n_values = 0.0, 0
    for which in held_out_batches(len(parts["validation"])):
        values, _ = parts["validation"].take(which)
        density = -0.5 * ((values - mean) / sigma) ** 2 - np.log(sigma) - 0.5 * np.log(2 * np.pi)
        for f, density_of in others.items():
            density[..., f] = density_of(values[..., f].astype(np.float64))
        total += float(np.nansum(density))
        n_values += int(np.isfinite(values).sum())
    return total / max(n_values, 1)


def _density_of(
    feature: Feature, steps: NDArray[np.float64], *, mean: float, std: float
) -> _Density:
    if feature.kind == "count":
        return _of_counts(steps, mean=mean, std=std)
    return _of_categories(steps, 1 if feature.kind == "binary" else len(feature.categories))


def _of_categories(steps: NDArray[np.float64], largest: int) -> _Density:
    """Return the log-shares of the codes 0..largest, each seen once more than it was."""
    scale = max(largest, 1)

    def codes(values: NDArray[np.float64]) -> NDArray[np.int64]:
        return np.rint(values * scale).clip(0, largest).astype(np.int64)

    seen = np.bincount(codes(steps[np.isfinite(steps)]), minlength=largest + 1) + 1.0
    log_share = np.log(seen / seen.sum())

    def density(values: NDArray[np.float64]) -> NDArray[np.float64]:
        shown = np.where(np.isfinite(values), values, 0.0)
        return np.where(np.isfinite(values), log_share[codes(shown)], np.nan)

    return density


def _of_counts(steps: NDArray[np.float64], *, mean: float, std: float) -> _Density:
    """Return the log-probabilities of a negative binomial of the training part's moments."""

    def counts(values: NDArray[np.float64]) -> NDArray[np.float64]:
        found: NDArray[np.float64] = np.rint(np.expm1(values * std + mean).clip(0))
        return found

    seen = counts(steps[np.isfinite(steps)])
    rate = max(float(seen.mean()) if len(seen) else 0.0, _LEAST_RATE)
    excess = (float(seen.var()) if len(seen) else 0.0) - rate
    distribution: NegativeBinomial | Poisson = Poisson(torch.tensor(rate, dtype=torch.float64))
    if excess > _LEAST_EXCESS * rate**2:
        total_count = torch.tensor(rate**2 / excess, dtype=torch.float64)
        logits = torch.log(rate / total_count)
        distribution = NegativeBinomial(total_count, logits=logits, validate_args=False)

    def density(values: NDArray[np.float64]) -> NDArray[np.float64]:
        shown = torch.from_numpy(counts(np.where(np.isfinite(values), values, 0.0)))
        return np.where(np.isfinite(values), log_density(distribution, shown).numpy(), np.nan)

    return density
