"""Variational self-attention over the encoder's states."""

import math

import torch
from torch import Tensor, nn

from stream_vae.models.padded_linear import padded
from stream_vae.models.vae.encoding import DiagonalGaussian


class VariationalAttention(nn.Module):
    """Gives every step a random context: a diagonal Gaussian about what it attends to.

    Weights are the softmax of the scaled dot products of the states. A context that were certain
    would carry the window past the latent; its KL term to a standard normal bounds what it tells.

    Args:
        n_states: S, size of the encoder's states.
        n_context: C, dimensions of the context.

    References:
        Pereira & Silveira (2018), Unsupervised Anomaly Detection in Energy Time Series Data Using
        Variational Recurrent Autoencoders with Attention, ICMLA.
        Bahuleyan et al. (2018), Variational Attention for Sequence-to-Sequence Models, COLING.
    """

    def __init__(self, n_states: int, n_context: int) -> None:
        super().__init__()
        self.to_context = nn.Linear(n_states, 2 * n_context)

    def forward(self, states: Tensor) -> DiagonalGaussian:
        """Return the (B, T, C) contexts of the states (B, T, S)."""
        T, S = states.shape[1:]
        # Zeros up to multiples of 4: a window's place in the batch must not order its sums.
        block = padded(padded(states), dim=1)
        similarity = (block @ block.transpose(1, 2))[..., :T] / math.sqrt(S)
        attended = (padded(torch.softmax(similarity, dim=-1)) @ block)[:, :T, :S]
        return DiagonalGaussian.of(self.to_context(attended))
