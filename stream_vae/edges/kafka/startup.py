"""Waits for brokers and topics before anything is consumed."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import (  # type: ignore[attr-defined]  # public, not re-exported
    AdminClient,
    ConfigResource,
    TopicMetadata,
)
from confluent_kafka.cimpl import NewTopic

from stream_vae.edges.kafka.config import KafkaConfig
from stream_vae.edges.kafka.errors import Operation, error_of, translate
from stream_vae.edges.kafka.owned_topics import FoundTopic, OwnedTopic, topic_faults
from stream_vae.edges.kafka.properties import client_properties
from stream_vae.errors import ConfigError, KafkaUnavailableError

_FIRST_PAUSE_S = 0.5
_LONGEST_PAUSE_S = 10.0
_METADATA_TIMEOUT_S = 2.0  # short, so that an absent broker is told of soon
_REQUEST_TIMEOUT_S = 5.0
_BROKER_DEFAULT = -1
_EMBEDDED_CLUSTER = "mockCluster"
"""How the identity of librdkafka's mock cluster begins, which has no admin API."""


def await_topics(  # noqa: PLR0913 -- one handler for each thing that may be waited for
    config: KafkaConfig,
    input_topic: str,
    owned_topics: Sequence[OwnedTopic],
    *,
    on_wait: Callable[[str, float], None],
    on_back: Callable[[float], None],
    on_missing: Callable[[str, float], None],
    stopping: Callable[[], bool],
) -> bool:
    """Wait until brokers answer and every topic is there and fit for its use; make missing ones.

    Owned topics get as many partitions as the input, so that a series' alerts scale with it and
    each partition's state has its place, and the brokers' default replication. The embedded broker
    has no admin API: there, topics are only looked for.

    Args:
        config: Brokers and deadline.
        input_topic: Must be made by someone else.
        owned_topics: Made here if missing, else checked, see `topic_faults`.
        on_wait: Told, before each retry, why no broker answers and the seconds waited so far.
        on_back: Told, once one answers, how many seconds that took.
        on_missing: Told, before each retry, what is missing although brokers answer, and the
            seconds waited so far.
        stopping: Asked whether to give up waiting.

    Returns:
        False if `stopping` said so first.

    Raises:
        KafkaUnavailableError: If that was not so before the deadline; says what was missing.
        KafkaRefusedError: If a topic may not be made or described; names the right.
        ConfigError: If a topic that exists is not fit for its use; tells of all that is wrong.
    """
    admin = AdminClient(client_properties(config))
    started = time.monotonic()
    pause = _FIRST_PAUSE_S
    is_away = False
    while not stopping():
        lack = _lack(admin, config.bootstrap_servers, input_topic, owned_topics)
        waited = time.monotonic() - started
        if is_away and (lack is None or not lack.is_of_brokers):
            on_back(waited)
        if lack is None:
            return True
        is_away = lack.is_of_brokers
        left = config.broker_deadline_s - waited
        if left <= 0:
            msg = f"gave up after {config.broker_deadline_s:g} s: {lack.detail}"
            raise KafkaUnavailableError(msg)
        (on_wait if is_away else on_missing)(lack.detail, waited)
        _sleep(min(pause, left), stopping)
        pause = min(2 * pause, _LONGEST_PAUSE_S)
    return False


@dataclass(frozen=True, slots=True)
class _Lack:
    """What is not there yet."""

    detail: str
    is_of_brokers: bool


def _sleep(seconds: float, stopping: Callable[[], bool]) -> None:
    until = time.monotonic() + seconds
    while time.monotonic() < until and not stopping():
        time.sleep(0.05)


