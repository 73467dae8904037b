"""Bootstrap intervals of figures over series, or over moving blocks of readings."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stream_vae.evaluate.detection import Figures

LEVEL = 0.95
"""Share of the resampled figures inside an interval."""

_FEWEST_SERIES = 10
_SHORTEST_BLOCK = 50
_FEWEST_FINITE = 0.5

Interval = tuple[float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Resampling:
    """What is drawn, with replacement: whole series if there are ten or more, else moving blocks.

    Neighbouring readings resemble each other, so single ones must not be drawn.

    References:
        Kuensch (1989), The Jackknife and the Bootstrap for General Stationary Observations, Annals
        of Statistics 17.
    """

    bounds: NDArray[np.int64]
    """(S, 2) start and end (exclusive) of each series."""
    block: int | None
    """Rows of a block; None: whole series are drawn."""

    @classmethod
    def of(cls, bounds: NDArray[np.int64], window_length: int) -> "Resampling":
        """Choose for these series; blocks are twice a window, and a tenth of the rows at most."""
        if len(bounds) >= _FEWEST_SERIES:
            return cls(bounds=bounds, block=None)
        n = int((bounds[:, 1] - bounds[:, 0]).sum())
        return cls(
            bounds=bounds, block=max(min(max(2 * window_length, _SHORTEST_BLOCK), n // 10), 1)
        )

    @property
    def description(self) -> str:
        """What is drawn, in words."""
        what = "whole series" if self.block is None else f"moving blocks of {self.block} readings"
        return f"bootstrap over {what}"

    def draw(self, rng: np.random.Generator) -> NDArray[np.int64]:
        """Return (U, 2) start and end (exclusive) of what was drawn, about as many rows as all."""
        if self.block is None:
            return self.bounds[rng.integers(0, len(self.bounds), len(self.bounds))]
        sizes = self.bounds[:, 1] - self.bounds[:, 0]
        which = rng.choice(
            len(sizes), size=int(np.ceil(sizes.sum() / self.block)), p=sizes / sizes.sum()
        )
        length = np.minimum(sizes[which], self.block)
        starts = self.bounds[which, 0] + rng.integers(0, sizes[which] - length + 1)
        return np.stack([starts, starts + length], axis=1)


def intervals(
    compute: Callable[[NDArray[np.int64]], Figures],
    resampling: Resampling,
    *,
    replicates: int,
    rng: np.random.Generator,
    on_progress: Callable[[], None] | None = None,
) -> dict[str, Interval | None]:
    """Return the percentile interval of each figure; None where it is seldom defined.

    Args:
        compute: Gives the figures of (U, 2) ranges.
        resampling: What to draw.
        replicates: How often; 0 gives no interval.
        rng: Draws.
        on_progress: Called after each replicate.
    """
    drawn: dict[str, list[float]] = {}
    for _ in range(replicates):
        for name, value in compute(resampling.draw(rng)).items():
            drawn.setdefault(name, []).append(value)
        if on_progress is not None:
            on_progress()
    return {name: interval_of(np.array(values)) for name, values in drawn.items()}


def interval_of(values: NDArray[np.float64]) -> Interval | None:
    """Return the percentile interval of resampled values; None if fewer than half are finite."""
    finite = values[np.isfinite(values)]
    if len(finite) < _FEWEST_FINITE * len(values):
        return None
    low, high = np.quantile(finite, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)
