"""Linear layers whose rows do not depend on their place in a batch."""

import torch
from torch import Tensor, nn
from torch.nn import functional

_ALIGNMENT = 4
_WIDE = 12
"""Outputs from which the matrix kernels keep rows apart at any alignment. Below it a row of inputs
that is no multiple of 16 bytes is added up in an order that depends on where it lies."""


def pad_linears(model: nn.Module) -> None:
    """Replace the narrow layers of a model that is ready to score; their parameters are copied."""
    for module in list(model.modules()):
        for name, layer in list(module.named_children()):
            if isinstance(layer, nn.Linear) and _depends_on_place(layer):
                setattr(module, name, _PaddedLinear(layer))


def _depends_on_place(layer: nn.Linear) -> bool:
    return layer.out_features < _WIDE and layer.in_features % _ALIGNMENT != 0


def padded(rows: Tensor, *, dim: int = -1) -> Tensor:
    """Return the tensor with zeros up to a multiple of 4 entries along a dimension."""
    missing = -rows.shape[dim] % _ALIGNMENT
    if not missing:
        return rows
    shape = list(rows.shape)
    shape[dim] = missing
    return torch.cat((rows, rows.new_zeros(shape)), dim=dim)


class _PaddedLinear(nn.Module):
    """A linear layer with zeros up to an aligned number of inputs."""

    def __init__(self, layer: nn.Linear) -> None:
        super().__init__()
        self.weight = nn.Parameter(padded(layer.weight.detach()), requires_grad=False)
        self.bias = layer.bias

    def forward(self, rows: Tensor) -> Tensor:
        """Return what the layer itself would, up to the order of its sums."""
        return functional.linear(padded(rows), self.weight, self.bias)
