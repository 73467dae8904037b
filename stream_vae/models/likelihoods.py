"""Likelihoods: from the decoder's states to a probability of every value.

To add one: write a `Likelihood` with its `Reconstruction`, and let `build_likelihood` choose it.
`tests/models/test_every_likelihood.py` checks the properties that scores rely on.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from functools import cached_property

import torch
from torch import Tensor, nn
from torch.nn import functional

from stream_vae.core.model_spec import Feature
from stream_vae.models.config import ArchitectureConfig
from stream_vae.models.outputs import Reconstruction

_HALF_LOG_TWO_PI = 0.5 * math.log(2 * math.pi)


class Likelihood(nn.Module, ABC):
    """p(x | z) of every step and feature, with the decoder's head and scales as parameters.

    Its tensors' names must differ from the network's: a bundle stores both in one mapping.
    """

    @abstractmethod
    def forward(self, states: Tensor) -> Tensor:
        """Return the (B, T, P) outputs of the decoder states (B, T, H), each step separately."""

    @abstractmethod
    def reconstruct(self, values: Tensor, samples: Sequence[Tensor]) -> Reconstruction:
        """Compare values with the decoder's outputs.

        Args:
            values: (B, T, F) scaled; finite also where nothing was observed.
            samples: (B, T, P) outputs of each of the L posterior samples.
        """

    @abstractmethod
    def scales(self) -> Sequence[nn.Parameter]:
        """Return the parameters that set the spread; training moves them faster than weights."""


class Gaussian(Likelihood):
    """A normal distribution whose sigma is learned per feature, the same at every step.

    A free scale per step lets the decoder explain anomalies by widening it.

    Args:
        n_features: F.
        hidden_size: H of the decoder's states.
        sigma_floor: Least sigma, scaled units.
    """

    def __init__(self, n_features: int, *, hidden_size: int, sigma_floor: float) -> None:
        super().__init__()
        self.sigma_floor = sigma_floor
        self.to_mean = nn.Linear(hidden_size, n_features)
        # softplus(raw) + floor starts at 1, the scale of standardised data.
        start = math.log(math.expm1(max(1.0 - sigma_floor, 0.05)))
        self.raw_sigma = nn.Parameter(torch.full((n_features,), start))

    def forward(self, states: Tensor) -> Tensor:
        """Return the means (B, T, F)."""
        means: Tensor = self.to_mean(states)
        return means

    def reconstruct(self, values: Tensor, samples: Sequence[Tensor]) -> "GaussianReconstruction":
        """Compare values with the means of L samples."""
        return GaussianReconstruction(values, means=samples, sigma=self.sigma())

    def scales(self) -> Sequence[nn.Parameter]:
        """Return the parameter of sigma."""
        return [self.raw_sigma]

    def sigma(self) -> Tensor:
        """Return the (F,) learned standard deviations, scaled units."""
        return self.sigma_floor + functional.softplus(self.raw_sigma)


class GaussianReconstruction:
    """Values under normal distributions; a `stream_vae.models.outputs.Reconstruction`.

    sigma is the same for all samples, so everything is linear in the squared residual: only that is
    averaged over samples.

    Args:
        values: (B, T, F) scaled.
        means: (B, T, F) of each of the L samples.
        sigma: (F,) standard deviations, scaled units, > 0.
    """

    def __init__(self, values: Tensor, *, means: Sequence[Tensor], sigma: Tensor) -> None:
        self._values = values
        self._means = means
        self._sigma = sigma

    @property
    def log_probability(self) -> Tensor:
        """Normal log-density, nats."""
        return -gaussian_nll(self.squared_residual, self._sigma)

    @property
    def deviance(self) -> Tensor:
        """Squared residual over sigma squared: the best fit is a mean at the value itself."""
        return self.squared_residual / self._sigma**2

    @cached_property
    def squared_residual(self) -> Tensor:
        """Squared distance to the mean."""
        return _mean([(self._values - mean) ** 2 for mean in self._means])

    @cached_property
    def expected(self) -> Tensor:
        """The decoder's mean."""
        return _mean(self._means)

    @property
    def spread(self) -> Tensor:
        """The sigma of each feature."""
        return self._sigma.expand_as(self._values)

    def newest(self) -> "GaussianReconstruction":
        """Return the newest step alone."""
        means = [mean[:, -1:] for mean in self._means]
        return GaussianReconstruction(self._values[:, -1:], means=means, sigma=self._sigma)


def build_likelihood(features: Sequence[Feature], architecture: ArchitectureConfig) -> Likelihood:
    """Return the likelihood of an architecture, with first parameters from torch's generator."""
    return Gaussian(
        len(features),
        hidden_size=architecture.hidden_size,
        sigma_floor=architecture.sigma_floor,
    )


def gaussian_nll(squared_residual: Tensor, sigma: Tensor) -> Tensor:
    """Return the Gaussian negative log-density of each value.

    Args:
        squared_residual: (..., F) squared distance to the mean, scaled units.
        sigma: (F,) standard deviations, > 0.

    Returns:
        (..., F) nats.
    """
    return squared_residual / (2 * sigma**2) + (torch.log(sigma) + _HALF_LOG_TWO_PI)


def masked_sum(amounts: Tensor, observed: Tensor) -> Tensor:
    """Return (B,) sums of the (B, T, F) amounts where `observed` (bool) is true.

    An amount that is not observed counts for nothing even if it is NaN or infinite.
    """
    return torch.where(observed, amounts, amounts.new_zeros(())).sum(dim=(1, 2))


def standard_normal_kl(mean: Tensor, log_var: Tensor) -> Tensor:
    """Return (B, Z) KL(N(mean, exp(log_var)) || N(0, 1)) of each latent dimension.

    References:
        Kingma & Welling (2014), Auto-Encoding Variational Bayes, appendix B.
    """
    return 0.5 * (mean**2 + log_var.exp() - 1 - log_var)


def _mean(samples: Sequence[Tensor]) -> Tensor:
    """Return the mean of L tensors, added up in their order."""
    total = samples[0]
    for sample in samples[1:]:
        total = total + sample
    return total / len(samples) if len(samples) > 1 else total
