"""Scores by the log-probability that the decoder gives the observed values."""

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from stream_vae.models.outputs import WindowOutput
from stream_vae.models.scores.base import Score, count_observed


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


def _mean_nll(output: WindowOutput) -> tuple[Tensor, Tensor]:
    score = (-output.log_probability).sum(dim=(1, 2)) / count_observed(output)
    # The normaliser does not depend on the data and can be negative: shares exclude it.
    return score, output.deviance.sum(dim=1)
