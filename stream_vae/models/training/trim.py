"""Refitting without the training windows that scored worst."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from stream_vae.models.provenance import TrimmedSpan
from stream_vae.models.training.fitting import Fitting
from stream_vae.models.training.training_windows import TrainingSeries, WindowSet

Trim = Literal["off", "auto"] | float

FAR_SDS = 20.0
"""Robust standard deviations above the held-out median from which `auto` drops a window.

At 10 it dropped 1.5 to 5 % of clean windows of two server machines; at 20 up to 1.6 %, and half of
planted bursts.
"""

MOST_DROPPED = 0.05
"""Of the training windows, by `auto`."""

_SD_OF_MAD = 1.4826


def worst_windows(
    scores: NDArray[np.float64], held_out: NDArray[np.float64], trim: Trim
) -> NDArray[np.int64]:
    """Return which training windows to drop, ascending.

    A fraction drops that share of the windows, highest scores first. `auto` drops those that lie
    `FAR_SDS` robust standard deviations (1.4826 x median absolute deviation) of the held-out
    windows above their median, 5 % of all at most.

    Args:
        scores: (W,) of the training windows; higher = more anomalous.
        held_out: (V,) of windows that were not trained on.
        trim: The setting.
    """
    if trim == "off":
        return np.empty(0, np.int64)
    if trim == "auto":
        median = np.median(held_out)
        sd = _SD_OF_MAD * np.median(np.abs(held_out - median))
        n_far = int((scores > median + FAR_SDS * sd).sum())
        n_dropped = min(n_far, int(MOST_DROPPED * len(scores)))
    else:
        n_dropped = int(trim * len(scores))
    return np.sort(np.argsort(-scores, kind="stable")[:n_dropped]).astype(np.int64)


def windows_to_drop(
    fitting: Fitting, parts: Mapping[str, WindowSet], trim: Trim
) -> NDArray[np.int64]:
    """Return which training windows a fitted model would rather not have seen, ascending."""
    if trim == "off":
        return np.empty(0, np.int64)
    scores = fitting.window_scores(parts["training"])
    return worst_windows(scores, fitting.window_scores(parts["validation"]), trim)


def without_steps_of(
    series: Sequence[TrainingSeries], windows: WindowSet, dropped: NDArray[np.int64]
) -> list[TrainingSeries]:
    """Return the series without the values of steps that only dropped windows hold.

    So the scaler that is fitted to them knows nothing of these either. Times stay, and with them
    the cut into parts.

    Args:
        series: All.
        windows: Of their training part.
        dropped: Which of the windows.
    """
    kept = np.delete(windows.starts, dropped)
    hidden = _held(windows, windows.starts[dropped]) & ~_held(windows, kept)
    blanked = []
    for number, one in enumerate(series):
        times = windows.times[hidden & (windows.series_of_steps() == number)]
        values = one.values.copy()
        values[np.isin(one.times, times)] = np.nan
        blanked.append(replace(one, values=values))
    return blanked


def without_windows(windows: WindowSet, starts: NDArray[np.int64]) -> WindowSet:
    """Return the windows less those that begin at the given rows of `steps`."""
    return replace(windows, starts=np.setdiff1d(windows.starts, starts))


def spans_of(
    series: Sequence[TrainingSeries], windows: WindowSet, dropped: NDArray[np.int64]
) -> tuple[TrimmedSpan, ...]:
    """Return the dropped windows as spans, in the order of the series and of time."""
    first = windows.starts[dropped]
    if not len(first):
        return ()
    last = first + windows.window_length - 1
    number = windows.series_of_steps()[first]
    is_new = (first[1:] > last[:-1] + 1) | (number[1:] != number[:-1])
    return tuple(
        TrimmedSpan(
            series=series[int(number[group[0]])].key,
            start_ns=int(windows.times[first[group[0]]]),
            end_ns=int(windows.times[last[group[-1]]]),
            windows=len(group),
        )
        for group in np.split(np.arange(len(first)), np.flatnonzero(is_new) + 1)
    )


def _held(windows: WindowSet, starts: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Return (M,) whether a window that begins at one of `starts` holds the step."""
    edges = np.zeros(len(windows.steps) + 1, np.int64)
    np.add.at(edges, starts, 1)
    np.add.at(edges, starts + windows.window_length, -1)
    return np.cumsum(edges[:-1]) > 0
