"""The baselines that a detector is held against in a backtest, and what they learn from."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stream_vae.commands.jobs.backtest_request import BacktestRequest
from stream_vae.commands.jobs.histories import read_history, to_batch
from stream_vae.core.readings import ReadingBatch
from stream_vae.edges.files.label_files import Labels
from stream_vae.evaluate.comparison import FEWEST_WINDOWS, cut_windows, fit_baselines
from stream_vae.evaluate.history import OtherScore
from stream_vae.models.bundle import Bundle
from stream_vae.pipeline.ruled_history import ruled_history
from stream_vae.settings import Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class LearntBaselines:
    """Fitted baselines, none where too little was there; and what they cost the evaluation."""

    scores: Mapping[str, OtherScore]
    training: ReadingBatch
    """What they learnt from."""
    trained_on: str
    excluded: NDArray[np.bool_]
    """(N,) readings of the input that they learnt from."""
    notes: tuple[str, ...]


def learn_baselines(
    request: BacktestRequest,
    model: Bundle,
    settings: Settings,
    batch: ReadingBatch,
    labels: Labels,
) -> LearntBaselines:
    """Fit the baselines to the model's training files, or to what comes before the first label.

    Args:
        request: Names the training files, if there are any.
        model: Whose features and windows they have.
        settings: Of input and windows.
        batch: N readings of the input.
        labels: Theirs.
    """
    nothing = np.zeros(len(batch), np.bool_)
    if request.train_files:
        training = to_batch(
            read_history(
                request.train_files, model.spec, options=request.options, settings=settings.input
            )
        )
        excluded, where = nothing, ", ".join(map(str, request.train_files))
    else:
        excluded = _head(batch, labels.values)
        training = batch.take(np.flatnonzero(excluded))
        where = f"the {len(training):,} readings of the input before the first anomalous one"
    windows = cut_windows(
        model.spec,
        settings.detect,
        ruled_history(model.spec, training, settings.detect.max_gap).readings,
        rng=np.random.default_rng(request.seed),
    )
    if len(windows) < FEWEST_WINDOWS:
        note = (
            f"no baselines: {where} give {len(windows)} windows, at least {FEWEST_WINDOWS} are "
            "needed; give the model's training files with --train"
        )
        return LearntBaselines(
            scores={}, training=training, trained_on="", excluded=nothing, notes=(note,)
        )
    note = f"baselines are trained on {where}: {len(windows):,} windows"
    if excluded.any():
        note += "; these readings are not evaluated, for any method"
    return LearntBaselines(
        scores=fit_baselines(windows, model.spec.scaler, seed=request.seed),
        training=training,
        trained_on=where,
        excluded=excluded,
        notes=(note,),
    )


def _head(batch: ReadingBatch, labels: NDArray[np.int8]) -> NDArray[np.bool_]:
    """Return (N,) the readings before the first anomalous one, if normal ones are left after it."""
    head = batch.times < batch.times[labels == 1].min()
    has_normal = bool((labels[~head] == 0).any())
    return head if has_normal else np.zeros(len(batch), np.bool_)
