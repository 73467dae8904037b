"""Records that were not used, by reason."""

from collections import Counter, deque
from dataclasses import dataclass

from stream_vae.core.excerpts import printable
from stream_vae.page.bounds import DEAD_LETTERS
from stream_vae.pipeline.polled_batch import PolledBatch

LATE = "late"


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLetter:
    """One rejected record."""

    reason: str
    detail: str
    """Printable."""
    topic: str
    partition: int
    offset: int


class DeadLetters:
    """Counts of all, and the newest with their details."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.newest: deque[DeadLetter] = deque(maxlen=DEAD_LETTERS)

    def observe(self, polled: PolledBatch, n_late: int) -> None:
        """Take note of what a poll had in it."""
        if n_late:
            self.counts[LATE] += n_late
        for rejection in polled.rejections:
            self.counts[rejection.reason] += 1
        for rejection in polled.rejections[-DEAD_LETTERS:]:
            records, at = polled.records, rejection.index
            self.newest.appendleft(
                DeadLetter(
                    reason=rejection.reason,
                    detail=printable(rejection.detail, 300),
                    topic=records.topic,
                    partition=int(records.partitions[at]),
                    offset=int(records.offsets[at]),
                )
            )