def _lack(
    admin: AdminClient, bootstrap: str, input_topic: str, owned_topics: Sequence[OwnedTopic]
) -> _Lack | None:
    """Check the topics that are there and make the others; return what is to be waited for."""
    try:
        cluster = admin.list_topics(timeout=_METADATA_TIMEOUT_S)
    except KafkaException as exc:
        meant = translate(error_of(exc), "asking the brokers for their topics")
        if isinstance(meant, KafkaUnavailableError):
            return _Lack(f"no broker answers: {error_of(exc).str()}", is_of_brokers=True)
        raise meant from exc
    unready = _unready(cluster.topics.get(input_topic))
    if unready:
        return _Lack(f"the input topic {input_topic!r} {unready}", is_of_brokers=False)
    present = [topic for topic in owned_topics if topic.name in cluster.topics]
    for topic in present:
        if unready := _unready(cluster.topics[topic.name]):
            return _Lack(f"the topic {topic.name!r} {unready}", is_of_brokers=False)
    names = [input_topic, *(topic.name for topic in present)]
    is_embedded = str(cluster.cluster_id).startswith(_EMBEDDED_CLUSTER)
    try:
        settings = {} if is_embedded else _settings(admin, names)
        found = {
            name: FoundTopic(
                name=name,
                n_partitions=len(cluster.topics[name].partitions),
                settings=settings.get(name, {}),
            )
            for name in names
        }
        _refuse_unfit(present, found, found[input_topic], bootstrap)
        missing = [topic for topic in owned_topics if topic not in present]
        _create(admin, missing, found[input_topic].n_partitions)
    except KafkaUnavailableError as exc:
        return _Lack(str(exc), is_of_brokers=False)
    return None


def _unready(known: TopicMetadata | None) -> str | None:
    """Return why a topic cannot be used yet, if it cannot."""
    if known is None:
        return "does not exist"
    if known.error is not None:
        return f"is not ready: {known.error.str()}"
    return None if known.partitions else "has no partitions"


def _settings(admin: AdminClient, topics: Sequence[str]) -> Mapping[str, Mapping[str, str]]:
    """Return topic -> its settings in force."""
    resources = [ConfigResource(ConfigResource.Type.TOPIC, name) for name in topics]
    asked = admin.describe_configs(resources, request_timeout=_REQUEST_TIMEOUT_S)
    settings = {}
    for resource, answer in asked.items():
        doing = f"describing the topic {resource.name!r}"
        try:
            entries = answer.result().values()
        except KafkaException as exc:
            error = error_of(exc)
            if error.code() == KafkaError.UNKNOWN_TOPIC_OR_PART:
                # Another instance has just made it, and not every broker has heard of it.
                raise KafkaUnavailableError(f"{doing}: {error.str()}") from exc
            operation = Operation(doing=doing, topic=resource.name, access="DescribeConfigs")
            raise translate(error, operation) from exc
        settings[resource.name] = {entry.name: entry.value for entry in entries}
    return settings


def _refuse_unfit(
    topics: Sequence[OwnedTopic],
    found: Mapping[str, FoundTopic],
    source: FoundTopic,
    bootstrap: str,
) -> None:
    faults = [
        fault
        for topic in topics
        for fault in topic_faults(topic, found[topic.name], source, bootstrap)
    ]
    if faults:
        raise ConfigError("\n  ".join(["topics that cannot be used:", *faults]))


def _create(admin: AdminClient, topics: Sequence[OwnedTopic], n_partitions: int) -> None:
    if not topics:
        return
    wanted = [
        NewTopic(
            topic.name,
            num_partitions=n_partitions,
            replication_factor=_BROKER_DEFAULT,
            config=dict(topic.made_with),
        )
        for topic in topics
    ]
    created = admin.create_topics(wanted, request_timeout=_REQUEST_TIMEOUT_S)
    for name, answer in created.items():
        try:
            answer.result()
        except KafkaException as exc:
            error = error_of(exc)
            if error.code() == KafkaError.TOPIC_ALREADY_EXISTS:
                continue  # by another instance, which makes it alike
            doing = f"creating the topic {name!r}"
            raise translate(error, Operation(doing=doing, topic=name, access="Create")) from exc
