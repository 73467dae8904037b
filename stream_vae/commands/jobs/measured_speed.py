"""How many readings a second a bundle judges on this machine."""

import time

import numpy as np
from numpy.typing import NDArray

from stream_vae.commands.jobs.offline import build_scorer
from stream_vae.core.model_spec import Feature, ModelSpec
from stream_vae.models.bundle import Bundle
from stream_vae.models.device import limit_threads
from stream_vae.settings import Settings

DAEMON_SHARE = 0.65
"""Readings a second of a whole daemon, over the windows a second of its bare model: it also
consumes, decodes, judges and commits (`python -m tests.benchmarks throughput`)."""


def measure_readings(model: Bundle, settings: Settings, seconds: float) -> float:
    """Return readings a second of a whole daemon, by the windows that its model scores here.

    Windows are noise about what training saw: the cost of a score does not depend on its value.
    """
    limit_threads(settings.worker.threads)
    scorer = build_scorer(model, settings)
    values = _windows(model.spec, settings.worker.max_batch)
    times = np.zeros(len(values), np.int64)
    scorer.score(values, times)
    began, n_windows = time.perf_counter(), 0
    while time.perf_counter() - began < seconds:
        scorer.score(values, times)
        n_windows += len(values)
    return n_windows / (time.perf_counter() - began) * DAEMON_SHARE


def _windows(spec: ModelSpec, n: int) -> NDArray[np.float64]:
    """Return (N, T, F) windows, each feature of its kind."""
    random = np.random.default_rng(0)
    shape = (n, spec.window_length)
    features = zip(spec.features, spec.scaler.mean, spec.scaler.std, strict=True)
    return np.stack([_values(random, shape, *one) for one in features], axis=-1)


def _values(
    random: np.random.Generator, shape: tuple[int, int], feature: Feature, mean: float, std: float
) -> NDArray[np.float64]:
    if feature.kind == "categorical":
        return random.integers(0, max(1, len(feature.categories)), shape).astype(np.float64)
    if feature.kind == "binary":
        return random.integers(0, 2, shape).astype(np.float64)
    values = random.normal(mean, std, shape)
    return np.rint(np.abs(values)) if feature.kind == "count" else values
