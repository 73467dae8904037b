"""What every score is, and what it is fitted to."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from itertools import chain, pairwise
from typing import ClassVar, Self

import torch
from torch import Tensor

from stream_vae.errors import BundleError
from stream_vae.models.members.member import Member
from stream_vae.models.outputs import WindowOutput

_LOG_ERROR_OFFSET = 1e-3

_PART_RESIDUALS = 32
"""Most parts of a window's features in all; with more features, each is one part."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LatentSample:
    """W windows as the latent scores see them, in float64 on the CPU."""

    mean: Tensor
    """(W, Z) of q(z | x)."""
    log_var: Tensor
    """(W, Z) of q(z | x)."""
    log_error: Tensor
    """(W,) see `log_error`."""
    residuals: Tensor
    """(W, P) see `part_residuals`."""
    labels: Tensor
    """(W,) int8: 0 normal, 1 anomalous, -1 unlabelled."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldOut:
    """Windows that neither the network that gave the outputs nor the members have seen."""

    outputs: Iterable[WindowOutput]
    """Batches; may be gone through repeatedly."""
    members: tuple[Member, ...] = ()
    """Window models beside the network."""
    constant: Tensor | None = None
    """(F,) mean of the values that they were fitted to, scaled units; None if it is 0."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FittingData:
    """What a score may be fitted to."""

    n_features: int
    """F."""
    device: torch.device
    """Where the fitted tensors are to lie."""
    held_out: Sequence[HeldOut]
    """Windows not known to be anomalous; several where the calibration is cross-validated."""
    training: LatentSample | None = None
    """Windows that the network was trained on; None for outputs without a latent."""
    members: tuple[Member, ...] = ()
    """Window models beside the network that the score `fused` is to have."""
    has_distances: bool = True
    """Whether the difference of two values of every feature has a meaning; not of categories."""
    latent_clusters: int = 2
    """Components of the mixture on the latent."""
    seed: int = 0
    """Of all random draws."""

    def held_out_outputs(self) -> Iterator[WindowOutput]:
        """Yield the batches of all held-out windows."""
        return chain.from_iterable(one.outputs for one in self.held_out)


@dataclass(frozen=True, slots=True, kw_only=True)
class Score(ABC):
    """One number per window, and the contribution of each feature.

    A dataclass whose fields are its fitted tensors; most have none.
    """

    name: ClassVar[str]

    @abstractmethod
    def __call__(self, output: WindowOutput) -> tuple[Tensor, Tensor]:
        """Score windows.

        Returns:
            The scores (B,), and each feature's contribution (B, F), >= 0 and not normalised. Values
            that were not observed contribute to neither.
        """

    def witness(self, output: WindowOutput) -> list[Tensor]:
        """Return all (B, ...) that must be the same bit for bit whatever the batch."""
        return [*self(output)]

    def misfit(self, output: WindowOutput) -> str:
        """Return what fitted tensors hold that some window could not be scored with; "" if nothing.

        Beside what scoring any window shows.

        Args:
            output: Of any windows.
        """
        return ""

    @classmethod
    def fitted(cls, data: FittingData) -> Self | None:
        """Return the score fitted to `data`; None where the data lacks what it takes."""
        return cls()

    def step_weight(self, n_steps: int) -> Tensor:
        """Return (T,) how much of the score a residual of each step makes up, beside the others."""
        return torch.ones(n_steps)

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


def count_observed(output: WindowOutput) -> Tensor:
    """Return (B,) observed values, at least 1."""
    return output.observed.sum(dim=(1, 2)).clamp(min=1)


def missing_share(output: WindowOutput, step_weight: Tensor) -> Tensor:
    """Return (B,) the share of each window that was not observed, its steps weighted; 0 if none."""
    absent = (~output.observed).to(step_weight.dtype).sum(dim=2) / output.observed.shape[2]
    return (absent * step_weight).sum(dim=1) / step_weight.sum()


def log_error(output: WindowOutput) -> Tensor:
    """Return (B,) the logarithm of the mean deviance per observed value + 0.001."""
    mean = output.deviance.sum(dim=(1, 2)) / count_observed(output)
    return torch.log(mean + _LOG_ERROR_OFFSET)


def part_residuals(output: WindowOutput) -> Tensor:
    """Return (B, P) mean residuals of the parts of the window, scaled units.

    Each of the F features is cut into as many parts as there are in `_PART_RESIDUALS` / F, at most
    one a step. Values that were not observed are left out of the means.
    """
    T, F = output.observed.shape[1:]
    n_parts = min(T, max(1, _PART_RESIDUALS // F))
    edges = [T * part // n_parts for part in range(n_parts + 1)]
    residual, parts = mean_residual(output), []
    for start, end in pairwise(edges):
        count = output.observed[:, start:end].sum(dim=1).clamp(min=1)
        parts.append(residual[:, start:end].sum(dim=1) / count)
    return torch.cat(parts, dim=1)


def mean_residual(output: WindowOutput) -> Tensor:
    """Return (B, T, F) value - mean of the L reconstructions, scaled units."""
    total = output.residuals[0]
    for residual in output.residuals[1:]:
        total = total + residual
    return total / len(output.residuals)
