"""What the group has noted beside its offsets of the input."""

from collections.abc import Iterable

from confluent_kafka import Consumer

from stream_vae.edges.kafka.config import KafkaConfig
from stream_vae.edges.kafka.errors import Operation, translated
from stream_vae.edges.kafka.offsets import committed_offsets
from stream_vae.edges.kafka.properties import reader_properties

_REQUEST_TIMEOUT_S = 5.0


def read_notes(config: KafkaConfig, input_topic: str, partitions: Iterable[int]) -> dict[int, str]:
    """Return input partition -> the note beside the group's offset, where it has one.

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
            found = committed_offsets(reader, input_topic, partitions, _REQUEST_TIMEOUT_S)
    finally:
        reader.close()
    return {partition: note for partition, (_, note) in found.items()}
