"""The loss: negative evidence lower bound, and what training adds to it."""

from dataclasses import dataclass

import torch
from torch import Tensor

from stream_vae.models.config import TrainingConfig
from stream_vae.models.likelihoods import masked_sum, standard_normal_kl
from stream_vae.models.vae.encoding import DiagonalGaussian
from stream_vae.models.vae.sequence_vae import SequenceVae


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Windows on the device."""

    values: Tensor
    """(B, T, F) scaled; 0 where not observed."""
    observed: Tensor
    """(B, T, F) bool."""
    calendar: Tensor | None
    """(B, T, 4)"""


@dataclass(frozen=True, slots=True, kw_only=True)
class LossTerms:
    """Of B windows, nats."""

    reconstruction: Tensor
    """(B,) negative log-probability of what was observed."""
    latent_kl: Tensor
    """(B, Z) of z to the prior."""
    context_kl: Tensor | None
    """(B, T, C) of the attention's context to the prior."""
    latent: Tensor
    """(B, Z) the samples of z, not in nats."""

    def kl(self) -> Tensor:
        """Return the KL terms, summed over the windows."""
        latent = self.latent_kl.sum()
        return latent if self.context_kl is None else latent + self.context_kl.sum()

    def negative_bound(self) -> float:
        """Return the negative evidence lower bound, summed over the windows in double precision."""
        total = self.reconstruction.double().sum() + self.latent_kl.double().sum()
        if self.context_kl is not None:
            total = total + self.context_kl.double().sum()
        return float(total.detach())

    def loss(self, training: TrainingConfig, *, kl_weight: float) -> Tensor:
        """Return what training minimises, summed over the windows.

        Free bits (Kingma et al. 2016, Improved Variational Inference with Inverse Autoregressive
        Flow, NeurIPS) hold for the batch's mean per dimension of z, not for each window; the
        context has none.
        """
        count = len(self.latent_kl)
        kl = self.latent_kl.mean(dim=0).clamp(min=training.free_bits).sum() * count
        if self.context_kl is not None:
            kl = kl + self.context_kl.sum()
        loss = self.reconstruction.sum() + kl_weight * kl
        if training.latent_sparsity:
            loss = loss + training.latent_sparsity * self.latent.abs().sum()
        return loss


def loss_terms(
    model: SequenceVae, target: Batch, shown: Batch, noise: torch.Generator
) -> LossTerms:
    """Encode what is shown, decode one sample and compare it with the target."""
    encoding = model.encode(shown.values, shown.observed, shown.calendar)
    latent = _draw(encoding.latent, noise)
    context = None if encoding.context is None else _draw(encoding.context, noise)
    outputs = model.decode(latent, target.calendar, context)
    reconstruction = model.likelihood.reconstruct(target.values, [outputs])
    return LossTerms(
        reconstruction=masked_sum(-reconstruction.log_probability, target.observed),
        latent_kl=standard_normal_kl(*encoding.latent),
        context_kl=None if encoding.context is None else standard_normal_kl(*encoding.context),
        latent=latent,
    )


def _draw(gaussian: DiagonalGaussian, noise: torch.Generator) -> Tensor:
    shape, device = gaussian.mean.shape, gaussian.mean.device
    return gaussian.sample(torch.randn(shape, generator=noise, device=device))
