"""A bundle that does not fit the stream: readings come in, and what is wrong is told."""

import dataclasses
import json

import numpy as np

from stream_vae.core.alerts import AlertDetector
from stream_vae.core.feature_rule import FeatureRule
from stream_vae.core.records import RecordBatch
from stream_vae.daemon.clock import SystemClock
from stream_vae.daemon.ingest import Ingest
from stream_vae.detect.config import DetectConfig
from stream_vae.events import (
    CellsUnreadable,
    FeaturesNotObserved,
    NothingJudged,
    RecordsWithoutFeature,
    SeriesSplit,
    StreamStepDiffered,
    UnknownFieldsIgnored,
)
from stream_vae.inputs.formats import build_decoder
from stream_vae.inputs.reading_format import ReadingFormat
from stream_vae.pipeline.detector import Detector
from stream_vae.pipeline.incident_ids import Origin
from stream_vae.pipeline.pipeline import Pipeline
from tests.conftest import MeanSquareScorer, make_spec
from tests.recorded_events import RecordedEvents

POLL, N = 100, 1000


def run(
    names: tuple[str, ...],
    *,
    model_step_s: float = 1.0,
    replayed: bool = False,
    rule: FeatureRule | None = None,
    partitions: tuple[int, ...] = (0,),
) -> tuple[RecordedEvents, str]:
    """Send a record a second, its fields called so; return what was told, and the complaint.

    The rule is that of the first feature.
    """
    first, *others = make_spec().features
    features = (dataclasses.replace(first, rule=rule), *others)
    spec = dataclasses.replace(make_spec(), step_seconds=model_step_s, features=features)
    origin = Origin(
        detector=AlertDetector(name="test", version="0", instance="i"),
        topic="readings",
        group="test",
    )
    pipeline = Pipeline(Detector(spec, MeanSquareScorer(), DetectConfig()), DetectConfig(), origin)
    decoder = build_decoder(spec.features, ReadingFormat())
    events = RecordedEvents()
    ingest = Ingest(decoder, pipeline, events=events, evict=lambda _: None, clock=SystemClock())
    for begin in range(0, N, POLL):
        seconds = range(begin, begin + POLL)
        values = [json.dumps({"timestamp": s, **dict.fromkeys(names, 1.0)}) for s in seconds]
        records = RecordBatch(
            topic="readings",
            partitions=np.resize(np.array(partitions, np.int32), POLL),
            offsets=np.arange(begin, begin + POLL),
            timestamps=np.zeros(POLL, np.int64),
            timed_by_broker=False,
            keys=[b"pump-7"] * POLL,
            values=[value.encode() for value in values],
            headers=lambda _: [],
        )
        ingest.take(records, None if replayed else begin)
    return events, pipeline.complaint


def test_one_misnamed_feature_is_named_with_the_field_it_may_be() -> None:
    events, complaint = run(("f0", "F-1", "f2"))
    [ignored] = events.of(UnknownFieldsIgnored)
    assert (ignored.fields, ignored.features_missing) == (("F-1",), ("f1",))
    [missing] = events.of(FeaturesNotObserved)
    assert (missing.features, missing.unknown_fields) == (("f1",), ("F-1",))
    assert ignored.nearest_fields == missing.nearest_fields == {"f1": "F-1"}
    assert complaint == "1 of 3 features never observed: f1"


def test_readings_each_second_into_steps_of_five_minutes_are_told_with_both_values() -> None:
    events, complaint = run(("f0", "f1", "f2"), model_step_s=300.0)
    [told] = events.of(StreamStepDiffered)
    assert (told.stream_step_s, told.model_step_s) == (1.0, 300.0)
    assert complaint == "readings come every 1 s, the model's step is 300 s"


def test_what_is_missing_by_a_rule_is_told_once_not_when_it_is_read_again() -> None:
    events, complaint = run(("f0", "f1", "f2"), rule=FeatureRule(change="rate"))
    [told] = events.of(CellsUnreadable)
    assert (told.feature, told.reason, told.count) == ("f0", "first_value", 1)
    assert told.example_offset == 0
    assert complaint == ""
    again, _ = run(("f0", "f1", "f2"), rule=FeatureRule(change="rate"), replayed=True)
    assert not again.of(CellsUnreadable)


def test_a_stream_that_fits_is_not_complained_of() -> None:
    events, complaint = run(("f0", "f1", "f2"))
    assert complaint == ""
    for kind in (UnknownFieldsIgnored, FeaturesNotObserved, StreamStepDiffered, NothingJudged):
        assert events.of(kind) == []


def test_a_series_in_two_partitions_is_told_of_once_with_its_shippers_setting() -> None:
    """Control: in one partition it is not, nor where it is read again."""
    names = ("f0", "f1", "f2")
    [told] = run(names, partitions=(0, 3))[0].of(SeriesSplit)
    assert (told.series, told.example_series, told.example_partitions) == (1, "pump-7", (0, 3))
    assert "routing_tag" in told.advice
    assert run(names)[0].of(SeriesSplit) == []
    assert run(names, partitions=(0, 3), replayed=True)[0].of(SeriesSplit) == []


def test_readings_read_again_tell_nothing() -> None:
    """They were told of when they were read first."""
    events, complaint = run(("g0", "f1", "f2"), model_step_s=300.0, replayed=True)
    assert (events.events, complaint) == ([], "")


def test_records_of_no_feature_change_nothing_and_are_told_with_the_nearest_names() -> None:
    """Control: those read again after a restart were told of before."""
    events, complaint = run(("F0", "unit"))
    told = events.of(RecordsWithoutFeature)
    assert sum(event.count for event in told) == N
    assert (told[0].reason, told[0].example_offset) == ("no_feature", 0)
    assert told[0].fields == ("timestamp", "F0", "unit")
    assert told[0].nearest_fields["f0"] == "F0"
    assert complaint.startswith(f"none of the last {N} records gave a reading: {N} name none")
    again, _ = run(("F0", "unit"), replayed=True)
    assert again.of(RecordsWithoutFeature) == []
