"""What the group has noted beside its offsets of the input."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from confluent_kafka import Consumer

from stream_vae.edges.kafka.config import KafkaConfig
from stream_vae.edges.kafka.errors import Operation, translated
from stream_vae.edges.kafka.offsets import committed_offsets
from stream_vae.edges.kafka.patience import answered
from stream_vae.edges.kafka.properties import reader_properties
from stream_vae.wire.offset_notes import partitions_at_begin

_REQUEST_TIMEOUT_S = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupNotes:
    """The notes that stand now."""

    of: Mapping[int, str]
    """Input partition -> note, where the group has an offset."""
    n_partitions: int
    """Of the input."""


def read_notes(config: KafkaConfig, input_topic: str) -> GroupNotes:
    """Return the notes beside the group's offsets.

    Raises:
        KafkaUnavailableError: If no broker answered.
        KafkaRefusedError: If one refuses.
    """
    operation = Operation(
        doing="asking for the group's offsets", topic=input_topic, group=config.group_id
    )
    # The notes that stand now will do; other instances may be in the middle of a transaction.
    reader = Consumer({**reader_properties(config), "isolation.level": "read_uncommitted"})
    try:
        with translated(operation):
            known = reader.list_topics(input_topic, timeout=_REQUEST_TIMEOUT_S)
            partitions = known.topics[input_topic].partitions
            found = committed_offsets(reader, input_topic, partitions, _REQUEST_TIMEOUT_S)
    finally:
        reader.close()
    return GroupNotes(
        of={partition: note for partition, (_, note) in found.items()},
        n_partitions=len(partitions),
    )


def count_at_begin(config: KafkaConfig, input_topic: str, stopping: Callable[[], bool]) -> int:
    """Return how many partitions the input had when the group began to consume it.

    Args:
        config: Brokers and group.
        input_topic: Whose offsets carry the notes.
        stopping: Asked whether to give up waiting; the answer is 0 then.

    Raises:
        KafkaUnavailableError: If no broker answered before the deadline.
        KafkaRefusedError: If one refuses.
    """
    found = answered(lambda: read_notes(config, input_topic), config, stopping)
    return 0 if found is None else partitions_at_begin(found.of.values(), found.n_partitions)
