"""The partitions of a topic, with retries."""

from collections.abc import Callable

from confluent_kafka import Consumer, KafkaException, Producer

from stream_vae.core.ports import EventSink
from stream_vae.edges.kafka.deadline import Deadline
from stream_vae.edges.kafka.errors import Operation, error_of, gave_up, translate
from stream_vae.errors import KafkaUnavailableError
from stream_vae.events import BrokerUnreachable

_ATTEMPT_S = 2.0
_PAUSE_S = 0.2


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
    deadline = Deadline(deadline_s)
    while True:
        try:
            known = client.list_topics(topic, timeout=attempt_s).topics[topic]
        except KafkaException as exc:
            reason = translate(error_of(exc), operation)
            if not isinstance(reason, KafkaUnavailableError):
                raise reason from exc
        else:
            if known.error is None:
                return sorted(known.partitions)
            reason = translate(known.error, operation)
            if not isinstance(reason, KafkaUnavailableError):
                raise reason
        if deadline.has_passed:
            raise gave_up(reason, deadline_s)
        client.poll(0)  # calls `error_cb`, which gets the reason
        check()
        events.record(
            BrokerUnreachable(detail=str(reason), waited_s=deadline.waited_s, deadline_s=deadline_s)
        )
        deadline.pause(_PAUSE_S)
