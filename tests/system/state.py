"""What a real changelog topic holds."""

from tests.state.saved_state import SavedState
from tests.system.cluster import KafkaCluster


def read_state(kafka: KafkaCluster, topic: str) -> SavedState:
    """Read a changelog as a daemon that takes over would."""
    state = SavedState()
    for message in kafka.consume_all(topic, timeout_s=120):
        key, value, partition = message.key(), message.value(), message.partition()
        assert isinstance(key, bytes)
        assert partition is not None
        state.add(partition, key, value)
    return state
