"""A classifier of windows, for histories in which some rows are labelled."""

from dataclasses import dataclass
from typing import ClassVar, Self

import torch
from torch import Tensor

from stream_vae.models.outputs import WindowOutput
from stream_vae.models.scores.latent import posterior_of
from stream_vae.models.scores.score import FittingData, Score, log_error

_COST = 3.0
"""C of the support vector machine, chosen by cross-validation on 500 labelled heart beats."""

_MOST_OF_A_KIND = 1000
"""Labelled windows used, evenly spaced; the cost of fitting grows with their square."""

_LEAST_SCALE = 1e-3
"""Of an input, so that a latent dimension that is not used is not blown up."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Supervised(Score):
    """The side, and the distance, of the border between normal and anomalous windows; 0 is on it.

    A support vector machine on the posterior's mean and log-variance and the logarithm of the mean
    deviance, standardised, fitted to the training windows that are labelled; a few are enough, the
    network learns from all. Its kernel is the sum of a linear and a Gaussian one: the latter alone
    would call a window far from all others neither. It knows the kinds of anomalies that were
    labelled; others may score low.

    A place in the latent has no parts by feature: the contributions are the features' deviances.

    References:
        Cortes & Vapnik (1995), Support-Vector Networks, Machine Learning 20.
        Pereira & Silveira (2018), Unsupervised Anomaly Detection in Energy Time Series Data Using
        Variational Recurrent Autoencoders with Attention, ICMLA, for the latent.
    """

    name: ClassVar[str] = "supervised"
    centre: Tensor
    """(D,) mean of the D = 2 Z + 1 inputs."""
    scale: Tensor
    """(D,) their standard deviations."""
    support: Tensor
    """(S, D) standardised support vectors."""
    weight: Tensor
    """(S,) of each, > 0 if it is anomalous."""
    bias: Tensor
    """(1,) at the centre, apart from the supports."""

    def __call__(self, output: WindowOutput) -> tuple[Tensor, Tensor]:
        """Score windows."""
        posterior = posterior_of(output)
        inputs = _inputs(posterior.mean, posterior.log_var, log_error(output))
        likeness = _kernel((inputs - self.centre) / self.scale, self.support)
        return (likeness * self.weight).sum(dim=1) + self.bias, output.deviance.sum(dim=1)

    @classmethod
    def fitted(cls, data: FittingData) -> Self | None:
        """Return the score fitted to labelled windows; None without both kinds of them."""
        if data.training is None:
            return None
        kinds = [torch.nonzero(data.training.labels == label).squeeze(1) for label in (0, 1)]
        if not all(len(kind) for kind in kinds):
            return None
        rows = torch.cat([kind[:: -(-len(kind) // _MOST_OF_A_KIND)] for kind in kinds])
        inputs = _inputs(data.training.mean, data.training.log_var, data.training.log_error)[rows]
        centre, scale = inputs.mean(dim=0), inputs.std(dim=0).clamp(min=_LEAST_SCALE)
        white = (inputs - centre) / scale
        # The daemon never fits, and scikit-learn takes a second to import.
        from sklearn.svm import SVC  # noqa: PLC0415

        machine = SVC(C=_COST, kernel="precomputed")
        machine.fit(_kernel(white, white).numpy(), data.training.labels[rows].numpy())
        fitted = cls(
            centre=centre,
            scale=scale,
            support=white[torch.from_numpy(machine.support_).long()],
            weight=torch.from_numpy(machine.dual_coef_[0]),
            bias=torch.from_numpy(machine.intercept_),
        )
        return cls.from_state(fitted.state(), data.device)


def _inputs(mean: Tensor, log_var: Tensor, error: Tensor) -> Tensor:
    """Return (B, 2 Z + 1) float64."""
    return torch.cat((mean, log_var, error[:, None]), dim=1).double()


def _kernel(rows: Tensor, others: Tensor) -> Tensor:
    """Return (B, S) x'y / D + exp(-|x - y|^2 / D) of each two rows.

    One dimension after the other: the bits of a matrix product depend on the size of the batch.
    """
    along = torch.zeros((len(rows), len(others)), dtype=rows.dtype, device=rows.device)
    apart = torch.zeros_like(along)
    for row, other in zip(rows.T, others.T, strict=True):
        along = along + row[:, None] * other
        apart = apart + (row[:, None] - other) ** 2
    return along / rows.shape[1] + torch.exp(-apart / rows.shape[1])
