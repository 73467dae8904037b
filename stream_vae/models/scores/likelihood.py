"""Scores by the log-probability that the decoder gives the observed values."""

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from stream_vae.models.outputs import WindowOutput
from stream_vae.models.scores.score import Score, count_observed, mean_residual

_LOG_TWO_PI = math.log(2 * math.pi)


@dataclass(frozen=True, slots=True, kw_only=True)
class LogProbability(Score):
    """The mean negative log-probability per observed value of the window, in nats.

    References:
        An & Cho (2015), Variational Autoencoder based Anomaly Detection using Reconstruction
        Probability, SNU Data Mining Center.
    """

    name: ClassVar[str] = "log_probability"

    def __call__(self, output: WindowOutput) -> tuple[Tensor, Tensor]:
        """Score windows."""
        return _mean_nll(output)


@dataclass(frozen=True, slots=True, kw_only=True)
class LastStep(Score):
    """The mean negative log-probability per observed value of the newest step alone, in nats.

    References:
        Xu et al. (2018), Unsupervised Anomaly Detection via Variational Auto-Encoder for Seasonal
        KPIs in Web Applications (Donut), WWW, which scores the last point of each window.
    """

    name: ClassVar[str] = "last_step"

    def __call__(self, output: WindowOutput) -> tuple[Tensor, Tensor]:
        """Score windows."""
        return _mean_nll(output.newest())

    def step_weight(self, n_steps: int) -> Tensor:
        """Return (T,) 1 for the newest step, 0 for all others."""
        return torch.eye(n_steps)[-1]


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitVariance(Score):
    """Negative log-density of the window about the mean of its L reconstructions, sigma 1.

    In nats per observed value. It ranks windows as the squared distance to the mean reconstruction.

    References:
        McCaffrey (2023), Anomaly Detection Using Variational Autoencoder Reconstruction
        Probability, which draws L = 10 samples.
    """

    name: ClassVar[str] = "unit_variance"

    def __call__(self, output: WindowOutput) -> tuple[Tensor, Tensor]:
        """Score windows."""
        squared = mean_residual(output) ** 2
        mean = squared.sum(dim=(1, 2)) / count_observed(output)
        return 0.5 * (mean + _LOG_TWO_PI), squared.sum(dim=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleCovariance(Score):
    """Negative log-density of the window about its mean reconstruction, covariance of the samples.

    In nats per observed value. The covariance is that of the L reconstructions about their mean,
    divided by L, over all T x F values of the window: one draw of the latent moves all steps
    together, which a covariance per step would not see. Of L samples its rank is below L, so the
    decoder's own variances are added to its diagonal, whole (a ridge of amount 1). The sum is
    positive definite, and by the law of total variance it is the covariance of p(x).

    A feature's contribution is that of its values about the mean at their own variances, without
    the covariances, whose shares can be negative.
    """

    name: ClassVar[str] = "sample_covariance"

    def __call__(self, output: WindowOutput) -> tuple[Tensor, Tensor]:
        """Score windows."""
        mean = mean_residual(output).double()
        std = torch.where(output.observed, output.spread, 1.0).double()
        L = len(output.residuals)
        # (B, L, T, F) samples about their mean, in units of the decoder's own deviations.
        apart = torch.stack(
            [(mean - one.double()) / (std * math.sqrt(L)) for one in output.residuals], dim=1
        )
        white = (mean / std).flatten(1)
        variance = 1 + (apart**2).sum(dim=1)
        squared, log_determinant = _mahalanobis(white, apart.flatten(2))
        log_determinant = log_determinant + 2 * torch.log(std).sum(dim=(1, 2))
        score = (squared + log_determinant) / count_observed(output) + _LOG_TWO_PI
        return 0.5 * score, ((mean / std) ** 2 / variance).sum(dim=1)


def _mahalanobis(white: Tensor, apart: Tensor) -> tuple[Tensor, Tensor]:
    """Return x' C^-1 x and log |C| of C = I + U'U by an L x L factorisation.

    Args:
        white: (B, N) x.
        apart: (B, L, N) U.

    References:
        Woodbury (1950), Inverting Modified Matrices; the determinant by Sylvester's theorem.
    """
    inner = apart @ apart.transpose(1, 2)
    factor = torch.linalg.cholesky(inner + torch.eye(inner.shape[1], dtype=inner.dtype).to(inner))
    along = (apart * white[:, None, :]).sum(dim=2, keepdim=True)
    explained = torch.linalg.solve_triangular(factor, along, upper=False)
    squared = (white**2).sum(dim=1) - (explained**2).sum(dim=(1, 2))
    diagonal = torch.diagonal(factor, dim1=1, dim2=2)
    return squared.clamp(min=0), 2 * torch.log(diagonal).sum(dim=1)


def _mean_nll(output: WindowOutput) -> tuple[Tensor, Tensor]:
    score = (-output.log_probability).sum(dim=(1, 2)) / count_observed(output)
    # The normaliser does not depend on the data and can be negative: shares exclude it.
    return score, output.deviance.sum(dim=1)
