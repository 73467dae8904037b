"""The Poisson distribution of counts."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.distributions import Poisson as PoissonDistribution

from stream_vae.models.likelihoods.counts import CountLikelihood, CountPrediction
from stream_vae.models.likelihoods.likelihood import log_density


class Poisson(CountLikelihood):
    """A Poisson distribution: the variance of a count is its mean.

    Args:
        n_features: F.
        hidden_size: H of the decoder's states.
        scaling: Of the counts; None if it is loaded from a bundle.
    """

    def scales(self) -> Sequence[nn.Parameter]:
        """Return nothing: the rate sets the spread."""
        return []

    def predict(self, outputs: Tensor) -> "PoissonPrediction":
        """Return the distributions of outputs (B, T, F)."""
        return PoissonPrediction(self.scaling.log_rates(outputs), self.scaling)


class PoissonPrediction(CountPrediction):
    """Poisson distributions."""

    def count_log_probability(self, counts: Tensor) -> Tensor:
        """Return log-probabilities of counts."""
        return log_density(PoissonDistribution(self.rate, validate_args=False), counts)

    def count_deviance(self, counts: Tensor) -> Tensor:
        """Return unit deviances of counts."""
        return 2 * (torch.xlogy(counts, counts / self.rate) - (counts - self.rate))

    def variance(self) -> Tensor:
        """Return the rate."""
        return self.rate
