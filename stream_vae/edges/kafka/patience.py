"""Requests at start that wait until a broker answers."""

from collections.abc import Callable
from typing import TypeVar

from stream_vae.edges.kafka.config import KafkaConfig
from stream_vae.edges.kafka.deadline import Deadline
from stream_vae.errors import KafkaUnavailableError

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
