"""librdkafka's transactional producer, with retries while brokers are unavailable."""

import itertools
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace

from confluent_kafka import KafkaError, KafkaException, Message, Producer, TopicPartition

from stream_vae.core.ports import EventSink
from stream_vae.core.records import OutputRecord
from stream_vae.edges.kafka.config import KafkaConfig
from stream_vae.edges.kafka.deadline import Deadline
from stream_vae.edges.kafka.errors import Operation, Recovery, error_of, recovery, translate
from stream_vae.edges.kafka.properties import producer_properties
from stream_vae.events import BrokerReached, BrokerUnreachable

_ANY = -1
_RETRY_PAUSE_S = 0.2
# Short, so that waiting is reported while brokers are unavailable; steps are retried until the
# deadline.
_STEP_TIMEOUT_S = 5.0
_OUTDATED_FOR_S = 10.0  # until the brokers are taken at their word that there is no such partition
_LOOK_TIMEOUT_S = 1.0


class ClientHungError(Exception):
    """A call of the client does not return; it must be replaced."""


class TransactionalClient:
    """The steps of a transaction (KIP-98), those that ask brokers retried while it is transient.

    Every step raises `KafkaException` for a failure that is not transient, and
    `KafkaUnavailableError` after the deadline.

    Args:
        config: Brokers and timeouts.
        operation: Operation, group and transactional id, for messages.
        events: Receives `BrokerUnreachable` while no broker accepts the next step, and
            `BrokerReached` when one does.
    """

    def __init__(self, config: KafkaConfig, operation: Operation, events: EventSink) -> None:
        self._transaction_timeout_s = config.transaction_timeout_s
        self._operation = operation
        self._deadline_s = config.broker_deadline_s
        self._events = events
        self.is_waiting = False
        """Whether no broker has accepted the next step yet."""
        self._numbers = itertools.count()
        self._unacknowledged: dict[int, str] = {}
        """Number -> topic of the transaction's records that no broker has acknowledged."""
        self._seen_at = time.monotonic()
        self._longest_gap_s = 0.0
        self.must_renew = False
        """Whether the next transaction needs a new client; see `abort`."""
        self._properties = producer_properties(config, transactional_id=operation.transactional_id)
        self._producer = Producer(self._properties)

    def open(self, deadline: Deadline) -> None:
        """Register the transactional id; fences its former holder and aborts its transaction."""
        self.retry(
            lambda: self._producer.init_transactions(_STEP_TIMEOUT_S),
            "registering the transactional id",
            deadline,
        )

    def renew(self, deadline: Deadline) -> None:
        """Open a new client with the same transactional id."""
        with suppress(KafkaException):
            self._producer.purge()
        self._producer = Producer(self._properties)
        self.open(deadline)
        self.must_renew = False

    def close(self) -> None:
        """Close the client; the broker aborts a transaction that is still open."""
        with suppress(KafkaException):  # a fenced producer's queued records are already lost
            self._producer.flush(0)

    def begin(self, deadline: Deadline) -> None:
        """Begin a transaction, with a new client if the last one was aborted with records open."""
        if self.must_renew:
            self.renew(deadline)
        self._producer.begin_transaction()
        self._unacknowledged = {}
        self._seen_at, self._longest_gap_s = time.monotonic(), 0.0

    @property
    def stood_still(self) -> bool:
        """Whether nothing moved for long since the transaction began.

        Every call of the client ends, or is looked after, within a few seconds, unless the process
        is stopped, or its machine.
        """
        return self._longest_gap_s > 2 * _STEP_TIMEOUT_S

    def publish(
        self, record: OutputRecord, on_delivery: Callable[[KafkaError | None, Message], None]
    ) -> None:
        """Publish a record within the transaction.

        Waits while the client's queue is full, or until it has heard of a partition that was added.
        """
        outdated: Deadline | None = None
        unacknowledged, number = self._unacknowledged, next(self._numbers)

        def delivered(error: KafkaError | None, message: Message) -> None:
            if error is None:
                unacknowledged.pop(number, None)
            on_delivery(error, message)

        while True:
            try:
                self._producer.produce(
                    record.topic,
                    value=record.value,
                    key=record.key,
                    headers=list(record.headers),
                    partition=_ANY if record.to_partition is None else record.to_partition,
                    on_delivery=delivered,
                )
            except BufferError:
                self._producer.poll(0.1)
                self._moved()
            except KafkaException as exc:
                outdated = outdated or Deadline(_OUTDATED_FOR_S)
                code = error_of(exc).code()
                if code != KafkaError._UNKNOWN_PARTITION or outdated.has_passed:  # noqa: SLF001 -- the client's public name for it
                    raise
                self._look_at(record.topic)
                outdated.pause(_RETRY_PAUSE_S)
            else:
                unacknowledged[number] = record.topic
                return

    def add_offsets(
        self, positions: list[TopicPartition], group_metadata: object, deadline: Deadline
    ) -> None:
        """Add the group's offsets to the transaction.

        Raises:
            ClientHungError: If the call takes longer than any transaction may last.
        """
        self.retry(
            lambda: self._add_offsets_watched(positions, group_metadata),
            "adding offsets to the transaction",
            deadline,
        )

    def commit(self, deadline: Deadline) -> None:
        """Commit the transaction, once all its records are acknowledged."""
        self.retry(
            lambda: self._producer.commit_transaction(_STEP_TIMEOUT_S),
            "committing a transaction",
            deadline,
        )

    def abort(self, deadline: Deadline) -> None:
        """Abort the transaction.

        If a record of it was not acknowledged, the next transaction needs a new client. librdkafka
        (2.16) gives the record's sequence number to the next one of its partition, although the
        broker may have stored it under that number. The broker then takes the next one for a
        repetition: it acknowledges that and does not store it, and the next transaction lacks it.
        """
        self.retry(
            lambda: self._producer.abort_transaction(_STEP_TIMEOUT_S),
            "aborting a transaction",
            deadline,
        )
        self.must_renew = bool(self._unacknowledged)

    def retry(self, step: Callable[[], object], doing: str, deadline: Deadline) -> None:
        """Retry a step while its failure is transient."""
        began = time.monotonic()
        while True:
            try:
                self._moved()
                step()
            except KafkaException as exc:
                self._moved()
                error = error_of(exc)
                if recovery(error) is not Recovery.RETRY:
                    raise
                at = f"{doing}{self._still_open()}"
                why = translate(error, replace(self._operation, doing=at))
                if deadline.has_passed:
                    raise why from exc
                self._report_waiting(str(why), time.monotonic() - began)
                deadline.pause(_RETRY_PAUSE_S)
            else:
                self._moved()
                if self.is_waiting:
                    self.is_waiting = False
                    self._events.record(BrokerReached(waited_s=time.monotonic() - began))
                return

    def _still_open(self) -> str:
        """Name the topics that keep the transaction waiting; the client only counts records."""
        topics = sorted(set(self._unacknowledged.values()))
        named = ", ".join(map(repr, topics))
        return f" (no broker has acknowledged its records for {named})" if topics else ""

    def _look_at(self, topic: str) -> None:
        """Have the client ask how many partitions a topic has; it would only after minutes."""
        with suppress(KafkaException):
            self._producer.list_topics(topic, timeout=_LOOK_TIMEOUT_S)
        self._moved()

    def _add_offsets_watched(self, positions: list[TopicPartition], group_metadata: object) -> None:
        """Call the client from a thread that can be abandoned.

        librdkafka ignores its timeout while it looks for the group's coordinator, and after an
        outage may never return (its issues 5456 and 5511; one outage in three, observed with 2.16).
        """
        producer = self._producer
        failed: list[KafkaException] = []

        def send() -> None:
            try:
                producer.send_offsets_to_transaction(positions, group_metadata, _STEP_TIMEOUT_S)
            except KafkaException as exc:
                failed.append(exc)

        began = time.monotonic()
        thread = threading.Thread(target=send, name="offsets-sender", daemon=True)
        thread.start()
        while True:
            thread.join(_STEP_TIMEOUT_S)
            self._moved()
            if not thread.is_alive():
                break
            waited = time.monotonic() - began
            if waited > self._transaction_timeout_s + _STEP_TIMEOUT_S:
                raise ClientHungError
            self._report_waiting("adding offsets to the transaction: no answer yet", waited)
        if failed:
            raise failed[0]

    def _moved(self) -> None:
        now = time.monotonic()
        self._longest_gap_s = max(self._longest_gap_s, now - self._seen_at)
        self._seen_at = now

    def _report_waiting(self, why: str, waited_s: float) -> None:
        self.is_waiting = True
        self._events.record(
            BrokerUnreachable(detail=why, waited_s=waited_s, deadline_s=self._deadline_s)
        )
