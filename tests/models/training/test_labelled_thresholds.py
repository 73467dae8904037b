from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.metrics import f1_score, precision_recall_curve, roc_curve

from stream_vae.core.model_spec import Feature, ModelSpec
from stream_vae.models.config import ArchitectureConfig, TrainingConfig
from stream_vae.models.training.labelled_thresholds import best_thresholds
from stream_vae.models.training.train import train
from stream_vae.models.training.training_windows import TrainingSeries


def drawn(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return labels, an eighth of them anomalous, and scores in tenths, many of them equal."""
    generator = np.random.default_rng(seed)
    labels = generator.random(400) < 0.125
    return labels, np.round(generator.normal(size=400) + 1.5 * labels, 1)


@pytest.mark.parametrize("seed", range(5))
def test_youdens_threshold_reaches_the_best_point_of_scikit_learns_roc_curve(seed: int) -> None:
    labels, scores = drawn(seed)
    found = scores > best_thresholds(labels, scores)["youden"]
    false_rate, true_rate, _ = roc_curve(labels, scores)
    reached = found[labels].mean() - found[~labels].mean()
    assert reached == pytest.approx((true_rate - false_rate).max())


@pytest.mark.parametrize("seed", range(5))
def test_the_best_f1_is_that_of_scikit_learns_curve(seed: int) -> None:
    labels, scores = drawn(seed)
    precision, recall, _ = precision_recall_curve(labels, scores)
    best = (2 * precision * recall / np.maximum(precision + recall, 1e-12)).max()
    found = scores > best_thresholds(labels, scores)["best_f1"]
    assert f1_score(labels, found) == pytest.approx(best)


def test_they_differ_where_anomalies_are_rare() -> None:
    """Control: Youden's index does not see that one in a hundred is anomalous; F1 does."""
    generator = np.random.default_rng(0)
    labels = np.arange(10_000) < 100
    scores = generator.normal(size=10_000) + 2 * labels
    found = best_thresholds(labels, scores)
    assert found["best_f1"] > found["youden"] + 0.5


@given(
    labels=arrays(np.bool_, 20),
    scores=arrays(np.float64, 20, elements=st.floats(-1e9, 1e9)),
)
def test_a_threshold_divides_the_scores_or_there_is_none(
    labels: np.ndarray, scores: np.ndarray
) -> None:
    found = best_thresholds(labels, scores)
    assert set(found) == (set() if labels.all() or not labels.any() else {"youden", "best_f1"})
    for threshold in found.values():
        assert np.isfinite(threshold)
        assert (scores > threshold).any()


STEP_NS = 60 * 10**9
SPIKES = {"validation": 150, "calibration": 190, "training": 40}


def trained(*spikes: int, labelled: bool = True) -> ModelSpec:
    """Return a model of 200 rows of which some are spikes; all rows are labelled, or none."""
    values = np.random.default_rng(0).normal(size=(200, 2))
    is_spike = np.isin(np.arange(200), spikes)
    values[is_spike] = 9.0
    one = TrainingSeries(
        key="a",
        times=np.arange(200, dtype=np.int64) * STEP_NS,
        values=values,
        labels=is_spike.astype(np.int8) if labelled else None,
    )
    model = train(
        [one],
        features=(Feature(name="a"), Feature(name="b")),
        step_seconds=60.0,
        architecture=ArchitectureConfig(window_length=4, hidden_size=4, latent_size=2),
        training=TrainingConfig(epochs=1, min_steps=4, batch_size=16, device="cpu"),
        model_id="m",
        now=datetime(2026, 1, 1, tzinfo=UTC),
    )
    return model.bundle.spec


@pytest.mark.parametrize("part", ["calibration", "validation"])
def test_training_chooses_thresholds_of_every_score_where_rows_are_labelled(part: str) -> None:
    """The row of the spike alone is anomalous, and its window has the highest newest score."""
    spec = trained(SPIKES[part])
    assert spec.labelled_thresholds.keys() == spec.calibration.keys()
    for name in ("recency", "last_step"):
        found = spec.labelled_thresholds[name]
        assert found.keys() == {"youden", "best_f1"}
        assert found["best_f1"] > np.quantile(spec.calibration[name], 0.5)


@pytest.mark.parametrize(
    ("spikes", "labelled"),
    [((), True), ((SPIKES["training"],), True), ((SPIKES["calibration"],), False)],
    ids=["all normal", "anomalous only where the network was fitted", "no labels"],
)
def test_without_labels_of_both_kinds_there_is_no_threshold(
    spikes: tuple[int, ...], *, labelled: bool
) -> None:
    assert trained(*spikes, labelled=labelled).labelled_thresholds == {}
