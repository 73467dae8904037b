"""How far apart the steps of a history are, by the times between its readings."""

import numpy as np
from numpy.typing import NDArray

_USUAL_STEPS_NS = tuple(
    round(number * unit)
    for unit, numbers in (
        (10**6, (1, 2, 5, 10, 20, 25, 40, 50, 100, 200, 250, 500)),
        (10**9, (1, 2, 3, 4, 5, 6, 10, 12, 15, 20, 30, 60, 90)),
        (60 * 10**9, (2, 3, 4, 5, 6, 10, 12, 15, 20, 30, 60)),
        (3600 * 10**9, (2, 3, 4, 6, 8, 12, 24, 168)),
    )
    for number in numbers
)
_SAME_STEP = 0.1
_SHORT = 0.2
"""Share of a long gap below which another is between parts of one step, and all of these too."""


def infer_step(gaps: NDArray[np.int64]) -> int | None:
    """Return the step that most gaps are, or jitter about; None without any.

    The most common gap (the smallest of equally common ones) if two thirds of the gaps are that;
    else, if half of them are within a fifth of their median, the mean of these to three digits, or
    the usual width within a hundredth of it. Where steps come in parts that lie close together the
    same is asked of the times between their beginnings.

    Args:
        gaps: Between the different times of a series, in order, nanoseconds; those of several
            series one after the other.
    """
    if not len(gaps):
        return None
    common, count = _commonest(gaps)
    if 3 * count > 2 * len(gaps):
        return common
    between = _between_parts(gaps)
    found = None if between is None else _agreed(between)
    found = _agreed(gaps) if found is None else found
    return common if found is None else found


def _between_parts(gaps: NDArray[np.int64]) -> NDArray[np.int64] | None:
    """Return the times between the first parts of steps; None where steps come whole."""
    is_long = gaps > _SHORT * np.quantile(gaps, 0.9)
    n_long = int(is_long.sum())
    if n_long < 2 or n_long == len(gaps):
        return None
    if gaps[~is_long].sum() / n_long > _SHORT * np.median(gaps[is_long]):
        return None
    return np.diff(np.cumsum(gaps)[is_long])


def step_agreement(gaps: NDArray[np.int64], step_ns: float) -> float:
    """Return the share of gaps that are within a tenth of a step."""
    return float((np.abs(gaps - step_ns) <= _SAME_STEP * step_ns).mean()) if len(gaps) else 1.0


def _agreed(gaps: NDArray[np.int64]) -> int | None:
    common, count = _commonest(gaps)
    if 3 * count > 2 * len(gaps):
        return common
    median = float(np.median(gaps))
    near = gaps[np.abs(gaps - median) <= median / 5]
    if 2 * len(near) < len(gaps):
        return None
    mean = float(near.mean())  # of gaps in a row all but the ends cancels out
    nearest = min(_USUAL_STEPS_NS, key=lambda width: abs(width - mean))
    if abs(nearest - mean) <= mean / 100:
        return nearest
    digit = int(10 ** max(np.floor(np.log10(mean)) - 2, 0))
    return max(round(mean / digit), 1) * digit


def _commonest(gaps: NDArray[np.int64]) -> tuple[int, int]:
    widths, counts = np.unique(gaps, return_counts=True)
    at = int(np.argmax(counts))
    return int(widths[at]), int(counts[at])
