"""Readings in columns: the output of decoding and the input of windowing."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


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

    def __len__(self) -> int:
        return len(self.series)

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
        )

    def followed_by(self, more: "ReadingBatch") -> "ReadingBatch":
        """Return these readings and more of the same topic."""
        return ReadingBatch(
            topic=self.topic,
            partitions=np.concatenate((self.partitions, more.partitions)),
            offsets=np.concatenate((self.offsets, more.offsets)),
            series=self.series + more.series,
            times=np.concatenate((self.times, more.times)),
            arrivals=np.concatenate((self.arrivals, more.arrivals)),
            values=np.concatenate((self.values, more.values)),
        )
