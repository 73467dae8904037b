"""Moves records from one topic to others, each once, and records which."""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace

from confluent_kafka import Consumer, KafkaException, TopicPartition

from stream_vae.core.ports import EventSink
from stream_vae.core.records import OutputRecord
from stream_vae.edges.kafka.admin.topic_metadata import topic_partitions
from stream_vae.edges.kafka.config import KafkaConfig
from stream_vae.edges.kafka.deadline import Deadline
from stream_vae.edges.kafka.errors import Operation, error_of, gave_up, translate, translated
from stream_vae.edges.kafka.produce.output_producer import OutputProducer
from stream_vae.edges.kafka.properties import reader_properties
from stream_vae.errors import ConfigError, FencedError, KafkaUnavailableError
from stream_vae.events import BrokerUnreachable
from stream_vae.wire.redrive_history import LARGEST_NOTE_BYTES, RedriveHistory, decode_history

_REQUEST_TIMEOUT_S = 5.0
_PAUSE_S = 0.2


class Redriver:
    """Publishes records and the history of their move in one transaction.

    The history is the metadata of the offsets of the group `<group_id>.redrive`, which has no
    members.

    Args:
        config: Brokers, deadlines, and the group's first name.
        topic: Where the records are.
        events: Receives events of the brokers.
    """

    def __init__(self, config: KafkaConfig, topic: str, events: EventSink) -> None:
        self._config = replace(config, group_id=f"{config.group_id}.redrive", instance_id=None)
        self._topic = topic
        self._events = events
        self._operation = Operation(
            doing=f"asking what was moved from {topic!r}", topic=topic, group=self._config.group_id
        )
        with translated(self._operation):
            self._consumer = Consumer(reader_properties(self._config))
        self._producer: OutputProducer | None = None
        self._counts: dict[str, int] = {}

    def claim(self) -> None:
        """Make this the only run over the topic: one still active elsewhere is fenced.

        Raises:
            KafkaUnavailableError: If no broker answered before the deadline.
            KafkaRefusedError: If the broker refuses the transactional id.
        """
        self._producer = OutputProducer(
            self._config,
            f"{self._config.group_id}.{self._topic}",
            self._events,
            may_renew=False,  # no member guards the history
        )
        self._producer.open()

    def histories(self) -> dict[int, RedriveHistory]:
        """Return partition -> what was moved from it, of all partitions.

        Raises:
            KafkaUnavailableError: If no broker answered before the deadline.
            KafkaRefusedError: If the topic does not exist, or it or the group may not be seen.
            ConfigError: If a history cannot be read.
        """
        partitions = topic_partitions(
            self._consumer,
            self._operation,
            deadline_s=self._config.broker_deadline_s,
            events=self._events,
        )
        deadline = Deadline(self._config.broker_deadline_s)
        histories = {}
        for at in self._ask(partitions, deadline):
            note = getattr(at, "metadata", None) or ""  # unknown to the client's type hints
            try:
                history = decode_history(note, at.offset)
            except ConfigError as exc:
                msg = (
                    f"group {self._config.group_id!r}, topic {self._topic!r}, partition "
                    f"{at.partition}: {exc}; to forget what was moved, delete the group's offsets"
                )
                raise ConfigError(msg) from exc
            with translated(self._operation):
                oldest, _ = self._consumer.get_watermark_offsets(
                    TopicPartition(self._topic, at.partition), timeout=_REQUEST_TIMEOUT_S
                ) or (0, 0)
            histories[at.partition] = history.since(oldest)
        return histories

    def n_partitions(self, topic: str) -> int:
        """Return a topic's partition count.

        Raises:
            KafkaUnavailableError: If no broker answered before the deadline.
            KafkaRefusedError: If it does not exist or may not be seen.
        """
        if topic not in self._counts:
            operation = Operation(doing=f"publishing to {topic!r}", topic=topic, access="Write")
            found = topic_partitions(
                self._consumer,
                operation,
                deadline_s=self._config.broker_deadline_s,
                events=self._events,
            )
            self._counts[topic] = len(found)
        return self._counts[topic]

    def move(
        self,
        records: Sequence[OutputRecord],
        ends: Mapping[int, int],
        histories: Mapping[int, RedriveHistory],
    ) -> None:
        """Publish records and their history in one transaction.

        Args:
            records: In the order of their partitions.
            ends: Source partition -> offset after the last of them.
            histories: The same partitions -> history after this move.

        Raises:
            ConfigError: If a history is longer than brokers accept.
            FencedError: If another run over the topic began.
            KafkaUnavailableError: If no broker answered before the deadline.
            KafkaRefusedError: If the broker refuses a topic, a record or the group.
        """
        assert self._producer is not None, "claimed"  # noqa: S101 -- a bug of the caller
        notes = {partition: history.encode() for partition, history in histories.items()}
        if max(map(len, notes.values()), default=0) > LARGEST_NOTE_BYTES:
            msg = (
                f"group {self._config.group_id!r} remembers too many different selections over "
                f"topic {self._topic!r}; redrive by broader ones, or delete the group's offsets to "
                "forget what was moved"
            )
            raise ConfigError(msg)
        no_member = self._consumer.consumer_group_metadata()
        if not self._producer.commit(records, self._topic, ends, no_member, notes=notes):
            msg = f"group {self._config.group_id!r} has members; expected none"
            raise FencedError(msg)

    def close(self) -> None:
        """Close the clients."""
        if self._producer is not None:
            self._producer.close()
        with suppress(KafkaException, RuntimeError):
            self._consumer.close()

    def _ask(self, partitions: Iterable[int], deadline: Deadline) -> list[TopicPartition]:
        wanted = [TopicPartition(self._topic, p) for p in partitions]
        while True:
            try:
                return self._consumer.committed(wanted, timeout=_REQUEST_TIMEOUT_S)
            except KafkaException as exc:
                reason = translate(error_of(exc), self._operation)
                if not isinstance(reason, KafkaUnavailableError):
                    raise reason from exc
                if deadline.has_passed:
                    raise gave_up(reason, deadline.limit_s) from exc
                self._events.record(
                    BrokerUnreachable(
                        detail=str(reason),
                        waited_s=deadline.waited_s,
                        deadline_s=deadline.limit_s,
                    )
                )
                deadline.pause(_PAUSE_S)
