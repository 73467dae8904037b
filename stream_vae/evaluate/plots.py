"""A plot of one series: observed and expected values, score and anomalies."""

from collections.abc import Sequence
from dataclasses import dataclass

import matplotlib.dates as mdates
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

_BLUE, _ORANGE, _RED, _GREY = "#1f6feb", "#d9822b", "#d1242f", "#6e7781"
_BAND_STDS = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class SeriesPicture:
    """N readings of one feature of one series, in time order; NaN where there is none."""

    title: str
    label: str
    """Feature and unit, for the axis."""
    times: NDArray[np.int64]
    """(N,) nanoseconds since 1970."""
    actual: NDArray[np.float64]
    """(N,) input units."""
    expected: NDArray[np.float64]
    """(N,) input units."""
    expected_std: NDArray[np.float64]
    """(N,) input units."""
    score: NDArray[np.float64]
    """(N,)"""
    threshold: NDArray[np.float64]
    """(N,)"""
    incidents: Sequence[tuple[int, int]]
    """Start and end of each, nanoseconds since 1970."""
    trained_on: tuple[int, int]
    """Start and end of the training data, nanoseconds since 1970."""


def draw(picture: SeriesPicture, max_gap_ns: int) -> Figure:
    """Draw the signal with its expected band above, score against threshold below.

    Args:
        picture: What to draw.
        max_gap_ns: Lines are broken where readings are further apart than this.
    """
    figure = Figure(figsize=(13, 6.5), layout="constrained")
    signal, score = figure.subplots(2, 1, sharex=True, height_ratios=(3, 2))
    dates, columns = _broken(picture, max_gap_ns)
    actual, expected, std, scores, threshold = columns
    band = _BAND_STDS * std
    signal.fill_between(
        dates,
        expected - band,
        expected + band,
        color=_BLUE,
        alpha=0.2,
        lw=0,
        label=f"expected ± {_BAND_STDS:g} standard deviations",
    )
    signal.plot(dates, expected, color=_BLUE, lw=0.8)
    signal.plot(dates, actual, color="black", lw=1.0, label="actual")
    signal.set_ylabel(picture.label)
    signal.set_title(picture.title, loc="left", fontweight="bold")
    score.plot(dates, scores, color=_ORANGE, lw=1.0, label="score")
    score.plot(dates, threshold, color=_RED, lw=1.0, ls="--", label="threshold")
    score.set_ylabel("score (higher = more anomalous)")
    score.set_yscale("symlog", linthresh=1.0)  # an outage scores a hundred times a small peak
    for axes in (signal, score):
        _shade(axes, [picture.trained_on], _GREY, "trained on, not streamed")
        _shade(axes, picture.incidents, _RED, "incident")
        axes.grid(color=_GREY, alpha=0.2)
    signal.legend(loc="center", fontsize="small")
    score.legend(loc="center", fontsize="small")
    locator = mdates.AutoDateLocator()
    score.xaxis.set_major_locator(locator)
    score.xaxis.set_major_formatter(mdates.ConciseDateFormatter(locator))
    return figure


def _shade(axes: Axes, spans: Sequence[tuple[int, int]], color: str, label: str) -> None:
    for i, span in enumerate(spans):
        start, end = _dates(np.array(span))
        axes.axvspan(start, end, color=color, alpha=0.15, label=label if i == 0 else None)


def _broken(
    picture: SeriesPicture, max_gap_ns: int
) -> tuple[NDArray[np.datetime64], list[NDArray[np.float64]]]:
    """Return dates and columns with a NaN row inside every long gap, where lines then break."""
    gaps = np.flatnonzero(np.diff(picture.times) > max_gap_ns) + 1
    times = np.insert(picture.times, gaps, picture.times[gaps] - 1)
    columns = [
        np.insert(column, gaps, np.nan)
        for column in (
            picture.actual,
            picture.expected,
            picture.expected_std,
            picture.score,
            picture.threshold,
        )
    ]
    return _dates(times), columns


def _dates(times: NDArray[np.int64]) -> NDArray[np.datetime64]:
    return times.astype("datetime64[ns]").astype("datetime64[us]")
