"""Anomaly scores of a reconstructed window, selectable by name; higher = more anomalous.

Every score takes a `Reconstruction` and returns the scores (B,) and each feature's part (B, F) in
them, >= 0 and not normalised. What was not observed has no part in any of them.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from stream_vae.models.likelihoods import gaussian_nll, masked_sum

RECENCY_STEPS = 8.0
"""Steps over which the recency score's weight falls by a factor e."""

_RECENCY_OFFSET = 1e-3
_RECENCY_VARIANCE = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Reconstruction:
    """What the decoder made of B windows."""

    squared_residual: Tensor
    """(B, T, F) scaled units, mean over posterior samples; 0 where not observed."""
    observed: Tensor
    """(B, T, F) bool."""
    sigma: Tensor
    """(F,) the decoder's standard deviations, scaled units."""
    residual_variance: Tensor
    """(F,) mean squared residual on held-out data, scaled units."""


ScoreFunction = Callable[[Reconstruction], tuple[Tensor, Tensor]]


def log_probability(made: Reconstruction) -> tuple[Tensor, Tensor]:
    """Score by the mean negative log-probability per observed value of the window, in nats.

    References:
        An & Cho (2015), Variational Autoencoder based Anomaly Detection using Reconstruction
        Probability, SNU Data Mining Center.
    """
    return _mean_nll(made.squared_residual, made.observed, made.sigma)


def last_step(made: Reconstruction) -> tuple[Tensor, Tensor]:
    """Score by the mean negative log-probability per observed value of the newest step alone."""
    return _mean_nll(made.squared_residual[:, -1:], made.observed[:, -1:], made.sigma)


def reconstruction_error(made: Reconstruction) -> tuple[Tensor, Tensor]:
    """Score by the mean squared residual per observed value of the window, scaled units."""
    count = made.observed.sum(dim=(1, 2)).clamp(min=1)
    return made.squared_residual.sum(dim=(1, 2)) / count, made.squared_residual.sum(dim=1)


def recency(made: Reconstruction) -> tuple[Tensor, Tensor]:
    """Score by each feature's residual energy, newer steps weighing more.

    The energy of a feature is the weighted mean of its squared residuals, weights proportional to
    exp(-age / 8), divided by its held-out variance + 1, so that a feature the model never predicts
    well cannot dominate. The score is the logarithm of the mean of energy^0.75 over the features
    observed at all.
    """
    T = made.observed.shape[1]
    age = torch.arange(T - 1, -1, -1, device=made.sigma.device, dtype=made.sigma.dtype)
    weight = torch.exp(-age / RECENCY_STEPS)[None, :, None] * made.observed
    seen = made.observed.any(dim=1)
    total = torch.where(seen, weight.sum(dim=1), 1.0)
    energy = (weight * made.squared_residual).sum(dim=1) / total
    part = _to_three_quarters(energy / (made.residual_variance + _RECENCY_VARIANCE))
    mean = part.sum(dim=1) / seen.sum(dim=1).clamp(min=1)
    return torch.log(mean + _RECENCY_OFFSET), part


def _to_three_quarters(amount: Tensor) -> Tensor:
    """Return amount^0.75 by square roots, which are exactly rounded everywhere.

    torch's own power differs in the last bit between the middle and the end of an array, so a
    score would depend on where in the batch its window stands.
    """
    root = torch.sqrt(amount)
    return root * torch.sqrt(root)


def _mean_nll(residual: Tensor, observed: Tensor, sigma: Tensor) -> tuple[Tensor, Tensor]:
    count = observed.sum(dim=(1, 2)).clamp(min=1)
    score = masked_sum(gaussian_nll(residual, sigma), observed) / count
    # The normaliser log(sigma) says nothing of the data and can be negative: shares leave it out.
    return score, (residual / sigma**2).sum(dim=1)


SCORES: dict[str, ScoreFunction] = {
    "log_probability": log_probability,
    "recency": recency,
    "last_step": last_step,
    "reconstruction_error": reconstruction_error,
}
"""Every score by name."""


def default_score(n_features: int) -> str:
    """Return the score that `auto` stands for.

    The recency score found more on multivariate data and less on single series with long anomalies.
    """
    return "recency" if n_features > 1 else "log_probability"
