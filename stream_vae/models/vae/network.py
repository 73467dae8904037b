"""The LSTM encoder and decoder."""

from typing import cast

import torch
from torch import Tensor, nn

from stream_vae.models.config import ArchitectureConfig
from stream_vae.models.vae.attention import VariationalAttention
from stream_vae.models.vae.calendar import CALENDAR_INPUTS
from stream_vae.models.vae.encoding import DiagonalGaussian, Encoding


class SequenceNetwork(nn.Module):
    """Encodes a window to a diagonal Gaussian over z, decodes z to a state per step.

    The decoder never sees the window (no teacher forcing): with it the latent collapses to the
    prior and the model only predicts the next step. With attention it is given the context of each
    step. It runs backwards in time, newest step first. The likelihood maps its states to
    distributions of the values.

    Args:
        n_inputs: I, of the encoder per step.
        architecture: Sizes and options.
    """

    def __init__(self, n_inputs: int, architecture: ArchitectureConfig) -> None:
        super().__init__()
        H, Z, layers = architecture.hidden_size, architecture.latent_size, architecture.layers
        extra = CALENDAR_INPUTS if architecture.calendar else 0
        context = Z if architecture.attention == "variational" else 0
        self.window_length = architecture.window_length
        self._layers = layers
        self._directions = 2 if architecture.bidirectional else 1
        self.encoder = nn.LSTM(
            n_inputs,
            H,
            layers,
            batch_first=True,
            bidirectional=architecture.bidirectional,
            dropout=architecture.dropout,
        )
        self.to_posterior = nn.Linear(self._directions * H, 2 * Z)
        self.to_state = nn.Linear(Z, 2 * layers * H)
        self.decoder = nn.LSTM(
            Z + extra + context, H, layers, batch_first=True, dropout=architecture.dropout
        )
        self.attention = VariationalAttention(self._directions * H, context) if context else None

    def encode(self, inputs: Tensor) -> Encoding:
        """Return q of z, and of the attention's context if there is one, for `inputs` (B, T, I)."""
        states, (hidden, _) = self.encoder(inputs)
        # The last layer's final state of each direction.
        summary = torch.cat(hidden.unbind()[-self._directions :], dim=-1)
        return Encoding(
            latent=DiagonalGaussian.of(self.to_posterior(summary)),
            context=None if self.attention is None else self.attention(states),
        )

    def decode(
        self, latent: Tensor, calendar: Tensor | None, context: Tensor | None = None
    ) -> Tensor:
        """Return the decoder's states, newest step first.

        Args:
            latent: (B, Z).
            calendar: (B, T, 4), oldest step first, or None without calendar inputs.
            context: (B, T, C), oldest step first, or None without attention.

        Returns:
            (B, T, H)
        """
        inputs = latent.unsqueeze(1).expand(-1, self.window_length, -1)
        extra = [one.flip(1) for one in (calendar, context) if one is not None]
        if extra:
            inputs = torch.cat((inputs, *extra), dim=-1)
        # (B, 2 L H) -> hidden and cell state of each layer, (L, B, H)
        start = self.to_state(latent).view(len(latent), 2, self._layers, -1).permute(1, 2, 0, 3)
        hidden, cell = start.unbind()
        states, _ = self.decoder(inputs, (torch.tanh(hidden).contiguous(), cell.contiguous()))
        return cast("Tensor", states)
