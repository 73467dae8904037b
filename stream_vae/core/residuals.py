"""What the residuals of a model's members usually are."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

LEVEL_OFFSET = 0.1
"""Added to a relative energy before its logarithm, so that a feature that never varies has one."""


_LEAST_SPREAD = 0.01


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class UsualResiduals:
    """Of K members and F features, from held-out windows; scaled units.

    A member expects a window; a feature's residual in it is summed up by the weighted mean m of
    the differences and of their squares, E, newer steps weighing more. About an expected m of b the
    energy is E - 2 b m + b^2, and relative to what is usual it is divided by `variance` + 1.
    """

    variance: NDArray[np.float64]
    """(K, F) mean square of the differences, less `bias` squared."""
    bias: NDArray[np.float64]
    """(K, F) median of m."""
    level: NDArray[np.float64]
    """(K, F) median of log(relative energy about `bias` + 0.1)."""
    against_constant: NDArray[np.float64] = field(default_factory=lambda: np.zeros(1))
    """(K,) sum of the squared differences over that about the training mean, or zeros where they
    were not compared; a single one stands for all members."""

    @property
    def is_useful(self) -> NDArray[np.bool_]:
        """(K,) which members expect more than a constant does; the best one if none."""
        return useful(np.broadcast_to(self.against_constant, len(self.bias)))

    @property
    def weight(self) -> NDArray[np.float64]:
        """(K,) of each member in the mean of all: equal for the useful ones, 0 for the others."""
        return np.asarray(self.is_useful / self.is_useful.sum())

    def relative_energy(
        self, evidence: NDArray[np.float32], bias: NDArray[np.float32]
    ) -> NDArray[np.float64]:
        """Return (..., K, F) energies about a bias, relative to what is usual.

        Args:
            evidence: (..., K, F, 2) m and E; NaN where a feature was not observed, as the result.
            bias: (..., K, F) in force.
        """
        b = bias.astype(np.float64)
        mean, energy = evidence[..., 0].astype(np.float64), evidence[..., 1].astype(np.float64)
        about: NDArray[np.float64] = np.maximum(energy - 2 * b * mean + b**2, 0.0)
        return about / (self.variance + 1)

    @property
    def spread(self) -> NDArray[np.float64]:
        """(K, F) root mean square of the differences, at least a hundredth."""
        return np.asarray(np.maximum(np.sqrt(self.variance + self.bias**2), _LEAST_SPREAD))

    @classmethod
    def of(
        cls,
        evidence: NDArray[np.float32],
        mean_square: NDArray[np.float64],
        against_constant: NDArray[np.float64] | None = None,
    ) -> "UsualResiduals":
        """Return those of W held-out windows.

        Args:
            evidence: (W, K, F, 2) m and E of each; NaN where a feature was not observed.
            mean_square: (K, F) of all differences, over windows and steps.
            against_constant: (K,) as of the field; None: not compared.
        """
        seen = np.asarray(np.isfinite(evidence[..., 0]).any(axis=0))
        known = np.where(seen[..., None], evidence, np.zeros(2, np.float32)).astype(np.float64)
        mean, energy = known[..., 0], known[..., 1]
        bias = np.zeros(seen.shape) if not len(known) else np.nanmedian(mean, axis=0)
        variance = np.maximum(mean_square - bias**2, 0.0)
        relative = np.maximum(energy - 2 * bias * mean + bias**2, 0.0) / (variance + 1)
        levels = np.log(relative + LEVEL_OFFSET)
        level = np.zeros(seen.shape) if not len(known) else np.nanmedian(levels, axis=0)
        compared = np.zeros(len(bias)) if against_constant is None else against_constant
        return cls(variance=variance, bias=bias, level=level, against_constant=compared)


def useful(against_constant: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Return (K,) which members' squared differences are no more than a constant's, or the least.

    Args:
        against_constant: (K,) ratios to those of a constant.
    """
    return np.asarray((against_constant <= 1) | (against_constant == against_constant.min()))
