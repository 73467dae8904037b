"""A real broker keeps the contract that the log in memory is held to."""

import time
from collections.abc import Callable, Mapping, Sequence

import pytest
from confluent_kafka import Producer, TopicPartition
from confluent_kafka.admin import AdminClient

from stream_vae.edges.kafka.config import KafkaConfig
from stream_vae.edges.kafka.consume.input_consumer import InputConsumer
from stream_vae.edges.kafka.produce.output_producer import OutputProducer
from stream_vae.edges.kafka.read.range_reader import RangeReader
from tests.memory_kafka.contract import CONTRACT, Backend, How
from tests.recorded_events import RecordedEvents
from tests.system.broker import KafkaCluster
from tests.system.scene import await_true


class RealBackend:
    """See `contract.Backend`."""

    def __init__(self, kafka: KafkaCluster) -> None:
        self.kafka = kafka
        self.input = kafka.new_topic("contract", partitions=2)
        self.output = kafka.new_topic("contract-output")
        self._feeds = 0
        self._open: Producer | None = None
        self._config = KafkaConfig(
            bootstrap_servers=kafka.bootstrap, group_id=self.input, broker_deadline_s=30.0
        )

    def produce(self, values: Sequence[bytes], how: How = "plain", partition: int = 0) -> None:
        if how == "plain":
            self.kafka.produce(self.input, [(None, v) for v in values], partition=partition)
            return
        self._feeds += 1
        producer = self._transactional(f"feed-{self._feeds}")
        for value in values:
            producer.produce(self.input, value, partition=partition)
        producer.flush(20)
        if how == "open":
            self._open = producer
        elif how == "committed":
            producer.commit_transaction(20)
        else:
            producer.abort_transaction(20)

    def time_ns(self) -> int:
        time.sleep(0.01)  # records are dated to the millisecond
        return time.time_ns()

    def end_open(self) -> None:
        assert self._open is not None
        self._open.commit_transaction(20)

    def hold_offset(self, offset: int, membership: object) -> Callable[[], None]:
        producer = self._transactional("holder")
        producer.send_offsets_to_transaction(
            [TopicPartition(self.input, 0, offset)], membership, 20
        )
        return lambda: producer.commit_transaction(20)

    def delete_before(self, offset: int) -> None:
        admin = AdminClient({"bootstrap.servers": self.kafka.bootstrap})
        for future in admin.delete_records([TopicPartition(self.input, 0, offset)]).values():
            future.result(20)

    def make_input_anew(self) -> None:
        admin = AdminClient({"bootstrap.servers": self.kafka.bootstrap})
        admin.delete_topics([self.input])[self.input].result(20)
        await_true(lambda: self.input not in admin.list_topics(timeout=10).topics, "it is gone")
        self.kafka.create_topic(self.input, 2)

    def consumer(self, name: str, events: RecordedEvents) -> InputConsumer:
        return InputConsumer(self._config, self.input, events)

    def producer(self, identity: str) -> OutputProducer:
        producer = OutputProducer(self._config, f"{self.input}.{identity}", RecordedEvents())
        producer.open()
        return producer

    def reader(self) -> RangeReader:
        return RangeReader(self._config, self.input, RecordedEvents())

    def committed(self) -> Mapping[int, int]:
        found = self.kafka.committed(self.input, self.input)
        return {partition: offset for partition, offset in found.items() if offset >= 0}

    def published(self) -> list[bytes | None]:
        return [message.value() for message in self.kafka.consume_all(self.output)]

    def _transactional(self, identity: str) -> Producer:
        producer = self.kafka.producer(**{"transactional.id": f"{self.input}.{identity}"})
        producer.init_transactions(20)
        producer.begin_transaction()
        return producer


@pytest.mark.parametrize("check", CONTRACT, ids=lambda check: check.__name__)
def test_a_real_broker_keeps_the_contract(
    kafka: KafkaCluster, check: Callable[[Backend], None]
) -> None:
    check(RealBackend(kafka))
