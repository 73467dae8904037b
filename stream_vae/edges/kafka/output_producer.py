"""Publishes outputs and input offsets together, or not at all."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from confluent_kafka import KafkaError, KafkaException, Message, Producer, TopicPartition

from stream_vae.core.records import OutputRecord
from stream_vae.edges.kafka.config import KafkaConfig
from stream_vae.edges.kafka.errors import (
    Operation,
    Recovery,
    error_of,
    recovery,
    translate,
    translated,
)
from stream_vae.edges.kafka.properties import producer_properties
from stream_vae.errors import FencedError

_RETRY_PAUSE_S = 0.2
# Short, so that a signal is heeded while brokers are away; steps are repeated to the deadline.
_STEP_TIMEOUT_S = 5.0


class OutputProducer:
    """A transactional producer (KIP-98, KIP-447).

    Args:
        config: Brokers and deadlines.
        transactional_id: A later producer of the same id fences this one.
        on_aborted: Told why a transaction is tried again.
    """

    def __init__(
        self, config: KafkaConfig, transactional_id: str, on_aborted: Callable[[str], None]
    ) -> None:
        self._deadline_s = config.broker_deadline_s
        self._operation = Operation(
            doing="committing outputs and offsets",
            access="Write",
            group=config.group_id,
            transactional_id=transactional_id,
        )
        self._on_aborted = on_aborted
        self._producer = Producer(producer_properties(config, transactional_id=transactional_id))

    def open(self) -> None:
        """Register the transactional id; fences whoever held it.

        Raises:
            KafkaUnavailableError: If no broker answered before the deadline.
            KafkaRefusedError: If the broker refuses the transactional id.
        """
        deadline = time.monotonic() + self._deadline_s
        with translated(self._operation):
            self._insist(
                lambda: self._producer.init_transactions(_STEP_TIMEOUT_S),
                "registering the transactional id",
                deadline,
            )

    def commit(
        self,
        records: Sequence[OutputRecord],
        topic: str,
        offsets: Mapping[int, int],
        group_metadata: Callable[[], object],
    ) -> bool:
        """Publish records and commit the offsets of their input in one transaction.

        Args:
            records: What to publish; may be empty.
            topic: The input topic.
            offsets: Input partition -> next offset.
            group_metadata: Gives the consumer's current membership.

        Returns:
            False if the group moved under the transaction, which was aborted: poll the consumer,
            so that it learns what it still owns, and try again.

        Raises:
            FencedError: If another producer of the same transactional id took over.
            KafkaUnavailableError: If no broker answered before the deadline.
            KafkaRefusedError: If the broker refuses a topic, a record or the group.
        """
        deadline = time.monotonic() + self._deadline_s
        positions = [TopicPartition(topic, p, offset) for p, offset in sorted(offsets.items())]
        while True:
            try:
                self._attempt(records, positions, group_metadata, deadline)
            except KafkaException as exc:
                error = error_of(exc)
                if recovery(error) is Recovery.GIVE_UP:
                    raise translate(error, self._operation) from exc
                self._abort(error, deadline)
                meant = translate(error, self._operation)
                if isinstance(meant, FencedError):
                    return False
                if time.monotonic() > deadline:
                    raise meant from exc
                time.sleep(_RETRY_PAUSE_S)
            else:
                return True

    def close(self) -> None:
        """Let go of the client; a transaction still open is aborted by the broker."""
        self._producer.flush(0)

    def _attempt(
        self,
        records: Sequence[OutputRecord],
        positions: list[TopicPartition],
        group_metadata: Callable[[], object],
        deadline: float,
    ) -> None:
        failed: list[tuple[KafkaError, str]] = []

        def delivered(error: KafkaError | None, message: Message) -> None:
            if error is not None:
                failed.append((error, message.topic() or ""))

        self._producer.begin_transaction()
        for record in records:
            self._produce(record, delivered)
        self._insist(
            lambda: self._producer.send_offsets_to_transaction(
                positions, group_metadata(), _STEP_TIMEOUT_S
            ),
            "adding offsets to the transaction",
            deadline,
        )
        try:
            self._insist(
                lambda: self._producer.commit_transaction(_STEP_TIMEOUT_S),
                "committing a transaction",
                deadline,
            )
        except KafkaException:
            # The commit only says that something was not delivered; the report says why.
            for error, topic in failed:
                if recovery(error) is Recovery.GIVE_UP:
                    self._abort(error, deadline)
                    operation = replace(
                        self._operation, doing=f"publishing to {topic!r}", topic=topic
                    )
                    raise translate(error, operation) from None
            raise

    def _produce(
        self, record: OutputRecord, delivered: Callable[[KafkaError | None, Message], None]
    ) -> None:
        while True:
            try:
                self._producer.produce(
                    record.topic,
                    value=record.value,
                    key=record.key,
                    headers=list(record.headers),
                    on_delivery=delivered,
                )
            except BufferError:
                self._producer.poll(0.1)  # the local queue is full: let some of it go
            else:
                return

    def _insist(self, step: Callable[[], object], doing: str, deadline: float) -> None:
        """Repeat a step while its failure may pass by itself."""
        while True:
            try:
                step()
            except KafkaException as exc:
                error = error_of(exc)
                if recovery(error) is not Recovery.RETRY:
                    raise
                if time.monotonic() > deadline:
                    raise translate(error, replace(self._operation, doing=doing)) from exc
                time.sleep(_RETRY_PAUSE_S)
            else:
                return

    def _abort(self, error: KafkaError, deadline: float) -> None:
        self._on_aborted(error.str())
        self._insist(
            lambda: self._producer.abort_transaction(_STEP_TIMEOUT_S),
            "aborting a transaction",
            deadline,
        )
