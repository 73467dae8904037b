"""A change by which only some readings are anomalous is one incident while it lasts."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest
from numpy.typing import NDArray

from stream_vae.core.alerts import AlertEvent
from stream_vae.core.incidents import SeriesIncidents
from stream_vae.core.log_templates import LINES
from stream_vae.core.model_spec import ExpectedWindows, Feature, ModelSpec, Scores
from stream_vae.core.readings import ReadingBatch
from stream_vae.detect.config import DetectConfig, IncidentConfig, ThresholdConfig
from stream_vae.pipeline.pipeline import Pipeline
from stream_vae.wire.snapshots import decode_value, encode_value
from tests.conftest import F, T, cut, make_spec

NOW = datetime(2026, 1, 1, tzinfo=UTC)
USUAL, BEGIN, END, N = 16.0, 100, 400, 450
OF_NUMBERS = make_spec()
OF_COUNTS = replace(
    OF_NUMBERS, features=tuple(Feature(name=f"f{i}", unit=LINES, kind="count") for i in range(F))
)

MakePipeline = Callable[..., Pipeline]
MakeReadings = Callable[..., ReadingBatch]


class NewestScorer:
    """Largest distance at the newest step, where 16 ± 4 was expected throughout."""

    def score(self, values: NDArray[np.float64], end_times: NDArray[np.int64]) -> Scores:
        n, shape = len(end_times), values.shape
        distance = np.abs(values[:, -1] - USUAL) / np.sqrt(USUAL) + 1e-9
        window = ExpectedWindows(
            expected=np.full(shape, USUAL, np.float32),
            spread=np.full(shape, np.sqrt(USUAL), np.float32),
            step_weight=np.eye(T, dtype=np.float32)[-1],
        )
        return Scores(
            value=distance.max(axis=1),
            contribution=(distance / distance.sum(axis=1, keepdims=True)).astype(np.float32),
            expected=np.full((n, F), USUAL),
            expected_std=np.full((n, F), np.sqrt(USUAL)),
            windows=(window,),
        )


def rules(least: float = 1.0) -> DetectConfig:
    return DetectConfig(
        threshold=ThresholdConfig(method="fixed", value=3.5),
        incident=IncidentConfig(open_after=1, resolve_deviation=least),
    )


def stream(make_readings: MakeReadings, factor: float, end: int = END) -> ReadingBatch:
    """Return counts of which one has another rate from `BEGIN` to an end."""
    rate = np.full((N, F), USUAL)
    rate[BEGIN:end, 1] *= factor
    values = np.random.default_rng(4).poisson(rate).astype(np.float64)
    return make_readings([*range(N)], ["app"] * N, values)


def opened_and_ended(alerts: tuple[AlertEvent, ...]) -> list[tuple[int, str | None]]:
    """Return where incidents open, and where and why they end."""
    told = [one for one in alerts if one.sequence == 0 or one.status == "resolved"]
    return [(one.source.offset_end, one.reason) for one in told if one.kind == "anomaly"]


@pytest.mark.parametrize("factor", [2.0, 0.5])
@pytest.mark.parametrize("spec", [OF_COUNTS, OF_NUMBERS], ids=["counts", "numbers"])
def test_a_lasting_change_is_one_incident_that_ends_soon_after_it(
    factor: float, spec: ModelSpec, make_pipeline: MakePipeline, make_readings: MakeReadings
) -> None:
    """Control: where the readings alone decide, it is several, or ends long before."""

    def found(least: float) -> list[tuple[int, str | None]]:
        pipeline = make_pipeline(rules(least), 4, scorer=NewestScorer(), spec=spec)
        return opened_and_ended(pipeline.observe(stream(make_readings, factor), NOW).alerts)

    [(opened, _), (ended, reason)] = found(1.0)
    assert BEGIN <= opened < ended
    assert END <= ended < END + 15
    assert reason == "back_to_normal"
    assert len(found(0.0)) > 2 or found(0.0)[1][0] < END - 100


def test_what_is_over_at_once_ends_as_soon_as_without_and_what_is_new_as_often(
    make_pipeline: MakePipeline, make_readings: MakeReadings
) -> None:
    def found(least: float) -> list[tuple[int, str | None]]:
        readings = stream(make_readings, 1.0)
        readings.values[[BEGIN, BEGIN + 100], [0, 1]] = 80.0
        pipeline = make_pipeline(rules(least), 4, scorer=NewestScorer(), spec=OF_COUNTS)
        return opened_and_ended(pipeline.observe(readings, NOW).alerts)

    assert found(1.0) == found(0.0)
    assert len(found(1.0)) == 4


@pytest.mark.parametrize("poll", [1, 7, 100])
def test_it_is_the_same_incident_however_polled_and_after_restarts(
    poll: int, make_pipeline: MakePipeline, make_readings: MakeReadings
) -> None:
    def begun() -> Pipeline:
        return make_pipeline(rules(), 4, scorer=NewestScorer(), spec=OF_COUNTS)

    readings = stream(make_readings, 2.0)
    whole = begun().observe(readings, NOW).alerts
    pipeline, alerts = begun(), list[AlertEvent]()
    for begin in range(0, N, poll):
        alerts += pipeline.observe(cut(readings, begin, begin + poll), NOW).alerts
        names = [(0, "app")]
        saved = pipeline.complete(pipeline.capture(pipeline.store.rows(names)))
        pipeline = begun()
        pipeline.store.load(names, saved.states)
        for name, incidents in saved.incidents.items():
            again, _ = decode_value(encode_value(incidents), SeriesIncidents)
            pipeline.store.load_incidents(name, again, 0)
    assert tuple(alerts) == whole


def test_a_change_for_good_ends_as_a_new_level_once_readings_were_normal_for_long(
    make_pipeline: MakePipeline, make_readings: MakeReadings
) -> None:
    """Control: unless that long is longer than the stream."""

    def found(release_after: int) -> list[tuple[int, str | None]]:
        threshold = ThresholdConfig(quantile=0.999, release_after=release_after)
        config = replace(rules(), threshold=threshold)
        spec = replace(OF_COUNTS, calibration={"mean_square": np.linspace(0, 3.5, 1001)})
        values = np.full((N, F), USUAL)
        values[BEGIN:, 1] = [40.0] + [26.0] * (N - BEGIN - 1)
        readings = make_readings([*range(N)], ["app"] * N, values)
        pipeline = make_pipeline(config, 4, scorer=NewestScorer(), spec=spec)
        return opened_and_ended(pipeline.observe(readings, NOW).alerts)

    assert found(release_after=1000) == [(BEGIN, None)]
    assert found(release_after=100) == [(BEGIN, None), (BEGIN + 100, "new_level")]
