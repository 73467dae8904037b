"""Requests that wait until a broker answers."""

from collections.abc import Callable
from typing import TypeVar

from stream_vae.core.ports import EventSink
from stream_vae.edges.kafka.deadline import Deadline
from stream_vae.edges.kafka.errors import gave_up
from stream_vae.errors import KafkaUnavailableError
from stream_vae.events import BrokerReached, BrokerUnreachable

_PAUSE_S = 0.2
_LEADERLESS_S = 1.0
"""A start asks of topics that it has just made: so long they may have no leaders."""

Answer = TypeVar("Answer")


def answered(
    ask: Callable[[], Answer],
    deadline_s: float,
    events: EventSink,
    check: Callable[[], None] = lambda: None,
    *,
    told_after_s: float = 0.0,
) -> Answer:
    """Ask until a broker answers, and tell meanwhile why none has.

    Args:
        ask: Raises `KafkaUnavailableError` while none does, soon enough for somebody who waits.
        deadline_s: Longest wait.
        events: Receives the reason after each failed attempt, and that one answers then.
        check: Called after a failed attempt; may raise to end the wait.
        told_after_s: What failed earlier is not told.

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
            if deadline.waited_s >= told_after_s:
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


class _StoppedError(Exception):
    """Somebody waits no longer."""


def answered_unless(
    stopping: Callable[[], bool], ask: Callable[[], Answer], deadline_s: float, events: EventSink
) -> Answer | None:
    """Do the same of what was just made, unless it is to stop first; None then.

    Args:
        stopping: Asked before each attempt whether to give up waiting.
        ask: See `answered`.
        deadline_s: See `answered`.
        events: See `answered`.

    Raises:
        KafkaUnavailableError: If no broker answered before the deadline.
    """

    def check() -> None:
        if stopping():
            raise _StoppedError

    try:
        check()
        return answered(ask, deadline_s, events, check, told_after_s=_LEADERLESS_S)
    except _StoppedError:
        return None
