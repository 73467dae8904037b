"""Offset requests for the input, with short timeouts so that the poll loop is not blocked."""

from collections.abc import Iterable

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from stream_vae.edges.kafka.errors import Operation, error_of, translate
from stream_vae.errors import KafkaUnavailableError, StreamVaeError

_PATIENCE_S = 1.0

_NOT_YET = frozenset(
    {
        KafkaError._NOENT,  # noqa: SLF001 -- the client names its own codes so
        KafkaError._UNKNOWN_PARTITION,  # noqa: SLF001 -- see above
    }
)
"""The client's errors while it does not know the leader of an assigned partition."""


class InputOffsets:
    """Requests of one member of the group.

    Every one raises `KafkaUnavailableError` if no broker answers within a second or two, and
    `KafkaRefusedError` if one refuses.
    """

    def __init__(self, consumer: Consumer, topic: str, operation: Operation) -> None:
        self._consumer = consumer
        self._topic = topic
        self._operation = operation

    def committed(self, partitions: Iterable[int]) -> dict[int, int]:
        """Return input partition -> the group's committed offset, where there is one.

        While a transaction that contains one is open, that counts as no answer.
        """
        found = self.committed_with_notes(partitions)
        return {partition: offset for partition, (offset, _) in found.items()}

    def committed_with_notes(self, partitions: Iterable[int]) -> dict[int, tuple[int, str]]:
        """Return the same, each offset with the note beside it."""
        try:
            return committed_offsets(self._consumer, self._topic, partitions, _PATIENCE_S)
        except KafkaException as exc:
            raise answer_missing(exc, self._operation) from exc

    def oldest(self, partition: int) -> int:
        """Return the offset of the oldest record kept."""
        return self._watermarks(partition)[0]

    def end(self, partition: int) -> int:
        """Return the offset after the newest record."""
        return self._watermarks(partition)[1]

    def since(self, partition: int, time_ns: int) -> int | None:
        """Return the offset of the first record since a time, or None if there is none."""
        wanted = TopicPartition(self._topic, partition, max(time_ns // 1_000_000, 0))
        try:
            found = self._consumer.offsets_for_times([wanted], timeout=_PATIENCE_S)[0]
        except KafkaException as exc:
            raise answer_missing(exc, self._operation) from exc
        return found.offset if found.offset >= 0 else None

    def _watermarks(self, partition: int) -> tuple[int, int]:
        here = TopicPartition(self._topic, partition)
        try:
            return self._consumer.get_watermark_offsets(here, timeout=_PATIENCE_S)
        except KafkaException as exc:
            raise answer_missing(exc, self._operation) from exc


def answer_missing(exc: KafkaException, operation: Operation) -> StreamVaeError:
    """Return our exception for a request about offsets that failed.

    A broker that has just started answers before its partitions have leaders: this is transient.
    """
    error = error_of(exc)
    if error.code() in _NOT_YET:
        return KafkaUnavailableError(f"{operation.doing}: {error.str()}")
    return translate(error, operation)


def committed_offsets(
    consumer: Consumer, topic: str, partitions: Iterable[int], timeout_s: float
) -> dict[int, tuple[int, str]]:
    """Return partition -> the group's committed offset and its metadata, where there is one.

    Raises:
        KafkaException: If no broker answered.
    """
    wanted = [TopicPartition(topic, p) for p in sorted(set(partitions))]
    found = consumer.committed(wanted, timeout=timeout_s)
    return {at.partition: (at.offset, at.metadata or "") for at in found if at.offset >= 0}
