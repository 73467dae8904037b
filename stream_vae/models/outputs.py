"""The model's output for windows: arrays per step and feature, for any likelihood.

Scores, contributions and expected values use these arrays alone and do not depend on the
likelihood of a feature.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True)
class Posterior:
    """q(z | x) of B windows, a diagonal Gaussian."""

    mean: Tensor
    """(B, Z)"""
    log_var: Tensor
    """(B, Z) logarithm of the variances."""


class Reconstruction(Protocol):
    """B windows under a likelihood. Arrays are (B, T, F), computed on first access.

    With L posterior samples each is the mean over the samples. Entries for values that were not
    observed are undefined.
    """

    @property
    def log_probability(self) -> Tensor:
        """Logarithm of p(x | z), nats.

        References:
            An & Cho (2015), Variational Autoencoder based Anomaly Detection using Reconstruction
            Probability, SNU Data Mining Center.
        """
        ...

    @property
    def deviance(self) -> Tensor:
        """Unit deviance, nats: 2 x (log-probability of the best fit - log-probability), >= 0.

        The best fit is the parameter of maximal probability at a fixed scale. The deviance puts
        likelihoods with different normalisers on one scale.

        References:
            Jorgensen (1997), The Theory of Dispersion Models, chapter 1.
        """
        ...

    @property
    def squared_residual(self) -> Tensor:
        """Squared distance between value and expected value, scaled units.

        Of a category, the squared distance of the probabilities from the one-hot value.

        References:
            Brier (1950), Verification of Forecasts Expressed in Terms of Probability.
        """
        ...

    @property
    def residuals(self) -> Sequence[Tensor]:
        """Value - mean of p(x | z), scaled units, of each of the L samples.

        Where such a difference has no meaning (a category): 1 - the probability of the value.
        """
        ...

    @property
    def expected(self) -> Tensor:
        """Mean of p(x | z), scaled units; of a category, the likeliest one."""
        ...

    @property
    def spread(self) -> Tensor:
        """Standard deviation of p(x | z), scaled units, > 0.

        Of a category, the probability of all others than the expected one.
        """
        ...

    def newest(self, n_steps: int = 1) -> "Reconstruction":
        """Return the newest n steps alone, (B, n, F), or all if there are fewer."""
        ...


class WindowOutput:
    """The model's output for B windows. Arrays are (B, T, F), computed on first access.

    Those that compare with a value are 0 where none was observed, so sums exclude it.

    Args:
        reconstruction: Of the windows.
        observed: (B, T, F) bool.
        posterior: Of the windows; None for residuals of a detector without a latent.
        windows: (B, T, F) scaled; None where only residuals are known. Entries for values that were
            not observed are undefined.
    """

    def __init__(
        self,
        reconstruction: Reconstruction,
        observed: Tensor,
        posterior: Posterior | None = None,
        windows: Tensor | None = None,
    ) -> None:
        self.observed = observed
        self._windows = windows
        self.posterior = posterior
        self._reconstruction = reconstruction

    @property
    def has_windows(self) -> bool:
        """Whether the windows are known, not their residuals alone."""
        return self._windows is not None

    @property
    def windows(self) -> Tensor:
        """The windows themselves, scaled; undefined where nothing was observed."""
        assert self._windows is not None  # noqa: S101 -- the reconstructor always gives them
        return self._windows

    @cached_property
    def log_probability(self) -> Tensor:
        """Log-probability of the observed values, nats."""
        return self._where_observed(self._reconstruction.log_probability)

    @cached_property
    def deviance(self) -> Tensor:
        """Unit deviance of the observed values, nats, >= 0."""
        return self._where_observed(self._reconstruction.deviance)

    @cached_property
    def squared_residual(self) -> Tensor:
        """Squared distance between observed and expected value, scaled units."""
        return self._where_observed(self._reconstruction.squared_residual)

    @cached_property
    def residuals(self) -> list[Tensor]:
        """Observed - expected value of each of the L posterior samples, scaled units."""
        return [self._where_observed(residual) for residual in self._reconstruction.residuals]

    @property
    def expected(self) -> Tensor:
        """Expected value, observed or not, scaled units."""
        return self._reconstruction.expected

    @property
    def spread(self) -> Tensor:
        """Standard deviation about `expected`, scaled units, > 0."""
        return self._reconstruction.spread

    def newest(self, n_steps: int = 1) -> "WindowOutput":
        """Return the newest n steps alone, (B, n, F), or all if there are fewer."""
        return WindowOutput(
            self._reconstruction.newest(n_steps),
            self.observed[:, -n_steps:],
            self.posterior,
            None if self._windows is None else self._windows[:, -n_steps:],
        )

    def _where_observed(self, amounts: Tensor) -> Tensor:
        return torch.where(self.observed, amounts, 0.0)
