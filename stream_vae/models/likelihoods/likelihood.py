"""What all likelihoods share."""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from functools import cached_property

import torch
from torch import Tensor, nn
from torch.distributions import Distribution

from stream_vae.models.outputs import Reconstruction

LEAST_SPREAD = 1e-6
"""Of a kind whose spread can round to zero; alerts divide by it."""


class Likelihood(nn.Module, ABC):
    """p(x | z) of every step and feature, with the decoder's head and scales as parameters.

    Its tensors' names must differ from the network's: a bundle stores both in one mapping.
    """

    n_outputs: int
    """P, numbers per step that `forward` returns."""

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


class LocationScale(Likelihood):
    """A location that the decoder gives at every step, a scale that is learned per feature.

    Args:
        n_features: F.
        hidden_size: H of the decoder's states.
        sigma_floor: Least scale, scaled units.
    """

    def __init__(self, n_features: int, *, hidden_size: int, sigma_floor: float) -> None:
        super().__init__()
        self.n_outputs = n_features
        self.sigma_floor = sigma_floor
        self.to_mean = nn.Linear(hidden_size, n_features)
        # It starts at 1, the scale of standardised data.
        self.raw_sigma = nn.Parameter(torch.full((n_features,), raw_scale(1.0, sigma_floor)))

    def forward(self, states: Tensor) -> Tensor:
        """Return the locations (B, T, F)."""
        locations: Tensor = self.to_mean(states)
        return locations

    def scales(self) -> Sequence[nn.Parameter]:
        """Return the parameter of the scale."""
        return [self.raw_sigma]


class Prediction(ABC):
    """p(x | z) of B windows for one posterior sample. Arrays are (B, T, F).

    What depends on values takes them scaled and finite, observed or not.
    """

    @abstractmethod
    def log_probability(self, values: Tensor) -> Tensor:
        """Return the logarithm of p(x | z), nats."""

    @abstractmethod
    def deviance(self, values: Tensor) -> Tensor:
        """Return 2 x (log-probability of the best fit - log-probability), nats, >= 0."""

    def squared_residual(self, values: Tensor) -> Tensor:
        """Return the squared distance between value and expected value, scaled units."""
        return self.residual(values) ** 2

    def residual(self, values: Tensor) -> Tensor:
        """Return value - expected value, scaled units; of a category, 1 - its probability."""
        return values - self.expected

    @property
    @abstractmethod
    def expected(self) -> Tensor:
        """Mean of p(x | z), scaled units; of a category, the likeliest one."""

    @property
    @abstractmethod
    def spread(self) -> Tensor:
        """Standard deviation of p(x | z), scaled units, > 0."""


class SampledReconstruction:
    """Values under one `Prediction` per posterior sample; a `Reconstruction`.

    Args:
        values: (B, T, F) scaled.
        samples: (B, T, P) outputs of each of the L posterior samples.
        predict: Prediction of such outputs.
    """

    def __init__(
        self,
        values: Tensor,
        samples: Sequence[Tensor],
        predict: Callable[[Tensor], Prediction],
    ) -> None:
        self._values = values
        self._outputs = samples
        self._predict = predict
        self._predictions = [predict(outputs) for outputs in samples]

    @cached_property
    def log_probability(self) -> Tensor:
        """Log-probability, nats."""
        return mean_of([each.log_probability(self._values) for each in self._predictions])

    @cached_property
    def deviance(self) -> Tensor:
        """Unit deviance, nats."""
        return mean_of([each.deviance(self._values) for each in self._predictions])

    @cached_property
    def residuals(self) -> Sequence[Tensor]:
        """Difference to the expected value of each posterior sample, scaled units."""
        return [each.residual(self._values) for each in self._predictions]

    @cached_property
    def squared_residual(self) -> Tensor:
        """Squared distance to the expected value, scaled units."""
        return mean_of([each.squared_residual(self._values) for each in self._predictions])

    @cached_property
    def expected(self) -> Tensor:
        """Expected value, scaled units."""
        return mean_of([each.expected for each in self._predictions])

    @cached_property
    def spread(self) -> Tensor:
        """Standard deviation, scaled units."""
        return mean_of([each.spread for each in self._predictions])

    def newest(self, n_steps: int = 1) -> "SampledReconstruction":
        """Return the newest n steps alone."""
        outputs = [newest_steps(one, n_steps) for one in self._outputs]
        return type(self)(newest_steps(self._values, n_steps), outputs, self._predict)


class LocationPrediction(Prediction):
    """A distribution about a location, whose density depends on the distance alone.

    The best fit is a location at the value itself, so the log-probability is that of the best fit
    less half the deviance.

    Args:
        location: (B, T, F) scaled.
        peak: Log-density at the location, nats; broadcasts to (B, T, F).
        spread: Standard deviation, scaled units; broadcasts likewise.
    """

    def __init__(self, location: Tensor, *, peak: Tensor, spread: Tensor) -> None:
        self._location = location
        self._peak = peak
        self._spread = spread

    def log_probability(self, values: Tensor) -> Tensor:
        """Return the log-density, nats."""
        return self._peak - 0.5 * self.deviance(values)

    @property
    def expected(self) -> Tensor:
        """The location."""
        return self._location

    @property
    def spread(self) -> Tensor:
        """Standard deviation, scaled units."""
        return self._spread.expand_as(self._location)


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


def log_density(distribution: Distribution, values: Tensor) -> Tensor:
    """Return the log-density or log-probability of values, nats."""
    found = distribution.log_prob(values)
    if not isinstance(found, Tensor):
        raise TypeError(f"log_prob of {distribution}: found {type(found)}, expected a tensor")
    return found


def mean_of(samples: Sequence[Tensor]) -> Tensor:
    """Return the mean of L tensors, added up in their order."""
    total = samples[0]
    for sample in samples[1:]:
        total = total + sample
    return total / len(samples) if len(samples) > 1 else total


def newest_steps(steps: Tensor, n_steps: int) -> Tensor:
    """Return (B, n, ...) of (B, T, ...).

    Contiguous: torch's functions give other last bits for strided input.
    """
    return steps[:, -n_steps:].contiguous()


def raw_scale(scale: float, floor: float) -> float:
    """Return the number for which softplus(number) + floor is `scale`, or just above the floor."""
    return math.log(math.expm1(max(scale - floor, 0.05)))


def softplus(raw: Tensor) -> Tensor:
    """Return log(1 + exp(raw)).

    torch's own gives other last bits at the end of an array, so a score would depend on the
    position of its window in the batch.
    """
    return raw.clamp(min=0) + torch.log1p(torch.exp(-raw.abs()))
