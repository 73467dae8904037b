"""A part of the state that is added in one place, of a series and of a partition."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pytest

from stream_vae.core.alerts import AlertDetector
from stream_vae.core.columns import Columns
from stream_vae.core.readings import ReadingBatch
from stream_vae.core.series_index import SeriesName
from stream_vae.core.state_layout import PartitionPart, Stage, StatePart
from stream_vae.detect.config import DetectConfig, ThresholdConfig
from stream_vae.pipeline.detector import Detector
from stream_vae.pipeline.incident_ids import Origin
from stream_vae.pipeline.pipeline import Pipeline
from stream_vae.pipeline.series_store import SavedSeries
from stream_vae.state.partitions import PartitionTable, Phase
from stream_vae.state.snapshots import SnapshotWriter
from stream_vae.wire.snapshots import Checkpoint, SavedInput
from tests.conftest import NOW, F, MeanSquareScorer, make_spec
from tests.state.partition_counter import PartitionCounter
from tests.state.test_loader import load, loader_of, writer_of

MakeReadings = Callable[..., ReadingBatch]
CAPACITY = 8
CONFIG = DetectConfig(threshold=ThresholdConfig(quantile=0.999))


def make_part(stage: Stage) -> StatePart:
    """Return a part with a number for each series, 5 to begin with."""
    initial = np.array((5,), np.dtype([("seen", "<i8")]))
    return StatePart(name="extra", stage=stage, columns=Columns(initial, CAPACITY))


def make_pipeline(
    series_parts: Sequence[StatePart] = (), partition_parts: Sequence[PartitionPart] = ()
) -> Pipeline:
    return Pipeline(
        Detector(make_spec(), MeanSquareScorer(), CONFIG, CAPACITY),
        CONFIG,
        Origin(
            detector=AlertDetector(name="test", version="0", instance="i"),
            topic="readings",
            group="test",
        ),
        series_parts=series_parts,
        partition_parts=partition_parts,
    )


def observe(pipeline: Pipeline, make_readings: MakeReadings, n: int = 10) -> None:
    values = np.random.default_rng(0).normal(size=(n, F))
    pipeline.observe(make_readings(list(range(n)), ["a"] * n, values), NOW)


def saved_of(pipeline: Pipeline) -> SavedSeries:
    return pipeline.complete(pipeline.capture(pipeline.store.index.used()))


@pytest.mark.parametrize("stage", list(Stage))
def test_an_added_part_is_begun_saved_restored_and_counted_with_the_others(
    make_readings: MakeReadings, stage: Stage
) -> None:
    part = make_part(stage)
    first = make_pipeline([part])
    assert first.store.series_bytes == make_pipeline().store.series_bytes + 8
    observe(first, make_readings)
    [row] = first.store.index.used().tolist()
    assert part.columns["seen"][row] == 5
    part.columns["seen"][row] = 77
    writer = writer_of(first)
    records = [writer.model(0), *writer.saved(saved_of(first), {0: 10})]

    again = make_part(stage)
    after = make_pipeline([again])
    assert load(after, records).restoration.state == "restored"
    [row] = after.store.index.used().tolist()
    assert again.columns["seen"][row] == 77


def test_a_captured_part_stands_where_its_stage_stood(make_readings: MakeReadings) -> None:
    """What assembling does after a capture is not in it; what scoring and deciding do still is."""
    for stage, expected in ((Stage.ASSEMBLED, 1), (Stage.SCORED, 2), (Stage.DECIDED, 2)):
        part = make_part(stage)
        pipeline = make_pipeline([part])
        observe(pipeline, make_readings)
        rows = pipeline.store.index.used()
        part.columns["seen"][rows] = 1
        capture = pipeline.capture(rows)
        part.columns["seen"][rows] = 2
        assert pipeline.complete(capture).states["extra"]["seen"].tolist() == [expected]


def test_rows_saved_without_a_part_are_restored_and_the_part_begins(
    make_readings: MakeReadings,
) -> None:
    """A release that adds a part reads what the one before it wrote, and saves it anew."""
    before = make_pipeline()
    observe(before, make_readings)
    writer = writer_of(before)
    part = make_part(Stage.DECIDED)
    after = make_pipeline([part])
    load(after, [writer.model(0), *writer.saved(saved_of(before), {0: 10})])
    [row] = after.store.index.used().tolist()
    assert part.columns["seen"][row] == 5
    assert after.store.index.changed[row]
    for name, state in saved_of(before).states.items():
        assert saved_of(after).states[name].tobytes() == state.tobytes()


def test_rows_saved_with_a_part_that_is_no_more_are_restored_without_it(
    make_readings: MakeReadings,
) -> None:
    before, after = make_pipeline([make_part(Stage.DECIDED)]), make_pipeline()
    observe(before, make_readings)
    writer = writer_of(before)
    records = [writer.model(0), *writer.saved(saved_of(before), {0: 10})]
    assert load(after, records).restoration.state == "restored"
    parts = ["index", "gaps", "windows", "steps", "offsets", "leap", "earlier", "threshold"]
    assert list(saved_of(after).states) == parts


def test_a_part_of_a_partition_is_saved_and_restored_with_its_checkpoint() -> None:
    """Control: read again from before the checkpoint, it begins anew, not to count twice."""
    counter = PartitionCounter()
    first = make_pipeline(partition_parts=[counter])
    counter.counts = {0: 42, 1: 7}
    checkpoint = Checkpoint(offset=20, clock_ns=0, parts=first.save_partition(0))
    record = writer_of(first).checkpoint(0, checkpoint)

    for begin, expected in ((20, {0: 42}), (19, {})):
        found = PartitionCounter()
        second = make_pipeline(partition_parts=[found])
        one = load(second, [record])
        assert one.checkpoint == checkpoint
        loader_of(second).begin_replay(one, begin)
        assert found.counts == expected


def test_a_checkpoint_and_the_parts_in_it_are_of_the_same_moment() -> None:
    """A round begins, more is counted, the round ends: what is saved stood when it began."""
    counter, clock, sink = PartitionCounter(), HandClock(), Checkpoints()
    pipeline = make_pipeline(partition_parts=[counter])
    partitions = PartitionTable()
    partitions.assign([0], 0.0)
    partitions[0].phase, partitions[0].position = Phase.LIVE, 10
    counter.counts = {0: 3}
    saver = SnapshotWriter(pipeline, sink, partitions=partitions, clock=clock, interval_s=5.0)
    clock.now += 5
    job = saver.next_slice()
    counter.counts = {0: 4}
    partitions.advance({0: 11})
    assert job is not None
    assert (job.checkpoints[0].offset, job.checkpoints[0].parts) == (10, {"counter": b"3"})
    saver.save_leaving({0})
    assert (sink.found[0].offset, sink.found[0].parts) == (11, {"counter": b"4"})


class HandClock:
    """Goes on when told."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now

    def time_ns(self) -> int:
        return round(self.now * 1e9)

    def sleep(self, seconds: float) -> None:
        self.now += seconds


class Checkpoints:
    """A sink of state that keeps checkpoints alone."""

    def __init__(self) -> None:
        self.found: dict[int, Checkpoint] = {}

    def add_saved(self, saved: SavedSeries, positions: Mapping[int, int]) -> None:
        assert not saved.names or positions

    def add_checkpoints(self, checkpoints: Mapping[int, Checkpoint]) -> None:
        self.found.update(checkpoints)

    def add_input(self, partition: int, saved: SavedInput) -> None:
        raise AssertionError(partition)

    def add_model(self, partition: int) -> None:
        raise AssertionError(partition)

    def add_tombstones(self, names: Mapping[SeriesName, int]) -> None:
        raise AssertionError(names)


def test_a_part_of_a_partition_leaves_with_it() -> None:
    counter = PartitionCounter()
    pipeline = make_pipeline(partition_parts=[counter])
    counter.counts = {0: 42, 1: 7}
    pipeline.forget_partitions({0})
    assert counter.counts == {1: 7}
