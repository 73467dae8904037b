"""The partitions of a topic, with retries."""

from collections.abc import Callable

from confluent_kafka import Consumer, Producer

from stream_vae.core.ports import EventSink
from stream_vae.edges.kafka.errors import Operation, translate, translated
from stream_vae.edges.kafka.patience import answered

_ATTEMPT_S = 2.0


def topic_partitions(
    client: Consumer | Producer,
    operation: Operation,
    *,
    deadline_s: float,
    events: EventSink,
    check: Callable[[], None] = lambda: None,
) -> list[int]:
    """Return the partitions of `operation.topic`, waiting until a broker answers.

    Args:
        client: Sends the requests.
        operation: The topic and its use, for messages.
        deadline_s: Longest wait for brokers.
        events: Receives, after each failed attempt, the reason.
        check: Called after a failed attempt; may raise to end the wait.

    Raises:
        KafkaUnavailableError: If no broker answered in time.
        KafkaRefusedError: If the topic does not exist or may not be seen.
    """
    topic = operation.topic or ""
    # Several attempts even before a short deadline, so that the wait is reported.
    attempt_s = min(_ATTEMPT_S, deadline_s / 4)

    def ask() -> list[int]:
        with translated(operation):
            known = client.list_topics(topic, timeout=attempt_s).topics[topic]
        if known.error is not None:
            raise translate(known.error, operation)
        return sorted(known.partitions)

    def check_client() -> None:
        client.poll(0)  # calls `error_cb`, which gets the reason
        check()

    return answered(ask, deadline_s, events, check_client)
