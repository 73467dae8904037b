"""The same model on a GPU, where there is one."""

from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest
import torch

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


def waves(n: int = 1500) -> TrainingSeries:
    steps = np.arange(n)
    angles = 2 * np.pi * steps[:, None] / np.array([20.0, 31.0, 47.0])
    noise = np.random.default_rng(0).normal(scale=0.1, size=(n, F))
    return TrainingSeries(key="s", times=steps * STEP_NS, values=np.sin(angles) + noise)


def trained(training: TrainingConfig = TRAINING) -> TrainedModel:
    return train(
        [waves()],
        features=[Feature(name=name) for name in "abc"],
        step_seconds=1.0,
        architecture=ARCHITECTURE,
        training=training,
        model_id="waves",
        now=datetime(2026, 1, 1, tzinfo=UTC),
    )


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    return trained().bundle


def windows(spec: ModelSpec, n: int = 300) -> tuple[np.ndarray, np.ndarray]:
    one = waves()
    starts = np.random.default_rng(1).integers(0, len(one.times) - T, n)
    values = one.values[starts[:, None] + np.arange(T)]
    values[::7, 2, 1] = np.nan
    return values, one.times[starts + T - 1]


def test_a_gpu_learns_what_a_cpu_learns(bundle: Bundle) -> None:
    """Not bit for bit: kernels add in another order."""
    there = bundle.training.validation_log_likelihood
    here = trained(replace(TRAINING, device="cpu")).bundle.training.validation_log_likelihood
    assert there > bundle.training.constant_log_likelihood
    assert there == pytest.approx(here, abs=0.1)


def test_a_gpu_scores_as_a_cpu_does(bundle: Bundle) -> None:
    values, times = windows(bundle.spec)
    for score in bundle.spec.calibration:
        there = WindowScorer(bundle, score=score, device="cuda").score(values, times)
        here = WindowScorer(bundle, score=score, device="cpu").score(values, times)
        np.testing.assert_allclose(there.value, here.value, rtol=1e-3, atol=1e-3, err_msg=score)
        np.testing.assert_allclose(there.contribution, here.contribution, atol=1e-3)
        np.testing.assert_allclose(there.expected, here.expected, atol=1e-3)


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
