"""The categorical distribution: categories seen in training, and unseen."""

import math
from collections.abc import Callable, Sequence
from functools import cached_property

import torch
from torch import Tensor, nn
from torch.distributions import Categorical as CategoricalDistribution

from stream_vae.models.likelihoods.likelihood import (
    LEAST_SPREAD,
    Likelihood,
    Prediction,
    SampledReconstruction,
    log_density,
    mean_of,
)

_FIRST_UNSEEN_LOGIT = math.log(1e-3)
"""Training hardly ever shows an unseen category, so it also begins as unlikely."""


class Categorical(Likelihood):
    """A softmax over each feature's K categories and `unseen`.

    Args:
        sizes: K of each of the F features.
        hidden_size: H of the decoder's states.
    """

    def __init__(self, sizes: Sequence[int], *, hidden_size: int) -> None:
        super().__init__()
        self.sizes = tuple(sizes)
        self._groups = tuple(
            [f for f, found in enumerate(sizes) if found == size] for size in dict.fromkeys(sizes)
        )
        self.n_outputs = sum(size + 1 for size in sizes)
        self.to_logits = nn.Linear(hidden_size, self.n_outputs)
        end = 0
        with torch.no_grad():
            for size in sizes:
                end += size + 1
                self.to_logits.bias[end - 1] = _FIRST_UNSEEN_LOGIT

    def forward(self, states: Tensor) -> Tensor:
        """Return the logits of all features side by side (B, T, P), P = sum of K + 1."""
        logits: Tensor = self.to_logits(states)
        return logits

    def reconstruct(self, values: Tensor, samples: Sequence[Tensor]) -> "CategoricalReconstruction":
        """Compare values with the probabilities of L samples."""
        return CategoricalReconstruction(values, samples, self._predict)

    def scales(self) -> Sequence[nn.Parameter]:
        """Return nothing: the probabilities set the spread."""
        return []

    def _predict(self, outputs: Tensor) -> "CategoricalPrediction":
        parts = torch.split(outputs, [size + 1 for size in self.sizes], dim=-1)
        logits = [torch.stack([parts[f] for f in group], dim=-2) for group in self._groups]
        return CategoricalPrediction(logits, self._groups)


class CategoricalPrediction(Prediction):
    """Probabilities of the categories of F features.

    Features of one size are computed together: fifty of them one by one take three times as long.

    Args:
        logits: (B, T, G, K + 1) of each group of G features with K categories, `unseen` last.
        groups: Positions of each group's features among all F.
    """

    def __init__(self, logits: Sequence[Tensor], groups: Sequence[Sequence[int]]) -> None:
        self.groups = groups
        self._distributions = [
            CategoricalDistribution(logits=one, validate_args=False) for one in logits
        ]

    @cached_property
    def probabilities(self) -> Sequence[Tensor]:
        """(B, T, G, K + 1) of each group."""
        return [one.probs for one in self._distributions]

    def log_probability(self, values: Tensor) -> Tensor:
        """Return the log-probability of each value's category, nats."""
        pairs = zip(self._distributions, self._codes(values), strict=True)
        return in_order([log_density(one, codes) for one, codes in pairs], self.groups)

    def deviance(self, values: Tensor) -> Tensor:
        """Return -2 x log-probability: the best fit is certain of the category."""
        return (-2 * self.log_probability(values)).clamp(min=0)

    def squared_residual(self, values: Tensor) -> Tensor:
        """Return the squared distance of the probabilities from the one-hot value (Brier score)."""
        squares = in_order([(one**2).sum(dim=-1) for one in self.probabilities], self.groups)
        missing = self.residual(values)
        # Of the value's own place the sum holds p^2 where it should hold (1 - p)^2.
        return (squares - (1 - missing) ** 2 + missing**2).clamp(min=0)

    def residual(self, values: Tensor) -> Tensor:
        """Return 1 - the probability of each value's category."""
        pairs = zip(self.probabilities, self._codes(values), strict=True)
        found = [one.gather(-1, codes.unsqueeze(-1)).squeeze(-1) for one, codes in pairs]
        return 1 - in_order(found, self.groups)

    @property
    def expected(self) -> Tensor:
        """Code of the likeliest category, scaled."""
        return likeliest(self.probabilities, self.groups)

    @property
    def spread(self) -> Tensor:
        """Probability of all categories but the likeliest."""
        return doubt(self.probabilities, self.groups)

    def _codes(self, values: Tensor) -> list[Tensor]:
        """Return (B, T, G) of each group."""
        return [
            category_codes(values[..., group], [one.shape[-1] - 1] * len(group))
            for group, one in zip(self.groups, self.probabilities, strict=True)
        ]


class CategoricalReconstruction(SampledReconstruction):
    """Categories under probabilities; the likeliest one is that of the mean over samples.

    Args:
        values: (B, T, F) scaled codes.
        samples: (B, T, P) outputs of each of the L posterior samples.
        predict: Prediction of such outputs.
    """

    def __init__(
        self,
        values: Tensor,
        samples: Sequence[Tensor],
        predict: Callable[[Tensor], CategoricalPrediction],
    ) -> None:
        super().__init__(values, samples, predict)
        self._categorical = predict

    @cached_property
    def expected(self) -> Tensor:
        """Code of the likeliest category, scaled."""
        return likeliest(*self._mean)

    @cached_property
    def spread(self) -> Tensor:
        """Probability of all categories but the likeliest."""
        return doubt(*self._mean)

    @cached_property
    def _mean(self) -> tuple[Sequence[Tensor], Sequence[Sequence[int]]]:
        """Probabilities of each group, the mean over samples, and the groups."""
        predictions = [self._categorical(outputs) for outputs in self._outputs]
        samples = zip(*(one.probabilities for one in predictions), strict=True)
        return [mean_of(of_one) for of_one in samples], predictions[0].groups


def category_codes(values: Tensor, sizes: Sequence[int]) -> Tensor:
    """Return the codes 0..K (int64) of scaled values; what lies outside counts as the nearest.

    Args:
        values: (B, T, F) scaled.
        sizes: K of each of the F features.
    """
    last = torch.tensor(sizes, dtype=values.dtype, device=values.device)
    return torch.minimum((values * last.clamp(min=1)).clamp(min=0), last).round().long()


def in_order(parts: Sequence[Tensor], groups: Sequence[Sequence[int]]) -> Tensor:
    """Return (B, T, F) of the (B, T, G) of each group of features, in the features' order."""
    if len(parts) == 1:
        return parts[0]
    order = [column for group in groups for column in group]
    place = sorted(range(len(order)), key=order.__getitem__)
    return torch.cat(list(parts), dim=-1)[..., place].contiguous()


def likeliest(probabilities: Sequence[Tensor], groups: Sequence[Sequence[int]]) -> Tensor:
    """Return the scaled code (B, T, F) of the likeliest of (B, T, G, K + 1) for each group."""
    codes = [one.argmax(dim=-1).to(one.dtype) / max(one.shape[-1] - 1, 1) for one in probabilities]
    return in_order(codes, groups)


def doubt(probabilities: Sequence[Tensor], groups: Sequence[Sequence[int]]) -> Tensor:
    """Return 1 - the largest probability (B, T, F), > 0."""
    largest = in_order([one.amax(dim=-1) for one in probabilities], groups)
    return (1 - largest).clamp(min=LEAST_SPREAD)
