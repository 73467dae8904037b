"""Factories of small models."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import cache

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from stream_vae.core.model_spec import Feature, ModelSpec
from stream_vae.core.scaler_fitting import transforms_of
from stream_vae.core.scaling import Scaler
from stream_vae.models.bundle import Bundle
from stream_vae.models.bundle_format import with_version
from stream_vae.models.config import ArchitectureConfig, TrainingConfig
from stream_vae.models.device import limit_threads
from stream_vae.models.members import MEMBERS
from stream_vae.models.provenance import TrainingSummary
from stream_vae.models.scores import SCORES
from stream_vae.models.scores.combined import Combined
from stream_vae.models.scores.error import Recency
from stream_vae.models.scores.score import FittingData, LatentSample, Score
from stream_vae.models.scores.single import SINGLE_SCORES
from stream_vae.models.scores.tracked import tracking_of
from stream_vae.models.vae.sequence_vae import SequenceVae

# Threads that wait for each other make these tiny products many times slower on a busy machine.
limit_threads(1)

MakeBundle = Callable[..., Bundle]


@pytest.fixture(scope="session")
def make_bundle() -> MakeBundle:
    """Return a factory of bundles with random weights: T = 5, F = 3, H = 8, Z = 2."""
    return random_bundle


def random_bundle(
    *,
    n_features: int = 3,
    features: Sequence[Feature] | None = None,
    architecture: ArchitectureConfig | None = None,
    seed: int = 0,
    score: str = "recency",
) -> Bundle:
    """Return what `make_bundle` does."""
    architecture = architecture or ArchitectureConfig(window_length=5, hidden_size=8, latent_size=2)
    numeric = [Feature(name=f"f{number}", unit="bar") for number in range(n_features)]
    features = tuple(features or numeric)
    n_features = len(features)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = SequenceVae(features, architecture)
    rng = np.random.default_rng(seed)
    scaler = Scaler(mean=rng.normal(size=n_features), std=rng.uniform(0.5, 2, n_features))
    spec = ModelSpec(
        id="test",
        version="",
        trained_at=datetime(2024, 5, 6, 7, 8, 9, tzinfo=UTC),
        features=features,
        window_length=architecture.window_length,
        step_seconds=60.0,
        scaler=replace(scaler, transforms=transforms_of(features)),
        score=score,
        calibration={name: np.sort(rng.normal(size=1001)) for name in SCORES},
    )
    summary = TrainingSummary(
        config=TrainingConfig(),
        data_sha256="0" * 64,
        rows=100,
        series=1,
        epochs=2,
        best_epoch=1,
        validation_log_likelihood=-1.0,
        constant_log_likelihood=-1.5,
        versions={"torch": "2"},
    )
    bundle = Bundle(
        spec=spec,
        architecture=architecture,
        weights={name: tensor.detach() for name, tensor in model.tensors().items()},
        score_states=_score_states(rng.uniform(0.1, 1.0, n_features), architecture),
        noise_seed=seed,
        training=summary,
    )
    tracking = tracking_of(bundle.score_states)
    return with_version(replace(bundle, spec=replace(bundle.spec, tracking=tracking)))


def _score_states(
    residual_variance: NDArray[np.float64], architecture: ArchitectureConfig
) -> dict[str, dict[str, Tensor]]:
    """Return the fitted tensors of every score that has any; bundles hold no others."""
    n_features = len(residual_variance)
    scores = {
        **_fitted_scores(n_features, architecture.latent_size, architecture.window_length),
        "recency": Recency(residual_variance=torch.from_numpy(residual_variance)),
    }
    return {name: score.state() for name, score in scores.items() if score.state()}


@cache
def _fitted_scores(n_features: int, latent_size: int, window_length: int) -> dict[str, Score]:
    mean = torch.from_numpy(np.random.default_rng(0).normal(size=(40, latent_size)))
    n_residuals = n_features * min(window_length, max(1, 32 // n_features))  # `part_residuals`
    windows = torch.from_numpy(
        np.random.default_rng(1).normal(size=(60, window_length * n_features)).astype(np.float32)
    )
    data = FittingData(
        n_features=n_features,
        device=torch.device("cpu"),
        held_out=[],
        members=tuple(member.fitted(windows, seed=0) for member in MEMBERS.values()),
        training=LatentSample(
            mean=mean,
            log_var=-1.0 + 0.1 * mean,
            log_error=mean[:, 0],
            residuals=mean[:, :1].expand(-1, n_residuals),
            labels=(mean[:, 0] > 1).to(torch.int8),
        ),
    )
    fitted = {name: score.fitted(data) for name, score in SINGLE_SCORES.items()}
    scores = {name: score for name, score in fitted.items() if score is not None}
    combined = {name: scores[name] for name in ("log_probability", "latent_wasserstein")}
    levels = torch.linspace(0, 2, 101)
    return {**scores, "combined": Combined.of(combined, dict.fromkeys(combined, levels))}
