"""A picture of the latent space."""

import numpy as np
from matplotlib.figure import Figure

from stream_vae.evaluate.latent import LatentPlanes
from stream_vae.evaluate.pictures.themes import BLUE, ORANGE


def draw_latent(found: LatentPlanes) -> Figure:
    """Draw each projection twice: coloured by label, and by score."""
    n = len(found.planes)
    figure = Figure(figsize=(11.0, 0.6 + 4.2 * n), layout="constrained")
    low, high = np.quantile(found.score, [0.01, 0.99])
    for (name, plane), (by_label, by_score) in zip(
        found.planes.items(), figure.subplots(n, 2, squeeze=False), strict=True
    ):
        for chosen, color, label in (
            (~found.is_anomalous, BLUE, "normal"),
            (found.is_anomalous, ORANGE, "anomalous"),
        ):
            by_label.scatter(*plane[chosen].T, s=8, color=color, alpha=0.6, lw=0, label=label)
        points = by_score.scatter(
            *plane.T, s=8, c=found.score, cmap="viridis", lw=0, vmin=low, vmax=max(high, low + 1e-9)
        )
        figure.colorbar(points, ax=by_score, label="score")
        by_label.set_title(f"{name}, by label")
        by_score.set_title(f"{name}, by score")
        by_label.legend(fontsize="small")
    return figure
