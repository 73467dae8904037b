"""Scaling of input units to the network's units and back."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, kw_only=True)
class Scaler:
    """Standardise each feature and clip extreme values.

    The standard deviation is floored at 1 % of the training range (and above zero), so a constant
    feature cannot dominate every score; clipping at 10 keeps a value of 1e12 from doing so.
    """

    mean: NDArray[np.float64]
    """(F,) input units."""
    std: NDArray[np.float64]
    """(F,) input units, > 0."""
    clip: float = 10.0
    """Largest magnitude after scaling, dimensionless."""

    @classmethod
    def fit(cls, values: NDArray[np.float64], clip: float = 10.0) -> "Scaler":
        """Fit on (N, F) values in input units; NaN = not observed and is ignored.

        A feature never observed, or constant, gets a standard deviation of 1 % of its magnitude,
        or 1 where that is zero too.
        """
        observed = np.isfinite(values)
        count = np.maximum(observed.sum(axis=0), 1)
        filled = np.where(observed, values, 0.0)
        # Divide by a power of two: squares cannot overflow, and no bit is lost.
        _, power = np.frexp(np.abs(filled).max(axis=0, initial=0.0))
        filled = np.ldexp(filled, -power)
        mean = filled.sum(axis=0) / count
        deviation = np.where(observed, filled - mean, 0.0)
        std = np.sqrt((deviation**2).sum(axis=0) / count)
        low = np.where(observed, filled, np.inf).min(axis=0, initial=np.inf)
        high = np.where(observed, filled, -np.inf).max(axis=0, initial=-np.inf)
        spread = np.where(high > low, high - low, np.abs(mean))
        floor = np.where(spread > 0, 0.01 * spread, 1.0)
        return cls(
            mean=np.ldexp(mean, power), std=np.ldexp(np.maximum(std, floor), power), clip=clip
        )

    def transform(self, values: NDArray[np.float64]) -> NDArray[np.float32]:
        """Return (..., F) scaled and clipped; NaN stays NaN."""
        scaled = np.empty(values.shape, np.float32)
        self.transform_into(values, np.empty(values.shape), scaled)
        return scaled

    def transform_into(
        self,
        values: NDArray[np.float64],
        work: NDArray[np.float64],
        scaled: NDArray[np.float32],
    ) -> None:
        """Write the result of `transform` to `scaled`, without allocating.

        Args:
            values: (..., F) in input units.
            work: Of the same shape; overwritten.
            scaled: Of the same shape; the result.
        """
        with np.errstate(over="ignore"):  # infinities are clipped too
            np.subtract(values, self.mean, out=work)
            np.divide(work, self.std, out=scaled, casting="same_kind")
        # Rounding to float32 keeps the order, so clipping after it gives the same bits.
        np.clip(scaled, -self.clip, self.clip, out=scaled)

    def inverse(self, scaled: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return (..., F) in input units."""
        return scaled.astype(np.float64) * self.std + self.mean

    def restore(self, scaled: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return (..., F) values in input units that `transform` maps exactly to these.

        Args:
            scaled: (..., F) that `transform` returned; NaN stays NaN.
        """
        largest = np.finfo(np.float64).max
        with np.errstate(over="ignore"):
            inverse = np.clip(self.inverse(scaled), -largest, largest)
        values = inverse
        # Where an input's ulp is about as coarse as that of its scaled float32, the inverse may
        # miss the input by at most two ulps.
        for direction in (np.inf, -np.inf):
            near = inverse
            for _ in range(2):
                near = np.nextafter(near, direction)
                values = np.where(self.transform(near) == scaled, near, values)
        return np.where(self.transform(inverse) == scaled, inverse, values)
