"""Where a changelog ends, asked while brokers come and go."""

from contextlib import suppress

from stream_vae.edges.kafka.config import KafkaConfig
from stream_vae.edges.kafka.read.topic_ends import TopicEnds
from stream_vae.errors import KafkaUnavailableError
from tests.system.broker import RealKafka
from tests.system.scene import await_true


def test_the_end_is_found_as_soon_as_a_broker_is_back(own_kafka: RealKafka) -> None:
    """The client by itself asks by the leaders it knew before for minutes."""
    topic = own_kafka.new_topic("ends")
    own_kafka.produce(topic, [(None, b"a"), (None, b"b")])
    ends = TopicEnds(KafkaConfig(bootstrap_servers=own_kafka.bootstrap), topic)

    def is_found() -> bool:
        with suppress(KafkaUnavailableError):
            return ends([0]) == {0: 2}
        return False

    await_true(is_found, "the end", 10.0)
    own_kafka.kill()
    assert not is_found()
    own_kafka.start()
    await_true(is_found, "the end after a restart", 20.0)
