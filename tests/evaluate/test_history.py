"""A history through the pipeline: columns in input order, incidents with their times."""

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from stream_vae.core.readings import ReadingBatch
from stream_vae.core.verdicts import Verdict
from stream_vae.evaluate import history as module
from stream_vae.evaluate.history import run_history
from stream_vae.pipeline.pipeline import Pipeline
from tests.conftest import NOW, STEP_NS, F, T

MakePipeline = Callable[..., Pipeline]
MakeReadings = Callable[..., ReadingBatch]


def make_stream(make_readings: MakeReadings, *, until: int = 69, n: int = 120) -> ReadingBatch:
    """Return quiet noise of two series, of which s1 goes wild from step 60 to `until`."""
    values = np.random.default_rng(11).normal(size=(n, 2, F))
    values[60 : until + 1, 1, 2] += 20
    return make_readings(
        np.repeat(np.arange(n), 2).tolist(), ["s0", "s1"] * n, values.reshape(-1, F)
    )


def test_columns_are_those_of_the_pipeline(
    make_pipeline: MakePipeline, make_readings: MakeReadings
) -> None:
    readings = make_stream(make_readings)
    found = run_history(make_pipeline(), readings, now=NOW)
    outcome = make_pipeline().observe(readings, NOW)
    for name in ("score", "threshold", "p_value", "verdict"):
        np.testing.assert_array_equal(getattr(found, name), getattr(outcome.verdicts, name))
    assert found.series == readings.series
    assert (found.verdict == Verdict.WARMING_UP).sum() == 2 * (T - 1)
    np.testing.assert_array_equal(found.is_judged, np.isfinite(found.score))
    np.testing.assert_array_equal(np.isnan(found.expected[:, 0]), ~found.is_judged)
    assert found.contribution[2 * 65 + 1].argmax() == 2


def test_the_cut_into_batches_changes_nothing(
    make_pipeline: MakePipeline, make_readings: MakeReadings, monkeypatch: pytest.MonkeyPatch
) -> None:
    readings = make_stream(make_readings)
    whole = run_history(make_pipeline(), readings, now=NOW)
    monkeypatch.setattr(module, "BATCH", 7)
    parts = run_history(make_pipeline(), readings, now=NOW)
    np.testing.assert_array_equal(parts.score, whole.score)
    np.testing.assert_array_equal(parts.contribution, whole.contribution)
    assert parts.incidents == whole.incidents


@pytest.mark.parametrize("until", [69, 119])
def test_an_incident_has_its_times_resolved_or_not(
    make_pipeline: MakePipeline, make_readings: MakeReadings, until: int
) -> None:
    """The second reading opens it; a window of T steps holds the anomaly T - 1 steps longer."""
    found = run_history(make_pipeline(), make_stream(make_readings, until=until), now=NOW)
    (incident,) = found.incidents
    assert incident.series == "s1"
    assert incident.started_at == 60 * STEP_NS
    assert incident.detected_at == 61 * STEP_NS
    assert incident.ended_at == min(until + T - 1, 119) * STEP_NS
    assert incident.is_resolved == (until == 69)
    assert incident.features[0] == "f2"


def test_other_methods_score_the_same_windows(
    make_pipeline: MakePipeline, make_readings: MakeReadings
) -> None:
    def newest(windows: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray(windows[:, -1, 0], np.float64)

    steps: list[int] = []
    readings = make_stream(make_readings)
    found = run_history(
        make_pipeline(), readings, now=NOW, others={"newest": newest}, on_progress=steps.append
    )
    expected = np.where(found.is_judged, readings.values[:, 0], np.nan)
    np.testing.assert_array_equal(found.others["newest"], expected)
    assert steps == [len(readings)]
