"""Anomaly scores of windows, selectable by name; higher = more anomalous.

To add one: write a `Score` and put it into `SCORES`. Training then fits and calibrates it, bundles
store its fitted tensors, and `tests/models/test_every_score.py` checks it against the contract of
all scores.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from typing import ClassVar, Self

import torch
from torch import Tensor

from stream_vae.errors import BundleError
from stream_vae.models.outputs import WindowOutput

RECENCY_STEPS = 8.0
"""Steps over which the recency score's weight falls by a factor e."""

_RECENCY_OFFSET = 1e-3
_RECENCY_VARIANCE = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Score(ABC):
    """One number per window, and the contribution of each feature.

    A dataclass whose fields are its tensors fitted on held-out windows; most have none.
    """

    name: ClassVar[str]

    @abstractmethod
    def __call__(self, output: WindowOutput) -> tuple[Tensor, Tensor]:
        """Score windows.

        Returns:
            The scores (B,), and each feature's contribution (B, F), >= 0 and not normalised. Values
            that were not observed contribute to neither.
        """

    @classmethod
    def unfitted(cls, n_features: int, device: torch.device) -> Self:
        """Return the score before fitting."""
        return cls()

    def fitted(self, outputs: Iterable[WindowOutput]) -> Self:
        """Return the score fitted on batches of held-out windows; fitting may be a no-op."""
        return self

    def state(self) -> dict[str, Tensor]:
        """Return the fitted tensors by name, on the CPU."""
        return {field.name: getattr(self, field.name).cpu() for field in fields(self)}

    @classmethod
    def from_state(cls, state: Mapping[str, Tensor], device: torch.device) -> Self:
        """Return the score that `state` was taken from.

        Raises:
            BundleError: If the tensors are not this score's.
        """
        expected = {field.name for field in fields(cls)}
        if state.keys() != expected:
            raise BundleError(
                f"score {cls.name}: found tensors {sorted(state)}, expected {sorted(expected)}; a "
                "model trained before this score existed must be retrained to use it"
            )
        return cls(**{name: tensor.to(device) for name, tensor in state.items()})


@dataclass(frozen=True, slots=True, kw_only=True)
class LogProbability(Score):
    """The mean negative log-probability per observed value of the window, in nats.

    References:
        An & Cho (2015), Variational Autoencoder based Anomaly Detection using Reconstruction
        Probability, SNU Data Mining Center.
    """

    name: ClassVar[str] = "log_probability"

    def __call__(self, output: WindowOutput) -> tuple[Tensor, Tensor]:
        """Score windows."""
        return _mean_nll(output)


@dataclass(frozen=True, slots=True, kw_only=True)
class LastStep(Score):
    """The mean negative log-probability per observed value of the newest step alone, in nats.

    References:
        Xu et al. (2018), Unsupervised Anomaly Detection via Variational Auto-Encoder for Seasonal
        KPIs in Web Applications (Donut), WWW, which scores the last point of each window.
    """

    name: ClassVar[str] = "last_step"

    def __call__(self, output: WindowOutput) -> tuple[Tensor, Tensor]:
        """Score windows."""
        return _mean_nll(output.newest())


@dataclass(frozen=True, slots=True, kw_only=True)
class ReconstructionError(Score):
    """The mean squared residual per observed value of the window, scaled units."""

    name: ClassVar[str] = "reconstruction_error"

    def __call__(self, output: WindowOutput) -> tuple[Tensor, Tensor]:
        """Score windows."""
        squared = output.squared_residual
        return squared.sum(dim=(1, 2)) / _count(output), squared.sum(dim=1)


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
        T = observed.shape[1]
        age = torch.arange(T - 1, -1, -1, device=squared.device, dtype=squared.dtype)
        weight = torch.exp(-age / RECENCY_STEPS)[None, :, None] * observed
        seen = observed.any(dim=1)
        total = torch.where(seen, weight.sum(dim=1), 1.0)
        energy = (weight * squared).sum(dim=1) / total
        usual = self.residual_variance.to(squared.dtype) + _RECENCY_VARIANCE
        part = _to_three_quarters(energy / usual)
        mean = part.sum(dim=1) / seen.sum(dim=1).clamp(min=1)
        return torch.log(mean + _RECENCY_OFFSET), part

    @classmethod
    def unfitted(cls, n_features: int, device: torch.device) -> Self:
        """Return the score with a variance of 1, the scale of the data."""
        return cls(residual_variance=torch.ones(n_features, dtype=torch.float64, device=device))

    def fitted(self, outputs: Iterable[WindowOutput]) -> Self:
        """Return the score with the windows' variances; 1 where nothing was observed."""
        total = torch.zeros_like(self.residual_variance)
        count = torch.zeros_like(total)
        for output in outputs:
            total += output.squared_residual.double().sum(dim=(0, 1))
            count += output.observed.sum(dim=(0, 1))
        variance = torch.where(count > 0, total / count.clamp(min=1), 1.0)
        return type(self)(residual_variance=variance)


SCORES: dict[str, type[Score]] = {
    score.name: score for score in (LogProbability, Recency, LastStep, ReconstructionError)
}
"""Every score by name."""


def default_score(n_features: int) -> str:
    """Return the name of the score that `auto` stands for.

    The recency score found more on multivariate data and less on single series with long anomalies.
    """
    return Recency.name if n_features > 1 else LogProbability.name


def _mean_nll(output: WindowOutput) -> tuple[Tensor, Tensor]:
    score = (-output.log_probability).sum(dim=(1, 2)) / _count(output)
    # The normaliser does not depend on the data and can be negative: shares exclude it.
    return score, output.deviance.sum(dim=1)


def _count(output: WindowOutput) -> Tensor:
    """Return (B,) observed values, at least 1."""
    return output.observed.sum(dim=(1, 2)).clamp(min=1)


def _to_three_quarters(amount: Tensor) -> Tensor:
    """Return amount^0.75 by square roots, which are exactly rounded everywhere.

    torch's own power differs in the last bit between the middle and the end of an array, so a
    score would depend on the position of its window in the batch.
    """
    root = torch.sqrt(amount)
    return root * torch.sqrt(root)
