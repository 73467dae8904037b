"""Events that wait to be delivered."""

from collections import Counter, deque
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from stream_vae.core.records import Headers


@dataclass(slots=True, kw_only=True)
class WaitingRecord:
    """One record of the alerts topic."""

    partition: int
    offset: int
    time_ns: int
    """Kafka's time of it."""
    key: bytes | None
    value: bytes | None
    headers: Headers
    attempts: int = 0


class EventQueue:
    """First in, first out: the order of each partition, and so of each incident."""

    def __init__(self) -> None:
        self._waiting: deque[WaitingRecord] = deque()
        self._of_partition: Counter[int] = Counter()

    def __len__(self) -> int:
        return len(self._waiting)

    @property
    def first(self) -> WaitingRecord | None:
        """The next to deliver."""
        return self._waiting[0] if self._waiting else None

    def add(self, records: Iterable[WaitingRecord]) -> None:
        """Add records behind all others."""
        for record in records:
            self._waiting.append(record)
            self._of_partition[record.partition] += 1

    def pop(self) -> None:
        """Take the first away."""
        self._of_partition[self._waiting.popleft().partition] -= 1

    def drop(self, partitions: Collection[int]) -> None:
        """Take away what another instance delivers from now on."""
        self._waiting = deque(one for one in self._waiting if one.partition not in partitions)
        for partition in partitions:
            self._of_partition.pop(partition, None)

    def partitions(self) -> frozenset[int]:
        """Return the partitions of which something waits."""
        return frozenset(partition for partition, n in self._of_partition.items() if n)
