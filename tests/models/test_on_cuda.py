"""The same model on a GPU, where there is one."""

from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from stream_vae.core.model_spec import Feature, ModelSpec
from stream_vae.models.bundle import Bundle
from stream_vae.models.config import ArchitectureConfig, TrainingConfig
from stream_vae.models.scoring import WindowScorer
from stream_vae.models.training.train import TrainedModel, train
from stream_vae.models.training.training_windows import TrainingSeries

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")

F, T = 3, 8
STEP_NS = 10**9
TRAINING = TrainingConfig(epochs=3, min_steps=60, device="cuda")
ARCHITECTURE = ArchitectureConfig(window_length=T, hidden_size=16, latent_size=3)


NUMERIC = tuple(Feature(name=name) for name in "abc")
MIXED = (
    Feature(name="a"),
    Feature(name="b", kind="count"),
    Feature(name="c", kind="categorical", categories=("low", "high")),
)
CASES = {
    "default": (ARCHITECTURE, NUMERIC),
    "one direction, two layers": (replace(ARCHITECTURE, bidirectional=False, layers=2), NUMERIC),
    "attention": (replace(ARCHITECTURE, attention="variational"), NUMERIC),
    "events": (replace(ARCHITECTURE, window_length=1), NUMERIC),
    "Student-t": (replace(ARCHITECTURE, numeric_likelihood="student_t"), NUMERIC),
    "mixed kinds": (ARCHITECTURE, MIXED),
    "mixed events": (replace(ARCHITECTURE, window_length=1), MIXED),
}


def waves(features: tuple[Feature, ...] = NUMERIC, n: int = 1500) -> TrainingSeries:
    steps = np.arange(n)
    angles = 2 * np.pi * steps[:, None] / np.array([20.0, 31.0, 47.0])
    noise = np.random.default_rng(0).normal(scale=0.1, size=(n, F))
    values = np.sin(angles) + noise
    if features is MIXED:
        values[:, 1] = np.random.default_rng(1).poisson(10 * (2 + np.sin(angles[:, 1])))
        values[:, 2] = values[:, 0] > 0
    labels = np.zeros(n, dtype=bool)
    labels[::50] = True
    return TrainingSeries(key="s", times=steps * STEP_NS, values=values, labels=labels)


def trained(
    training: TrainingConfig = TRAINING,
    architecture: ArchitectureConfig = ARCHITECTURE,
    features: tuple[Feature, ...] = NUMERIC,
) -> TrainedModel:
    return train(
        [waves(features)],
        features=features,
        step_seconds=1.0,
        architecture=architecture,
        training=training,
        model_id="waves",
        now=datetime(2026, 1, 1, tzinfo=UTC),
    )


@pytest.fixture(scope="module", params=CASES)
def bundle(request: pytest.FixtureRequest) -> Bundle:
    architecture, features = CASES[request.param]
    return trained(TRAINING, architecture, features).bundle


def windows(spec: ModelSpec, n: int = 300) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    one, length = waves(MIXED if spec.features[1].kind == "count" else NUMERIC), spec.window_length
    starts = np.random.default_rng(1).integers(0, len(one.times) - length, n)
    values = one.values[starts[:, None] + np.arange(length)]
    values[::7, 0, 1] = np.nan
    return values, one.times[starts + length - 1]


def test_a_gpu_learns_what_a_cpu_learns() -> None:
    """Not bit for bit: kernels add in another order."""
    there = trained().bundle.training
    here = trained(replace(TRAINING, device="cpu")).bundle.training
    assert there.validation_log_likelihood > there.constant_log_likelihood
    assert there.validation_log_likelihood == pytest.approx(here.validation_log_likelihood, abs=0.1)


def test_a_gpu_scores_as_a_cpu_does(bundle: Bundle) -> None:
    values, times = windows(bundle.spec)
    assert "supervised" in bundle.spec.calibration
    for score in bundle.spec.calibration:
        there = WindowScorer(bundle, score=score, device="cuda").score(values, times)
        here = WindowScorer(bundle, score=score, device="cpu").score(values, times)
        # A tree sends a latent beside one of its splits to the other side.
        has_trees = score in {"latent_outlier", "combined"}
        limit = 0.02 if has_trees else 1e-3
        np.testing.assert_allclose(there.value, here.value, rtol=1e-3, atol=limit, err_msg=score)
        apart = np.abs(there.contribution - here.contribution).max(axis=1) > 1e-3
        assert apart.mean() <= (0.05 if has_trees else 0), score
        np.testing.assert_allclose(there.expected, here.expected, rtol=1e-3, atol=1e-3)


def test_on_a_gpu_too_a_score_does_not_depend_on_the_batch(bundle: Bundle) -> None:
    values, times = windows(bundle.spec)
    scorer = WindowScorer(bundle, device="cuda")
    whole = scorer.score(values, times)
    for at in (0, 1, 57, 299):
        alone = scorer.score(values[at : at + 1], times[at : at + 1])
        assert alone.value[0] == whole.value[at]
        assert np.array_equal(alone.contribution[0], whole.contribution[at])
    halves = [scorer.score(values[a:b], times[a:b]).value for a, b in ((0, 111), (111, 300))]
    assert np.array_equal(np.concatenate(halves), whole.value)
