"""Events that wait to be delivered."""

from collections import deque
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

    def __len__(self) -> int:
        return len(self._waiting)

    @property
    def first(self) -> WaitingRecord | None:
        """The next to deliver."""
        return self._waiting[0] if self._waiting else None

    def add(self, records: Iterable[WaitingRecord]) -> None:
        """Add records behind all others."""
        self._waiting.extend(records)

    def pop(self) -> None:
        """Take the first away."""
        self._waiting.popleft()

    def drop(self, partitions: Collection[int]) -> None:
        """Take away what another instance delivers from now on."""
        self._waiting = deque(one for one in self._waiting if one.partition not in partitions)

    def partitions(self) -> frozenset[int]:
        """Return the partitions of which something waits."""
        return frozenset(one.partition for one in self._waiting)
