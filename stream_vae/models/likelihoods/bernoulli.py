"""The Bernoulli distribution of binary features."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.distributions import Bernoulli as BernoulliDistribution

from stream_vae.models.likelihoods.likelihood import (
    LEAST_SPREAD,
    Likelihood,
    Prediction,
    SampledReconstruction,
    log_density,
)


class Bernoulli(Likelihood):
    """A probability of 1 at every step and feature.

    Args:
        n_features: F.
        hidden_size: H of the decoder's states.
    """

    def __init__(self, n_features: int, *, hidden_size: int) -> None:
        super().__init__()
        self.n_outputs = n_features
        self.to_logit = nn.Linear(hidden_size, n_features)

    def forward(self, states: Tensor) -> Tensor:
        """Return the log-odds of 1 (B, T, F)."""
        logits: Tensor = self.to_logit(states)
        return logits

    def reconstruct(self, values: Tensor, samples: Sequence[Tensor]) -> SampledReconstruction:
        """Compare values with the probabilities of L samples."""
        return SampledReconstruction(values, samples, BernoulliPrediction)

    def scales(self) -> Sequence[nn.Parameter]:
        """Return nothing: the probability sets the spread."""
        return []


class BernoulliPrediction(Prediction):
    """Probabilities of 1; any value of a half or more is a 1.

    Computed in float64: the last bits of torch's float32 sigmoid depend on the position in the
    batch.

    Args:
        logits: (B, T, F) log-odds.
    """

    def __init__(self, logits: Tensor) -> None:
        self._distribution = BernoulliDistribution(logits=logits.double(), validate_args=False)

    def log_probability(self, values: Tensor) -> Tensor:
        """Return the log-probability, nats."""
        return log_density(self._distribution, _binary(values)).float()

    def deviance(self, values: Tensor) -> Tensor:
        """Return -2 x log-probability: the best fit is certain of the value."""
        return -2 * self.log_probability(values)

    def residual(self, values: Tensor) -> Tensor:
        """Return value - probability of 1."""
        return (_binary(values) - self._distribution.mean).float()

    @property
    def expected(self) -> Tensor:
        """Probability of 1."""
        mean: Tensor = self._distribution.mean
        return mean.float()

    @property
    def spread(self) -> Tensor:
        """Standard deviation."""
        return torch.sqrt(self._distribution.variance).float().clamp(min=LEAST_SPREAD)


def _binary(values: Tensor) -> Tensor:
    return (values >= 0.5).double()
