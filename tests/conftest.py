"""Factories that many tests use."""

import os

# Threads that wait for each other make tiny products many times slower on a busy machine. Not by
# torch itself, which takes seconds to import and which most tests do without.
os.environ["OMP_NUM_THREADS"] = "1"

from collections.abc import Callable
from datetime import UTC, datetime

import numpy as np
import pytest
from numpy.typing import NDArray

from stream_vae.core.alerts import AlertDetector
from stream_vae.core.assembly_config import AS_USUAL, AssemblyConfig
from stream_vae.core.model_spec import Feature, ModelSpec, Scorer, Scores
from stream_vae.core.readings import ReadingBatch
from stream_vae.core.scaling import Scaler
from stream_vae.detect.config import DetectConfig, ThresholdConfig
from stream_vae.pipeline.detector import DEFAULT_CAPACITY, Detector
from stream_vae.pipeline.incident_ids import Origin
from stream_vae.pipeline.pipeline import Pipeline

pytest_plugins = ["tests.suites"]

T, F = 8, 3
STEP_NS = 1_000_000_000
NOW = datetime(2026, 1, 1, tzinfo=UTC)
SCALER = Scaler(mean=np.zeros(F), std=np.ones(F), clip=100.0)


class MeanSquareScorer:
    """The simplest real scorer: mean square of the scaled values, expecting 0 ± 1."""

    def score(self, values: NDArray[np.float64], end_times: NDArray[np.int64]) -> Scores:
        squares = np.nan_to_num(SCALER.transform(values).astype(np.float64)) ** 2
        per_feature = squares.sum(axis=1)
        total = np.maximum(per_feature.sum(axis=1, keepdims=True), 1e-12)
        observed = (~np.isnan(values)).sum(axis=(1, 2))
        n = len(end_times)
        return Scores(
            value=per_feature.sum(axis=1) / np.maximum(observed, 1),
            contribution=(per_feature / total).astype(np.float32),
            expected=np.zeros((n, F)),
            expected_std=np.ones((n, F)),
            log_probability=-0.5 * np.clip(values[:, -1], -1e100, 1e100) ** 2,
        )


def cut(batch: ReadingBatch, begin: int, end: int) -> ReadingBatch:
    """Return some adjacent readings of a batch."""
    return batch.take(np.arange(begin, min(end, len(batch))))


def make_spec() -> ModelSpec:
    """Return a model of F standard normal features, T steps of a second."""
    noise = np.random.default_rng(1).normal(size=(20_000, T * F))
    return ModelSpec(
        id="squares",
        version="1",
        trained_at=NOW,
        features=tuple(Feature(name=f"f{i}", unit="V") for i in range(F)),
        window_length=T,
        step_seconds=1.0,
        scaler=SCALER,
        score="mean_square",
        calibration={"mean_square": np.quantile((noise**2).mean(axis=1), np.linspace(0, 1, 1001))},
    )


@pytest.fixture
def scorer() -> MeanSquareScorer:
    return MeanSquareScorer()


@pytest.fixture
def make_pipeline() -> Callable[..., Pipeline]:
    def make(
        config: DetectConfig | None = None,
        capacity: int = DEFAULT_CAPACITY,
        scorer: Scorer | None = None,
        spec: ModelSpec | None = None,
        assembly: AssemblyConfig = AS_USUAL,
    ) -> Pipeline:
        origin = Origin(
            detector=AlertDetector(name="test", version="0", instance="i"),
            topic="readings",
            group="test",
        )
        config = config or DetectConfig(threshold=ThresholdConfig(quantile=0.999))
        detector = Detector(spec or make_spec(), scorer or MeanSquareScorer(), config, capacity)
        return Pipeline(detector, config, origin, assembly=assembly)

    return make


@pytest.fixture
def make_readings() -> Callable[..., ReadingBatch]:
    def make(
        steps: list[int], series: list[str], values: NDArray[np.float64], first_offset: int = 0
    ) -> ReadingBatch:
        n = len(steps)
        return ReadingBatch(
            topic="readings",
            partitions=np.zeros(n, np.int32),
            offsets=np.arange(first_offset, first_offset + n),
            series=series,
            times=np.array(steps, np.int64) * STEP_NS,
            arrivals=np.array(steps, np.int64) * STEP_NS,
            values=values,
        )

    return make
