"""The LSTM encoder and decoder."""

from typing import cast

import torch
from torch import Tensor, nn

from stream_vae.models.config import ArchitectureConfig
from stream_vae.models.vae.calendar import CALENDAR_INPUTS

_LOG_VAR_RANGE = (-12.0, 6.0)
"""Keeps exp(log_var) and the KL finite for any input."""


class SequenceNetwork(nn.Module):
    """Encodes a window to a diagonal Gaussian over z, decodes z to a state per step.

    The decoder never sees the window (no teacher forcing): with it the latent collapses to the
    prior and the model only predicts the next step. It runs backwards in time, newest step first.
    The likelihood maps its states to distributions of the values.

    Args:
        n_inputs: I, of the encoder per step.
        architecture: Sizes and options.
    """

    def __init__(self, n_inputs: int, architecture: ArchitectureConfig) -> None:
        super().__init__()
        H, Z = architecture.hidden_size, architecture.latent_size
        extra = CALENDAR_INPUTS if architecture.calendar else 0
        self.window_length = architecture.window_length
        self.encoder = nn.LSTM(n_inputs, H, batch_first=True, bidirectional=True)
        self.to_posterior = nn.Linear(2 * H, 2 * Z)
        self.to_state = nn.Linear(Z, 2 * H)
        self.decoder = nn.LSTM(Z + extra, H, batch_first=True)

    def encode(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        """Return mean and log-variance of q(z | x), each (B, Z), for `inputs` (B, T, I)."""
        _, (hidden, _) = self.encoder(inputs)
        posterior = self.to_posterior(torch.cat((hidden[0], hidden[1]), dim=-1))
        mean, log_var = posterior.chunk(2, dim=-1)
        return mean, log_var.clamp(*_LOG_VAR_RANGE)

    def decode(self, latent: Tensor, calendar: Tensor | None) -> Tensor:
        """Return the decoder's states (B, T, H), newest step first, for `latent` (B, Z)."""
        inputs = latent.unsqueeze(1).expand(-1, self.window_length, -1)
        if calendar is not None:
            inputs = torch.cat((inputs, calendar.flip(1)), dim=-1)
        hidden, cell = self.to_state(latent).unsqueeze(0).chunk(2, dim=-1)
        states, _ = self.decoder(inputs, (torch.tanh(hidden).contiguous(), cell.contiguous()))
        return cast("Tensor", states)
