"""Scores by the distance between the observed values and their reconstruction."""

from dataclasses import dataclass
from typing import ClassVar, Self

import torch
from torch import Tensor

from stream_vae.models.outputs import WindowOutput
from stream_vae.models.scores.score import FittingData, Score, count_observed

RECENCY_STEPS = 8.0
"""Steps over which the recency score's weight falls by a factor e."""

_RECENCY_OFFSET = 1e-3
_RECENCY_VARIANCE = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class SquaredError(Score):
    """The mean squared residual per observed value of the window, scaled units."""

    name: ClassVar[str] = "squared_error"

    def __call__(self, output: WindowOutput) -> tuple[Tensor, Tensor]:
        """Score windows."""
        squared = output.squared_residual
        return squared.sum(dim=(1, 2)) / count_observed(output), squared.sum(dim=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class AbsoluteError(Score):
    """The mean absolute residual per observed value and posterior sample, scaled units.

    References:
        Pereira & Silveira (2018), Unsupervised Anomaly Detection in Energy Time Series Data Using
        Variational Recurrent Autoencoders with Attention, ICMLA: its reconstruction error.
    """

    name: ClassVar[str] = "absolute_error"

    def __call__(self, output: WindowOutput) -> tuple[Tensor, Tensor]:
        """Score windows."""
        total = output.residuals[0].abs()
        for residual in output.residuals[1:]:
            total = total + residual.abs()
        absolute = total / len(output.residuals)
        return absolute.sum(dim=(1, 2)) / count_observed(output), absolute.sum(dim=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Recency(Score):
    """Each feature's residual energy, newer steps weighing more.

    The energy of a feature is the weighted mean of its squared residuals, weights proportional to
    exp(-age / 8), divided by its held-out variance + 1, so that a feature the model never predicts
    well cannot dominate. The score is the logarithm of the mean of energy^0.75 over the features
    observed at all. Our own; chosen on public server metrics.
    """

    name: ClassVar[str] = "recency"
    residual_variance: Tensor
    """(F,) mean squared residual of held-out values, scaled units, float64."""

    def __call__(self, output: WindowOutput) -> tuple[Tensor, Tensor]:
        """Score windows."""
        squared, observed = output.squared_residual, output.observed
        recency = recency_weight(observed.shape[1], squared.device)
        weight = recency[None, :, None] * observed
        seen = observed.any(dim=1)
        total = torch.where(seen, weight.sum(dim=1), 1.0)
        energy = (weight * squared).sum(dim=1) / total
        usual = self.residual_variance.to(squared.dtype) + _RECENCY_VARIANCE
        part = to_three_quarters(energy / usual)
        mean = part.sum(dim=1) / seen.sum(dim=1).clamp(min=1)
        return torch.log(mean + _RECENCY_OFFSET), part

    def step_weight(self, n_steps: int) -> Tensor:
        """Return (T,) exp(-age / 8)."""
        return recency_weight(n_steps, torch.device("cpu"))

    @classmethod
    def fitted(cls, data: FittingData) -> Self:
        """Return the score with the held-out variances; 1 where nothing was observed."""
        total = torch.zeros(data.n_features, dtype=torch.float64, device=data.device)
        count = torch.zeros_like(total)
        for output in data.held_out_outputs():
            total += output.squared_residual.double().sum(dim=(0, 1))
            count += output.observed.sum(dim=(0, 1))
        return cls(residual_variance=torch.where(count > 0, total / count.clamp(min=1), 1.0))


def recency_weight(n_steps: int, device: torch.device) -> Tensor:
    """Return (T,) weights exp(-age / 8) of the steps of a window."""
    age = torch.arange(n_steps - 1, -1, -1, device=device, dtype=torch.float32)
    return torch.exp(-age / RECENCY_STEPS)


def to_three_quarters(amount: Tensor) -> Tensor:
    """Return amount^0.75 by square roots, which are exactly rounded everywhere.

    torch's own power differs in the last bit between the middle and the end of an array, so a
    score would depend on the position of its window in the batch.
    """
    root = torch.sqrt(amount)
    return root * torch.sqrt(root)
