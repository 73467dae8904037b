"""Readings in columns: the output of decoding and the input of windowing."""

from dataclasses import dataclass
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray

from stream_vae.core.alerts import Closing

CLOSINGS: tuple[Closing, ...] = get_args(Closing)


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionColumns:
    """N readings that are sessions of a log; of each the time of its last line is the reading's."""

    keys: list[str]
    """N, as lines told them."""
    n_lines: NDArray[np.int64]
    """(N,)"""
    first_times: NDArray[np.int64]
    """(N,) event time of its first line, nanoseconds since 1970."""
    first_offsets: NDArray[np.int64]
    """(N,) of the record with its first line."""
    last_offsets: NDArray[np.int64]
    """(N,) of the record with its last line."""
    closings: NDArray[np.int8]
    """(N,) positions in `CLOSINGS`."""

    def take(self, which: NDArray[np.int64]) -> "SessionColumns":
        """Return some of the sessions, by position."""
        return SessionColumns(
            keys=[self.keys[i] for i in which.tolist()],
            n_lines=self.n_lines[which],
            first_times=self.first_times[which],
            first_offsets=self.first_offsets[which],
            last_offsets=self.last_offsets[which],
            closings=self.closings[which],
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadingBatch:
    """N readings of F features each, in arrival order.

    A reading is one time step of one series.
    """

    topic: str
    partitions: NDArray[np.int32]
    """(N,) input partition; files use partition 0."""
    offsets: NDArray[np.int64]
    """(N,) input offset; files use the row number."""
    series: list[str]
    """N series keys."""
    times: NDArray[np.int64]
    """(N,) event time, nanoseconds since 1970-01-01T00:00:00Z."""
    arrivals: NDArray[np.int64]
    """(N,) arrival, nanoseconds since 1970: the broker's timestamp if it is log-append time, else
    this process's clock; files use the event time."""
    values: NDArray[np.float64]
    """(N, F) in input units; NaN = not observed. Never infinite."""
    sessions: SessionColumns | None = None
    """Of readings that are sessions."""
    unseen: NDArray[Any] | None = None
    """(N,) text of a line of a log that is of no template that training saw, else None; None: no
    reading is such a line. Of a session its first such line."""

    def __len__(self) -> int:
        return len(self.series)

    @property
    def unseen_at(self) -> NDArray[np.int64]:
        """Positions of the readings that are lines of no template that training saw."""
        texts = () if self.unseen is None else self.unseen.tolist()
        return np.flatnonzero([text is not None for text in texts])

    @property
    def no_line(self) -> NDArray[Any]:
        """(N,) None: `unseen` where no reading is such a line."""
        return np.full(len(self), None, object)

    def take(self, which: NDArray[np.int64]) -> "ReadingBatch":
        """Return some of the readings, by position."""
        return ReadingBatch(
            topic=self.topic,
            partitions=self.partitions[which],
            offsets=self.offsets[which],
            series=[self.series[i] for i in which.tolist()],
            times=self.times[which],
            arrivals=self.arrivals[which],
            values=self.values[which],
            sessions=None if self.sessions is None else self.sessions.take(which),
            unseen=None if self.unseen is None else self.unseen[which],
        )

    def followed_by(self, more: "ReadingBatch") -> "ReadingBatch":
        """Return these readings and more of the same topic; none are sessions."""
        return ReadingBatch(
            topic=self.topic,
            partitions=np.concatenate((self.partitions, more.partitions)),
            offsets=np.concatenate((self.offsets, more.offsets)),
            series=self.series + more.series,
            times=np.concatenate((self.times, more.times)),
            arrivals=np.concatenate((self.arrivals, more.arrivals)),
            values=np.concatenate((self.values, more.values)),
            unseen=_joined(self, more),
        )


def _joined(first: ReadingBatch, second: ReadingBatch) -> NDArray[Any] | None:
    """Return the unseen lines of both."""
    if first.unseen is None and second.unseen is None:
        return None
    parts = (first, second)
    return np.concatenate([one.no_line if one.unseen is None else one.unseen for one in parts])
