"""What the daemon needs of the world outside, as small protocols.

The loop, delivery and state depend on these alone. `edges` implements them on Kafka; the tests
implement them in memory, so that every order of deliveries, crashes and rebalances can be played.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Generic, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from stream_vae.core.health import Heartbeat
from stream_vae.core.model_spec import Scores
from stream_vae.core.records import OutputRecord, RecordBatch
from stream_vae.events import Event

Work = TypeVar("Work")


class EventSink(Protocol):
    """Where noteworthy things go: logs and metrics, a terminal, a test. Any thread may record."""

    def record(self, event: Event) -> None:
        """Take one event."""


class Telemetry(EventSink, Protocol):
    """A sink that also writes summaries by the clock."""

    def tick(self) -> None:
        """Write what is due; called once a turn of the loop."""


class Clock(Protocol):
    """The time; `time_ns` may be set anew, `monotonic` never goes back."""

    def monotonic(self) -> float:
        """Return seconds from an arbitrary start."""
        ...

    def time_ns(self) -> int:
        """Return the wall clock, nanoseconds since 1970."""
        ...

    def sleep(self, seconds: float) -> None:
        """Wait."""


class RebalanceListener(Protocol):
    """Hears what becomes of this member's partitions, within a call of `InputConsumer.poll`."""

    def partitions_assigned(self, partitions: tuple[int, ...]) -> None:
        """Partitions have joined; nothing of them is fetched until they are released."""

    def partitions_revoked(self, partitions: tuple[int, ...]) -> None:
        """Partitions are about to leave; what is committed now still counts."""

    def partitions_lost(self, partitions: tuple[int, ...]) -> None:
        """Partitions are gone already."""


class PartitionOffsets(Protocol):
    """Asks brokers for offsets of the input.

    Every request raises `KafkaUnavailableError` if no broker answers soon, and `KafkaRefusedError`
    if one refuses.
    """

    def committed(self, partitions: Iterable[int]) -> dict[int, int]:
        """Return input partition -> the group's committed offset, where there is one."""
        ...

    def oldest(self, partition: int) -> int:
        """Return the offset of the oldest record kept."""
        ...

    def end(self, partition: int) -> int:
        """Return the offset behind the newest record."""
        ...

    def since(self, partition: int, time_ns: int) -> int | None:
        """Return the offset of the first record since a time, or None if there is none."""
        ...


class InputConsumer(Protocol):
    """A member of the consumer group, subscribed to the input topic."""

    @property
    def joined(self) -> bool:
        """Whether the group has given this member its partitions, be they none."""
        ...

    @property
    def reachable(self) -> bool:
        """Whether a broker answers, as far as is known."""
        ...

    @property
    def paused(self) -> bool:
        """Whether fetching is paused."""
        ...

    @property
    def offsets(self) -> PartitionOffsets:
        """Asks for offsets of the input as this member."""
        ...

    def subscribe(self, listener: RebalanceListener) -> None:
        """Join the group; once, before the first `poll`."""

    def poll(self, max_records: int, timeout_s: float) -> RecordBatch | None:
        """Return up to `max_records` records, waiting at most `timeout_s` for that many."""
        ...

    def take_eof_offsets(self) -> dict[int, int]:
        """Return input partition -> its end, where that was reached since the last call."""
        ...

    def pause(self) -> None:
        """Fetch nothing until `resume`; polling keeps the membership alive."""

    def resume(self) -> None:
        """Fetch again, except what is held."""

    def release(self, begins: Mapping[int, int]) -> None:
        """Fetch from partitions that were held: partition -> where it begins."""

    def membership(self) -> object:
        """Return the membership as it is now, for the producer's transaction.

        Raises:
            FencedError: If there is none any more.
        """
        ...

    def is_at_end(self, partition: int) -> bool:
        """Tell whether a broker says that every record of a partition has been polled."""
        ...

    def lag(self) -> dict[int, int]:
        """Return partition -> records not yet polled, as far as is known."""
        ...

    def close(self) -> None:
        """Leave the group; the listener hears of the last partitions."""

    def abandon(self) -> None:
        """Leave the group without a word to the listener; harmless after `close`."""


class OutputProducer(Protocol):
    """Publishes outputs and input offsets together, or not at all (KIP-98, KIP-447)."""

    def commit(
        self,
        records: Sequence[OutputRecord],
        topic: str,
        offsets: Mapping[int, int],
        membership: object,
    ) -> bool:
        """Publish records and commit the offsets of their input in one transaction.

        Returns:
            False if the group moved on from this membership, and the transaction was aborted.
        """
        ...

    def close(self) -> None:
        """Let go of the client; a transaction still open is aborted by the broker."""


class RangeReader(Protocol):
    """Reads ranges of a topic's partitions, outside the group; committed records only."""

    def end_offsets(self, partitions: Iterable[int]) -> dict[int, int]:
        """Return partition -> offset behind its newest record, open transactions included."""
        ...

    def add(self, partition: int, begin: int | None, end: int) -> None:
        """Begin to read a range; `begin` None: from the oldest record kept."""

    def remove(self, partition: int) -> None:
        """Read no more of a partition; harmless if it is not being read."""

    def poll(self, max_records: int) -> RecordBatch | None:
        """Return records that have come, without waiting."""
        ...

    def take_finished(self) -> list[int]:
        """Return the partitions whose range has been read, all records having been returned."""
        ...

    def close(self) -> None:
        """Let go of the client."""


class ScoringQueue(Protocol, Generic[Work]):
    """Scores jobs in the order they were submitted."""

    @property
    def heartbeat(self) -> Heartbeat:
        """When whoever scores last came round."""
        ...

    @property
    def readings_in_flight(self) -> int:
        """Readings submitted and not yet collected, with or without a window."""
        ...

    def start(self) -> None:
        """Begin to score."""

    def submit(
        self,
        work: Work,
        windows: NDArray[np.float64],
        end_times: NDArray[np.int64],
        *,
        n_readings: int,
    ) -> None:
        """Queue a job; `work` comes back with its scores."""

    def collect(self) -> list[tuple[Work, Scores]]:
        """Return the jobs finished since the last call, in the order they were submitted."""
        ...

    def wait_idle(self, timeout_s: float) -> bool:
        """Wait until every submitted job is finished; tell whether that was reached."""
        ...

    def wait_finished(self, timeout_s: float) -> None:
        """Wait until something can be collected, but no longer than `timeout_s`."""

    def stop(self, timeout_s: float) -> None:
        """End; jobs still waiting are dropped."""
