"""Which topics these are; refuses a changelog that is not the one the group wrote."""

from collections.abc import Callable

from confluent_kafka import KafkaError, KafkaException, TopicCollection
from confluent_kafka.admin import AdminClient

from stream_vae.edges.kafka.admin.group_notes import read_notes
from stream_vae.edges.kafka.config import KafkaConfig
from stream_vae.edges.kafka.errors import Operation, error_of, translate
from stream_vae.edges.kafka.patience import answered
from stream_vae.edges.kafka.properties import client_properties
from stream_vae.errors import KafkaUnavailableError, StateError
from stream_vae.wire.offset_notes import TopicIdentity, partitions_of_another

_REQUEST_TIMEOUT_S = 5.0
_NONE = "A" * 22
"""The id that brokers too old for ids give every topic (Kafka before 2.8)."""


def identify_changelog(
    config: KafkaConfig, input_topic: str, changelog: str, stopping: Callable[[], bool]
) -> TopicIdentity | None:
    """Return which topic the changelog is, once it is known to be the one the group wrote.

    To be called at start only: it makes an administrative call.

    Args:
        config: Brokers and group.
        input_topic: Whose offsets carry notes of the changelog.
        changelog: The compacted topic, which exists.
        stopping: Asked whether to give up waiting.

    Returns:
        None where the brokers know no ids, or `stopping` said so.

    Raises:
        StateError: If the group's state went to another topic of that name, deleted since.
        KafkaUnavailableError: If no broker answered before the deadline.
        KafkaRefusedError: If one refuses.
    """
    return answered(lambda: _identity(config, input_topic, changelog), config, stopping)


def identify_input(config: KafkaConfig, topic: str, stopping: Callable[[], bool]) -> str:
    """Return the id of the input topic; "" where the brokers know none, or `stopping` said so.

    To be called at start only: it makes an administrative call.

    Raises:
        KafkaUnavailableError: If no broker answered before the deadline.
        KafkaRefusedError: If one refuses.
    """
    return answered(lambda: _topic_id(config, topic), config, stopping) or ""


def _identity(config: KafkaConfig, input_topic: str, changelog: str) -> TopicIdentity | None:
    found = _topic_id(config, changelog)
    if found is None:
        return None
    identity = TopicIdentity(name=changelog, id=found)
    others = partitions_of_another(read_notes(config, input_topic).of, identity)
    if others:
        raise StateError(_lost(config.group_id, input_topic, identity, others))
    return identity


def _lost(group: str, input_topic: str, changelog: TopicIdentity, others: dict[int, str]) -> str:
    told = ", ".join(map(str, others))
    ids = ", ".join(sorted(set(others.values())))
    return (
        f"topic {changelog.name!r} (state.topic) is not the one in which group {group!r} kept the "
        f"state of partitions {told} of {input_topic!r}: found the topic id {changelog.id}, "
        f"expected {ids}. That topic was deleted, with what was remembered of series and of open "
        "incidents. To go on without it, set state.topic to a new name: series warm up by what the "
        "input holds, and incidents still open on the alerts topic are taken over. To go on with "
        "a copy of it, set state.topic to the name of the copy"
    )


def _topic_id(config: KafkaConfig, topic: str) -> str | None:
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
    return None if found == _NONE else found
