"""Publishes outputs and input offsets together, or not at all."""

import time
from collections.abc import Callable, Mapping, Sequence

from confluent_kafka import KafkaError, KafkaException, Producer, TopicPartition

from stream_vae.core.records import OutputRecord
from stream_vae.edges.kafka.config import KafkaConfig
from stream_vae.edges.kafka.errors import translate
from stream_vae.edges.kafka.properties import producer_properties
from stream_vae.errors import KafkaUnavailableError

_RETRY_PAUSE_S = 0.2

_MEMBERSHIP_MOVED = frozenset(
    {
        KafkaError.ILLEGAL_GENERATION,
        KafkaError.UNKNOWN_MEMBER_ID,
        KafkaError.STALE_MEMBER_EPOCH,
        KafkaError.REBALANCE_IN_PROGRESS,
    }
)


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
        self._step_timeout_s = config.delivery_timeout_s
        self._on_aborted = on_aborted
        self._producer = Producer(producer_properties(config, transactional_id=transactional_id))

    def open(self) -> None:
        """Register the transactional id; fences whoever held it.

        Raises:
            KafkaUnavailableError: If no broker answered before the deadline.
            KafkaRefusedError: If the broker refuses the transactional id.
        """
        deadline = time.monotonic() + self._deadline_s
        self._insist(
            lambda: self._producer.init_transactions(self._step_timeout_s),
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
                error: KafkaError = exc.args[0]
                if error.fatal() or not error.txn_requires_abort():
                    raise translate(error, "committing a transaction") from exc
                self._abort(error, deadline)
                if error.code() in _MEMBERSHIP_MOVED:
                    return False
                if not _passing(error) or time.monotonic() > deadline:
                    raise translate(error, "committing a transaction") from exc
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
        failed: list[KafkaError] = []

        def delivered(error: KafkaError | None, _: object) -> None:
            if error is not None:
                failed.append(error)

        self._producer.begin_transaction()
        for record in records:
            self._produce(record, delivered)
        self._insist(
            lambda: self._producer.send_offsets_to_transaction(
                positions, group_metadata(), self._step_timeout_s
            ),
            "adding offsets to the transaction",
            deadline,
        )
        try:
            self._insist(
                lambda: self._producer.commit_transaction(self._step_timeout_s),
                "committing a transaction",
                deadline,
            )
        except KafkaException:
            # The commit only says that something was not delivered; the report says why.
            refused = [e for e in failed if not _passing(e)]
            if refused:
                self._abort(refused[0], deadline)
                raise translate(refused[0], "publishing") from None
            raise

    def _produce(
        self, record: OutputRecord, delivered: Callable[[KafkaError | None, object], None]
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
                error: KafkaError = exc.args[0]
                if not error.retriable():
                    raise
                if time.monotonic() > deadline:
                    msg = f"{doing}: no broker answered within {self._deadline_s:g} s: {error.str()}"
                    raise KafkaUnavailableError(msg) from exc
                time.sleep(_RETRY_PAUSE_S)
            else:
                return

    def _abort(self, error: KafkaError, deadline: float) -> None:
        self._on_aborted(error.str())
        self._insist(
            lambda: self._producer.abort_transaction(self._step_timeout_s),
            "aborting a transaction",
            deadline,
        )


def _passing(error: KafkaError) -> bool:
    """Tell whether the same records may go through in a new transaction."""
    return error.retriable() or error.code() in {
        KafkaError._TIMED_OUT,  # noqa: SLF001 -- the client names its own codes so
        KafkaError._MSG_TIMED_OUT,  # noqa: SLF001
        KafkaError._PURGE_QUEUE,  # noqa: SLF001
        KafkaError._PURGE_INFLIGHT,  # noqa: SLF001
        KafkaError._TRANSPORT,  # noqa: SLF001
        KafkaError.INVALID_TXN_STATE,
        KafkaError.INVALID_PRODUCER_EPOCH,
        KafkaError.CONCURRENT_TRANSACTIONS,
    }
