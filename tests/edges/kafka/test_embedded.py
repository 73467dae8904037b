"""The look-alike does what the demo needs of it."""

import time
from collections.abc import Iterator

import pytest
from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition

from stream_vae.edges.kafka.config import KafkaConfig
from stream_vae.edges.kafka.embedded import EmbeddedBroker
from stream_vae.edges.kafka.properties import (
    consumer_properties,
    producer_properties,
    reader_properties,
)
from tests.limits import Limit


@pytest.fixture
def broker() -> Iterator[EmbeddedBroker]:
    with EmbeddedBroker({"readings": 3, "alerts": 1}) as broker:
        yield broker


def values(consumer: Consumer, n: int) -> list[bytes | None]:
    found: list[bytes | None] = []
    deadline = time.monotonic() + 20
    while len(found) < n and time.monotonic() < deadline:
        found += [m.value() for m in consumer.consume(n, 0.1) if m.error() is None]
    return found


def config_for(broker: EmbeddedBroker) -> KafkaConfig:
    return KafkaConfig(bootstrap_servers=broker.bootstrap, start="earliest")


def test_topics_have_the_partitions_asked_for(broker: EmbeddedBroker) -> None:
    broker.create_topic("late", 2)

    client = Producer(producer_properties(config_for(broker)))
    topics = client.list_topics(timeout=10).topics
    client.close()

    assert {n: len(t.partitions) for n, t in topics.items()} == {
        "readings": 3, "alerts": 1, "late": 2
    }  # fmt: skip


@pytest.mark.parametrize(("name", "partitions"), [("readings", 1), ("none", 0)])
def test_a_topic_that_cannot_be_created_is_refused(
    broker: EmbeddedBroker, name: str, partitions: int
) -> None:
    with pytest.raises(ValueError, match=f"{name!r} with {partitions} partitions"):
        broker.create_topic(name, partitions)


@pytest.mark.slow
def test_a_member_of_a_kip_848_group_delivers_in_transactions(broker: EmbeddedBroker) -> None:
    """The daemon's own properties: subscribe, consume, publish and send offsets, then read."""
    config = config_for(broker)
    feed = Producer(producer_properties(config))
    for i in range(30):
        feed.produce("readings", f"v{i}".encode(), f"k{i}".encode())
    assert feed.flush(10) == 0
    properties = consumer_properties(config, "consumer", instance="pod-0")
    consumer = Consumer({**properties, "auto.offset.reset": "earliest"})
    producer = Producer(producer_properties(config, transactional_id="tx"))
    reader = Consumer(reader_properties(config))
    try:
        consumer.subscribe(["readings"])
        taken = values(consumer, 30)
        producer.init_transactions(10)
        producer.begin_transaction()
        for value in taken:
            producer.produce("alerts", value)
        producer.send_offsets_to_transaction(
            [TopicPartition("readings", p, 1) for p in range(3)],
            consumer.consumer_group_metadata(),
            10,
        )
        producer.commit_transaction(10)
        reader.assign([TopicPartition("alerts", 0, 0)])
        read = values(reader, 30)
    finally:
        for client in (feed, consumer, producer, reader):
            client.close()

    assert set(taken) == {f"v{i}".encode() for i in range(30)}
    assert read == taken


def test_a_slowed_broker_answers_later_and_then_as_before(broker: EmbeddedBroker) -> None:
    client = Producer(producer_properties(config_for(broker)))

    def answers_after() -> float:
        began = time.monotonic()
        client.list_topics("alerts", timeout=10)
        return time.monotonic() - began

    answers_after()
    broker.slow_down(150)
    answers_after()  # what was sent before is answered
    assert answers_after() >= 0.15
    broker.slow_down(0)
    limit = Limit(10.0)
    while answers_after() >= 0.15:
        assert not limit.is_over
    client.close()


def test_a_broker_that_went_down_answers_again_with_its_data(broker: EmbeddedBroker) -> None:
    config = config_for(broker)
    producer = Producer(producer_properties(config))
    producer.produce("alerts", b"kept")
    assert producer.flush(10) == 0

    broker.go_down()
    newcomer = Producer(producer_properties(config))
    with pytest.raises(KafkaException):
        newcomer.list_topics("alerts", timeout=0.5)
    broker.come_up()

    reader = Consumer(reader_properties(config))
    reader.assign([TopicPartition("alerts", 0, 0)])
    assert values(reader, 1) == [b"kept"]
    for client in (producer, newcomer, reader):
        client.close()


def test_closing_twice_is_closing_once() -> None:
    broker = EmbeddedBroker()
    broker.close()
    broker.close()
