"""Baselines fitted on training windows, as scores of the windows that the detector judges."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from stream_vae.core.model_spec import ModelSpec
from stream_vae.core.readings import ReadingBatch
from stream_vae.core.scaling import Scaler
from stream_vae.detect.config import DetectConfig
from stream_vae.evaluate.baselines import (
    T2Q,
    FeatureZScores,
    IsolationForest,
    NearestWindow,
    PcaWindows,
    Windows,
    one_hot,
)
from stream_vae.evaluate.history import BATCH, OtherScore
from stream_vae.models.residuals import ResidualScorer
from stream_vae.models.scores import residual_score
from stream_vae.pipeline.series_store import SeriesStore

FEWEST_WINDOWS = 50
"""Fewer training windows say nothing."""
MOST_WINDOWS = 20_000
"""Training windows drawn."""

_REFERENCE_WINDOWS = 4096
_HELD_OUT = 0.2

_Score = Callable[[Windows], NDArray[np.float64]]


def cut_windows(
    spec: ModelSpec,
    config: DetectConfig,
    readings: ReadingBatch,
    *,
    rng: np.random.Generator,
    most: int = MOST_WINDOWS,
) -> Windows:
    """Return the windows that the detector would score, `encoded`, by time.

    Args:
        spec: The model's inputs.
        config: Which windows can be scored.
        readings: In arrival order, after the rules of features.
        rng: Draws which ones are kept.
        most: Readings whose windows are kept.
    """
    store = SeriesStore(spec, config, max(len(set(readings.series)), 1))
    kept = np.zeros(len(readings), np.bool_)
    kept[rng.permutation(len(readings))[:most]] = True
    none = np.empty((0, spec.window_length, len(spec.features)))
    windows = [encoded(none, spec.scaler)]
    ends = [np.empty(0, np.int64)]
    for at in range(0, len(readings), BATCH):
        rows = np.arange(at, min(at + BATCH, len(readings)))
        batch = readings.take(rows)
        names = list(zip(batch.partitions.tolist(), batch.series, strict=True))
        cut = store.windows.push(store.rows(names), batch)
        chosen = kept[rows[cut.ready]]
        windows.append(encoded(cut.windows[chosen], spec.scaler))
        ends.append(cut.end_times[chosen])
    order = np.argsort(np.concatenate(ends), kind="stable")
    found: Windows = np.concatenate(windows)[order]
    return found


def encoded(windows: NDArray[np.float64], scaler: Scaler) -> Windows:
    """Return windows as baselines take them: numbers scaled, categories one-hot, no gaps.

    Args:
        windows: (B, T, F) in input units. A number that was not observed is taken as the training
            mean, a category as none.
        scaler: Of the features.
    """
    return one_hot(scaler.transform(windows), scaler.category_counts)


def fit_baselines(
    windows: Windows, scaler: Scaler, *, seed: int, with_deterministic: bool = True
) -> dict[str, OtherScore]:
    """Return baselines by name, each with its usual score, and under our score where it has one.

    The usual score is the mean squared residual of PCA (Q), the distance to the nearest window,
    the largest z-score at the newest step, and the isolation forest's own. Ours is `residual_score`
    on the residuals; an isolation forest has none. The last fifth of the windows is not fitted to,
    but sets the scales of scores.

    Args:
        windows: (W, T, F) training windows by time, `encoded`.
        scaler: The model's.
        seed: Of what is drawn.
        with_deterministic: Whether those that draw nothing, PCA and z-scores, are among them.
    """
    held_from = round(len(windows) * (1 - _HELD_OUT))
    learnt, held_out = windows[:held_from], windows[held_from:]
    nearest = NearestWindow(learnt, most=_REFERENCE_WINDOWS, rng=np.random.default_rng(seed))
    ours = residual_score(len(scaler.mean))
    found: dict[str, _Score] = {}
    if with_deterministic:
        found |= _deterministic(learnt, held_out, ours)
    found |= {
        "1-NN": lambda batch: _mean_square(nearest.residual(batch)),
        f"1-NN, {ours}": _under_our_score(nearest.residual, held_out, ours),
        "isolation forest": IsolationForest(learnt, seed=seed).score,
    }
    return {name: _of_raw_windows(score, scaler) for name, score in found.items()}


def fit_references(
    windows: Windows, scaler: Scaler, *, most: int, seed: int
) -> dict[str, Callable[[Windows], NDArray[np.float64]]]:
    """Return a constant model, PCA and 1-NN by name, all under our score, for `encoded` windows.

    Args:
        windows: (W, T, F) training windows by time, `encoded`.
        scaler: The model's.
        most: Reference windows of 1-NN.
        seed: Draws them.
    """
    held_from = round(len(windows) * (1 - _HELD_OUT))
    learnt, held_out = windows[:held_from], windows[held_from:]
    ours = residual_score(len(scaler.mean))
    nearest = NearestWindow(learnt, most=most, rng=np.random.default_rng(seed))
    residuals = {
        "constant model": FeatureZScores(learnt).residual,
        "PCA": PcaWindows(learnt).residual,
        "1-NN": nearest.residual,
    }
    return {name: _under_our_score(one, held_out, ours) for name, one in residuals.items()}


def _deterministic(learnt: Windows, held_out: Windows, ours: str) -> dict[str, _Score]:
    pca, z_scores = PcaWindows(learnt), FeatureZScores(learnt)
    return {
        "PCA Q": lambda batch: _mean_square(pca.residual(batch)),
        f"PCA, {ours}": _under_our_score(pca.residual, held_out, ours),
        "PCA T2+Q": T2Q(pca, held_out).score,
        "z-score": z_scores.score,
        f"z-score, {ours}": _under_our_score(z_scores.residual, held_out, ours),
    }


def _under_our_score(
    residual: Callable[[Windows], Windows], held_out: Windows, score: str
) -> _Score:
    scorer = ResidualScorer(score, residual(held_out))
    return lambda windows: scorer.score(residual(windows))


def _of_raw_windows(score: _Score, scaler: Scaler) -> OtherScore:
    return lambda windows: score(encoded(windows, scaler))


def _mean_square(residual: Windows) -> NDArray[np.float64]:
    mean: NDArray[np.float64] = (residual.astype(np.float64) ** 2).mean(axis=(1, 2))
    return mean
