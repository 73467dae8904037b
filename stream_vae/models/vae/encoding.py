"""What an encoder says of windows: diagonal Gaussians."""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

_LOG_VAR_RANGE = (-12.0, 6.0)
"""Keeps exp(log_var) and the KL finite for any input."""


class DiagonalGaussian(NamedTuple):
    """Independent normal distributions."""

    mean: Tensor
    log_var: Tensor
    """Logarithm of the variances, of the mean's shape."""

    @classmethod
    def of(cls, parameters: Tensor) -> "DiagonalGaussian":
        """Return the (..., n) Gaussian of a layer's (..., 2 n) outputs, its variances bounded."""
        mean, log_var = parameters.chunk(2, dim=-1)
        return cls(mean, log_var.clamp(*_LOG_VAR_RANGE))

    def sample(self, noise: Tensor) -> Tensor:
        """Return the sample for standard normal noise: z = mean + sigma x noise."""
        return self.mean + torch.exp(0.5 * self.log_var) * noise


@dataclass(frozen=True, slots=True, kw_only=True)
class Encoding:
    """q(z, c | x) of B windows."""

    latent: DiagonalGaussian
    """(B, Z)"""
    context: DiagonalGaussian | None
    """(B, T, C) of the attention, oldest step first; None without attention."""

    @property
    def mean_context(self) -> Tensor | None:
        """The context that scoring uses, which needs no noise."""
        return None if self.context is None else self.context.mean
