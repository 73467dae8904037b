"""The daemon's external dependencies, as small protocols.

The loop, delivery and state depend on these alone. `edges` implements them on Kafka; the tests
implement them in memory, so that any order of deliveries, crashes and rebalances can be tested.
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
    """Receives events: logs and metrics, a terminal, a test. Thread-safe."""

    def record(self, event: Event) -> None:
        """Record one event."""


class Telemetry(EventSink, Protocol):
    """A sink that also writes periodic summaries."""

    def tick(self) -> None:
        """Write the summaries that are due; called once per loop iteration."""


class Clock(Protocol):
    """The time; `time_ns` may jump, `monotonic` never goes back."""

    def monotonic(self) -> float:
        """Return seconds from an arbitrary start."""
        ...

    def time_ns(self) -> int:
        """Return the wall clock, nanoseconds since 1970."""
        ...

    def sleep(self, seconds: float) -> None:
        """Wait."""


class RebalanceListener(Protocol):
    """Callbacks for rebalances, called within `InputConsumer.poll`."""

    def partitions_assigned(self, partitions: tuple[int, ...]) -> None:
        """Handle assigned partitions; they are not fetched until they are released."""

    def partitions_revoked(self, partitions: tuple[int, ...]) -> None:
        """Handle partitions about to be revoked; they can still be committed here."""

    def partitions_lost(self, partitions: tuple[int, ...]) -> None:
        """Handle partitions that are already lost."""


class PartitionOffsets(Protocol):
    """Asks brokers for offsets of the input.

    Every request raises `KafkaUnavailableError` if no broker answers soon, and `KafkaRefusedError`
    if one refuses.
    """

    def committed(self, partitions: Iterable[int]) -> dict[int, int]:
        """Return input partition -> the group's committed offset, where there is one."""
        ...

    def committed_with_notes(self, partitions: Iterable[int]) -> dict[int, tuple[int, str]]:
        """Return the same, each offset with the note beside it."""
        ...

    def oldest(self, partition: int) -> int:
        """Return the offset of the oldest record kept."""
        ...

    def end(self, partition: int) -> int:
        """Return the offset after the newest record."""
        ...

    def since(self, partition: int, time_ns: int) -> int | None:
        """Return the offset of the first record since a time, or None if there is none."""
        ...


class InputConsumer(Protocol):
    """A member of the consumer group, subscribed to the input topic."""

    @property
    def joined(self) -> bool:
        """Whether this instance is in the group, possibly without partitions."""
        ...

    @property
    def out_since_ns(self) -> int | None:
        """Wall clock since when it is out of the group; None if it is in it, or never was."""
        ...

    @property
    def reachable(self) -> bool:
        """Whether a broker answered when last asked."""
        ...

    @property
    def paused(self) -> bool:
        """Whether fetching is paused."""
        ...

    @property
    def offsets(self) -> PartitionOffsets:
        """Offset requests for the input as this member."""
        ...

    def subscribe(self, listener: RebalanceListener) -> None:
        """Join the group; once, before the first `poll`."""

    def poll(self, max_records: int, timeout_s: float) -> RecordBatch | None:
        """Return up to `max_records` records, waiting at most `timeout_s` for that many."""
        ...

    def take_eof_offsets(self) -> dict[int, int]:
        """Return input partition -> end offset of those that reached it since the last call."""
        ...

    def pause(self) -> None:
        """Stop fetching until `resume`; polling keeps the membership alive."""

    def resume(self) -> None:
        """Resume fetching, except from held partitions."""

    def release(self, begins: Mapping[int, int]) -> None:
        """Start fetching from held partitions: partition -> start offset."""

    def rewind(self, begins: Mapping[int, int]) -> None:
        """Poll again from earlier offsets, as if what follows them had not been polled.

        Args:
            begins: Partition -> offset; those that are no longer fetched from are left alone.
        """

    def membership(self) -> object:
        """Return the current membership, for the producer's transaction.

        Raises:
            FencedError: If the membership has ended.
        """
        ...

    def is_at_end(self, partition: int) -> bool:
        """Return whether a broker confirms that every record of a partition has been polled."""
        ...

    def lag(self) -> dict[int, int]:
        """Return partition -> records not yet polled, as far as is known."""
        ...

    def close(self) -> None:
        """Leave the group; the listener is called for the remaining partitions."""

    def abandon(self) -> None:
        """Leave the group without calling the listener; a no-op after `close`."""


