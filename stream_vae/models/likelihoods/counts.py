"""What the distributions of counts share: counts from scaled values and back."""

from abc import abstractmethod
from collections.abc import Sequence
from typing import Self

import torch
from torch import Tensor, nn

from stream_vae.models.likelihoods.likelihood import (
    LEAST_SPREAD,
    Likelihood,
    Prediction,
    SampledReconstruction,
)

_LOG_RANGE = (-14.0, 25.0)
"""Of log(rate) and log(1 + count): up to 7e10, where the log-gamma function still has digits."""

_LEAST_RATE = 1e-3


class LogScaling(nn.Module):
    """The scaler's transform of counts: (log(1 + count) - mean) / std.

    The tensors are kept with the weights, since the log-probability of a count depends on them.

    Args:
        mean: (F,) of log(1 + count).
        std: (F,) of log(1 + count), > 0.
    """

    log_mean: Tensor
    log_std: Tensor

    def __init__(self, mean: Sequence[float], std: Sequence[float]) -> None:
        super().__init__()
        self.register_buffer("log_mean", torch.tensor(mean, dtype=torch.float32))
        self.register_buffer("log_std", torch.tensor(std, dtype=torch.float32))

    @classmethod
    def unknown(cls, n_features: int) -> Self:
        """Return a scaling to be loaded from a bundle."""
        return cls([0.0] * n_features, [1.0] * n_features)

    def counts(self, values: Tensor) -> Tensor:
        """Return the whole counts (float64) of scaled values; negative ones count as 0."""
        log_counts = values.double() * self.log_std.double() + self.log_mean.double()
        return torch.expm1(log_counts.clamp(0.0, _LOG_RANGE[1])).round()

    def log_rates(self, outputs: Tensor) -> Tensor:
        """Return the logarithm of the rate (float64); output 0 is about the training data's."""
        level = torch.expm1(self.log_mean.double()).clamp(min=_LEAST_RATE).log()
        return (outputs.double() * self.log_std.double() + level).clamp(*_LOG_RANGE)

    def scaled(self, counts: Tensor) -> Tensor:
        """Return counts (float64), whole or not, as scaled values (float64)."""
        return (torch.log1p(counts) - self.log_mean.double()) / self.log_std.double()

    def scaled_spread(self, spread: Tensor, counts: Tensor) -> Tensor:
        """Return a standard deviation about `counts` in scaled units, to first order."""
        return spread / ((1 + counts) * self.log_std.double())


class CountLikelihood(Likelihood):
    """A distribution of whole numbers whose mean the decoder gives at every step.

    Args:
        n_features: F.
        hidden_size: H of the decoder's states.
        scaling: Of the counts; None if it is loaded from a bundle.
    """

    def __init__(
        self, n_features: int, *, hidden_size: int, scaling: LogScaling | None = None
    ) -> None:
        super().__init__()
        self.n_outputs = n_features
        self.to_log_rate = nn.Linear(hidden_size, n_features)
        self.scaling = LogScaling.unknown(n_features) if scaling is None else scaling

    def forward(self, states: Tensor) -> Tensor:
        """Return scaled logarithms of the rates (B, T, F)."""
        outputs: Tensor = self.to_log_rate(states)
        return outputs

    def reconstruct(self, values: Tensor, samples: Sequence[Tensor]) -> SampledReconstruction:
        """Compare values with the rates of L samples."""
        return SampledReconstruction(values, samples, self.predict)

    @abstractmethod
    def predict(self, outputs: Tensor) -> Prediction:
        """Return the distributions of outputs (B, T, F)."""


class CountPrediction(Prediction):
    """Distributions of whole numbers, computed in float64.

    The logarithm of the gamma function of a large count leaves no digits in float32.

    Args:
        log_rate: (B, T, F) float64.
        scaling: Of the counts.
    """

    def __init__(self, log_rate: Tensor, scaling: LogScaling) -> None:
        self.log_rate = log_rate
        self.rate = torch.exp(log_rate)
        self.scaling = scaling

    def log_probability(self, values: Tensor) -> Tensor:
        """Return the log-probability of the counts, nats."""
        return self.count_log_probability(self.scaling.counts(values)).to(values.dtype)

    def deviance(self, values: Tensor) -> Tensor:
        """Return the unit deviance of the counts, nats."""
        # Terms of opposite sign: their sum may round to less than nothing.
        found = self.count_deviance(self.scaling.counts(values))
        return found.clamp(min=0).to(values.dtype)

    @property
    def expected(self) -> Tensor:
        """The rate, scaled."""
        return self.scaling.scaled(self.rate).float()

    @property
    def spread(self) -> Tensor:
        """Standard deviation, scaled to first order."""
        spread = self.scaling.scaled_spread(torch.sqrt(self.variance()), self.rate)
        return spread.float().clamp(min=LEAST_SPREAD)

    @abstractmethod
    def count_log_probability(self, counts: Tensor) -> Tensor:
        """Return log-probabilities of counts, all float64."""

    @abstractmethod
    def count_deviance(self, counts: Tensor) -> Tensor:
        """Return unit deviances of counts, all float64."""

    @abstractmethod
    def variance(self) -> Tensor:
        """Return the variance of the counts, float64."""
