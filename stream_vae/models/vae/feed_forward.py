"""The feed-forward encoder and decoder."""

from collections.abc import Sequence
from itertools import pairwise
from typing import cast

import torch
from torch import Tensor, nn

from stream_vae.models.config import ArchitectureConfig
from stream_vae.models.vae.calendar import CALENDAR_INPUTS
from stream_vae.models.vae.encoding import DiagonalGaussian, Encoding


class FeedForwardNetwork(nn.Module):
    """Encodes all steps of a window at once and decodes z to all states at once.

    For windows of one step, where an LSTM's recurrence does nothing but cost time. Encoder and
    decoder mirror each other: `layers` layers with dropout after each.

    Args:
        n_inputs: I, of the encoder per step.
        architecture: Sizes and options.

    References:
        An & Cho (2015), Variational Autoencoder based Anomaly Detection using Reconstruction
        Probability, SNU Data Mining Center; their network, of any number of layers.
    """

    def __init__(self, n_inputs: int, architecture: ArchitectureConfig) -> None:
        super().__init__()
        T, H, Z = architecture.window_length, architecture.hidden_size, architecture.latent_size
        extra = CALENDAR_INPUTS * T if architecture.calendar else 0
        inner = [H] * (architecture.layers - 1)
        self._state_shape = (T, H)
        self.encoder = _layers([T * n_inputs, *inner, H], architecture.dropout)
        self.to_posterior = nn.Linear(H, 2 * Z)
        self.decoder = _layers([Z + extra, *inner, T * H], architecture.dropout)

    def encode(self, inputs: Tensor) -> Encoding:
        """Return q of z for `inputs` (B, T, I)."""
        posterior = self.to_posterior(self.encoder(inputs.flatten(1)))
        return Encoding(latent=DiagonalGaussian.of(posterior), context=None)

    def decode(
        self, latent: Tensor, calendar: Tensor | None, context: Tensor | None = None
    ) -> Tensor:
        """Return the (B, T, H) states for `latent` (B, Z); see `SequenceNetwork.decode`."""
        if context is not None:
            raise TypeError("a feed-forward decoder takes no context")
        inputs = latent if calendar is None else torch.cat((latent, calendar.flatten(1)), dim=-1)
        return cast("Tensor", self.decoder(inputs).unflatten(-1, self._state_shape))


def _layers(sizes: Sequence[int], dropout: float) -> nn.Sequential:
    """Return layers from each size to the next, each followed by its activation and dropout."""
    parts: list[nn.Module] = []
    for before, after in pairwise(sizes):
        parts += [nn.Linear(before, after), nn.Tanh(), nn.Dropout(dropout)]
    return nn.Sequential(*parts)
