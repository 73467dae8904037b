"""Where a topic ends, open transactions included."""

from collections.abc import Iterable

from confluent_kafka import IsolationLevel, KafkaError, KafkaException, TopicPartition
from confluent_kafka.admin import (  # type: ignore[attr-defined]  # OffsetSpec is documented
    AdminClient,
    OffsetSpec,
)

from stream_vae.edges.kafka.config import KafkaConfig
from stream_vae.edges.kafka.errors import Operation, error_of, translate
from stream_vae.edges.kafka.properties import client_properties
from stream_vae.errors import KafkaUnavailableError

_REQUEST_TIMEOUT_S = 5.0


class TopicEnds:
    """Asks for the offset behind the newest record of partitions.

    A consumer that reads committed records is told of the last stable offset instead, which stands
    still before a transaction that is about to be committed.
    """

    def __init__(self, config: KafkaConfig, topic: str) -> None:
        self._topic = topic
        self._operation = Operation(doing=f"looking for the end of {topic!r}", topic=topic)
        self._admin = AdminClient(client_properties(config))

    def __call__(self, partitions: Iterable[int]) -> dict[int, int]:
        """Return partition -> end.

        Raises:
            KafkaUnavailableError: If no broker answered.
            KafkaRefusedError: If the broker refuses the topic.
        """
        latest = OffsetSpec.latest()  # type: ignore[no-untyped-call]  # not annotated
        wanted = {TopicPartition(self._topic, p): latest for p in partitions}
        asked = self._admin.list_offsets(
            wanted,
            isolation_level=IsolationLevel.READ_UNCOMMITTED,
            request_timeout=_REQUEST_TIMEOUT_S,
        )
        try:
            return {at.partition: future.result().offset for at, future in asked.items()}
        except KafkaException as exc:
            error = error_of(exc)
            if error.code() == KafkaError._NOENT:  # noqa: SLF001 -- the client's public name for it
                # A broker that has just started answers before its partitions have leaders.
                msg = f"{self._operation.doing}: {error.str()}"
                raise KafkaUnavailableError(msg) from exc
            raise translate(error, self._operation) from exc
