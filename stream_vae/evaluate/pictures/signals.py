"""Pictures of one series over time, or of its event records."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from stream_vae.evaluate.pictures.features import draw_feature, surprise, to_x
from stream_vae.evaluate.pictures.themes import (
    GREEN,
    GREY,
    ORANGE,
    RED,
    date_axis,
    legend,
    mark,
    plain,
    shade,
)
from stream_vae.evaluate.pictures.views import SeriesView, Span

_WIDTH = 12.0
_HEADROOM = 0.08
"""Share of the height that is left free, so that marks at the edge hide no value."""


def draw_score(view: SeriesView) -> Figure:
    """Draw the signal above, score against threshold below, labelled and found spans in both.

    Of a series in time the signal has its expected band. Event records are too many for that, and
    those of incidents are red.
    """
    figure = Figure(figsize=(_WIDTH, 5.5), layout="constrained")
    signal, score = figure.subplots(2, 1, sharex=True, height_ratios=(3, 2))
    draw_feature(signal, view, view.telling[0], with_expected=not view.is_events)
    signal.set_title(plain(view.key), fontweight="bold")
    places, (scores, threshold) = view.broken(view.score, view.threshold)
    x = to_x(view, places)
    if view.is_events:
        score.scatter(x, scores, s=9, color=ORANGE, lw=0, label="score")
    else:
        score.plot(x, scores, color=ORANGE, lw=1.0, label="score")
    score.plot(x, threshold, color=RED, lw=1.0, ls="--", label="threshold")
    score.set_ylabel("score\n(higher = more anomalous)")
    score.set_yscale("symlog", linthresh=1.0)  # an outage scores a hundred times a small peak
    if view.is_events:
        for axes in (signal, score):
            _redden(axes, view)
    _finish([signal, score], view, shaded=not view.is_events)
    for axes in (signal, score):
        legend(axes)
    return figure


def draw_bands(view: SeriesView) -> Figure:
    """Draw what was expected of each telling feature against its actual values.

    Of event records, those with the highest scores.
    """
    shown, numbers = view.highest() if view.is_events else (view, None)
    n = len(view.telling)
    figure = Figure(figsize=(_WIDTH, 1.2 + 1.9 * n), layout="constrained")
    all_axes = figure.subplots(n, 1, sharex=True, squeeze=False)[:, 0]
    for axes, f in zip(all_axes, view.telling, strict=True):
        draw_feature(axes, shown, f)
    all_axes[0].set_title(plain(view.key), fontweight="bold")
    _finish(list(all_axes), shown, numbers)
    kinds = [view.features[f].kind for f in view.telling]
    for i, axes in enumerate(all_axes):
        if kinds[i] not in kinds[:i]:
            legend(axes)
    return figure


def draw_bars(view: SeriesView) -> Figure:
    """Draw a bar of reconstruction error above the series, and one of its probability below.

    The error is the mean over the features of the distance of actual from expected in expected
    standard deviations (of a category, that of a normal value as improbable); the probability is
    the mean log-probability of the newest step's values under their likelihoods. Of event records,
    those with the highest scores are drawn.

    References:
        Pereira & Silveira (2018), Unsupervised Anomaly Detection in Energy Time Series Data Using
        Variational Recurrent Autoencoders with Attention, ICMLA.
    """
    shown, numbers = view.highest() if view.is_events else (view, None)
    figure = Figure(figsize=(_WIDTH, 4.2), layout="constrained")
    above, signal, below = figure.subplots(3, 1, sharex=True, height_ratios=(1, 6, 1))
    draw_feature(signal, shown, shown.telling[0], with_expected=shown.is_events)
    _bar(above, shown, _mean_observed(surprise(shown)), "Reds", "error")
    _bar(below, shown, _mean_observed(shown.log_probability), "Greens", "log-probability")
    above.set_title(plain(shown.key), fontweight="bold")
    _finish([signal], shown, numbers, lowest=below)
    legend(signal)
    return figure


def _mean_observed(amounts: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return (N,) means of (N, F) amounts that are finite; NaN where none is."""
    finite = np.isfinite(amounts)
    count = np.where(finite.any(axis=1), finite.sum(axis=1), np.nan)
    return np.asarray(np.where(finite, amounts, 0.0).sum(axis=1) / count)


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
    places, (amounts,) = view.broken(amount)
    edges = np.append(places, places[-1] + view.step)
    mesh = axes.pcolormesh(
        edges - 0.5 if view.is_events else to_x(view, edges),
        np.array([0.0, 1.0]),
        amounts[None, :],
        cmap=colors,
        vmin=low,
        vmax=max(high, low + 1e-12),
        rasterized=True,
    )
    axes.figure.colorbar(mesh, ax=axes, aspect=6, pad=0.01, ticks=[low, high], format="%.2g")


def _redden(axes: Axes, view: SeriesView) -> None:
    """Draw the event records of incidents anew, in red."""
    dots = np.asarray(axes.collections[-1].get_offsets())[view.is_found]
    axes.scatter(dots[:, 0], dots[:, 1], s=14, color=RED, lw=0, zorder=4, label="incident")


def _finish(
    all_axes: list[Axes],
    view: SeriesView,
    numbers: NDArray[np.int64] | None = None,
    *,
    shaded: bool = True,
    lowest: Axes | None = None,
) -> None:
    """Mark spans, and label the horizontal axis.

    Args:
        all_axes: Those with spans, from above.
        view: What they show.
        numbers: Of the event records, where places are ranks.
        shaded: Shade incidents.
        lowest: The axes with the labels, if not the last.
    """
    for axes in all_axes:
        axes.margins(y=_HEADROOM)
        mark(axes, _at(view, view.labelled), GREEN, "labelled anomalous")
        if shaded:
            shade(axes, _at(view, view.found), RED, "incident")
        shade(axes, _at(view, view.trained_on), GREY, "trained on, not streamed")
    bottom = all_axes[-1] if lowest is None else lowest
    if not view.is_events:
        date_axis(bottom)
    elif numbers is None:
        bottom.set_xlabel("number of the record in the input")
    else:
        bottom.set_xticks(view.places, numbers.tolist(), rotation=90, fontsize="small")
        bottom.set_xlim(0, len(view.places) + 1)
        bottom.set_xlabel("number of the record in the input, highest score first")


def _at(view: SeriesView, spans: Sequence[Span]) -> list[tuple[Any, Any]]:
    if view.is_events:
        return list(spans)
    return [tuple(to_x(view, np.array(span, np.int64))) for span in spans]
