"""Pictures of one series over time."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from stream_vae.evaluate.pictures.themes import (
    BLUE,
    GREEN,
    ORANGE,
    RED,
    date_axis,
    ink,
    legend,
    mark,
    plain,
    shade,
    to_dates,
)
from stream_vae.evaluate.pictures.views import SeriesView

_BAND_STDS = 2.0
_WIDTH = 12.0


def draw_score(view: SeriesView) -> Figure:
    """Draw the signal above, score against threshold below, labelled and found spans in both."""
    figure = Figure(figsize=(_WIDTH, 5.5), layout="constrained")
    signal, score = figure.subplots(2, 1, sharex=True, height_ratios=(3, 2))
    top = view.features[0]
    _plot_actual(signal, view, top)
    signal.set_ylabel(plain(view.names[top]))
    signal.set_title(plain(view.key), fontweight="bold")
    times, (scores, threshold) = view.broken(view.score, view.threshold)
    score.plot(to_dates(times), scores, color=ORANGE, lw=1.0, label="score")
    score.plot(to_dates(times), threshold, color=RED, lw=1.0, ls="--", label="threshold")
    score.set_ylabel("score (higher = more anomalous)")
    score.set_yscale("symlog", linthresh=1.0)  # an outage scores a hundred times a small peak
    _finish([signal, score], view)
    return figure


def draw_bands(view: SeriesView) -> Figure:
    """Draw the expected band of each telling feature against its actual values."""
    n = len(view.features)
    figure = Figure(figsize=(_WIDTH, 1.2 + 1.9 * n), layout="constrained")
    all_axes = figure.subplots(n, 1, sharex=True, squeeze=False)[:, 0]
    for axes, f in zip(all_axes, view.features, strict=True):
        times, (expected, std) = view.broken(view.expected[:, f], view.expected_std[:, f])
        dates, band = to_dates(times), _BAND_STDS * std
        axes.fill_between(
            dates,
            expected - band,
            expected + band,
            color=BLUE,
            alpha=0.25,
            lw=0,
            label=f"expected ± {_BAND_STDS:g}\nstandard deviations",
        )
        axes.plot(dates, expected, color=BLUE, lw=0.8)
        _plot_actual(axes, view, f)
        axes.set_ylabel(plain(view.names[f], 30))
    all_axes[0].set_title(plain(view.key), fontweight="bold")
    _finish(list(all_axes), view, only_first_legend=True)
    return figure


def draw_bars(view: SeriesView) -> Figure:
    """Draw a bar of reconstruction error above the series, and one of its probability below.

    The error is the mean over the features of the distance of actual from expected in expected
    standard deviations; the probability is the mean log-density of the Gaussian that they give.

    References:
        Pereira & Silveira (2018), Unsupervised Anomaly Detection in Energy Time Series Data Using
        Variational Recurrent Autoencoders with Attention, ICMLA.
    """
    figure = Figure(figsize=(_WIDTH, 4.2), layout="constrained")
    above, signal, below = figure.subplots(3, 1, sharex=True, height_ratios=(1, 6, 1))
    error, probability = _error_and_probability(view)
    top = view.features[0]
    _plot_actual(signal, view, top)
    signal.set_ylabel(plain(view.names[top]))
    _bar(above, view, error, "Reds", "error")
    _bar(below, view, probability, "Greens", "log-probability")
    above.set_title(plain(view.key), fontweight="bold")
    _finish([signal], view)
    return figure


def _error_and_probability(
    view: SeriesView,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return (N,) of each; NaN where there is no score or nothing was observed."""
    with np.errstate(over="ignore", invalid="ignore"):
        distance = np.abs(view.actual - view.expected) / view.expected_std
        density = -0.5 * distance**2 - np.log(view.expected_std) - 0.5 * np.log(2 * np.pi)
    observed = np.isfinite(distance)
    count = np.where(observed.any(axis=1), observed.sum(axis=1), np.nan)
    means = (np.where(observed, part, 0.0).sum(axis=1) / count for part in (distance, density))
    error, probability = means
    return error, probability


def _bar(
    axes: Axes,
    view: SeriesView,
    amount: NDArray[np.float64],
    colors: str,
    label: str,
) -> None:
    """Draw amounts as colours; the far ends share one, so that one outage hides nothing else."""
    axes.grid(visible=False)
    axes.set_yticks([])
    axes.set_ylabel(label, rotation=0, ha="right", va="center")
    finite = amount[np.isfinite(amount)]
    if not len(finite):
        return
    low, high = np.quantile(finite, [0.05, 0.95])
    times = view.times
    edges = np.append(times, times[-1] + (times[-1] - times[-2] if len(times) > 1 else 1))
    mesh = axes.pcolormesh(
        to_dates(edges),
        np.array([0.0, 1.0]),
        amount[None, :],
        cmap=colors,
        vmin=low,
        vmax=max(high, low + 1e-12),
        rasterized=True,
    )
    axes.figure.colorbar(mesh, ax=axes, aspect=6, pad=0.01, ticks=[low, high], format="%.2g")


def _plot_actual(axes: Axes, view: SeriesView, f: int) -> None:
    times, (actual,) = view.broken(view.actual[:, f])
    axes.plot(to_dates(times), actual, color=ink(), lw=1.0, label="actual")


def _finish(all_axes: list[Axes], view: SeriesView, *, only_first_legend: bool = False) -> None:
    for axes in all_axes:
        mark(axes, view.labelled, GREEN, "labelled anomalous")
        shade(axes, view.found, RED, "incident")
    for axes in all_axes[: 1 if only_first_legend else None]:
        legend(axes)
    date_axis(all_axes[-1])
