"""The Laplace distribution."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.distributions import Laplace as LaplaceDistribution

from stream_vae.models.likelihoods.base import (
    Likelihood,
    LocationPrediction,
    SampledReconstruction,
    log_density,
    raw_scale,
    softplus,
)

_SQRT_2 = 2.0**0.5


class Laplace(Likelihood):
    """A Laplace distribution whose scale is learned per feature, the same at every step.

    Its log-probability falls with the absolute residual, so outliers in the training data count
    less than under a Gaussian.

    Args:
        n_features: F.
        hidden_size: H of the decoder's states.
        sigma_floor: Least standard deviation, scaled units.
    """

    def __init__(self, n_features: int, *, hidden_size: int, sigma_floor: float) -> None:
        super().__init__()
        self.n_outputs = n_features
        self.sigma_floor = sigma_floor
        self.to_mean = nn.Linear(hidden_size, n_features)
        self.raw_sigma = nn.Parameter(torch.full((n_features,), raw_scale(1.0, sigma_floor)))

    def forward(self, states: Tensor) -> Tensor:
        """Return the locations (B, T, F)."""
        locations: Tensor = self.to_mean(states)
        return locations

    def reconstruct(self, values: Tensor, samples: Sequence[Tensor]) -> SampledReconstruction:
        """Compare values with the locations of L samples."""
        return SampledReconstruction(values, samples, self._predict)

    def scales(self) -> Sequence[nn.Parameter]:
        """Return the parameter of the scale."""
        return [self.raw_sigma]

    def scale(self) -> Tensor:
        """Return the (F,) learned mean absolute deviations, scaled units."""
        return (self.sigma_floor + softplus(self.raw_sigma)) / _SQRT_2

    def _predict(self, outputs: Tensor) -> "LaplacePrediction":
        return LaplacePrediction(outputs, self.scale())


class LaplacePrediction(LocationPrediction):
    """Laplace distributions.

    Args:
        location: (B, T, F) scaled.
        scale: (F,) mean absolute deviations, scaled units, > 0.
    """

    def __init__(self, location: Tensor, scale: Tensor) -> None:
        distribution = LaplaceDistribution(0.0, scale, validate_args=False)
        peak = log_density(distribution, torch.zeros_like(scale))
        super().__init__(location, peak=peak, spread=scale * _SQRT_2)
        self._scale = scale

    def deviance(self, values: Tensor) -> Tensor:
        """Return twice the absolute residual over the scale."""
        return 2 * (values - self.expected).abs() / self._scale
