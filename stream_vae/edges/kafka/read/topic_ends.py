"""End offsets of a topic, open transactions included."""

from collections.abc import Iterable
from dataclasses import replace

from confluent_kafka import Consumer, KafkaException, TopicPartition

from stream_vae.edges.kafka.config import KafkaConfig
from stream_vae.edges.kafka.errors import Operation, translate, translated
from stream_vae.edges.kafka.offsets import answer_missing
from stream_vae.edges.kafka.properties import reader_properties

_REQUEST_TIMEOUT_S = 1.0  # short: live partitions wait meanwhile
_LOOK_TIMEOUT_S = 1.0


class TopicEnds:
    """Requests the offset after the newest record of partitions.

    A consumer that reads committed records gets the last stable offset instead, which does not pass
    a transaction that is still being committed.
    """

    def __init__(self, config: KafkaConfig, topic: str) -> None:
        self._topic = topic
        self._operation = Operation(doing=f"looking for the end of {topic!r}", topic=topic)
        # Not the client's administrative call: if the network fails during that, librdkafka aborts
        # the process (its issue 4605; seen with 2.16).
        properties = {**reader_properties(config), "isolation.level": "read_uncommitted"}
        with translated(self._operation):
            self._client = Consumer(properties)
        self._is_outdated = False

    def __call__(self, partitions: Iterable[int]) -> dict[int, int]:
        """Return partition -> end.

        Raises:
            KafkaUnavailableError: If no broker answered.
            KafkaRefusedError: If the broker refuses the topic.
        """
        try:
            if self._is_outdated:
                # The client uses its cached leaders for minutes after a broker is back
                # (FENCED_LEADER_EPOCH), unless its metadata is refreshed.
                self._client.list_topics(self._topic, timeout=_LOOK_TIMEOUT_S)
            found = {partition: self._ask(partition) for partition in partitions}
        except KafkaException as exc:
            self._is_outdated = True
            raise answer_missing(exc, self._operation) from exc
        self._is_outdated = False
        return found

    def n_partitions(self) -> int:
        """Return how many partitions the topic has.

        Raises:
            KafkaUnavailableError: If no broker answered.
            KafkaRefusedError: If the broker refuses the topic.
        """
        operation = replace(self._operation, doing=f"looking at {self._topic!r}")
        with translated(operation):
            known = self._client.list_topics(self._topic, timeout=_LOOK_TIMEOUT_S)
        found = known.topics[self._topic]
        if found.error is not None:
            raise translate(found.error, operation)
        return len(found.partitions)

    def since(self, partition: int, time_ns: int) -> int | None:
        """Return the offset of the first record at or after a time; None if there is none.

        Raises:
            KafkaUnavailableError: If no broker answered.
            KafkaRefusedError: If the broker refuses the topic.
        """
        wanted = TopicPartition(self._topic, partition, max(time_ns // 1_000_000, 0))
        try:
            found = self._client.offsets_for_times([wanted], timeout=_REQUEST_TIMEOUT_S)[0]
        except KafkaException as exc:
            self._is_outdated = True
            raise answer_missing(exc, self._operation) from exc
        return found.offset if found.offset >= 0 else None

    def _ask(self, partition: int) -> int:
        here = TopicPartition(self._topic, partition)
        _, end = self._client.get_watermark_offsets(here, timeout=_REQUEST_TIMEOUT_S)
        return end
