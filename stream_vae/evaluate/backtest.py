"""Figures of a labelled history: of the detector and of other methods on the same windows."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stream_vae.evaluate.detection import Figures, ranking_figures, threshold_figures
from stream_vae.evaluate.history import History
from stream_vae.evaluate.intervals import Resampling, intervals
from stream_vae.evaluate.labelled import LabelledRows
from stream_vae.evaluate.report import OURS, Measured


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """How figures are computed."""

    window_length: int
    """T; also the longest buffer of VUS-PR."""
    step_seconds: float
    replicates: int = 200
    """Of the bootstrap; 0 gives no intervals."""
    point_adjusted: bool = False
    seed: int = 0


def measure(
    history: History,
    labelled: LabelledRows,
    how: Measurement,
    on_progress: Callable[[], None] | None = None,
) -> tuple[Measured, dict[str, Measured]]:
    """Return the figures at the detector's threshold, and those of every method's ranking.

    All methods are resampled alike, from the same seed.

    Args:
        history: As run, with other methods' scores.
        labelled: Its evaluated readings.
        how: See `Measurement`.
        on_progress: Called after each replicate of each method: `n_replicates` times.
    """
    resampling = Resampling.of(labelled.series_bounds, how.window_length)

    def measured(compute: Callable[[NDArray[np.int64]], Figures]) -> Measured:
        return Measured(
            figures=compute(labelled.series_bounds),
            intervals=intervals(
                compute,
                resampling,
                replicates=how.replicates,
                rng=np.random.default_rng(how.seed),
                on_progress=on_progress,
            ),
        )

    def ranking(scores: NDArray[np.float64]) -> Callable[[NDArray[np.int64]], Figures]:
        return lambda ranges: ranking_figures(
            labelled,
            scores[labelled.rows],
            ranges,
            max_buffer=how.window_length,
            point_adjusted=how.point_adjusted,
        )

    own = measured(lambda ranges: threshold_figures(labelled, ranges, how.step_seconds))
    scores = {OURS: history.score, **history.others}
    return own, {name: measured(ranking(column)) for name, column in scores.items()}


def n_replicates(history: History, how: Measurement) -> int:
    """Return how often `measure` reports progress."""
    return how.replicates * (len(history.others) + 2)
