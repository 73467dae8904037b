"""Student's t distribution."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.distributions import StudentT as StudentTDistribution

from stream_vae.models.likelihoods.likelihood import (
    LocationPrediction,
    LocationScale,
    SampledReconstruction,
    log_density,
    raw_scale,
    softplus,
)

_LEAST_FREEDOM = 2.1
"""Above 2, so that there is a standard deviation."""

_FIRST_FREEDOM = 8.0


class StudentT(LocationScale):
    """A t distribution; scale and degrees of freedom are learned per feature.

    Its log-probability falls with the logarithm of a large residual: single outliers in the
    training data hardly move it.

    Args:
        n_features: F.
        hidden_size: H of the decoder's states.
        sigma_floor: Least scale, scaled units.

    References:
        Takahashi et al. (2018), Student-t Variational Autoencoder for Robust Density Estimation,
        IJCAI.
    """

    def __init__(self, n_features: int, *, hidden_size: int, sigma_floor: float) -> None:
        super().__init__(n_features, hidden_size=hidden_size, sigma_floor=sigma_floor)
        start = raw_scale(_FIRST_FREEDOM, _LEAST_FREEDOM)
        self.raw_freedom = nn.Parameter(torch.full((n_features,), start))

    def reconstruct(self, values: Tensor, samples: Sequence[Tensor]) -> SampledReconstruction:
        """Compare values with the locations of L samples."""
        return SampledReconstruction(values, samples, self._predict)

    def scales(self) -> Sequence[nn.Parameter]:
        """Return the parameters of scale and degrees of freedom."""
        return [*super().scales(), self.raw_freedom]

    def scale(self) -> Tensor:
        """Return the (F,) learned scales, scaled units."""
        return self.sigma_floor + softplus(self.raw_sigma)

    def freedom(self) -> Tensor:
        """Return the (F,) learned degrees of freedom."""
        return _LEAST_FREEDOM + softplus(self.raw_freedom)

    def _predict(self, outputs: Tensor) -> "StudentTPrediction":
        return StudentTPrediction(outputs, scale=self.scale(), freedom=self.freedom())


class StudentTPrediction(LocationPrediction):
    """t distributions.

    Args:
        location: (B, T, F) scaled.
        scale: (F,) scaled units, > 0.
        freedom: (F,) degrees of freedom, > 2.
    """

    def __init__(self, location: Tensor, *, scale: Tensor, freedom: Tensor) -> None:
        distribution = StudentTDistribution(freedom, 0.0, scale, validate_args=False)
        peak = log_density(distribution, torch.zeros_like(scale))
        super().__init__(location, peak=peak, spread=scale * torch.sqrt(freedom / (freedom - 2)))
        self._scale = scale
        self._freedom = freedom

    def deviance(self, values: Tensor) -> Tensor:
        """Return (freedom + 1) x log(1 + squared residual / (freedom x scale squared))."""
        share = (values - self.expected) ** 2 / (self._freedom * self._scale**2)
        return (self._freedom + 1) * torch.log1p(share)
