"""Whether partitions have no state."""

from collections.abc import Callable

from stream_vae.core.ports import EventSink
from stream_vae.edges.kafka.config import KafkaConfig
from stream_vae.edges.kafka.patience import answered_unless
from stream_vae.edges.kafka.read.topic_ends import TopicEnds


def lacks_state(
    config: KafkaConfig,
    input_topic: str,
    changelog: str,
    events: EventSink,
    *,
    stopping: Callable[[], bool],
) -> bool:
    """Tell whether an input partition has a changelog partition that has never held a record.

    Each is asked for: another instance may have begun to write the others already.

    Args:
        config: Brokers.
        input_topic: Whose partitions are asked about.
        changelog: The compacted topic, which exists.
        events: Receives why no broker answers yet.
        stopping: Asked whether to give up waiting.

    Raises:
        KafkaUnavailableError: If no broker answered before the deadline.
        KafkaRefusedError: If one refuses.
    """
    of_input, of_changelog = TopicEnds(config, input_topic), TopicEnds(config, changelog)

    def is_lacking() -> bool:
        # No answer also while a topic just made has no leaders.
        n_partitions = min(of_input.n_partitions(), of_changelog.n_partitions())
        return not all(of_changelog(range(n_partitions)).values())

    return bool(answered_unless(stopping, is_lacking, config.broker_deadline_s, events))
