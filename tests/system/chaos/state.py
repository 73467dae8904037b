"""What the state changelog holds: the values a restored daemon would go on with."""

from tests.system.cluster import KafkaCluster
from tests.system.harness import Topics

State = dict[str, object]
"""Name of a thing remembered -> its value, comparable by `==`."""


def state_of(kafka: KafkaCluster, topics: Topics) -> State:
    """Return what the changelog of a group restores to; to be completed with its format."""
    del kafka, topics
    return {}
