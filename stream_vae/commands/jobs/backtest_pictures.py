"""The pictures of a backtest or of scored files, each with a name and a caption."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from stream_vae.core.model_spec import ModelSpec
from stream_vae.errors import ConfigError
from stream_vae.evaluate.history import History
from stream_vae.evaluate.labelled import LabelledRows
from stream_vae.evaluate.latent import LatentPlanes
from stream_vae.evaluate.pictures.latent_space import draw_latent
from stream_vae.evaluate.pictures.rankings import draw_curves, draw_distribution
from stream_vae.evaluate.pictures.signals import draw_bands, draw_bars, draw_score
from stream_vae.evaluate.pictures.themes import Picture, render_png
from stream_vae.evaluate.pictures.views import MOST_EVENTS, series_views
from stream_vae.evaluate.report import OURS


@dataclass(frozen=True, slots=True, kw_only=True)
class CaptionedPicture:
    """A picture, and what it shows."""

    name: str
    """Of its file, without an ending."""
    caption: str
    draw: Picture


def history_pictures(
    history: History, spec: ModelSpec, *, max_gap: int, labels: NDArray[np.int8] | None = None
) -> Iterator[CaptionedPicture]:
    """Yield the pictures of single series: score, expected bands, bars."""
    views = series_views(history, spec, max_gap=max_gap, labels=labels)
    which = f" of the {MOST_EVENTS} records with the highest scores" if spec.has_events else ""
    for number, view in enumerate(views, start=1):
        for kind, caption, draw in (
            ("score", "score against threshold under the most telling feature", draw_score),
            (
                "bands",
                f"expected and actual values{which}, most telling features first",
                draw_bands,
            ),
            ("bars", f"reconstruction error above, log-probability below{which}", draw_bars),
        ):
            yield CaptionedPicture(
                name=f"series-{number}-{kind}",
                caption=f"{view.key}: {caption}",
                draw=partial(draw, view),
            )


def ranking_pictures(history: History, labelled: LabelledRows) -> Iterator[CaptionedPicture]:
    """Yield the pictures of all evaluated readings that have a score."""
    rows = labelled.rows[labelled.is_judged]
    labels = labelled.is_anomalous[labelled.is_judged]
    methods = {OURS: history.score[rows]}
    methods |= {name: scores[rows] for name, scores in history.others.items()}
    yield CaptionedPicture(
        name="distribution",
        caption="Scores of normal and anomalous readings, and the threshold",
        draw=partial(draw_distribution, history.score[rows], labels, history.threshold[rows]),
    )
    yield CaptionedPicture(
        name="curves",
        caption="ROC and precision-recall curves of all methods",
        draw=partial(draw_curves, methods, labels),
    )


def latent_pictures(found: LatentPlanes | None) -> Iterator[CaptionedPicture]:
    """Yield the picture of the latent space, if it was sampled."""
    if found is not None:
        yield CaptionedPicture(
            name="latent",
            caption=(
                f"Latent space: posterior means of {len(found.score):,} windows, "
                f"by {' and '.join(found.planes)}"
            ),
            draw=partial(draw_latent, found),
        )


def write_pictures(pictures: Iterator[CaptionedPicture], folder: Path) -> int:
    """Write each as a PNG file; return how many there are."""
    n = 0
    for picture in pictures:
        n += 1
        path = folder / f"{picture.name}.png"
        try:
            path.write_bytes(render_png(picture.draw))
        except OSError as exc:
            raise ConfigError(f"{path}: cannot be written: {exc.strerror or exc}") from exc
    return n
