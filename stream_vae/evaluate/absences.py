"""How improbable it is, by a model of counts, that none comes: whether it would be missed."""

import math
from collections.abc import Iterable

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from stream_vae.core.model_spec import ModelSpec, Scorer

Counts = tuple[NDArray[np.int64], NDArray[np.float64]]

_MOST_WINDOWS = 256
_BUSY = 0.05
"""Share of the windows in which most is expected."""


def zero_probabilities(
    spec: ModelSpec, scorer: Scorer, history: Iterable[Counts], *, is_log_normal: bool
) -> NDArray[np.float64]:
    """Return (F,) probability of no line in a step in which the model expects many.

    The newest step of windows is hidden from the model, and what it expects there, and how far
    from it a count may be, gives the probability of 0. What is returned is that of the twentieth
    of the windows in which it is least: where even there 0 is usual, its absence is nowhere missed.
    Windows of one step, which are sessions, have one feature at a time hidden. NaN where no window
    is whole.

    Args:
        spec: Of a model of logs.
        scorer: Of the model.
        history: Of each series, (N,) times and (N, F) counts of whole steps.
        is_log_normal: The logarithm of 1 + count is normal, by the model.
    """
    T, F = spec.window_length, len(spec.features)
    step_ns = round(spec.step_seconds * 1e9)
    found = [_windows_of(*one, T, step_ns) for one in history]
    windows = np.concatenate([np.empty((0, T, F)), *(values for values, _ in found)])
    ends = np.concatenate([np.empty(0, np.int64), *(times for _, times in found)])
    if not len(windows):
        return np.full(F, np.nan)
    kept = _spaced(len(windows))
    windows, ends = windows[kept], ends[kept]
    mean, spread = np.empty((2, len(kept), F))
    for hidden in [slice(None)] if T > 1 else [slice(f, f + 1) for f in range(F)]:
        masked = windows.copy()
        masked[:, -1, hidden] = np.nan
        scores = scorer.score(masked, ends)
        mean[:, hidden] = scores.expected[:, hidden]
        spread[:, hidden] = scores.expected_std[:, hidden]
    is_count = np.array([one.kind == "count" for one in spec.features])
    least = np.maximum(mean, 0.0)
    of_counts = _of_counts(least, spread)
    if is_log_normal:
        of_counts = _of_normal(np.log1p(least), spread / (1 + least))
    zero = np.where(is_count, of_counts, _of_normal(mean, spread))
    return np.asarray(np.quantile(zero, _BUSY, axis=0))


def _windows_of(
    times: NDArray[np.int64], values: NDArray[np.float64], length: int, step_ns: int
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return (W, T, F) windows of a series without a gap, and (W,) times of their newest steps."""
    if len(times) < length:
        return np.empty((0, length, values.shape[1])), np.empty(0, np.int64)
    windows = np.moveaxis(sliding_window_view(values, length, axis=0), -1, 1)
    ends = times[length - 1 :]
    span = ends - times[: len(ends)]
    whole = np.flatnonzero((span == (length - 1) * step_ns) | (length == 1))
    chosen = whole[_spaced(len(whole))]
    return windows[chosen], ends[chosen]


def _spaced(n: int) -> NDArray[np.int64]:
    """Return the positions of at most 256 of n, evenly spaced."""
    return np.unique(np.linspace(0, n - 1, min(n, _MOST_WINDOWS)).astype(np.int64))


def _of_counts(mean: NDArray[np.float64], spread: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the probability of 0 of a negative binomial, or of a Poisson that is no wider."""
    excess = spread**2 - mean  # mean^2 / r
    is_wider = excess > 1e-9 * np.maximum(mean, 1e-12)
    r = mean**2 / np.where(is_wider, excess, 1.0)
    negative_binomial = np.exp(-r * np.log1p(mean / np.maximum(r, 1e-12)))
    return np.where(is_wider, negative_binomial, np.exp(-mean))


def _of_normal(mean: NDArray[np.float64], spread: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the probability of 0 or less."""
    below = -mean / np.maximum(spread, 1e-12)
    found = np.vectorize(lambda z: 0.5 * math.erfc(-z / math.sqrt(2)))(below)
    return np.asarray(found, np.float64)
