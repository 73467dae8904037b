"""Holds topics, group and saved state against each other before anything is made or joined."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from stream_vae.daemon.surroundings import Surroundings
from stream_vae.edges.kafka.admin.group_notes import read_notes
from stream_vae.edges.kafka.admin.owned_topics import OwnedTopic
from stream_vae.edges.kafka.admin.partition_adder import widen_command
from stream_vae.edges.kafka.admin.startup import (
    FoundTopics,
    await_topics,
    create_topics,
    refuse_unfit,
)
from stream_vae.edges.kafka.admin.topic_ids import topic_id
from stream_vae.edges.kafka.patience import Answer, answered_unless
from stream_vae.edges.kafka.read.range_reader import RangeReader
from stream_vae.state.owner import find_owner
from stream_vae.state.standing import Standing, TopicFacts
from stream_vae.wire.offset_notes import TopicIdentity, changelog_of
from stream_vae.wire.snapshots import SavedInput


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckedStart:
    """A start that nothing speaks against; its topics exist."""

    standing: Standing
    changelog: TopicIdentity | None
    """None where no state is kept, or the brokers know no ids."""


def check_start(around: Surroundings, topics: Sequence[OwnedTopic]) -> CheckedStart | None:
    """Wait for brokers and topics, refuse what contradicts each other, then make what is missing.

    Args:
        around: Settings, events and clock.
        topics: That the daemon writes.

    Returns:
        None if the daemon was asked to stop first.

    Raises:
        ConfigError: If the state is another input's, or a topic cannot be used.
        StateError: If the group wrote another changelog of that name.
        KafkaUnavailableError: If no broker answers before the deadline.
        KafkaRefusedError: If a topic is missing, or a right.
    """
    settings = around.loaded.settings
    kafka, changelog = settings.kafka, settings.changelog_topic
    found = _await(around, topics)
    if found is None:
        return None
    partitions = range(found.source.n_partitions)
    notes = _answered(around, lambda: read_notes(kafka, settings.input.topic, partitions))
    named = {one.name for one in map(changelog_of, (notes or {}).values()) if one is not None}
    if changelog in named - found.owned.keys():
        found = _await(around, topics)  # another instance may have made it since
    if found is None or notes is None:
        return None
    standing = Standing(
        group=kafka.group_id,
        input=_facts_of_input(around, found.source.n_partitions),
        changelog=None if changelog is None else _facts_of_owned(around, changelog, found),
        notes=notes,
        owner=_owner(around, changelog) if changelog in found.owned else None,
    )
    if around.stopping():
        return None
    standing.refuse_contradictions()
    errors = standing.partition_errors(lambda n: widen_command(kafka, changelog or "", n))
    refuse_unfit(found, topics, kafka.bootstrap_servers, errors)
    missing = [topic for topic in topics if topic.name not in found.owned]
    n_partitions = found.source.n_partitions
    _answered(around, lambda: create_topics(kafka, missing, n_partitions))
    return CheckedStart(standing=standing, changelog=_identity(around, standing.changelog))


def _await(around: Surroundings, topics: Sequence[OwnedTopic]) -> FoundTopics | None:
    settings = around.loaded.settings
    return await_topics(
        settings.kafka, settings.input.topic, topics, around.events, stopping=around.stopping
    )


def _answered(around: Surroundings, ask: Callable[[], Answer]) -> Answer | None:
    deadline_s = around.loaded.settings.kafka.broker_deadline_s
    return answered_unless(around.stopping, ask, deadline_s, around.events)


def _facts(around: Surroundings, topic: str, n_partitions: int) -> TopicFacts:
    kafka = around.loaded.settings.kafka
    found = _answered(around, lambda: topic_id(kafka, topic))
    return TopicFacts(name=topic, id=found or "", n_partitions=n_partitions)


def _facts_of_input(around: Surroundings, n_partitions: int) -> TopicFacts:
    settings = around.loaded.settings
    if settings.changelog_topic is None:  # nothing is kept that could be of another
        return TopicFacts(name=settings.input.topic, n_partitions=n_partitions)
    return _facts(around, settings.input.topic, n_partitions)


def _facts_of_owned(around: Surroundings, topic: str, found: FoundTopics) -> TopicFacts:
    if topic not in found.owned:
        return TopicFacts(name=topic, n_partitions=0)
    return _facts(around, topic, found.owned[topic].n_partitions)


def _owner(around: Surroundings, changelog: str | None) -> SavedInput | None:
    kafka = around.loaded.settings.kafka
    reader = RangeReader(kafka, changelog or "", around.events)
    try:
        return _answered(
            around, lambda: find_owner(reader, clock=around.clock, stopping=around.stopping)
        )
    finally:
        reader.close()


def _identity(around: Surroundings, changelog: TopicFacts | None) -> TopicIdentity | None:
    if changelog is None:
        return None
    found = changelog.id or _facts(around, changelog.name, changelog.n_partitions).id
    return TopicIdentity(name=changelog.name, id=found) if found else None
