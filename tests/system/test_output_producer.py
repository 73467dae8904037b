"""Transactions whose outcome the client does not know."""

from collections.abc import Iterable, Mapping

import pytest
from confluent_kafka import Consumer, TopicPartition

from stream_vae.core.records import OutputRecord
from stream_vae.edges.kafka.config import KafkaConfig
from stream_vae.edges.kafka.output_producer import OutputProducer
from stream_vae.edges.kafka.transactional_client import ClientHungError, TransactionalClient
from tests.system.broker import KafkaCluster

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(120)]


class Member:
    """A member of the group `group`, as the producer sees it."""

    def __init__(self, consumer: Consumer, topic: str) -> None:
        self._consumer = consumer
        self._topic = topic

    def group_metadata(self) -> object:
        return self._consumer.consumer_group_metadata()

    def committed(self, partitions: Iterable[int]) -> Mapping[int, int]:
        wanted = [TopicPartition(self._topic, p) for p in partitions]
        return {at.partition: at.offset for at in self._consumer.committed(wanted, 10)}


@pytest.mark.parametrize("moves", [False, True])
def test_state_without_a_new_offset_is_not_lost_when_the_client_hangs(
    kafka: KafkaCluster, monkeypatch: pytest.MonkeyPatch, moves: bool
) -> None:
    """Control: told that an offset is new, the producer takes the group's word for a commit."""
    topic, output = kafka.new_topic("in"), kafka.new_topic("state")
    config = KafkaConfig(bootstrap_servers=kafka.bootstrap, group_id=topic)
    consumer = kafka.consumer(**{"group.id": topic})
    record = OutputRecord(topic=output, key=b"k", value=b"v", headers=[], partition=0)
    producer = OutputProducer(
        config, topic, on_aborted=print, on_wait=lambda *_: None, on_back=lambda _: None
    )
    producer.open()
    assert producer.commit([], topic, {0: 5}, Member(consumer, topic))
    add_offsets = TransactionalClient.add_offsets
    hung: list[bool] = []

    def hang_once(self: TransactionalClient, *arguments: object) -> None:
        if not hung:
            hung.append(True)
            raise ClientHungError
        add_offsets(self, *arguments)  # type: ignore[arg-type] # passed on as they came

    monkeypatch.setattr(TransactionalClient, "add_offsets", hang_once)
    assert producer.commit([record], topic, {0: 5}, Member(consumer, topic), moves=moves)
    producer.close()
    consumer.close()

    assert [m.value() for m in kafka.consume_all(output)] == ([] if moves else [b"v"])
