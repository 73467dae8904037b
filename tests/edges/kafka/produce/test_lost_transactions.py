"""Transactions that the brokers know nothing of any more, by the client and the mock cluster."""

from collections.abc import Iterator

import pytest
from confluent_kafka import Consumer, KafkaError

from stream_vae.core.records import OutputRecord
from stream_vae.edges.kafka.config import KafkaConfig
from stream_vae.edges.kafka.embedded import EmbeddedBroker
from stream_vae.edges.kafka.produce.output_producer import OutputProducer
from stream_vae.edges.kafka.properties import reader_properties
from stream_vae.edges.kafka.read.topic_reader import read_topic
from stream_vae.errors import KafkaUnavailableError
from tests.recorded_events import RecordedEvents

END_TXN = 26
"""API key of the request that commits or aborts."""
RECORD = OutputRecord(topic="alerts", key=b"pump-7", value=b"event", headers=(), partition=0)


@pytest.fixture
def broker() -> Iterator[EmbeddedBroker]:
    with EmbeddedBroker({"alerts": 1, "readings": 1}) as broker:
        yield broker


def commit_refused_once(broker: EmbeddedBroker, *, may_renew: bool) -> bool:
    """Commit a record while the first request to end a transaction is refused."""
    config = KafkaConfig(bootstrap_servers=broker.bootstrap)
    reader = Consumer(reader_properties(config))
    producer = OutputProducer(config, "pod-0", RecordedEvents(), may_renew=may_renew)
    producer.open()
    broker.refuse(END_TXN, KafkaError.INVALID_TXN_STATE)
    try:
        return producer.commit([RECORD], "readings", {0: 5}, reader.consumer_group_metadata())
    finally:
        producer.close()
        reader.close()


def test_a_transaction_that_the_brokers_do_not_know_is_made_again_by_a_new_client(
    broker: EmbeddedBroker,
) -> None:
    """Its client takes it for fatal; whether it was committed, the group's offsets tell."""
    assert commit_refused_once(broker, may_renew=True)
    config = KafkaConfig(bootstrap_servers=broker.bootstrap)
    published = read_topic(config, RECORD.topic, RecordedEvents(), follow=False)
    values = [record.value for record in published]
    assert values == [RECORD.value] * 2, "published again; the mock cluster keeps what was aborted"


def test_a_client_that_must_not_be_replaced_ends_and_says_to_try_again(
    broker: EmbeddedBroker,
) -> None:
    """A run that moves dead letters could take the id from another run."""
    with pytest.raises(KafkaUnavailableError, match="INVALID_TXN_STATE"):
        commit_refused_once(broker, may_renew=False)
