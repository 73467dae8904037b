"""What a member of the fused score is."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import ClassVar, Self

import torch
from torch import Tensor

from stream_vae.errors import BundleError


@dataclass(frozen=True, slots=True, kw_only=True)
class Member(ABC):
    """A window model: what it expects of a window, from training windows.

    A dataclass whose fields are its tensors. Windows are flat (B, D = T F), scaled, without gaps.
    """

    name: ClassVar[str]

    @abstractmethod
    def residual(self, windows: Tensor) -> Tensor:
        """Return (B, D) windows minus what is expected of them."""

    def witness(self, windows: Tensor) -> Tensor:
        """Return (B, ...) all that `residual` decides by, to compare kernels bit for bit."""
        return self.residual(windows)

    @classmethod
    @abstractmethod
    def fitted(cls, windows: Tensor, *, seed: int) -> Self:
        """Return the member fitted to (W, D) windows, oldest first; W >= 1."""

    def state(self) -> dict[str, Tensor]:
        """Return its tensors by name, on the CPU."""
        return {field.name: getattr(self, field.name).cpu() for field in fields(self)}

    @classmethod
    def from_state(cls, state: Mapping[str, Tensor], device: torch.device) -> Self:
        """Return the member that `state` was taken from.

        Raises:
            BundleError: If the tensors are not this member's.
        """
        expected = {field.name for field in fields(cls)}
        if state.keys() != expected:
            raise BundleError(
                f"member {cls.name}: found tensors {sorted(state)}, expected {sorted(expected)}"
            )
        return cls(**{name: tensor.to(device) for name, tensor in state.items()})
