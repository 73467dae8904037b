"""The negative binomial distribution of counts."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.distributions import NegativeBinomial as NegativeBinomialDistribution

from stream_vae.models.likelihoods.counts import CountLikelihood, CountPrediction, LogScaling
from stream_vae.models.likelihoods.likelihood import log_density

_FIRST_DISPERSION = 0.1
_DISPERSION_RANGE = (-12.0, 5.0)
"""Of its logarithm; at the low end the distribution is a Poisson to six digits."""


class NegativeBinomial(CountLikelihood):
    """A count of variance rate + dispersion x rate^2; the dispersion is learned per feature.

    It is shared over steps, as the Gaussian's sigma is, so that the decoder cannot explain an
    anomaly by widening it.

    Args:
        n_features: F.
        hidden_size: H of the decoder's states.
        scaling: Of the counts; None if it is loaded from a bundle.

    References:
        Hilbe (2011), Negative Binomial Regression, chapter 8 (NB2).
    """

    def __init__(
        self, n_features: int, *, hidden_size: int, scaling: LogScaling | None = None
    ) -> None:
        super().__init__(n_features, hidden_size=hidden_size, scaling=scaling)
        start = math.log(_FIRST_DISPERSION)
        self.log_dispersion = nn.Parameter(torch.full((n_features,), start))

    def scales(self) -> Sequence[nn.Parameter]:
        """Return the parameter of the dispersion."""
        return [self.log_dispersion]

    def total_count(self) -> Tensor:
        """Return 1 / dispersion, (F,) float64."""
        return torch.exp(-self.log_dispersion.double().clamp(*_DISPERSION_RANGE))

    def predict(self, outputs: Tensor) -> "NegativeBinomialPrediction":
        """Return the distributions of outputs (B, T, F)."""
        return NegativeBinomialPrediction(
            self.scaling.log_rates(outputs), self.scaling, total_count=self.total_count()
        )


class NegativeBinomialPrediction(CountPrediction):
    """Negative binomial distributions.

    Args:
        log_rate: (B, T, F) float64.
        scaling: Of the counts.
        total_count: (F,) 1 / dispersion, float64.
    """

    def __init__(self, log_rate: Tensor, scaling: LogScaling, *, total_count: Tensor) -> None:
        super().__init__(log_rate, scaling)
        self.total_count = total_count

    def count_log_probability(self, counts: Tensor) -> Tensor:
        """Return log-probabilities of counts."""
        distribution = NegativeBinomialDistribution(
            self.total_count, logits=self.log_rate - self.total_count.log(), validate_args=False
        )
        return log_density(distribution, counts)

    def count_deviance(self, counts: Tensor) -> Tensor:
        """Return unit deviances of counts at the same dispersion."""
        r = self.total_count
        failures = (counts + r) * torch.log((counts + r) / (self.rate + r))
        return 2 * (torch.xlogy(counts, counts / self.rate) - failures)

    def variance(self) -> Tensor:
        """Return rate + dispersion x rate^2."""
        return self.rate + self.rate**2 / self.total_count
