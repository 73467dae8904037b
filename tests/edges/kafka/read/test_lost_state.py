"""Which changelogs lack the state of a partition."""

from confluent_kafka import Producer

from stream_vae.edges.kafka.config import KafkaConfig
from stream_vae.edges.kafka.embedded import EmbeddedBroker
from stream_vae.edges.kafka.properties import producer_properties
from stream_vae.edges.kafka.read.lost_state import lacks_state
from tests.recorded_events import RecordedEvents


def test_state_is_lacking_until_every_partition_of_the_changelog_has_had_a_record() -> None:
    """One that another instance has begun to write tells nothing of the others."""
    with EmbeddedBroker({"readings": 2, "changelog": 2}) as broker:
        config = KafkaConfig(bootstrap_servers=broker.bootstrap)
        producer = Producer(producer_properties(config))
        found = []
        for partition in (0, 1):
            found.append(
                lacks_state(
                    config, "readings", "changelog", RecordedEvents(), stopping=lambda: False
                )
            )
            producer.produce("changelog", b"v", b"k", partition)
            assert producer.flush(10) == 0
        producer.close()
        found.append(
            lacks_state(config, "readings", "changelog", RecordedEvents(), stopping=lambda: False)
        )
    assert found == [True, True, False]
