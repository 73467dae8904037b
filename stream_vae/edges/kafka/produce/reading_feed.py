"""Publishes readings at a given pace, each acknowledged."""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from confluent_kafka import KafkaError, Message, Producer

from stream_vae.core.ports import EventSink
from stream_vae.edges.kafka.admin.topic_metadata import topic_partitions
from stream_vae.edges.kafka.config import KafkaConfig
from stream_vae.edges.kafka.deadline import Deadline
from stream_vae.edges.kafka.errors import Operation, translate, translated
from stream_vae.edges.kafka.properties import producer_properties
from stream_vae.errors import KafkaUnavailableError
from stream_vae.events import BrokerUnreachable

_LONGEST_NAP_S = 0.1
_PROGRESS_PERIOD_S = 0.1
_RECORDS_BETWEEN_LOOKS = 200
_NANOSECONDS = 1e9


@dataclass(frozen=True, slots=True, kw_only=True)
class EncodedReading:
    """One reading, ready to be published."""

    key: bytes | None
    value: bytes
    time_ns: int
    """Event time, nanoseconds since 1970; the pace may follow it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """Publishing rate; with neither field set, as fast as the brokers accept."""

    rate: float | None = None
    """Readings per second."""
    speed: float | None = None
    """Times faster than the readings' own clock: 1 replays in real time, 60 an hour a minute."""

    def __post_init__(self) -> None:
        """Reject a pace that is not positive or is contradictory."""
        if self.rate is not None and self.speed is not None:
            raise ValueError("rate and speed are both given; expected one of them")
        for name in ("rate", "speed"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise ValueError(f"{name} is {value}; expected more than 0")

    def due_s(self, position: int, elapsed_event_ns: int) -> float:
        """Return when a reading is due, in seconds after the first.

        Args:
            position: Readings before it.
            elapsed_event_ns: Its event time less the first reading's.
        """
        if self.rate is not None:
            return position / self.rate
        if self.speed is not None:
            return elapsed_event_ns / _NANOSECONDS / self.speed
        return 0.0


def publish_readings(  # noqa: PLR0913 -- each is a choice of the publisher
    config: KafkaConfig,
    topic: str,
    readings: Iterable[EncodedReading],
    events: EventSink,
    *,
    pace: Pace = Pace(),
    on_progress: Callable[[int], None] = lambda _: None,
) -> int:
    """Publish readings in the order given and return how many were acknowledged: all.

    The producer is idempotent, so a retry neither repeats nor reorders a reading of one partition.

    Args:
        config: Brokers and security. `broker_deadline_s` bounds the wait for a first answer,
            `delivery_timeout_s` that for each acknowledgement.
        topic: Its name; must exist.
        readings: Consumed one by one; few are held in memory at a time.
        events: Receives why, whenever the client loses or cannot find a broker.
        pace: When each is due.
        on_progress: Called with the number acknowledged so far, at most ten times a second.

    Raises:
        KafkaUnavailableError: If no broker accepted a reading in time.
        KafkaRefusedError: If the topic does not exist, or refuses a reading.
    """
    operation = Operation(doing=f"publishing to {topic!r}", topic=topic, access="Write")
    began = Deadline(config.broker_deadline_s)
    feed: _Feed | None = None  # then each outage has as long as a reading may wait

    def client_error(error: KafkaError) -> None:
        reason = translate(error, operation)
        if not isinstance(reason, KafkaUnavailableError):
            raise reason
        events.record(
            BrokerUnreachable(
                detail=str(reason),
                waited_s=0.0 if feed else began.waited_s,
                deadline_s=config.delivery_timeout_s if feed else began.limit_s,
            )
        )

    properties = producer_properties(config, instance="feed")
    with translated(operation):
        producer = Producer({**properties, "error_cb": client_error})
    try:
        topic_partitions(producer, operation, deadline_s=config.broker_deadline_s, events=events)
        feed = _Feed(producer, operation, on_progress)
        first_ns: int | None = None
        started = time.monotonic()
        for position, reading in enumerate(readings):
            first_ns = reading.time_ns if first_ns is None else first_ns
            feed.wait_until(started + pace.due_s(position, reading.time_ns - first_ns))
            feed.send(reading)
        feed.finish(config.delivery_timeout_s)
    finally:
        # After a failure or Ctrl-C nothing more may be published.
        producer.purge()
        with translated(operation):
            producer.close()
    return feed.acknowledged


class _Feed:
    """One run of the producer."""

    def __init__(
        self, producer: Producer, operation: Operation, on_progress: Callable[[int], None]
    ) -> None:
        self._producer = producer
        self._operation = operation
        self._on_progress = on_progress
        self._failed: KafkaError | None = None
        self._told_at = time.monotonic()
        self._sent = 0
        self.acknowledged = 0

    def wait_until(self, due: float) -> None:
        """Serve the client until a reading is due."""
        while (left := due - time.monotonic()) > 0:
            self._serve(min(left, _LONGEST_NAP_S))

    def send(self, reading: EncodedReading) -> None:
        """Hand a reading to the client, waiting while its queue is full."""
        topic = self._operation.topic or ""
        while True:
            try:
                with translated(self._operation):
                    self._producer.produce(
                        topic, reading.value, reading.key, on_delivery=self._delivered
                    )
            except BufferError:
                self._serve(_LONGEST_NAP_S)
            else:
                break
        self._sent += 1
        if self._sent % _RECORDS_BETWEEN_LOOKS == 0:
            self._serve(0)

    def finish(self, timeout_s: float) -> None:
        """Wait for every acknowledgement; each is decided within the delivery timeout."""
        deadline = Deadline(timeout_s + 5.0)
        while len(self._producer) and not deadline.has_passed:
            self._serve(_LONGEST_NAP_S)
        self._serve(0)
        if self.acknowledged < self._sent:
            missing = self._sent - self.acknowledged
            raise KafkaUnavailableError(
                f"{self._operation.doing}: {missing} of {self._sent} readings not acknowledged "
                f"within {timeout_s:g} s"
            )
        self._on_progress(self.acknowledged)

    def _serve(self, timeout_s: float) -> None:
        with translated(self._operation):
            self._producer.poll(timeout_s)
        if self._failed is not None:
            raise translate(self._failed, self._operation)
        now = time.monotonic()
        if now - self._told_at >= _PROGRESS_PERIOD_S:
            self._told_at = now
            self._on_progress(self.acknowledged)

    def _delivered(self, error: KafkaError | None, _message: Message) -> None:
        if error is None:
            self.acknowledged += 1
        else:
            self._failed = self._failed or error
