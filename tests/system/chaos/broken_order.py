"""The control: a daemon that publishes outputs before, and apart from, its input's offsets.

What any at-least-once program does. With it the chaos test must find differences.
"""

from collections.abc import Callable

from confluent_kafka import KafkaError, Message, Producer

from stream_vae.core.ports import EventSink
from stream_vae.core.records import OutputRecord
from stream_vae.edges.kafka.config import KafkaConfig
from stream_vae.edges.kafka.deadline import Deadline
from stream_vae.edges.kafka.errors import Operation
from stream_vae.edges.kafka.produce import output_producer
from stream_vae.edges.kafka.produce.transactional_client import TransactionalClient
from stream_vae.edges.kafka.properties import producer_properties


class BrokenOrderClient(TransactionalClient):
    """Publishes outside of the transaction, which is left with the offsets alone."""

    def __init__(self, config: KafkaConfig, operation: Operation, events: EventSink) -> None:
        super().__init__(config, operation, events)
        self._plain = Producer(producer_properties(config))

    def publish(
        self, record: OutputRecord, on_delivery: Callable[[KafkaError | None, Message], None]
    ) -> None:
        """Publish at once, whatever becomes of the transaction."""
        self._plain.produce(
            record.topic,
            value=record.value,
            key=record.key,
            headers=list(record.headers),
            partition=-1 if record.to_partition is None else record.to_partition,
            on_delivery=on_delivery,
        )

    def commit(self, deadline: Deadline) -> None:
        """Make sure that outputs are out, then commit the offsets."""
        while self._plain.flush(1.0) and not deadline.has_passed:
            pass
        super().commit(deadline)


def install() -> None:
    """Let this process's daemon work in the broken order."""
    output_producer.TransactionalClient = BrokenOrderClient  # type: ignore[attr-defined] # the control
