"""When the state of which series is saved, and from where a restart must read again."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from stream_vae.core.series_index import SeriesName
from stream_vae.pipeline.pipeline import Pipeline
from stream_vae.pipeline.series_store import Capture, SavedSeries
from stream_vae.state.loader import Restoration
from stream_vae.state.schedule import SnapshotScheduler
from stream_vae.wire.snapshots import Checkpoint

_MOST_SAVED_ON_LEAVING = 20_000  # series; some seconds. What is not saved is read again.


@dataclass(frozen=True, slots=True, kw_only=True)
class SnapshotJob:
    """Series to be saved, behind the polls that they hold."""

    capture: Capture
    positions: Mapping[int, int]
    """Input partition -> offset before which all readings were captured."""
    checkpoints: Mapping[int, Checkpoint]
    """That hold once these series, and those before them, are saved."""


class StateSink(Protocol):
    """Where state goes, to be committed with the outputs it belongs to."""

    def add_saved(self, saved: SavedSeries, positions: Mapping[int, int]) -> None:
        """Add saved series, which hold all readings before the positions."""

    def add_checkpoints(self, checkpoints: Mapping[int, Checkpoint]) -> None:
        """Add from where each partition must be read again."""

    def add_model(self, partition: int) -> None:
        """Add what lets another model make use of a partition's rows."""

    def add_tombstones(self, names: Mapping[SeriesName, int]) -> None:
        """Add tombstones of series -> offset before which all their readings are forgotten."""


class SnapshotWriter:
    """Keeps the changelog up with the live partitions.

    Args:
        pipeline: Whose series are saved.
        sink: Takes the state.
        interval_s: Seconds in which every changed series is saved once; None saves nothing.
    """

    def __init__(self, pipeline: Pipeline, sink: StateSink, interval_s: float | None) -> None:
        self._pipeline = pipeline
        self._sink = sink
        self._scheduler = (
            None if interval_s is None else SnapshotScheduler(interval_s, time.monotonic())
        )
        self.live: set[int] = set()
        """Input partitions whose state is back."""
        self.positions: dict[int, int] = {}
        """Input partition that is live -> next offset to be taken in."""
        self._checkpoints: dict[int, int] = {}

    def go_live(self, done: Restoration) -> None:
        """Begin with a partition that is back."""
        partition = done.partition
        self.live.add(partition)
        self.positions[partition] = done.begin
        if not done.knows_model:
            self._sink.add_model(partition)
        if done.checkpoint is not None:
            self._checkpoints[partition] = done.checkpoint.offset
            if not done.is_marked:
                self._sink.add_checkpoints({partition: done.checkpoint})
        # Rows that could not be used, of series that are no more: nobody else would ever drop them.
        names = ((partition, key) for key in done.unfit)
        find = self._pipeline.store.index.find
        self._sink.add_tombstones({n: done.unfit[n[1]] for n in names if find(n) is None})

    def advance(self, ends: Mapping[int, int]) -> None:
        """Note what is taken in: input partition -> offset behind the last record."""
        self.positions.update(ends)

    def next_slice(self) -> SnapshotJob | None:
        """Return the next slice of the series that have changed, if one is due.

        To be called between two polls; the work goes behind them.
        """
        if self._scheduler is None:
            return None
        now, index = time.monotonic(), self._pipeline.store.index
        if self._scheduler.is_due(now):
            checkpoints = {p: self._checkpoint(self.positions[p]) for p in self.live}
            self._scheduler.begin(now, index.changed_rows(self.live), checkpoints)
        rows = self._scheduler.take(now)
        # Some may have been saved or forgotten since, their rows given to others.
        rows = index.within(rows[index.changed[rows]], self.live)
        finished = self._scheduler.finish() or {}
        moved = {p: c for p, c in finished.items() if self._checkpoints.get(p) != c.offset}
        if not len(rows) and not moved:
            return None
        self._checkpoints.update({p: c.offset for p, c in moved.items()})
        return SnapshotJob(
            capture=self._pipeline.capture(rows),
            positions=dict(self.positions),
            checkpoints=moved,
        )

    def save_leaving(self, partitions: set[int]) -> None:
        """Save what has changed of partitions that leave, unless that would take too long.

        Nothing may be on its way through the worker.
        """
        leaving = partitions & self.live
        rows = self._pipeline.store.index.changed_rows(leaving)
        if self._scheduler is None or len(rows) > _MOST_SAVED_ON_LEAVING:
            return
        saved = self._pipeline.complete(self._pipeline.capture(rows))
        self._sink.add_saved(saved, self.positions)
        self._sink.add_checkpoints({p: self._checkpoint(self.positions[p]) for p in leaving})

    def forget(self, partitions: set[int]) -> None:
        """Forget partitions that left."""
        self.live -= partitions
        for partition in partitions:
            self.positions.pop(partition, None)
            self._checkpoints.pop(partition, None)
        if self._scheduler is not None:
            self._scheduler.drop(partitions)

    def _checkpoint(self, offset: int) -> Checkpoint:
        return Checkpoint(offset=offset, clock_ns=time.time_ns())
