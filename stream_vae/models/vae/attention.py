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
        aligned = padded(states)
        similarity = aligned @ aligned.transpose(1, 2) / math.sqrt(states.shape[-1])
        weights = torch.softmax(similarity, dim=-1)
        # Steps of weight 0 up to a multiple of 4: the batch must not change the order of the sums.
        attended = padded(weights) @ padded(states, dim=1)
        return DiagonalGaussian.of(self.to_context(attended))
