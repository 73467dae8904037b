"""Waits for brokers and topics at startup."""

from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from confluent_kafka import KafkaError, KafkaException, TopicCollection
from confluent_kafka.admin import (  # type: ignore[attr-defined]  # public, not re-exported
    AclOperation,
    AdminClient,
    ConfigResource,
    TopicMetadata,
)
from confluent_kafka.cimpl import NewTopic

from stream_vae.core.ports import EventSink
from stream_vae.edges.kafka.admin.group_notes import read_notes
from stream_vae.edges.kafka.admin.owned_topics import FoundTopic, OwnedTopic, Right, topic_errors
from stream_vae.edges.kafka.config import KafkaConfig
from stream_vae.edges.kafka.deadline import Deadline
from stream_vae.edges.kafka.errors import Operation, error_of, refuses_connection, translate
from stream_vae.edges.kafka.properties import client_properties
from stream_vae.errors import (
    ConfigError,
    KafkaUnavailableError,
    StreamVaeError,
    TopicMissingError,
)
from stream_vae.events import BrokerReached, BrokerUnreachable, ConsumptionDelayed
from stream_vae.wire.offset_notes import changelog_of

_FIRST_PAUSE_S = 0.5
_LONGEST_PAUSE_S = 10.0
_METADATA_TIMEOUT_S = 2.0  # short, so that an unreachable broker is reported soon
_REQUEST_TIMEOUT_S = 5.0
_MAX_CLIENT_ERRORS = 50
_BROKER_DEFAULT = -1
_EMBEDDED_CLUSTER = "mockCluster"
"""Prefix of the cluster id of librdkafka's mock cluster, which has no admin API."""


def await_topics(
    config: KafkaConfig,
    input_topic: str,
    owned_topics: Sequence[OwnedTopic],
    events: EventSink,
    *,
    stopping: Callable[[], bool],
) -> bool:
    """Wait until brokers answer and every topic exists and is usable; create missing ones.

    Owned topics get as many partitions as the input, so that alerts scale with it and the changelog
    has one partition per input partition, and the brokers' default replication. A changelog of this
    group and input that has fewer is extended later, where its partitions are needed. The embedded
    broker has no admin API: there, topics are only looked up.

    Args:
        config: Brokers and deadline.
        input_topic: Is not created here.
        owned_topics: Created if missing, else checked, see `topic_errors`.
        events: Receives, before each retry, why no broker answers or what is missing although one
            does, and once one answers, how many seconds that took.
        stopping: Returns whether to stop waiting.

    Returns:
        False if `stopping` returned true first.

    Raises:
        KafkaUnavailableError: At the deadline; says what is missing.
        TopicMissingError: At the deadline, if the input topic is missing.
        KafkaRefusedError: If the brokers refuse the credentials, or the right to see, create or
            describe a topic is missing; names the right.
        ConfigError: If an existing topic is unusable; lists everything that is wrong.
    """
    client_errors: deque[KafkaError] = deque(maxlen=_MAX_CLIENT_ERRORS)
    properties = client_properties(config)
    properties["error_cb"] = client_errors.append
    admin = AdminClient(properties)
    deadline = Deadline(config.broker_deadline_s)
    pause = _FIRST_PAUSE_S
    is_unreachable = False
    while not stopping():
        try:
            not_ready = _check_topics(admin, config, input_topic, owned_topics)
        except _NoAnswer as exc:
            admin.poll(0)  # calls error_cb
            not_ready = _NotReady(_no_answer_reason(client_errors, exc), is_outage=True)
        if is_unreachable and (not_ready is None or not not_ready.is_outage):
            events.record(BrokerReached(waited_s=deadline.waited_s))
        if not_ready is None:
            return True
        is_unreachable = not_ready.is_outage
        if deadline.has_passed:
            raise not_ready.error(
                f"gave up after {config.broker_deadline_s:g} s: {not_ready.detail}"
            )
        kind = BrokerUnreachable if is_unreachable else ConsumptionDelayed
        events.record(
            kind(detail=not_ready.detail, waited_s=deadline.waited_s, deadline_s=deadline.limit_s)
        )
        _sleep(pause, deadline, stopping)
        pause = min(2 * pause, _LONGEST_PAUSE_S)
    return False


@dataclass(frozen=True, slots=True)
class _NotReady:
    """What startup waits for."""

    detail: str
    is_outage: bool
    error: type[StreamVaeError] = KafkaUnavailableError
    """Raised at the deadline."""


class _NoAnswer(Exception):  # noqa: N818 -- a state to wait in, no error yet
    """No broker answers; carries the client's reason."""


def _no_answer_reason(client_errors: Iterable[KafkaError], no_answer: _NoAnswer) -> str:
    """Return why no broker answers: errors of connections are more specific than the call's error.

    Raises:
        KafkaRefusedError: If a broker refused the connection.
    """
    reasons = [error for error in client_errors if error.code() != KafkaError._ALL_BROKERS_DOWN]  # noqa: SLF001 -- the client names its own codes so
    for error in reasons:
        if refuses_connection(error):
            raise translate(error, "connecting to the brokers")
    return f"no broker answers: {reasons[-1].str() if reasons else no_answer}"


