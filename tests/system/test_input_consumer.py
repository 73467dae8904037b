"""Where consuming begins, on a real broker."""

import time
import uuid
from collections import Counter

from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient

from stream_vae.core.records import RecordBatch
from stream_vae.edges.kafka.config import KafkaConfig
from stream_vae.edges.kafka.consume.input_consumer import InputConsumer
from stream_vae.events import RecordsLost
from tests.limits import Limit
from tests.recorded_events import RecordedEvents
from tests.system.broker import KafkaCluster, RealKafka, Record


class Member:
    """A member of a fresh group, and the history it was told to have lost."""

    def __init__(self, kafka: KafkaCluster, topic: str, group: str, start: str) -> None:
        self.assigned: set[int] = set()
        self.events = RecordedEvents()
        self._start = start
        self.consumer = InputConsumer(
            KafkaConfig(bootstrap_servers=kafka.bootstrap, group_id=group, start=start),  # type: ignore[arg-type]  # parametrised text
            topic,
            self.events,
        )
        self.consumer.subscribe(self)

    @property
    def lost(self) -> list[tuple[int, int, int]]:
        """Partition, offset wanted and oldest offset of each loss it was told of."""
        lost = self.events.of(RecordsLost)
        return [(e.partition, e.wanted_offset, e.oldest_offset) for e in lost]

    def partitions_assigned(self, partitions: tuple[int, ...]) -> None:
        """Begin where the daemon would."""
        self.assigned.update(partitions)
        offsets = self.consumer.offsets
        begins = offsets.committed(partitions)
        for p in set(partitions) - begins.keys():
            begins[p] = offsets.oldest(p) if self._start == "earliest" else offsets.end(p)
        self.consumer.release(begins)

    def partitions_revoked(self, partitions: tuple[int, ...]) -> None:
        self.assigned.difference_update(partitions)

    def partitions_lost(self, partitions: tuple[int, ...]) -> None:
        self.assigned.difference_update(partitions)

    def read(self, n: int, timeout_s: float = 20.0) -> list[bytes | None]:
        """Return the values of the first n records, or what came in time."""
        values: list[bytes | None] = []
        limit = Limit(timeout_s)
        while len(values) < n and not limit.is_over:
            records: RecordBatch | None = self.consumer.poll(100, 0.1)
            values += records.values if records else []
        return values


def numbered(begin: int, end: int) -> list[Record]:
    return [(b"k", b"%d" % i) for i in range(begin, end)]


def commit(kafka: KafkaCluster, topic: str, group: str, offset: int) -> None:
    consumer = kafka.consumer(**{"group.id": group})
    consumer.commit(offsets=[TopicPartition(topic, 0, offset)], asynchronous=False)
    consumer.close()


def delete_before(kafka: KafkaCluster, topic: str, offset: int) -> None:
    admin = AdminClient({"bootstrap.servers": kafka.bootstrap})
    futures = admin.delete_records([TopicPartition(topic, 0, offset)])
    for future in futures.values():
        future.result(20)


def test_a_new_group_begins_with_the_next_record_by_default(kafka: KafkaCluster) -> None:
    topic = kafka.new_topic("start")
    kafka.produce(topic, numbered(0, 5))
    member = Member(kafka, topic, uuid.uuid4().hex, "latest")
    deadline = time.monotonic() + 20
    while member.consumer.lag() != {0: 0} and time.monotonic() < deadline:
        assert member.read(1, 0.2) == []
    kafka.produce(topic, numbered(5, 7))
    assert member.read(2) == [b"5", b"6"]
    member.consumer.close()


def test_a_committed_offset_that_is_still_there_is_where_reading_goes_on(
    kafka: KafkaCluster,
) -> None:
    """Control for what the contract says of lost history."""
    topic, group = kafka.new_topic("kept"), uuid.uuid4().hex
    kafka.produce(topic, numbered(0, 10))
    commit(kafka, topic, group, 7)
    delete_before(kafka, topic, 6)
    member = Member(kafka, topic, group, "earliest")
    assert member.read(3) == [b"7", b"8", b"9"]
    assert member.lost == []
    member.consumer.close()


def test_an_error_from_before_a_rebalance_neither_stops_nor_repeats_anything(
    kafka: KafkaCluster,
) -> None:
    """It may be under way while its partition leaves, and even when that has come back."""
    topic = kafka.new_topic("stale")
    kafka.produce(topic, numbered(0, 5))
    member = Member(kafka, topic, uuid.uuid4().hex, "earliest")
    assert len(member.read(5)) == 5
    for partition in (0, 7):
        member.consumer._skip_lost(partition)
    kafka.produce(topic, numbered(5, 7))
    assert member.read(2) == [b"5", b"6"]
    assert member.lost == []
    member.consumer.close()


def test_no_partition_goes_to_another_member_before_its_owner_was_told(
    kafka: KafkaCluster,
) -> None:
    """Whatever the owner does with its partitions meanwhile: what it has done is not committed."""
    topic, group = kafka.new_topic("shared", partitions=4), uuid.uuid4().hex
    owner = Member(kafka, topic, group, "earliest")
    while len(owner.assigned) < 4:
        owner.read(1, 0.1)
    other = Member(kafka, topic, group, "earliest")
    for _ in range(4):
        other.read(1, 1.0)  # and the owner hears nothing, since it does not poll
        owner.consumer.pause()
        owner.consumer.resume()
        owner.consumer.release({0: 0})
    assert (other.assigned, len(owner.assigned)) == (set(), 4)
    deadline = time.monotonic() + 20
    while len(other.assigned) < 2 and time.monotonic() < deadline:
        owner.read(1, 0.1)
        other.read(1, 0.1)
    assert other.assigned | owner.assigned == {0, 1, 2, 3}, "control"
    assert len(other.assigned) == 2
    other.consumer.close()
    owner.consumer.close()


def test_a_partition_can_be_released_while_no_broker_answers(own_kafka: RealKafka) -> None:
    topic = own_kafka.new_topic("away")
    own_kafka.produce(topic, numbered(0, 5))
    member = Member(own_kafka, topic, uuid.uuid4().hex, "earliest")
    while not member.assigned:
        member.read(1, 0.1)
    own_kafka.kill()
    member.consumer.release({0: 3})
    own_kafka.start()
    assert member.read(2, 60.0) == [b"3", b"4"]
    member.consumer.close()


def test_a_partition_waits_for_no_others_backlog_through_pauses(kafka: KafkaCluster) -> None:
    """A pause discards what was fetched: the first partition would come first each time."""
    topic = kafka.new_topic("backlog", 4)
    for partition in range(4):
        kafka.produce(topic, numbered(0, 3_000), partition=partition)
    member = Member(kafka, topic, uuid.uuid4().hex, "earliest")
    consumer, read = member.consumer, Counter[int]()
    limit = Limit(30)
    for _ in range(4):
        begun = read.total()
        while read.total() < begun + 600 and not limit.is_over:
            records = consumer.poll(500, 0.1)
            read.update(records.partitions.tolist() if records else [])
        consumer.pause()
        consumer.poll(500, 0.0)
        consumer.resume()
    consumer.close()
    assert set(read) == {0, 1, 2, 3}, read
