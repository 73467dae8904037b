"""Whether a group went on whose state is lost."""

from collections.abc import Callable

from stream_vae.edges.kafka.admin.changelog_identity import offset_notes
from stream_vae.edges.kafka.config import KafkaConfig
from stream_vae.edges.kafka.deadline import Deadline
from stream_vae.edges.kafka.read.topic_ends import TopicEnds
from stream_vae.errors import KafkaUnavailableError

_PAUSE_S = 0.2


def has_lost_state(
    config: KafkaConfig, input_topic: str, changelog: str, stopping: Callable[[], bool]
) -> bool:
    """Tell whether the group has committed offsets while its changelog has never held a record.

    Args:
        config: Brokers and group.
        input_topic: Whose offsets are asked for.
        changelog: The compacted topic, which exists.
        stopping: Asked whether to give up waiting.

    Raises:
        KafkaUnavailableError: If no broker answered before the deadline.
        KafkaRefusedError: If one refuses.
    """
    deadline = Deadline(config.broker_deadline_s)
    ends = TopicEnds(config, changelog)
    while not stopping():
        try:
            committed = offset_notes(config, input_topic)
            return bool(committed) and not any(ends(committed).values())
        except KafkaUnavailableError:  # also while a topic just made has no leaders
            if deadline.has_passed:
                raise
            deadline.pause(_PAUSE_S)
    return False
