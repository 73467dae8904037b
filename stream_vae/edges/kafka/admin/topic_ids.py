"""Tells a topic from another of the same name."""

from confluent_kafka import KafkaError, KafkaException, TopicCollection
from confluent_kafka.admin import AdminClient

from stream_vae.edges.kafka.config import KafkaConfig
from stream_vae.edges.kafka.errors import Operation, error_of, translate
from stream_vae.edges.kafka.properties import client_properties
from stream_vae.errors import KafkaUnavailableError

_REQUEST_TIMEOUT_S = 5.0
_NONE = "A" * 22
"""The id that brokers too old for ids give every topic (Kafka before 2.8)."""


def topic_id(config: KafkaConfig, topic: str) -> str:
    """Return the id of a topic that exists; "" where the brokers know none.

    To be called at start only: it makes an administrative call.

    Raises:
        KafkaUnavailableError: If no broker answered, or it does not know the topic yet.
        KafkaRefusedError: If one refuses.
    """
    operation = Operation(doing=f"looking at the topic {topic!r}", topic=topic)
    admin = AdminClient(client_properties(config))
    asked = admin.describe_topics(TopicCollection([topic]), request_timeout=_REQUEST_TIMEOUT_S)
    try:
        found = str(asked[topic].result().topic_id)
    except KafkaException as exc:
        error = error_of(exc)
        if error.code() == KafkaError.UNKNOWN_TOPIC_OR_PART:
            # It has just been made, and not every broker has heard of it.
            raise KafkaUnavailableError(f"{operation.doing}: {error.str()}") from exc
        raise translate(error, operation) from exc
    return "" if found == _NONE else found
