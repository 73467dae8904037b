"""The Laplace distribution."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.distributions import Laplace as LaplaceDistribution

from stream_vae.models.likelihoods.likelihood import (
    LocationPrediction,
    LocationScale,
    SampledReconstruction,
    log_density,
    softplus,
)

_SQRT_2 = 2.0**0.5


class Laplace(LocationScale):
    """A Laplace distribution whose scale is learned per feature, the same at every step.

    Its log-probability falls with the absolute residual, so outliers in the training data count
    less than under a Gaussian.

    Args:
        n_features: F.
        hidden_size: H of the decoder's states.
        sigma_floor: Least standard deviation, scaled units.
    """

    def reconstruct(self, values: Tensor, samples: Sequence[Tensor]) -> SampledReconstruction:
        """Compare values with the locations of L samples."""
        return SampledReconstruction(values, samples, self._predict)

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
