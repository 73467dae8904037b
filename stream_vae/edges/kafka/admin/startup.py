"""Waits for brokers and topics at startup, and makes topics that are missing."""

from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from confluent_kafka import KafkaError, KafkaException, TopicCollection
from confluent_kafka.admin import (  # type: ignore[attr-defined]  # public, not re-exported
    AclOperation,
    AdminClient,
    ConfigResource,
    TopicMetadata,
)
from confluent_kafka.cimpl import NewTopic

from stream_vae.core.ports import EventSink
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
from stream_vae.events import BrokerReached, BrokerUnreachable, ConsumptionDelayed, TopicsFound

_FIRST_PAUSE_S = 0.5
_LONGEST_PAUSE_S = 10.0
_METADATA_TIMEOUT_S = 2.0  # short, so that an unreachable broker is reported soon
_REQUEST_TIMEOUT_S = 5.0
_MAX_CLIENT_ERRORS = 50
_BROKER_DEFAULT = -1
_EMBEDDED_CLUSTER = "mockCluster"
"""Prefix of the cluster id of librdkafka's mock cluster, which has no admin API."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundTopics:
    """What is there of the topics of a daemon."""

    source: FoundTopic
    """The input topic."""
    owned: Mapping[str, FoundTopic]
    """Name -> one that exists already."""
    was_source_missing: bool = False
    """Whether the input topic had to be waited for: nobody has read of it what it holds."""


def await_topics(  # noqa: PLR0913 -- each is a choice of its caller
    config: KafkaConfig,
    input_topic: str,
    owned_topics: Sequence[OwnedTopic],
    events: EventSink,
    *,
    stopping: Callable[[], bool],
    called: str = "the input topic",
    advice: str = "create it or set input.topic",
    topic_deadline_s: float | None = None,
) -> FoundTopics | None:
    """Wait until brokers answer, the input topic exists, and all that exist can be used.

    Nothing is created: what is found may turn out to be another deployment's. The embedded broker
    has no admin API: there, topics are only looked up.

    Args:
        config: Brokers and deadline.
        input_topic: Waited for.
        owned_topics: May be missing.
        events: Receives, before each retry, why no broker answers or what is missing although one
            does; and of either, once that is over, how many seconds it took.
        stopping: Returns whether to stop waiting.
        called: What the input topic is to the caller.
        advice: What to do where the input topic does not exist.
        topic_deadline_s: Longest wait for the input topic; None: as for brokers.

    Returns:
        None if `stopping` returned true first.

    Raises:
        KafkaUnavailableError: At the deadline; says what is missing.
        TopicMissingError: At the deadline, if the input topic is missing.
        KafkaRefusedError: If the brokers refuse the credentials, or the right to see or describe a
            topic is missing; names the right.
    """
    client_errors: deque[KafkaError] = deque(maxlen=_MAX_CLIENT_ERRORS)
    properties = client_properties(config)
    properties["error_cb"] = client_errors.append
    admin = AdminClient(properties)
    of_brokers = Deadline(config.broker_deadline_s)
    of_topic = of_brokers if topic_deadline_s is None else Deadline(topic_deadline_s)
    pause = _FIRST_PAUSE_S
    is_unreachable = is_delayed = was_source_missing = False
    while not stopping():
        try:
            found = _look(admin, input_topic, owned_topics, called, advice)
        except _NoAnswer as exc:
            admin.poll(0)  # calls error_cb
            found = _NotReady(_no_answer_reason(client_errors, exc), is_outage=True)
        is_outage = isinstance(found, _NotReady) and found.is_outage
        if is_unreachable and not is_outage:
            events.record(BrokerReached(waited_s=of_brokers.waited_s))
        if isinstance(found, FoundTopics):
            if is_delayed:
                events.record(TopicsFound(waited_s=of_topic.waited_s))
            return replace(found, was_source_missing=was_source_missing)
        deadline = of_brokers
        if found.error is TopicMissingError:
            was_source_missing, deadline = True, of_topic
            if topic_deadline_s is not None:
                of_brokers = Deadline(config.broker_deadline_s)  # for they have answered
        is_unreachable = is_outage
        is_delayed |= not is_outage
        if deadline.has_passed:
            raise found.error(f"gave up after {deadline.limit_s:g} s: {found.detail}")
        kind = BrokerUnreachable if is_unreachable else ConsumptionDelayed
        events.record(
            kind(detail=found.detail, waited_s=deadline.waited_s, deadline_s=deadline.limit_s)
        )
        _sleep(pause, deadline, stopping)
        pause = min(2 * pause, _LONGEST_PAUSE_S)
    return None


def refuse_unfit(
    found: FoundTopics,
    owned_topics: Sequence[OwnedTopic],
    bootstrap: str,
    others: Iterable[str] = (),
) -> None:
    """Refuse topics that exist and cannot be used, see `topic_errors`.

    Args:
        found: By the brokers.
        owned_topics: Their uses.
        bootstrap: Brokers, for commands.
        others: What else is wrong.

    Raises:
        ConfigError: Lists everything that is wrong.
    """
    errors = [
        error
        for topic in owned_topics
        if topic.name in found.owned
        for error in topic_errors(topic, found.owned[topic.name], found.source, bootstrap)
    ]
    errors += others
    if errors:
        raise ConfigError("\n  ".join(["topics that cannot be used:", *errors]))


def create_topics(config: KafkaConfig, topics: Sequence[OwnedTopic], n_partitions: int) -> None:
    """Create topics, with the brokers' default replication.

    They get as many partitions as the input, so that alerts scale with it and the changelog has one
    partition per input partition.

    Raises:
        KafkaUnavailableError: If no broker answers; those that exist by then are no obstacle.
        KafkaRefusedError: If the brokers refuse.
    """
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
    admin = AdminClient(client_properties(config))  # whose answers never come once it is let go of
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


def _look(
    admin: AdminClient,
    input_topic: str,
    owned_topics: Sequence[OwnedTopic],
    called: str,
    advice: str,
) -> FoundTopics | _NotReady:
    """Return what is there, or what to wait for."""
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
        detail = f"{called} {input_topic!r} does not exist; {advice}"
        return _NotReady(detail, is_outage=False, error=TopicMissingError)
    unready = _unready(cluster.topics[input_topic])
    if unready:
        return _NotReady(f"{called} {input_topic!r} {unready}", is_outage=False)
    present = [topic for topic in owned_topics if topic.name in cluster.topics]
    for topic in present:
        if unready := _unready(cluster.topics[topic.name]):
            return _NotReady(f"the topic {topic.name!r} {unready}", is_outage=False)
    names = [input_topic, *(topic.name for topic in present)]
    try:
        settings = {} if is_embedded else _settings(admin, names)
    except KafkaUnavailableError as exc:
        return _NotReady(str(exc), is_outage=False)
    source, *owned = (
        FoundTopic(
            name=name,
            n_partitions=len(cluster.topics[name].partitions),
            settings=settings.get(name, {}),
        )
        for name in names
    )
    return FoundTopics(source=source, owned={topic.name: topic for topic in owned})


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
