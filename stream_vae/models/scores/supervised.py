"""A classifier of windows, for histories in which some rows are labelled."""

import math
from dataclasses import dataclass
from typing import ClassVar, Self

import torch
from torch import Tensor

from stream_vae.models.outputs import WindowOutput
from stream_vae.models.scores.latent import posterior_of
from stream_vae.models.scores.score import FittingData, Score, log_error, part_residuals

_COST, _NEARNESS = 3.0, 0.3
"""C of the support vector machine, and gamma of its kernel per input; chosen by cross-validation on
500 labelled heart beats."""

_BEYOND = 0.3
"""Score per squared distance beyond the reach of the labelled windows."""

_MOST_OF_A_KIND = 1000
"""Labelled windows used, evenly spaced; the cost of fitting grows with their square."""

_LEAST_SCALE = 1e-3
"""Of an input, so that a latent dimension that is not used is not blown up."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Supervised(Score):
    """The side, and the distance, of the border between normal and anomalous windows; 0 is on it.

    A support vector machine with a Gaussian kernel on the posterior's mean and log-variance, the
    logarithm of the mean deviance, and the mean residuals of parts of the window, standardised,
    fitted to the training windows that are labelled; a few are enough, the network learns from all.
    The residuals hold what the latent has no room for: on heart beats they halved the errors.

    The kernel alone would call a window far from all others neither: what lies farther from every
    support vector than any labelled window does is more anomalous the farther it lies. The score
    knows the kinds of anomalies that were labelled; others may score low.

    A place in the latent has no parts by feature: the contributions are the features' deviances.

    References:
        Cortes & Vapnik (1995), Support-Vector Networks, Machine Learning 20.
        Pereira & Silveira (2018), Unsupervised Anomaly Detection in Energy Time Series Data Using
        Variational Recurrent Autoencoders with Attention, ICMLA, for the latent.
    """

    name: ClassVar[str] = "supervised"
    centre: Tensor
    """(D,) mean of the D = 2 Z + 1 + P inputs."""
    scale: Tensor
    """(D,) what they are divided by, so that the Gaussian kernel is exp(-distance^2)."""
    support: Tensor
    """(S, D) scaled support vectors."""
    weight: Tensor
    """(S,) of each, > 0 if it is anomalous."""
    bias: Tensor
    """(1,) apart from the supports."""
    reach: Tensor
    """(1,) largest squared distance of a labelled window from its nearest support vector."""

    def __call__(self, output: WindowOutput) -> tuple[Tensor, Tensor]:
        """Score windows."""
        posterior = posterior_of(output)
        own = (posterior.mean, posterior.log_var, log_error(output), part_residuals(output))
        apart = _apart((_inputs(*own) - self.centre) / self.scale, self.support)
        score = (torch.exp(-apart) * self.weight).sum(dim=1) + self.bias
        beyond = (apart.min(dim=1).values - self.reach).clamp(min=0)
        return score + _BEYOND * beyond, output.deviance.sum(dim=1)

    @classmethod
    def fitted(cls, data: FittingData) -> Self | None:
        """Return the score fitted to labelled windows; None without both kinds of them."""
        sample = data.training
        if sample is None:
            return None
        kinds = [torch.nonzero(sample.labels == label).squeeze(1) for label in (0, 1)]
        if not all(len(kind) for kind in kinds):
            return None
        rows = torch.cat([kind[:: -(-len(kind) // _MOST_OF_A_KIND)] for kind in kinds])
        inputs = _inputs(sample.mean, sample.log_var, sample.log_error, sample.residuals)[rows]
        centre, std = inputs.mean(dim=0), inputs.std(dim=0).clamp(min=_LEAST_SCALE)
        scale = std * math.sqrt(inputs.shape[1] / _NEARNESS)
        scaled = (inputs - centre) / scale
        # The daemon never fits, and scikit-learn takes a second to import.
        from sklearn.svm import SVC  # noqa: PLC0415

        machine = SVC(C=_COST, kernel="precomputed")
        apart = _apart(scaled, scaled)
        machine.fit(torch.exp(-apart).numpy(), sample.labels[rows].numpy())
        chosen = torch.from_numpy(machine.support_).long()
        fitted = cls(
            centre=centre,
            scale=scale,
            support=scaled[chosen],
            weight=torch.from_numpy(machine.dual_coef_[0]),
            bias=torch.from_numpy(machine.intercept_),
            reach=apart[:, chosen].min(dim=1).values.max()[None],
        )
        return cls.from_state(fitted.state(), data.device)


def _inputs(mean: Tensor, log_var: Tensor, error: Tensor, residuals: Tensor) -> Tensor:
    """Return (B, 2 Z + 1 + P) float64."""
    return torch.cat((mean, log_var, error[:, None], residuals), dim=1).double()


def _apart(rows: Tensor, others: Tensor) -> Tensor:
    """Return (B, S) squared distances of each two rows.

    One dimension after the other: the bits of a matrix product depend on the size of the batch.
    """
    apart = torch.zeros((len(rows), len(others)), dtype=rows.dtype, device=rows.device)
    for row, other in zip(rows.T, others.T, strict=True):
        apart = apart + (row[:, None] - other) ** 2
    return apart
