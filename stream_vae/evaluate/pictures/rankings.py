"""Pictures of how well scores separate labelled readings."""

from collections.abc import Mapping

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from stream_vae.evaluate.metrics import curves
from stream_vae.evaluate.pictures.themes import BLUE, GREY, ORANGE, RED, ink, legend, plain

_BINS = 60
_POINTS = 1000


def draw_distribution(
    scores: NDArray[np.float64], is_anomalous: NDArray[np.bool_], threshold: NDArray[np.float64]
) -> Figure:
    """Draw the scores of normal and of anomalous readings, and the thresholds in force.

    Args:
        scores: (N,) finite.
        is_anomalous: (N,)
        threshold: (N,)
    """
    figure = Figure(figsize=(8.5, 4.0), layout="constrained")
    axes = figure.subplots()
    low, high = np.quantile(scores, [0.0, 0.999])
    bins = np.linspace(low, max(high, low + 1e-9, float(threshold.max())), _BINS + 1)
    for chosen, color, label in (
        (~is_anomalous, BLUE, "normal"),
        (is_anomalous, ORANGE, "anomalous"),
    ):
        shown = np.clip(scores[chosen], bins[0], bins[-1])  # what lies beyond is in the last bin
        axes.hist(
            shown,
            bins=bins.tolist(),
            weights=np.full(len(shown), 1 / max(len(shown), 1)),
            color=color,
            alpha=0.6,
            label=label,
        )
    least, median, most = np.quantile(threshold, [0.0, 0.5, 1.0])
    axes.axvspan(float(least), float(most), color=RED, alpha=0.15, label="range of thresholds")
    axes.axvline(float(median), color=RED, ls="--", lw=1.2, label="median threshold")
    axes.set_xlabel("score (higher = more anomalous)")
    axes.set_ylabel("share of readings of the kind")
    axes.set_yscale("log")
    legend(axes)
    return figure


def draw_curves(
    methods: Mapping[str, NDArray[np.float64]], is_anomalous: NDArray[np.bool_]
) -> Figure:
    """Draw ROC and precision-recall curves; the first method stands out.

    Args:
        methods: Name -> (N,) finite scores.
        is_anomalous: (N,)
    """
    figure = Figure(figsize=(11.5, 4.8), layout="constrained")
    roc, ranking = figure.subplots(1, 2)
    colors = mpl.colormaps["tab10"]
    for number, (name, scores) in enumerate(methods.items()):
        found = curves(is_anomalous, scores)
        at = np.unique(np.linspace(0, len(found.recall) - 1, _POINTS).astype(np.int64))
        is_ours = number == 0
        width, color = (2.4, ink()) if is_ours else (1.0, colors((number - 1) % 10))
        order = 3 if is_ours else 2  # above the others
        rate = np.append(0.0, found.false_positive_rate[at])
        roc.plot(rate, np.append(0.0, found.recall[at]), lw=width, color=color, zorder=order)
        ranking.plot(
            np.append(0.0, found.recall[at]),
            np.append(found.precision[0], found.precision[at]),
            lw=width,
            color=color,
            label=plain(name),
            drawstyle="steps-pre",
            zorder=order,
        )
    roc.plot([0, 1], [0, 1], color=GREY, ls=":", lw=1)
    ranking.axhline(float(is_anomalous.mean()), color=GREY, ls=":", lw=1, label="by chance")
    roc.set(xlabel="false positive rate", ylabel="recall", title="ROC", aspect="equal")
    ranking.set(xlabel="recall", ylabel="precision", title="precision and recall", ylim=(0, 1.03))
    legend(ranking)
    return figure
