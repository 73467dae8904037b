"""A level shift for good, under a score that is tracked."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest
from numpy.typing import NDArray

from stream_vae.core.model_spec import ModelSpec, Scores
from stream_vae.core.readings import ReadingBatch
from stream_vae.core.residuals import UsualResiduals
from stream_vae.detect.config import DetectConfig, ThresholdConfig
from stream_vae.pipeline.pipeline import Pipeline
from tests.conftest import F, MeanSquareScorer, T, cut, make_spec

NOW = datetime(2026, 1, 1, tzinfo=UTC)
SHIFT, FAULT, N = 5.0, 5.0, 600
RELEASED_AFTER = 200


class TrackedScorer(MeanSquareScorer):
    """Of one member that expects 0, with the evidence that a tracker scores."""

    def score(self, values: NDArray[np.float64], end_times: NDArray[np.int64]) -> Scores:
        return replace(super().score(values, end_times), evidence=evidence_of(values))


def evidence_of(windows: NDArray[np.float64]) -> NDArray[np.float32]:
    """Return (B, 1, F, 2) mean and energy of (B, T, F) residuals."""
    pair = np.stack([windows.mean(axis=1), (windows**2).mean(axis=1)], axis=-1)
    return pair[:, None].astype(np.float32)


def tracked_spec() -> ModelSpec:
    """Return a model whose score is calibrated about the usual residuals of noise."""
    noise = np.random.default_rng(2).normal(size=(5_000, T, F))
    evidence = evidence_of(noise)
    usual = UsualResiduals.of(evidence, (noise**2).mean(axis=(0, 1))[None])
    energy = evidence[:, 0, :, 1] - 2 * usual.bias * evidence[:, 0, :, 0] + usual.bias**2
    score = np.log(((energy / (usual.variance + 1)) ** 0.75).mean(axis=1) + 1e-3)
    calibration = {"mean_square": np.quantile(score, np.linspace(0, 1, 1001))}
    return replace(make_spec(), tracking={"mean_square": usual}, calibration=calibration)


def test_after_a_shift_for_good_the_end_says_so_and_a_fault_is_found_as_before(
    make_pipeline: Callable[..., Pipeline], make_readings: Callable[..., ReadingBatch]
) -> None:
    """Control: without the shift the same fault is one incident, and nothing drifted."""
    config = DetectConfig(threshold=ThresholdConfig(release_after=RELEASED_AFTER))
    values = np.random.default_rng(1).normal(size=(N, F))
    values[-60:-50, 0] += FAULT
    shifted = values.copy()
    shifted[100:, 0] += SHIFT
    told = {}
    for name, stream in (("control", values), ("shifted", shifted)):
        pipeline = make_pipeline(config, 4, scorer=TrackedScorer(), spec=tracked_spec())
        readings = make_readings(list(range(N)), ["pump"] * N, stream)
        told[name] = pipeline.observe(readings, NOW).alerts
    faults = {
        name: [alert for alert in alerts if alert.starts_at.timestamp() >= N - 60]
        for name, alerts in told.items()
    }
    for alerts in faults.values():
        assert [a.reason for a in alerts if a.status == "resolved"] == ["back_to_normal"]
    fault = faults["shifted"]
    assert {alert.kind for alert in told["control"]} == {"anomaly"}
    first = [alert for alert in told["shifted"] if alert not in fault]
    assert [(a.kind, a.reason) for a in first if a.status == "resolved"] == [
        ("anomaly", "new_level"),
        ("drift", "new_level"),
    ]
    assert first[-1].levels[0].name == "f0"
    assert abs(first[-1].levels[0].after - SHIFT) < 1
    # The band at the new level contains it: the fault is told by its own size.
    assert fault[0].opened_by == "f0"
    assert fault[0].features[0].worst is not None
    assert abs(fault[0].features[0].worst.expected - SHIFT) < 1.5


@pytest.mark.parametrize("size", [1, 7, 250])
def test_a_new_level_is_taken_at_the_same_reading_however_cut_into_batches(
    size: int,
    make_pipeline: Callable[..., Pipeline],
    make_readings: Callable[..., ReadingBatch],
) -> None:
    """Scores after the release depend on when it moves the reference of the score."""
    config = DetectConfig(threshold=ThresholdConfig(release_after=RELEASED_AFTER))
    values = np.random.default_rng(1).normal(size=(N, F))
    values[100:, 0] += SHIFT
    stream = make_readings(list(range(N)), ["pump"] * N, values)
    whole = make_pipeline(config, 4, scorer=TrackedScorer(), spec=tracked_spec())
    expected = whole.observe(stream, NOW).scores.value
    parts = make_pipeline(config, 4, scorer=TrackedScorer(), spec=tracked_spec())
    found = [
        parts.observe(cut(stream, begin, begin + size), NOW).scores.value
        for begin in range(0, N, size)
    ]
    np.testing.assert_array_equal(np.concatenate(found), expected)
    assert np.median(expected[:80]) + 1 > np.median(expected[-200:]), "control: it was released"
