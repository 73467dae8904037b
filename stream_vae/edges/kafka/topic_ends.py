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
_LOOK_TIMEOUT_S = 1.0


class TopicEnds:
    """Asks for the offset behind the newest record of partitions.

    A consumer that reads committed records is told of the last stable offset instead, which stands
    still before a transaction that is about to be committed.
    """

    def __init__(self, config: KafkaConfig, topic: str) -> None:
        self._topic = topic
        self._operation = Operation(doing=f"looking for the end of {topic!r}", topic=topic)
        self._admin = AdminClient(client_properties(config))
        self._is_outdated = False

    def __call__(self, partitions: Iterable[int]) -> dict[int, int]:
        """Return partition -> end.

        Raises:
            KafkaUnavailableError: If no broker answered.
            KafkaRefusedError: If the broker refuses the topic.
        """
        try:
            if self._is_outdated:
                # The client goes on asking by what it knew of the leaders, for minutes after a
                # broker came back (FENCED_LEADER_EPOCH), unless it is told to look again.
                self._admin.list_topics(self._topic, timeout=_LOOK_TIMEOUT_S)
            found = self._ask(partitions)
        except KafkaException as exc:
            self._is_outdated = True
            error = error_of(exc)
            if error.code() == KafkaError._NOENT:  # noqa: SLF001 -- the client's public name for it
                # A broker that has just started answers before its partitions have leaders.
                msg = f"{self._operation.doing}: {error.str()}"
                raise KafkaUnavailableError(msg) from exc
            raise translate(error, self._operation) from exc
        self._is_outdated = False
        return found

    def _ask(self, partitions: Iterable[int]) -> dict[int, int]:
        latest = OffsetSpec.latest()  # type: ignore[no-untyped-call]  # not annotated
        asked = self._admin.list_offsets(
            {TopicPartition(self._topic, p): latest for p in partitions},
            isolation_level=IsolationLevel.READ_UNCOMMITTED,
            request_timeout=_REQUEST_TIMEOUT_S,
        )
        return {at.partition: future.result().offset for at, future in asked.items()}
