"""The snapshot scheduler: every changed series is saved once per interval."""

import math
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from stream_vae.wire.snapshots import Checkpoint

_LARGEST_SLICE = 512  # some megabytes: copied, encoded and handed to the client in milliseconds


class SnapshotScheduler:
    """Saves the changed series in rounds, a small slice at a time.

    Saving them all at once would block scoring; slices spread over the interval do not. Once all
    series that had changed at the start of a round are saved, a restart replays only the input
    since then.

    Times are monotonic seconds.
    """

    def __init__(self, interval_s: float, now: float) -> None:
        self._interval_s = interval_s
        self._began_at = now
        self._rows: NDArray[np.int32] = np.empty(0, np.int32)
        self._done = 0
        self._checkpoints: dict[int, Checkpoint] | None = None

    def is_due(self, now: float) -> bool:
        """Return whether a new round is due."""
        return self._checkpoints is None and now >= self._began_at + self._interval_s

    def begin(
        self, now: float, rows: NDArray[np.int32], checkpoints: Mapping[int, Checkpoint]
    ) -> None:
        """Start a round.

        Args:
            now: Time.
            rows: Changed since they were last saved.
            checkpoints: Current checkpoint of each partition.
        """
        self._began_at, self._rows, self._done, self._checkpoints = now, rows, 0, dict(checkpoints)

    def take(self, now: float) -> NDArray[np.int32]:
        """Return the rows to save now, possibly none."""
        share = min((now - self._began_at) / self._interval_s, 1.0)
        due = min(math.ceil(share * len(self._rows)), self._done + _LARGEST_SLICE)
        taken = self._rows[self._done : due]
        self._done = max(due, self._done)
        return taken

    def finish(self) -> dict[int, Checkpoint] | None:
        """Return the checkpoints of the round's start, once, when all its rows were taken."""
        if self._checkpoints is None or self._done < len(self._rows):
            return None
        checkpoints, self._checkpoints = self._checkpoints, None
        return checkpoints

    def drop(self, partitions: set[int]) -> None:
        """Remove revoked partitions."""
        if self._checkpoints is not None:
            self._checkpoints = {
                p: at for p, at in self._checkpoints.items() if p not in partitions
            }
