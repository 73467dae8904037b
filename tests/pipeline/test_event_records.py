"""Event records through decoder and pipeline: no time, no series, values of several kinds."""

import json
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest
from numpy.typing import NDArray

from stream_vae.core.alerts import AlertDetector, AlertEvent
from stream_vae.core.model_spec import Feature, ModelSpec, Scores
from stream_vae.core.records import RecordBatch
from stream_vae.core.scaling import Scaler
from stream_vae.core.verdicts import Verdict
from stream_vae.detect.config import DetectConfig, IncidentConfig, ThresholdConfig
from stream_vae.inputs.formats import build_decoder
from stream_vae.inputs.reading_format import ReadingFormat
from stream_vae.pipeline.detector import Detector
from stream_vae.pipeline.incident_ids import Origin
from stream_vae.pipeline.open_alerts import open_incidents
from stream_vae.pipeline.pipeline import Pipeline

NOW = datetime(2026, 1, 1, tzinfo=UTC)
NOW_NS = int(NOW.timestamp()) * 10**9
PROBABILITIES = np.array([0.9, 0.0999, 0.0001])
"""Of clerk, nurse, and whatever training did not see."""
FEATURES = (
    Feature(name="age", unit="a"),
    Feature(name="job", kind="categorical", categories=("clerk", "nurse")),
)
SPEC = ModelSpec(
    id="people",
    version="1",
    trained_at=NOW,
    features=FEATURES,
    window_length=1,
    step_seconds=0.001,
    scaler=Scaler(mean=np.zeros(2), std=np.ones(2)),
    score="surprise",
    calibration={"surprise": np.linspace(0, 2.5, 101)},
)
ORIGIN = Origin(
    detector=AlertDetector(name="test", version="0", instance="i"), topic="people", group="g"
)


class JobScorer:
    """Knows how rare each job is, and that everybody is 30."""

    def score(self, values: NDArray[np.float64], end_times: NDArray[np.int64]) -> Scores:
        n = len(end_times)
        of_job = PROBABILITIES[values[:, -1, 1].astype(np.int64)]
        return Scores(
            value=-np.log(of_job),
            contribution=np.tile(np.array([0.25, 0.75], np.float32), (n, 1)),
            expected=np.tile([30.0, 0.0], (n, 1)),
            expected_std=np.tile([5.0, 0.1], (n, 1)),
            probability=np.stack([np.full(n, np.nan), of_job], axis=1),
        )


def observe(
    *jobs: str, min_deviation: float, apart_ns: int = -(10**9)
) -> tuple[list[Verdict], tuple[AlertEvent, ...]]:
    """Publish records without time and key, stamped so far apart."""
    config = DetectConfig(
        threshold=ThresholdConfig(method="fixed", value=2.0),
        incident=IncidentConfig(
            open_after=1, open_within=1, resolve_after=1, min_deviation=min_deviation
        ),
    )
    n = len(jobs)
    batch = RecordBatch(
        topic="people",
        partitions=np.zeros(n, np.int32),
        offsets=np.arange(n, dtype=np.int64),
        timestamps=NOW_NS + np.arange(n) * apart_ns,
        timed_by_broker=False,
        keys=[None] * n,
        values=[json.dumps({"age": 30, "job": job}).encode() for job in jobs],
        headers=lambda _: [],
    )
    decoded = build_decoder(FEATURES, ReadingFormat(), is_events=True).decode(batch, NOW_NS)
    assert decoded.rejections == []
    pipeline = Pipeline(Detector(SPEC, JobScorer(), config), config, ORIGIN)
    outcome = pipeline.observe(decoded.readings, NOW)
    return [Verdict(verdict) for verdict in outcome.verdicts.verdict.tolist()], outcome.alerts


@pytest.mark.parametrize("apart_ns", [-(10**9), 0])
def test_each_odd_event_is_told_with_its_category_whatever_the_order_of_their_times(
    apart_ns: int,
) -> None:
    """None apart, they are as many events, each of an incident of its own."""
    jobs = ("clerk", "nurse", "clerk", "astronaut", "clerk")
    verdicts, alerts = observe(*jobs, min_deviation=0, apart_ns=apart_ns)
    assert verdicts == [Verdict.NORMAL, Verdict.ANOMALOUS] * 2 + [Verdict.NORMAL]
    opened = [alert for alert in alerts if alert.status == "firing"]
    assert [alert.source.offset_start for alert in opened] == [1, 3]
    assert {alert.series.key for alert in alerts} == {"events"}
    assert len({alert.incident_id for alert in alerts}) == 2
    first, second = (alert.features[0] for alert in opened)
    assert (first.actual_category, first.expected_category) == ("nurse", "clerk")
    assert first.actual_probability == PROBABILITIES[1]
    assert (second.actual, second.actual_category) == (2.0, None)
    assert "job a value not seen in training, probability 0.0001" in opened[1].summary


def test_an_incident_of_an_event_is_known_as_this_deployments_from_its_alert() -> None:
    """Where the state is lost. Control: another group's is not."""
    _, alerts = observe("clerk", "nurse", min_deviation=0)
    assert set(open_incidents(alerts, ORIGIN)) == {(0, "events")}
    assert not open_incidents(alerts, replace(ORIGIN, group="h"))


def test_a_category_deviates_by_its_probability_not_by_its_code() -> None:
    """Codes 1 and 2 are ten and twenty spreads from code 0; the square roots are 2.1 and 4.3."""
    _, alerts = observe("nurse", "clerk", "astronaut", min_deviation=3)
    assert [alert.source.offset_start for alert in alerts if alert.status == "firing"] == [2]
