"""Principal components of whole windows: the linear autoencoder."""

from dataclasses import dataclass
from typing import ClassVar, Self

import torch
from torch import Tensor

from stream_vae.models.members.member import Member

EXPLAINED = 0.9
"""Share of the training windows' variance that the kept components explain."""

_MOST_WINDOWS = 8_000
_MOST_VALUES = 2_000_000
"""Of the components' axes, which bounds time per window and the bundle's size."""

_ALIGNMENT = 16
"""Components are a multiple of this, so that a product's rows do not depend on its neighbours."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Components(Member):
    """The projection of a window on the principal components of the training windows.

    References:
        Jackson & Mudholkar (1979), Control Procedures for Residuals Associated With Principal
        Component Analysis, Technometrics 21.
    """

    name: ClassVar[str] = "components"
    mean: Tensor
    """(D,) of the training windows."""
    axes: Tensor
    """(D, k) orthonormal columns, the last ones 0 up to a multiple of 16."""

    def residual(self, windows: Tensor) -> Tensor:
        """Return (B, D) what the components leave."""
        centred = windows - self.mean
        return centred - (centred @ self.axes) @ self.axes.T

    @classmethod
    def fitted(cls, windows: Tensor, *, seed: int) -> Self:
        """Return the components that explain 90 % of the variance of (W, D) windows."""
        mean, variance, axes = principal_axes(windows)
        share = variance.cumsum(dim=0) / variance.sum().clamp(min=1e-30)
        k = int((share < EXPLAINED).sum()) + 1
        return cls(mean=mean, axes=aligned(axes[:, : min(k, most_axes(len(mean)))]))


def most_axes(n_values: int) -> int:
    """Return how many axes of D values are kept at most."""
    return max(_MOST_VALUES // n_values, 1)


def principal_axes(windows: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return the mean (D,), variances (n,) and axes (D, n) of (W, D) windows, largest first."""
    n_values = windows.shape[1]
    # Wide windows have more values than are worth decomposing: fewer windows span them.
    most = max(min(_MOST_WINDOWS, _MOST_WINDOWS * 1000 // n_values), 100)
    chosen = windows[:: -(-len(windows) // most)].float()
    mean = chosen.mean(dim=0)
    centred = chosen - mean
    if n_values <= len(centred):
        covariance = (centred.T @ centred).double() / len(centred)
        variance, axes = torch.linalg.eigh(covariance)
        return mean, variance.flip(0).clamp(min=0), axes.flip(1).float()
    gram = (centred @ centred.T).double() / len(centred)
    variance, weights = torch.linalg.eigh(gram)
    variance, weights = variance.flip(0).clamp(min=0), weights.flip(1)
    length = torch.sqrt(variance * len(centred))
    kept = length > 1e-6 * length.max().clamp(min=1e-30)
    axes = (centred.T.double() @ weights[:, kept]) / length[kept]
    return mean, variance[kept], axes.float()


def aligned(axes: Tensor) -> Tensor:
    """Return (D, k) axes with columns of 0 up to a multiple of 16."""
    missing = -axes.shape[1] % _ALIGNMENT or (0 if axes.shape[1] else _ALIGNMENT)
    return torch.cat((axes, axes.new_zeros((len(axes), missing))), dim=1).contiguous()
