"""Densities of the model, in nats."""

import math

import torch
from torch import Tensor

_HALF_LOG_TWO_PI = 0.5 * math.log(2 * math.pi)


def gaussian_nll(squared_residual: Tensor, sigma: Tensor) -> Tensor:
    """Return the Gaussian negative log-density of each value.

    Args:
        squared_residual: (..., F) squared distance to the mean, scaled units.
        sigma: (F,) standard deviations, > 0.

    Returns:
        (..., F) nats.
    """
    return squared_residual / (2 * sigma**2) + (torch.log(sigma) + _HALF_LOG_TWO_PI)


def masked_sum(amounts: Tensor, observed: Tensor) -> Tensor:
    """Return (B,) sums of the (B, T, F) amounts where `observed` (bool) is true.

    An amount that is not observed counts for nothing even if it is NaN or infinite.
    """
    return torch.where(observed, amounts, amounts.new_zeros(())).sum(dim=(1, 2))


def standard_normal_kl(mean: Tensor, log_var: Tensor) -> Tensor:
    """Return (B, Z) KL(N(mean, exp(log_var)) || N(0, 1)) of each latent dimension.

    References:
        Kingma & Welling (2014), Auto-Encoding Variational Bayes, appendix B.
    """
    return 0.5 * (mean**2 + log_var.exp() - 1 - log_var)