class OutputProducer(Protocol):
    """Publishes outputs and input offsets atomically (KIP-98, KIP-447)."""

    @property
    def reachable(self) -> bool:
        """Whether brokers accept what is published, as far as is known."""
        ...

    def commit(
        self,
        records: Sequence[OutputRecord],
        topic: str,
        offsets: Mapping[int, int],
        membership: object,
        *,
        given_up: Mapping[int, Sequence[int]] | None = None,
    ) -> bool:
        """Publish records and commit the offsets of their input in one transaction.

        Args:
            records: What to publish; may be empty.
            topic: The input topic.
            offsets: Input partition -> next offset.
            membership: Of the group whose offsets they are.
            given_up: Input partition -> earlier offsets whose records were given up, ascending;
                noted beside the offset.

        Returns:
            False if the group moved on from this membership, and the transaction was aborted.
        """
        ...

    def close(self) -> None:
        """Close the client; the broker aborts a transaction that is still open."""


class RangeReader(Protocol):
    """Reads ranges of a topic's partitions, outside the group; committed records only."""

    def end_offsets(self, partitions: Iterable[int]) -> dict[int, int]:
        """Return partition -> offset after its newest record, open transactions included."""
        ...

    def n_partitions(self) -> int:
        """Return how many partitions the topic has; asks a broker."""
        ...

    def add(self, partition: int, begin: int | None, end: int) -> None:
        """Start reading a range; `begin` None: from the oldest record kept."""

    def remove(self, partition: int) -> None:
        """Stop reading a partition; a no-op if it is not being read."""

    def poll(self, max_records: int) -> RecordBatch | None:
        """Return the records that have arrived, without waiting."""
        ...

    def take_finished(self) -> list[int]:
        """Return the partitions whose range is finished: all records have been returned."""
        ...

    def close(self) -> None:
        """Close the client."""


class PartitionAdder(Protocol):
    """Gives a topic more partitions, where it may."""

    def command(self, n_partitions: int) -> str:
        """Return what an operator runs for the same."""
        ...

    def add(self, n_partitions: int) -> None:
        """Start giving the topic this many partitions, without waiting."""

    def take_failure(self) -> str | None:
        """Return why that failed, once."""
        ...

    def close(self) -> None:
        """End what is in progress."""


class ScoringQueue(Protocol, Generic[Work]):
    """Scores jobs in the order they were submitted."""

    @property
    def heartbeat(self) -> Heartbeat:
        """Heartbeat of the thread that scores."""
        ...

    @property
    def readings_in_flight(self) -> int:
        """Readings submitted and not yet collected, with or without a window."""
        ...

    def start(self) -> None:
        """Start scoring."""

    def submit(
        self,
        work: Work,
        windows: NDArray[np.float64],
        end_times: NDArray[np.int64],
        *,
        n_readings: int,
    ) -> None:
        """Queue a job; `collect` returns `work` with its scores."""

    def collect(self) -> list[tuple[Work, Scores]]:
        """Return the jobs finished since the last call, in the order they were submitted."""
        ...

    def wait_idle(self, timeout_s: float) -> bool:
        """Wait until every submitted job is finished; return False on timeout."""
        ...

    def wait_finished(self, timeout_s: float) -> None:
        """Wait until something can be collected, but no longer than `timeout_s`."""

    def stop(self, timeout_s: float) -> None:
        """Stop; queued jobs are dropped."""
