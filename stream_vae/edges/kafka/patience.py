"""Requests that wait until a broker answers."""

from collections.abc import Callable
from typing import TypeVar

from stream_vae.core.ports import EventSink
from stream_vae.edges.kafka.config import KafkaConfig
from stream_vae.edges.kafka.deadline import Deadline
from stream_vae.edges.kafka.errors import gave_up
from stream_vae.errors import KafkaUnavailableError
from stream_vae.events import BrokerReached, BrokerUnreachable

_PAUSE_S = 0.2

Answer = TypeVar("Answer")


def answered(
    ask: Callable[[], Answer], config: KafkaConfig, stopping: Callable[[], bool]
) -> Answer | None:
    """Ask until a broker answers.

    Args:
        ask: Raises `KafkaUnavailableError` while none does.
        config: Its deadline.
        stopping: Asked whether to give up waiting.

    Returns:
        None if `stopping` said so.

    Raises:
        KafkaUnavailableError: If no broker answered before the deadline.
    """
    deadline = Deadline(config.broker_deadline_s)
    while not stopping():
        try:
            return ask()
        except KafkaUnavailableError:
            if deadline.has_passed:
                raise
            deadline.pause(_PAUSE_S)
    return None


def answer_told_of(
    ask: Callable[[], Answer],
    deadline_s: float,
    events: EventSink,
    check: Callable[[], None] = lambda: None,
) -> Answer:
    """Ask until a broker answers, and tell meanwhile why none has.

    Args:
        ask: Raises `KafkaUnavailableError` while none does, soon enough for somebody who waits.
        deadline_s: Longest wait.
        events: Receives the reason after each failed attempt, and that one answers then.
        check: Called after a failed attempt; may raise to end the wait.

    Raises:
        KafkaUnavailableError: If no broker answered before the deadline.
    """
    deadline, was_told = Deadline(deadline_s), False
    while True:
        try:
            answer = ask()
        except KafkaUnavailableError as exc:
            if deadline.has_passed:
                raise gave_up(exc, deadline_s) from exc
            check()
            told = BrokerUnreachable(
                detail=str(exc), waited_s=deadline.waited_s, deadline_s=deadline_s
            )
            events.record(told)
            was_told = True
            deadline.pause(_PAUSE_S)
        else:
            if was_told:
                events.record(BrokerReached(waited_s=deadline.waited_s))
            return answer
