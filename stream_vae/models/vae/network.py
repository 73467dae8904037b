"""The LSTM sequence-to-sequence variational autoencoder."""

import math
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from stream_vae.models.config import ArchitectureConfig
from stream_vae.models.vae.calendar import CALENDAR_INPUTS

_LOG_VAR_RANGE = (-12.0, 6.0)
"""Keeps exp(log_var) and the KL finite for any input."""


class SequenceVae(nn.Module):
    """Encode a window to a diagonal Gaussian over z, decode z to a mean per step and feature.

    The decoder never sees the window (no teacher forcing): with it the latent collapses to the
    prior and the model only predicts the next step. It runs backwards in time, newest step first.
    The scale is one sigma per feature, the same for every step and window: a free scale per step
    lets the decoder explain anomalies by widening it.

    Args:
        n_features: F.
        architecture: Sizes and options.
    """

    def __init__(self, n_features: int, architecture: ArchitectureConfig) -> None:
        super().__init__()
        H, Z = architecture.hidden_size, architecture.latent_size
        extra = CALENDAR_INPUTS if architecture.calendar else 0
        self.window_length = architecture.window_length
        self.sigma_floor = architecture.sigma_floor
        self.encoder = nn.LSTM(2 * n_features + extra, H, batch_first=True, bidirectional=True)
        self.to_posterior = nn.Linear(2 * H, 2 * Z)
        self.to_state = nn.Linear(Z, 2 * H)
        self.decoder = nn.LSTM(Z + extra, H, batch_first=True)
        self.to_mean = nn.Linear(H, n_features)
        # softplus(raw) + floor starts at 1, the scale of standardised data.
        start = math.log(math.expm1(max(1.0 - architecture.sigma_floor, 0.05)))
        self.raw_sigma = nn.Parameter(torch.full((n_features,), start))

    def encode(
        self, values: Tensor, observed: Tensor, calendar: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """Return mean and log-variance of q(z | x), each (B, Z).

        Args:
            values: (B, T, F) scaled; what stands where nothing was observed does not matter.
            observed: (B, T, F) bool.
            calendar: (B, T, 4), or None if the architecture has no calendar inputs.
        """
        seen = torch.where(observed, values, values.new_zeros(()))
        parts = [seen, observed.to(values.dtype)]
        if calendar is not None:
            parts.append(calendar)
        _, (hidden, _) = self.encoder(torch.cat(parts, dim=-1))
        posterior = self.to_posterior(torch.cat((hidden[0], hidden[1]), dim=-1))
        mean, log_var = posterior.chunk(2, dim=-1)
        return mean, log_var.clamp(*_LOG_VAR_RANGE)

    def decode(self, latent: Tensor, calendar: Tensor | None) -> Tensor:
        """Return the decoder's mean (B, T, F), oldest step first, for `latent` (B, Z)."""
        inputs = latent.unsqueeze(1).expand(-1, self.window_length, -1)
        if calendar is not None:
            inputs = torch.cat((inputs, calendar.flip(1)), dim=-1)
        hidden, cell = self.to_state(latent).unsqueeze(0).chunk(2, dim=-1)
        outputs, _ = self.decoder(inputs, (torch.tanh(hidden).contiguous(), cell.contiguous()))
        return cast("Tensor", self.to_mean(outputs)).flip(1)

    def sigma(self) -> Tensor:
        """Return the (F,) learned standard deviations, scaled units."""
        return self.sigma_floor + functional.softplus(self.raw_sigma)