def _sleep(seconds: float, deadline: Deadline, stopping: Callable[[], bool]) -> None:
    pause = Deadline(seconds)
    while not (pause.has_passed or deadline.has_passed or stopping()):
        pause.pause(0.05)


def _check_topics(
    admin: AdminClient, config: KafkaConfig, input_topic: str, owned_topics: Sequence[OwnedTopic]
) -> _NotReady | None:
    """Check existing topics and create the others; return what to wait for, if anything."""
    try:
        cluster = admin.list_topics(timeout=_METADATA_TIMEOUT_S)
    except KafkaException as exc:
        meant = translate(error_of(exc), "asking the brokers for their topics")
        if isinstance(meant, KafkaUnavailableError):
            raise _NoAnswer(error_of(exc).str()) from exc
        raise meant from exc
    is_embedded = str(cluster.cluster_id).startswith(_EMBEDDED_CLUSTER)
    if not is_embedded:
        _refuse_without_rights(
            admin, {input_topic: ("Read",), **{topic.name: topic.rights for topic in owned_topics}}
        )
    if input_topic not in cluster.topics:
        detail = f"the input topic {input_topic!r} does not exist; create it or set input.topic"
        return _NotReady(detail, is_outage=False, error=TopicMissingError)
    unready = _unready(cluster.topics[input_topic])
    if unready:
        return _NotReady(f"the input topic {input_topic!r} {unready}", is_outage=False)
    present = [topic for topic in owned_topics if topic.name in cluster.topics]
    for topic in present:
        if unready := _unready(cluster.topics[topic.name]):
            return _NotReady(f"the topic {topic.name!r} {unready}", is_outage=False)
    names = [input_topic, *(topic.name for topic in present)]
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
        _refuse_unfit(present, found, found[input_topic], config)
        missing = [topic for topic in owned_topics if topic not in present]
        _create(admin, missing, found[input_topic].n_partitions)
    except KafkaUnavailableError as exc:
        return _NotReady(str(exc), is_outage=False)
    return None


def _unready(known: TopicMetadata) -> str | None:
    """Return why a topic cannot be used yet, if it cannot."""
    if known.error is not None:
        return f"is not ready: {known.error.str()}"
    return None if known.partitions else "has no partitions"


def _refuse_without_rights(admin: AdminClient, needed: Mapping[str, Sequence[Right]]) -> None:
    """Refuse topics without the needed rights, before any record is processed.

    It also distinguishes a topic without the right Describe from a missing one, which is waited
    for.
    """
    asked = admin.describe_topics(
        TopicCollection(list(needed)),
        include_authorized_operations=True,
        request_timeout=_REQUEST_TIMEOUT_S,
    )
    for name, answer in asked.items():
        error, allowed = KafkaError(KafkaError.TOPIC_AUTHORIZATION_FAILED), []
        try:
            allowed = answer.result().authorized_operations
            if not allowed:
                continue  # brokers that do not report rights
        except KafkaException as exc:
            error = error_of(exc)
            if error.code() != KafkaError.TOPIC_AUTHORIZATION_FAILED:
                continue  # missing, or not ready: the caller sees it too
        for right in needed[name]:
            if AclOperation[right.upper()] not in allowed:
                operation = Operation(
                    doing=f"looking at the topic {name!r}", topic=name, access=right
                )
                raise translate(error, operation)


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
                # Another instance has just created it, and not every broker knows it yet.
                raise KafkaUnavailableError(f"{doing}: {error.str()}") from exc
            operation = Operation(doing=doing, topic=resource.name, access="DescribeConfigs")
            raise translate(error, operation) from exc
        settings[resource.name] = {entry.name: entry.value for entry in entries}
    return settings


def _refuse_unfit(
    topics: Sequence[OwnedTopic],
    found: Mapping[str, FoundTopic],
    source: FoundTopic,
    config: KafkaConfig,
) -> None:
    errors = [
        error
        for topic in topics
        for error in topic_errors(
            topic,
            found[topic.name],
            source,
            config.bootstrap_servers,
            may_grow=_may_grow(topic, found[topic.name], source, config),
        )
    ]
    if errors:
        raise ConfigError("\n  ".join(["topics that cannot be used:", *errors]))


def _may_grow(
    topic: OwnedTopic, found: FoundTopic, source: FoundTopic, config: KafkaConfig
) -> bool:
    """Tell whether a changelog lacks partitions because the input has got more since.

    Then it is extended as by a daemon that runs. One that the group has not written for this input
    is left alone: that is a wrong name, and partitions cannot be removed.
    """
    if topic.kind != "changelog" or found.n_partitions >= source.n_partitions:
        return False
    named = map(changelog_of, read_notes(config, source.name).of.values())
    return any(one is not None and one.name == topic.name for one in named)


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
                continue  # by another instance, with the same settings
            doing = f"creating the topic {name!r}"
            raise translate(error, Operation(doing=doing, topic=name, access="Create")) from exc
