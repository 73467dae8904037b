"""Transactions whose outcome the client does not know."""

import pytest

from stream_vae.core.records import OutputRecord
from stream_vae.edges.kafka.config import KafkaConfig
from stream_vae.edges.kafka.produce.output_producer import OutputProducer
from stream_vae.edges.kafka.produce.transactional_client import ClientHungError, TransactionalClient
from tests.recorded_events import RecordedEvents
from tests.system.broker import KafkaCluster


@pytest.mark.parametrize("step", ["add_offsets", "commit"], ids=["before", "after"])
def test_a_transaction_of_unknown_outcome_is_published_once(
    kafka: KafkaCluster, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    """Its client hung before the commit, or after it; no offset moves that could tell."""
    topic, output = kafka.new_topic("in"), kafka.new_topic("state")
    config = KafkaConfig(bootstrap_servers=kafka.bootstrap, group_id=topic)
    consumer = kafka.consumer(**{"group.id": topic})
    nobody = consumer.consumer_group_metadata()
    record = OutputRecord(topic=output, key=b"k", value=b"v", headers=[], partition=0)
    producer = OutputProducer(config, topic, RecordedEvents())
    producer.open()
    assert producer.commit([], topic, {0: 5}, nobody)
    take_step = getattr(TransactionalClient, step)
    hung: list[bool] = []

    def hang_once(self: TransactionalClient, *arguments: object) -> None:
        if step == "commit":
            take_step(self, *arguments)
        if not hung:
            hung.append(True)
            raise ClientHungError
        if step != "commit":
            take_step(self, *arguments)

    monkeypatch.setattr(TransactionalClient, step, hang_once)
    assert producer.commit([record], topic, {0: 5}, nobody)
    producer.close()
    consumer.close()
    assert hung
    assert [m.value() for m in kafka.consume_all(output)] == [b"v"]
