"""How soon it would be told that no line of a template comes any more: it is tried."""

from collections.abc import Iterable

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from stream_vae.core.log_templates import LINES
from stream_vae.core.model_spec import ModelSpec, Scorer

Counts = tuple[NDArray[np.int64], NDArray[np.float64]]

_TRIED = (1, 2, 3, 5, 10, 20)
_MOST_WINDOWS = 256
_PLACES = 12
"""A twentieth of the windows: those in which most lines come."""


def tried_steps(window_length: int) -> tuple[int, ...]:
    """Return after how many steps it is asked; the last is the whole window."""
    return (*(steps for steps in _TRIED if steps < window_length), window_length)


def absence_scores(
    spec: ModelSpec, scorer: Scorer, history: Iterable[Counts], wanted: Iterable[int]
) -> dict[int, NDArray[np.float64]]:
    """Return feature -> (N,) scores after `tried_steps` steps without what it counts.

    Of the windows in which most of it comes, the newest steps are set to 0, and `lines` is as much
    less. A score is the highest until then, and of the windows the median: in half of the places
    it would have come so far. Empty where no window is whole.

    Args:
        spec: Of a model of logs.
        scorer: Whose score is in use.
        history: Of each series, (M,) times and (M, F) counts of whole steps, which the model was
            not fitted to.
        wanted: Positions of features.
    """
    T, step_ns = spec.window_length, round(spec.step_seconds * 1e9)
    found = [_windows_of(*one, T, step_ns) for one in history]
    windows = np.concatenate([np.empty((0, T, len(spec.features))), *(one for one, _ in found)])
    ends = np.concatenate([np.empty(0, np.int64), *(times for _, times in found)])
    if not len(windows):
        return {}
    kept = _spaced(len(windows))
    windows, ends = windows[kept], ends[kept]
    names = [feature.name for feature in spec.features]
    sums = [names.index(LINES)] if LINES in names else []
    steps, scores = tried_steps(T), {}
    for f in wanted:
        most = np.argsort(-np.nan_to_num(windows[:, :, f]).sum(axis=1), kind="stable")[:_PLACES]
        without = np.concatenate([_without(windows[most], f, sums, n) for n in steps])
        value = scorer.score(without, np.tile(ends[most], len(steps))).value
        highest = np.maximum.accumulate(value.reshape(len(steps), -1), axis=0)
        scores[f] = np.median(highest, axis=1)
    return scores


def _without(
    windows: NDArray[np.float64], f: int, sums: list[int], n_steps: int
) -> NDArray[np.float64]:
    """Return windows without what a feature counts at the newest steps."""
    found = windows.copy()
    found[:, -n_steps:, sums] -= np.nan_to_num(found[:, -n_steps:, f : f + 1])
    found[:, -n_steps:, f] *= 0.0  # what is missing stays so
    return found


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
