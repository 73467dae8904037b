"""Normal distributions: sigma shared over steps (the default), per step, or one."""

import math
from collections.abc import Sequence
from functools import cached_property

import torch
from torch import Tensor, nn
from torch.distributions import Normal
from torch.nn import functional

from stream_vae.models.likelihoods.likelihood import (
    Likelihood,
    LocationPrediction,
    LocationScale,
    SampledReconstruction,
    log_density,
    mean_of,
    raw_scale,
    softplus,
)

_HALF_LOG_TWO_PI = 0.5 * math.log(2 * math.pi)


class Gaussian(LocationScale):
    """A normal distribution whose sigma is learned per feature, the same at every step.

    A free scale per step lets the decoder explain anomalies by widening it.

    Args:
        n_features: F.
        hidden_size: H of the decoder's states.
        sigma_floor: Least sigma, scaled units.
    """

    def reconstruct(self, values: Tensor, samples: Sequence[Tensor]) -> "GaussianReconstruction":
        """Compare values with the means of L samples."""
        return GaussianReconstruction(values, means=samples, sigma=self.sigma())

    def sigma(self) -> Tensor:
        """Return the (F,) learned standard deviations, scaled units."""
        return self.sigma_floor + functional.softplus(self.raw_sigma)


class UnitGaussian(Likelihood):
    """A normal distribution with sigma 1 in scaled units; log-probability ranks as squared error.

    Args:
        n_features: F.
        hidden_size: H of the decoder's states.
    """

    def __init__(self, n_features: int, *, hidden_size: int) -> None:
        super().__init__()
        self.n_outputs = n_features
        self.to_mean = nn.Linear(hidden_size, n_features)

    def forward(self, states: Tensor) -> Tensor:
        """Return the means (B, T, F)."""
        means: Tensor = self.to_mean(states)
        return means

    def reconstruct(self, values: Tensor, samples: Sequence[Tensor]) -> "GaussianReconstruction":
        """Compare values with the means of L samples."""
        sigma = values.new_ones(self.n_outputs)
        return GaussianReconstruction(values, means=samples, sigma=sigma)

    def scales(self) -> Sequence[nn.Parameter]:
        """Return nothing: the spread is not learned."""
        return []


class StepGaussian(Likelihood):
    """A normal distribution whose mean and sigma the decoder gives at every step.

    It suits data whose noise changes with its state. The decoder may also explain an anomaly by a
    wide sigma, which the floor does not prevent.

    Args:
        n_features: F.
        hidden_size: H of the decoder's states.
        sigma_floor: Least sigma, scaled units.

    References:
        An & Cho (2015), Variational Autoencoder based Anomaly Detection using Reconstruction
        Probability, SNU Data Mining Center.
    """

    def __init__(self, n_features: int, *, hidden_size: int, sigma_floor: float) -> None:
        super().__init__()
        self.n_outputs = 2 * n_features
        self.sigma_floor = sigma_floor
        self.to_mean = nn.Linear(hidden_size, n_features)
        self.to_raw_sigma = nn.Linear(hidden_size, n_features)
        nn.init.constant_(self.to_raw_sigma.bias, raw_scale(1.0, sigma_floor))

    def forward(self, states: Tensor) -> Tensor:
        """Return the means and raw sigmas (B, T, 2F)."""
        return torch.cat((self.to_mean(states), self.to_raw_sigma(states)), dim=-1)

    def reconstruct(self, values: Tensor, samples: Sequence[Tensor]) -> SampledReconstruction:
        """Compare values with the means and sigmas of L samples."""
        return SampledReconstruction(values, samples, self._predict)

    def scales(self) -> Sequence[nn.Parameter]:
        """Return the level of sigma."""
        return [self.to_raw_sigma.bias]

    def _predict(self, outputs: Tensor) -> "GaussianPrediction":
        mean, raw = (half.contiguous() for half in outputs.chunk(2, dim=-1))
        return GaussianPrediction(mean, self.sigma_floor + softplus(raw))


class GaussianPrediction(LocationPrediction):
    """Normal distributions.

    Args:
        mean: (B, T, F) scaled.
        sigma: (B, T, F) standard deviations, scaled units, > 0.
    """

    def __init__(self, mean: Tensor, sigma: Tensor) -> None:
        peak = log_density(Normal(0.0, sigma, validate_args=False), torch.zeros_like(sigma))
        super().__init__(mean, peak=peak, spread=sigma)

    def deviance(self, values: Tensor) -> Tensor:
        """Return the squared residual over sigma squared."""
        return ((values - self.expected) / self.spread) ** 2


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

    @property
    def residuals(self) -> Sequence[Tensor]:
        """Difference to the mean of each sample."""
        return [self._values - mean for mean in self._means]

    @cached_property
    def squared_residual(self) -> Tensor:
        """Squared distance to the mean."""
        return mean_of([residual**2 for residual in self.residuals])

    @cached_property
    def expected(self) -> Tensor:
        """The decoder's mean."""
        return mean_of(self._means)

    @property
    def spread(self) -> Tensor:
        """The sigma of each feature."""
        return self._sigma.expand_as(self._values)

    def newest(self, n_steps: int = 1) -> "GaussianReconstruction":
        """Return the newest n steps alone."""
        means = [mean[:, -n_steps:] for mean in self._means]
        return GaussianReconstruction(self._values[:, -n_steps:], means=means, sigma=self._sigma)


def gaussian_nll(squared_residual: Tensor, sigma: Tensor) -> Tensor:
    """Return the Gaussian negative log-density of each value.

    Args:
        squared_residual: (..., F) squared distance to the mean, scaled units.
        sigma: (F,) standard deviations, > 0.

    Returns:
        (..., F) nats.
    """
    return squared_residual / (2 * sigma**2) + (torch.log(sigma) + _HALF_LOG_TWO_PI)
