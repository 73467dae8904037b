"""Snapshots of series and checkpoints of partitions."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from stream_vae.core.ports import Clock
from stream_vae.core.series_index import SeriesName
from stream_vae.pipeline.pipeline import Pipeline
from stream_vae.pipeline.series_store import Capture, SavedSeries
from stream_vae.state.partitions import Partition, PartitionTable
from stream_vae.state.schedule import SnapshotScheduler
from stream_vae.wire.snapshots import Checkpoint, SavedInput

_MOST_SAVED_ON_LEAVING = (
    20_000  # series; some seconds. The input of series that are not saved is replayed.
)


@dataclass(frozen=True, slots=True, kw_only=True)
class SnapshotJob:
    """Series to save, after the polls that they include."""

    capture: Capture
    positions: Mapping[int, int]
    """Input partition -> offset before which all readings were captured."""
    checkpoints: Mapping[int, Checkpoint]
    """Valid once these series, and those before them, are saved."""


class StateSink(Protocol):
    """Receives state, to be committed with the corresponding outputs."""

    def add_saved(self, saved: SavedSeries, positions: Mapping[int, int]) -> None:
        """Add saved series, which include all readings before the positions."""

    def add_checkpoints(self, checkpoints: Mapping[int, Checkpoint]) -> None:
        """Add the checkpoint of each partition."""

    def add_input(self, partition: int, saved: SavedInput) -> None:
        """Add the record that says which input a partition's later offsets belong to."""

    def add_model(self, partition: int) -> None:
        """Add the record that lets another model use a partition's rows."""

    def add_tombstones(self, names: Mapping[SeriesName, int]) -> None:
        """Add tombstones: series -> offset as of which their state is deleted."""


class SnapshotWriter:
    """Keeps the changelog up to date with the live partitions.

    Args:
        pipeline: Its series are saved.
        sink: Receives the state.
        partitions: Phases, positions and checkpoints.
        clock: The time.
        interval_s: Seconds in which every changed series is saved once; None saves nothing.
    """

    def __init__(
        self,
        pipeline: Pipeline,
        sink: StateSink,
        *,
        partitions: PartitionTable,
        clock: Clock,
        interval_s: float | None,
    ) -> None:
        self._pipeline = pipeline
        self._sink = sink
        self._partitions = partitions
        self._clock = clock
        self._scheduler = (
            None if interval_s is None else SnapshotScheduler(interval_s, clock.monotonic())
        )

    def go_live(self, one: Partition) -> None:
        """Save the records of a newly live partition that are missing in the changelog."""
        number, found = one.number, one.restoration
        if found.input_to_save is not None:  # before all that has offsets
            self._sink.add_input(number, found.input_to_save)
        if not found.knows_model:
            self._sink.add_model(number)
        if one.checkpoint is not None and not found.is_marked:
            self._sink.add_checkpoints({number: one.checkpoint})
        # Delete unusable rows of series that no longer exist: nothing else would drop them.
        names = ((number, key) for key in found.unfit)
        find = self._pipeline.store.index.find
        self._sink.add_tombstones({n: found.unfit[n[1]] for n in names if find(n) is None})

    def next_slice(self) -> SnapshotJob | None:
        """Return the next slice of the series that have changed, if one is due.

        Call between two polls; the job is queued after them.
        """
        if self._scheduler is None:
            return None
        now, index = self._clock.monotonic(), self._pipeline.store.index
        live = self._partitions.live
        if self._scheduler.is_due(now):
            self._scheduler.begin(now, index.changed_rows(live), self._checkpoints(live))
        rows = self._scheduler.take(now)
        # Some may have been saved or evicted since, and their rows reused.
        rows = index.within(rows[index.changed[rows]], live)
        finished = self._scheduler.finish() or {}
        moved = {p: c for p, c in finished.items() if self._moves_on(p, c)}
        if not len(rows) and not moved:
            return None
        for number, checkpoint in moved.items():
            self._partitions[number].checkpoint = checkpoint
        return SnapshotJob(
            capture=self._pipeline.capture(rows),
            positions=self._partitions.positions,
            checkpoints=moved,
        )

    def save_leaving(self, numbers: set[int]) -> None:
        """Save the changed series of partitions being revoked, unless that takes too long.

        No work may be in flight in the worker.
        """
        leaving = numbers & self._partitions.live
        rows = self._pipeline.store.index.changed_rows(leaving)
        if self._scheduler is None or len(rows) > _MOST_SAVED_ON_LEAVING:
            return
        saved = self._pipeline.complete(self._pipeline.capture(rows))
        self._sink.add_saved(saved, self._partitions.positions)
        self._sink.add_checkpoints(self._checkpoints(leaving))

    def leave(self, numbers: set[int]) -> None:
        """Remove revoked partitions."""
        if self._scheduler is not None:
            self._scheduler.drop(numbers)

    def _checkpoints(self, numbers: set[int]) -> dict[int, Checkpoint]:
        clock_ns = self._clock.time_ns()
        return {
            number: Checkpoint(
                offset=self._partitions[number].position,
                clock_ns=clock_ns,
                parts=self._pipeline.save_partition(number),
            )
            for number in numbers
        }

    def _moves_on(self, number: int, checkpoint: Checkpoint) -> bool:
        before = self._partitions[number].checkpoint
        return before is None or before.offset != checkpoint.offset
