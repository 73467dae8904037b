"""Publishes outputs and input offsets atomically."""

import time
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from stream_vae.core.ports import EventSink
from stream_vae.core.records import OutputRecord
from stream_vae.edges.kafka.config import KafkaConfig
from stream_vae.edges.kafka.deadline import Deadline
from stream_vae.edges.kafka.errors import (
    Operation,
    Recovery,
    error_of,
    lacks_right,
    recovery,
    translate,
    translated,
)
from stream_vae.edges.kafka.offsets import committed_offsets
from stream_vae.edges.kafka.produce.failed_transaction import (
    FailedTransaction,
    Rights,
    Step,
    next_step,
)
from stream_vae.edges.kafka.produce.transactional_client import ClientHungError, TransactionalClient
from stream_vae.edges.kafka.properties import reader_properties
from stream_vae.errors import FencedError, KafkaUnavailableError, StreamVaeError
from stream_vae.events import TransactionAborted
from stream_vae.wire.offset_notes import TopicIdentity, encode_note

_RETRY_PAUSE_S = 0.2
_REQUEST_TIMEOUT_S = 10.0


class OutputProducer:
    """A transactional producer whose transactions include the input's offsets (KIP-447).

    Args:
        config: Brokers and deadlines.
        transactional_id: A later producer of the same id fences this one.
        events: Receives why a transaction is retried, and events of the brokers.
        changelog: Identity that goes with the committed offsets; None if there is none.
        began_with: Partitions of the input when the group began; goes with them too.
        may_renew: Whether a client that hung or lost track may be replaced. That takes the
            transactional id back from a producer that holds it meanwhile, and is sound only where
            the group refuses the offsets of a member that was replaced.
        may_have_rival: Whether a newer process can have the same transactional id: that of an
            instance with a name. It is taken back from nobody that is known to have it.
    """

    def __init__(  # noqa: PLR0913 -- each is a choice of its owner
        self,
        config: KafkaConfig,
        transactional_id: str,
        events: EventSink,
        *,
        changelog: TopicIdentity | None = None,
        began_with: int = 0,
        may_renew: bool = True,
        may_have_rival: bool = False,
    ) -> None:
        self._changelog = changelog
        self._began_with = began_with
        self._rights = Rights(
            may_renew=may_renew,
            may_have_rival=may_have_rival,
            transaction_timeout_s=config.transaction_timeout_s,
        )
        self._committed: dict[int, tuple[object, str]] = {}
        """Input partition -> membership and note of the last transaction with an offset of it."""
        self._config = config
        self._deadline_s = config.broker_deadline_s
        self._operation = Operation(
            doing="committing outputs and offsets",
            access="Write",
            group=config.group_id,
            transactional_id=transactional_id,
        )
        self._events = events
        self._client = TransactionalClient(config, self._operation, events)

    @property
    def reachable(self) -> bool:
        """Whether brokers accept what is published, as far as is known."""
        return not self._client.is_waiting

    def open(self) -> None:
        """Register the transactional id; fences whoever held it.

        Raises:
            KafkaUnavailableError: If no broker answered before the deadline.
            KafkaRefusedError: If the broker refuses the transactional id.
        """
        with translated(self._operation):
            self._client.open(Deadline(self._deadline_s))

    def commit(  # noqa: PLR0913 -- each is a part of the transaction
        self,
        records: Sequence[OutputRecord],
        topic: str,
        offsets: Mapping[int, int],
        membership: object,
        *,
        given_up: Mapping[int, Sequence[int]] | None = None,
        notes: Mapping[int, str] | None = None,
    ) -> bool:
        """Publish records and commit the offsets of their input in one transaction.

        Args:
            records: What to publish; may be empty.
            topic: The input topic.
            offsets: Input partition -> next offset.
            membership: Of the group whose offsets they are.
            given_up: Input partition -> earlier offsets whose records were given up, ascending;
                noted beside the offset.
            notes: Input partition -> metadata of its committed offset, in place of the note that is
                made for it. It identifies the transaction, so that an unknown outcome can be
                resolved.

        Returns:
            False if the group moved on from this membership, and the transaction was aborted.

        Raises:
            FencedError: If another producer of the same transactional id took over.
            KafkaUnavailableError: If no broker answered before the deadline.
            KafkaRefusedError: If the broker refuses a topic, a record or the group.
        """
        deadline = Deadline(self._deadline_s)
        notes = notes or self._make_notes(offsets, given_up or {})
        positions = [
            TopicPartition(topic, p, offset, notes[p]) for p, offset in sorted(offsets.items())
        ]
        while True:
            began = time.monotonic()
            error: KafkaError | None = None
            try:
                if self._client.must_renew:
                    self._leave_to_rival(topic, positions, membership, deadline)
                self._attempt(records, positions, membership, deadline)
                break
            except ClientHungError as exc:
                cause: Exception = exc
            except KafkaException as exc:
                cause, error = exc, self._undo(error_of(exc), deadline)
            step = next_step(self._failed(error, began, deadline), self._rights)
            if step is Step.FAIL:
                raise self._failure(error, records) from cause
            if step is Step.LEAVE:
                return False
            if step is Step.RENEW and self._renew_client(topic, positions, membership, deadline):
                break
            deadline.pause(_RETRY_PAUSE_S)
        self._committed |= {at.partition: (membership, at.metadata or "") for at in positions}
        return True

    def close(self) -> None:
        """Close the client; the broker aborts a transaction that is still open."""
        self._client.close()

    def _make_notes(
        self, partitions: Iterable[int], given_up: Mapping[int, Sequence[int]]
    ) -> dict[int, str]:
        name = uuid.uuid4().hex
        return {
            partition: encode_note(
                name, self._changelog, self._began_with, given_up.get(partition, ())
            )
            for partition in partitions
        }

    def _attempt(
        self,
        records: Sequence[OutputRecord],
        positions: list[TopicPartition],
        membership: object,
        deadline: Deadline,
    ) -> None:
        failed: list[tuple[KafkaError, str]] = []

        def delivered(error: KafkaError | None, message: Message) -> None:
            if error is not None:
                failed.append((error, message.topic() or ""))

        self._client.begin(deadline)
        for record in records:
            self._client.publish(record, delivered)
        self._client.add_offsets(positions, membership, deadline)
        try:
            self._client.commit(deadline)
        except KafkaException:
            # The commit only reports a failed delivery; the delivery report has the reason.
            for error, topic in failed:
                if recovery(error) is Recovery.GIVE_UP:
                    self._undo(error, deadline)
                    doing = f"publishing to {topic!r}"
                    raise translate(
                        error, replace(self._operation, doing=doing, topic=topic)
                    ) from None
            raise

    def _failed(
        self, error: KafkaError | None, began: float, deadline: Deadline
    ) -> FailedTransaction:
        return FailedTransaction(
            error=error,
            lasted_s=time.monotonic() - began,
            stood_still=self._client.stood_still,
            must_renew=self._client.must_renew,
            is_overdue=deadline.has_passed,
        )

    def _failure(self, error: KafkaError | None, records: Sequence[OutputRecord]) -> StreamVaeError:
        """Return ours; it names the transaction's topics if the brokers refuse one of them."""
        if error is None:
            return KafkaUnavailableError(
                f"{self._operation.doing}: the client does not answer; run it again"
            )
        topics = sorted({record.topic for record in records})
        if error.code() != KafkaError.TOPIC_AUTHORIZATION_FAILED or not topics:
            return translate(error, self._operation)
        doing = f"publishing to {', '.join(map(repr, topics))}"
        topic = topics[0] if len(topics) == 1 else None
        return translate(error, replace(self._operation, doing=doing, topic=topic))

    def _undo(self, error: KafkaError, deadline: Deadline) -> KafkaError:
        """Abort after a failure; return the error to handle, since aborting may fail worse."""
        if error.fatal():
            return error
        self._events.record(TransactionAborted(detail=error.str()))
        try:
            self._client.abort(deadline)
        except KafkaException as exc:
            # A transaction that no topic could be added to has none to abort at the broker.
            return error if lacks_right(error) else error_of(exc)
        return error

    def _leave_to_rival(
        self,
        topic: str,
        positions: list[TopicPartition],
        membership: object,
        deadline: Deadline,
    ) -> None:
        """Give up where somebody else has committed what is this member's own.

        That was a newer instance of this name: the group gave it these partitions. While nothing is
        committed it is not known of, and loses the id to this process.

        Raises:
            FencedError: Then.
        """
        ours = {
            at.partition: {note, at.metadata}
            for at in positions
            for since, note in [self._committed.get(at.partition, (None, ""))]
            if since == membership
        }
        if not self._rights.may_have_rival or not ours:
            return
        # The note that stands now will do: this process's own transaction may be open still.
        found = self._ask_offsets(topic, ours, deadline, isolation="read_uncommitted")
        others = [p for p, notes in ours.items() if p in found and found[p][1] not in notes]
        if others:
            raise FencedError(
                f"{self._operation.doing}: a newer instance of this name has committed offsets of "
                f"partitions {', '.join(map(str, others))} of {topic!r}"
            )

    def _renew_client(
        self,
        topic: str,
        positions: list[TopicPartition],
        membership: object,
        deadline: Deadline,
    ) -> bool:
        """Create a new client, which ends the open transaction of the old one.

        Returns:
            True if that was committed after all, according to the metadata of the group's offsets.
        """
        self._leave_to_rival(topic, positions, membership, deadline)
        wanted = {at.partition: (at.offset, at.metadata) for at in positions}
        with translated(self._operation):
            self._client.renew(deadline)
        return self._ask_offsets(topic, wanted, deadline) == wanted

    def _ask_offsets(
        self,
        topic: str,
        partitions: Iterable[int],
        deadline: Deadline,
        *,
        isolation: str = "read_committed",
    ) -> dict[int, tuple[int, str]]:
        """Return partition -> the group's offset and its note, where there is one."""
        found: dict[int, tuple[int, str]] = {}
        with translated(self._operation):
            # No member: the member itself may be in the middle of a call, which it must finish.
            reader = Consumer({**reader_properties(self._config), "isolation.level": isolation})
            try:
                self._client.retry(
                    lambda: found.update(
                        committed_offsets(reader, topic, partitions, _REQUEST_TIMEOUT_S)
                    ),
                    "asking for the group's offsets",
                    deadline,
                )
            finally:
                reader.close()
        return found
