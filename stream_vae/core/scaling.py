"""Scaling of input units to the network's units and back."""

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Transform = Literal["linear", "log1p", "code"]
"""Of one feature: (value - mean) / std; the same of log(1 + value); or of the code of a category,
whose inverse is a whole number."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scaler:
    """Standardise each feature and clip extreme values.

    The standard deviation is floored at 1 % of the training range (and above zero), so a constant
    feature cannot dominate every score; clipping at 10 keeps a value of 1e12 from doing so.
    """

    mean: NDArray[np.float64]
    """(F,) subtracted; input units, or their logarithm under log1p."""
    std: NDArray[np.float64]
    """(F,) divided by, > 0; units of `mean`."""
    clip: float = 10.0
    """Largest magnitude after scaling, dimensionless."""
    transforms: tuple[Transform, ...] = ()
    """(F,); empty if all are linear."""

    @property
    def category_counts(self) -> NDArray[np.int64]:
        """Return (F,) how many categories a feature's codes stand for; 0 of a number."""
        return np.where(self._is("code"), np.rint(self.std), 0.0).astype(np.int64)

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
        logarithmic = self._of("log1p")
        if logarithmic.size:
            np.copyto(work, values)
            # A negative count is no count; it must not become NaN, which is "not observed".
            work[..., logarithmic] = np.log1p(np.maximum(work[..., logarithmic], 0.0))
            values = work
        with np.errstate(over="ignore"):  # infinities are clipped too
            np.subtract(values, self.mean, out=work)
            np.divide(work, self.std, out=scaled, casting="same_kind")
        # Rounding to float32 keeps the order, so clipping after it gives the same bits.
        np.clip(scaled, -self.clip, self.clip, out=scaled)

    def inverse(self, scaled: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return (..., F) in input units."""
        values: NDArray[np.float64] = scaled.astype(np.float64) * self.std + self.mean
        for transform, invert in (("log1p", _to_count), ("code", np.rint)):
            chosen = self._of(transform)
            if chosen.size:
                values[..., chosen] = invert(values[..., chosen])
        return values

    def inverse_spread(
        self, spread: NDArray[np.float64], expected: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Return standard deviations in input units.

        Args:
            spread: (..., F) about the expected values, scaled units. That of a category is a
                probability and stays one.
            expected: (..., F) in input units.
        """
        found: NDArray[np.float64] = spread * np.where(self._is("code"), 1.0, self.std)
        logarithmic = self._of("log1p")
        if logarithmic.size:
            found[..., logarithmic] *= 1 + expected[..., logarithmic]
        return found

    def moved(
        self, values: NDArray[np.float64], by: NDArray[np.float64] | NDArray[np.float32]
    ) -> NDArray[np.float64]:
        """Return (..., F) values moved by scaled amounts; those of codes stay.

        Args:
            values: (..., F) in input units.
            by: (..., F) in scaled units.
        """
        found: NDArray[np.float64] = values + np.where(self._is("code"), 0.0, by * self.std)
        logarithmic = self._of("log1p")
        if logarithmic.size:
            logs = np.log1p(np.maximum(values[..., logarithmic], 0.0))
            amount = by[..., logarithmic] * self.std[logarithmic]
            found[..., logarithmic] = _to_count(logs + amount)
        return found

    def repeated(self, times: int) -> "Scaler":
        """Return the scaler of (..., times x F) values: whole windows of steps laid out flat."""
        return replace(
            self,
            mean=np.tile(self.mean, times),
            std=np.tile(self.std, times),
            transforms=self.transforms * times,
        )

    def _is(self, transform: str) -> NDArray[np.bool_]:
        """Return (F,) whether the features have this transform."""
        if not self.transforms:
            return np.zeros(len(self.mean), np.bool_)
        return np.array([one == transform for one in self.transforms])

    def _of(self, transform: str) -> NDArray[np.int64]:
        """Return the positions of the features that have this transform."""
        return np.flatnonzero(self._is(transform)) if self.transforms else np.empty(0, np.int64)

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


def _to_count(log_count: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.maximum(np.expm1(log_count), 0.0)
