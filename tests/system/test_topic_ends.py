"""Where a changelog ends, asked while brokers come and go."""

from contextlib import suppress

from confluent_kafka import TopicPartition

from stream_vae.edges.kafka.config import KafkaConfig
from stream_vae.edges.kafka.read.topic_ends import TopicEnds
from stream_vae.errors import KafkaUnavailableError
from tests.system.broker import KafkaCluster, RealKafka
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


def test_a_transaction_that_is_still_open_counts(kafka: KafkaCluster) -> None:
    """Control: a consumer of committed records is told of the end before it."""
    topic = kafka.new_topic("open")
    kafka.produce(topic, [(None, b"a")])
    producer = kafka.producer(**{"transactional.id": topic})
    producer.init_transactions(20)
    producer.begin_transaction()
    producer.produce(topic, b"b")
    producer.flush(10)
    reader = kafka.consumer(**{"isolation.level": "read_committed"})

    ends = TopicEnds(KafkaConfig(bootstrap_servers=kafka.bootstrap), topic)([0])
    committed_end = reader.get_watermark_offsets(TopicPartition(topic, 0), timeout=10)[1]
    reader.close()
    producer.abort_transaction(20)

    assert ends == {0: 2}
    assert committed_end == 1
