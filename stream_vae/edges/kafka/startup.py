"""Waits for brokers and topics before anything is consumed."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from stream_vae.edges.kafka.config import KafkaConfig
from stream_vae.edges.kafka.errors import translate
from stream_vae.edges.kafka.properties import LARGEST_RECORD_BYTES, client_properties
from stream_vae.errors import KafkaUnavailableError

_FIRST_PAUSE_S = 0.5
_LONGEST_PAUSE_S = 10.0
_METADATA_TIMEOUT_S = 2.0  # short, so that an absent broker is told of soon
_REQUEST_TIMEOUT_S = 5.0
_BROKER_DEFAULT = -1


def await_topics(  # noqa: PLR0913 -- one handler for each thing that may be waited for
    config: KafkaConfig,
    input_topic: str,
    output_topics: Sequence[str],
    *,
    on_wait: Callable[[str, float], None],
    on_back: Callable[[float], None],
    on_missing: Callable[[str, float], None],
    stopping: Callable[[], bool],
) -> bool:
    """Wait until brokers answer and every topic is there; create missing output topics.

    Output topics get as many partitions as the input, so that a series' alerts scale with it, and
    the brokers' default replication.

    Args:
        config: Brokers and deadline.
        input_topic: Must be made by someone else.
        output_topics: Made here if missing.
        on_wait: Told, before each retry, why no broker answers and the seconds waited so far.
        on_back: Told, once one answers, how many seconds that took.
        on_missing: Told, before each retry, what is missing although brokers answer, and the
            seconds waited so far.
        stopping: Asked whether to give up waiting.

    Returns:
        False if `stopping` said so first.

    Raises:
        KafkaUnavailableError: If that was not so before the deadline; says what was missing.
        KafkaRefusedError: If a topic may not be created.
    """
    admin = AdminClient(client_properties(config))
    started = time.monotonic()
    pause = _FIRST_PAUSE_S
    is_away = False
    while not stopping():
        lack = _lack(admin, input_topic, output_topics)
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


def _lack(admin: AdminClient, input_topic: str, output_topics: Sequence[str]) -> _Lack | None:
    try:
        cluster = admin.list_topics(timeout=_METADATA_TIMEOUT_S)
    except KafkaException as exc:
        meant = translate(exc.args[0], "asking the brokers for their topics")
        if isinstance(meant, KafkaUnavailableError):
            return _Lack(f"no broker answers: {exc.args[0].str()}", is_of_brokers=True)
        raise meant from exc
    if input_topic not in cluster.topics:
        return _Lack(f"the input topic {input_topic!r} does not exist", is_of_brokers=False)
    wanted = [topic for topic in output_topics if topic not in cluster.topics]
    if not wanted:
        return None
    partitions = len(cluster.topics[input_topic].partitions)
    created = admin.create_topics(
        [
            NewTopic(
                topic,
                num_partitions=partitions,
                replication_factor=_BROKER_DEFAULT,
                # A dead letter must fit, whatever the input topic let through.
                config={"max.message.bytes": str(LARGEST_RECORD_BYTES)},
            )
            for topic in wanted
        ],
        request_timeout=_REQUEST_TIMEOUT_S,
    )
    for topic, future in created.items():
        try:
            future.result()
        except KafkaException as exc:
            if exc.args[0].code() == KafkaError.TOPIC_ALREADY_EXISTS:
                continue
            meant = translate(exc.args[0], f"creating the topic {topic!r}")
            if isinstance(meant, KafkaUnavailableError):
                return _Lack(str(meant), is_of_brokers=False)
            raise meant from exc
    return None
