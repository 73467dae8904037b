"""A classifier of windows, for histories in which some rows are labelled."""

import warnings
from dataclasses import dataclass
from typing import ClassVar, Self

import torch
from torch import Tensor

from stream_vae.models.outputs import WindowOutput
from stream_vae.models.scores.base import FittingData, Score, log_error
from stream_vae.models.scores.latent import posterior_of

_INVERSE_PENALTY = 10.0
"""C of the logistic regression on standardised inputs."""

_LEAST_SCALE = 1e-3
"""Of an input, so that a latent dimension that is not used is not blown up."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Supervised(Score):
    """The log-odds, nats, that a window is anomalous; above 0 it is likelier than not.

    A logistic regression on the latent mean and the logarithm of the mean deviance, fitted to the
    training windows that are labelled; a few are enough, the network learns from all. It knows the
    kinds of anomalies that were labelled: others may score low.

    A place in the latent has no parts by feature: the contributions are the features' deviances.

    References:
        Pereira & Silveira (2018), Unsupervised Anomaly Detection in Energy Time Series Data Using
        Variational Recurrent Autoencoders with Attention, ICMLA; there a support vector machine.
    """

    name: ClassVar[str] = "supervised"
    centre: Tensor
    """(Z + 1,) mean of the inputs."""
    weight: Tensor
    """(Z + 1,) log-odds per unit of the inputs."""
    bias: Tensor
    """(1,) log-odds at the centre."""

    def __call__(self, output: WindowOutput) -> tuple[Tensor, Tensor]:
        """Score windows."""
        mean = posterior_of(output).mean.double()
        inputs = torch.cat((mean, log_error(output).double()[:, None]), dim=1)
        # Not a matrix product, whose bits depend on the size of the batch.
        odds = ((inputs - self.centre) * self.weight).sum(dim=1) + self.bias
        return odds, output.deviance.sum(dim=1)

    @classmethod
    def fitted(cls, data: FittingData) -> Self | None:
        """Return the score fitted to labelled windows; None without both kinds of them."""
        if data.training is None:
            return None
        labelled = data.training.labels >= 0
        labels = data.training.labels[labelled].numpy()
        if len(set(labels.tolist())) < 2:
            return None
        # The daemon never fits, and scikit-learn takes a second to import.
        from sklearn.exceptions import ConvergenceWarning  # noqa: PLC0415
        from sklearn.linear_model import LogisticRegression  # noqa: PLC0415

        inputs = torch.cat((data.training.mean, data.training.log_error[:, None]), dim=1)[labelled]
        centre = inputs.mean(dim=0)
        scale = inputs.std(dim=0).clamp(min=_LEAST_SCALE)
        model = LogisticRegression(C=_INVERSE_PENALTY, max_iter=10_000)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            model.fit(((inputs - centre) / scale).numpy(), labels)
        weight = torch.from_numpy(model.coef_[0]) / scale
        return cls(
            centre=centre.to(data.device),
            weight=weight.to(data.device),
            bias=torch.from_numpy(model.intercept_).double().to(data.device),
        )
