"""What is saved when, and from where a restart would have to read again."""

import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from stream_vae.core.readings import ReadingBatch
from stream_vae.core.series_index import SeriesName
from stream_vae.daemon.clock import SystemClock
from stream_vae.pipeline.pipeline import Pipeline
from stream_vae.pipeline.series_store import SavedSeries
from stream_vae.state.partitions import PartitionTable, Phase, Restoration
from stream_vae.state.snapshots import SnapshotJob, SnapshotWriter
from stream_vae.wire.snapshots import Checkpoint, SavedInput
from tests.conftest import NOW, F

MakePipeline = Callable[..., Pipeline]
MakeReadings = Callable[..., ReadingBatch]

INTERVAL_S = 0.02


class Collected:
    """State as it would go into the changelog."""

    def __init__(self) -> None:
        self.saved: list[SeriesName] = []
        self.checkpoints: dict[int, int] = {}
        self.models: list[int] = []
        self.tombstones: dict[SeriesName, int] = {}

    def add_saved(self, saved: SavedSeries, positions: Mapping[int, int]) -> None:
        assert {partition for partition, _ in saved.names} <= positions.keys()
        self.saved += saved.names

    def add_checkpoints(self, checkpoints: Mapping[int, Checkpoint]) -> None:
        self.checkpoints.update({p: c.offset for p, c in checkpoints.items()})

    def add_input(self, partition: int, saved: SavedInput) -> None:
        raise AssertionError(partition)

    def add_model(self, partition: int) -> None:
        self.models.append(partition)

    def add_tombstones(self, names: Mapping[SeriesName, int]) -> None:
        self.tombstones.update(names)


class Stage:
    """A pipeline with its saver, and readings that pass through both."""

    def __init__(self, pipeline: Pipeline, make_readings: MakeReadings) -> None:
        self.pipeline = pipeline
        self.sink = Collected()
        self.partitions = PartitionTable()
        self.saver = SnapshotWriter(
            pipeline,
            self.sink,
            partitions=self.partitions,
            clock=SystemClock(),
            interval_s=INTERVAL_S,
        )
        self._make_readings = make_readings

    def go_live(
        self, number: int, begin: int, checkpoint: Checkpoint | None = None, **known: Any
    ) -> None:
        """Let a partition go live of which this is known."""
        self.partitions.assign([number], 0.0)
        one = self.partitions[number]
        one.phase, one.position, one.checkpoint = Phase.LIVE, begin, checkpoint
        one.restoration = Restoration(**known)
        self.saver.go_live(one)

    def leave(self, number: int) -> None:
        """Let a partition leave."""
        self.saver.leave({number})
        self.partitions.leave({number})

    def take_in(self, partition: int, *keys: str, first: int = 0, replayed: bool = False) -> None:
        n = len(keys)
        readings = self._make_readings([first] * n, list(keys), np.zeros((n, F)), first)
        readings.partitions[:] = partition
        assembled = self.pipeline.assemble(readings)
        if not replayed:
            self.partitions.advance({partition: first + n})
        scored = self.pipeline.score(assembled)
        self.pipeline.decide(scored, NOW, replayed=replayed)

    def finish_round(self) -> list[SnapshotJob]:
        """Take slices until a round that begins now is over."""
        time.sleep(INTERVAL_S)
        taken = [self.saver.next_slice()]
        time.sleep(INTERVAL_S)
        taken += [self.saver.next_slice() for _ in range(5)]
        savings = [saving for saving in taken if saving is not None]
        for saving in savings:
            self.sink.add_saved(self.pipeline.complete(saving.capture), saving.positions)
            self.sink.add_checkpoints(saving.checkpoints)
        return savings


def test_every_changed_series_is_saved_once_a_round_with_a_checkpoint_behind(
    make_pipeline: MakePipeline, make_readings: MakeReadings
) -> None:
    stage = Stage(make_pipeline(), make_readings)
    stage.go_live(0, 10, checkpoint=Checkpoint(offset=10, clock_ns=0))
    assert (stage.sink.checkpoints, stage.sink.models) == ({0: 10}, [0])
    stage.take_in(0, "a", "b", first=10)
    stage.finish_round()
    assert sorted(stage.sink.saved) == [(0, "a"), (0, "b")]
    assert stage.sink.checkpoints == {0: 12}
    assert not stage.finish_round(), "nothing has changed since"
    stage.take_in(0, "b", first=12)
    stage.finish_round()
    assert stage.sink.saved[2:] == [(0, "b")]


def test_rows_given_to_a_partition_that_is_not_live_yet_are_not_saved(
    make_pipeline: MakePipeline, make_readings: MakeReadings
) -> None:
    """They were of a partition that left in the middle of a round."""
    stage = Stage(make_pipeline(capacity=4), make_readings)
    stage.go_live(0, 0)
    stage.take_in(0, "a", "b", "c", "d")
    time.sleep(INTERVAL_S)
    stage.saver.next_slice()
    stage.leave(0)
    stage.pipeline.forget_partitions({0})
    stage.take_in(1, "e", "f", replayed=True)
    assert not stage.finish_round()
    assert stage.sink.saved == []


def test_a_history_start_is_marked_where_its_history_begins(
    make_pipeline: MakePipeline, make_readings: MakeReadings
) -> None:
    """Control: a checkpoint that the changelog holds already is not written again."""
    stage = Stage(make_pipeline(), make_readings)
    begin = Checkpoint(offset=5, clock_ns=0)
    stage.go_live(0, 50, checkpoint=begin)
    stage.go_live(1, 50, checkpoint=begin, is_marked=True, knows_model=True)
    assert stage.sink.checkpoints == {0: 5}
    assert stage.sink.models == [0]


def test_rows_that_nobody_can_use_are_buried_unless_their_series_is_back(
    make_pipeline: MakePipeline, make_readings: MakeReadings
) -> None:
    stage = Stage(make_pipeline(), make_readings)
    stage.take_in(0, "back", replayed=True)
    stage.go_live(0, 50, unfit={"back": 7, "gone": 9})
    assert stage.sink.tombstones == {(0, "gone"): 9}


def test_who_leaves_saves_what_has_changed_and_where_it_stands(
    make_pipeline: MakePipeline, make_readings: MakeReadings
) -> None:
    """Control: what is on its way back is left as it was found."""
    stage = Stage(make_pipeline(), make_readings)
    stage.go_live(0, 0)
    stage.take_in(0, "a")
    stage.take_in(1, "b", replayed=True)
    stage.saver.save_leaving({0, 1})
    assert stage.sink.saved == [(0, "a")]
    assert stage.sink.checkpoints == {0: 1}
