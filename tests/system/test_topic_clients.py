"""The reader, the feed and the error translation against real Kafka."""

import time
import uuid
from typing import Literal

import numpy as np
import pytest
from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition

from stream_vae.edges.files.csv_header import ColumnChoice
from stream_vae.edges.files.record_files import TopicRecords
from stream_vae.edges.kafka.config import KafkaConfig
from stream_vae.edges.kafka.errors import Operation, Recovery, error_of, recovery, translate
from stream_vae.edges.kafka.produce.reading_feed import EncodedReading, Pace, publish_readings
from stream_vae.edges.kafka.properties import consumer_properties, producer_properties
from stream_vae.edges.kafka.read.topic_batches import read_period, read_sample
from stream_vae.edges.kafka.read.topic_reader import read_topic
from stream_vae.errors import FencedError, KafkaRefusedError
from stream_vae.inspect.proposal import format_of
from stream_vae.inspect.survey import inspect_records
from tests.inspect.shapes import SHAPES
from tests.recorded_events import RecordedEvents
from tests.system.broker import KafkaCluster, RealKafka


def config_for(kafka: KafkaCluster) -> KafkaConfig:
    return KafkaConfig(
        bootstrap_servers=kafka.bootstrap,
        group_id=f"group-{uuid.uuid4().hex[:8]}",
        start="earliest",
        broker_deadline_s=30.0,
    )


def transactional(kafka: KafkaCluster, identity: str) -> Producer:
    producer = Producer(producer_properties(config_for(kafka), transactional_id=identity))
    producer.init_transactions(20)
    return producer


def member(config: KafkaConfig, protocol: Literal["consumer", "classic"]) -> Consumer:
    """Return the daemon's consumer, beginning with the oldest record by itself."""
    properties = consumer_properties(config, protocol, instance="i")
    return Consumer({**properties, "auto.offset.reset": "earliest"})


def transact(producer: Producer, topic: str, value: bytes, *, commit: bool) -> None:
    producer.begin_transaction()
    producer.produce(topic, value)
    producer.flush(10)
    if commit:
        producer.commit_transaction(20)
    else:
        producer.abort_transaction(20)


@pytest.mark.parametrize("last_is_committed", [True, False])
def test_reading_ends_after_transaction_markers(
    kafka: KafkaCluster, last_is_committed: bool
) -> None:
    """The topic's end is a marker, never a record; aborted records are passed over in silence."""
    topic = kafka.new_topic("markers", partitions=2)
    producer = transactional(kafka, topic)
    transact(producer, topic, b"first", commit=True)
    transact(producer, topic, b"second", commit=False)
    transact(producer, topic, b"third", commit=last_is_committed)

    records = list(read_topic(config_for(kafka), topic, RecordedEvents(), follow=False))

    expected = {b"first", b"third"} if last_is_committed else {b"first"}
    assert {record.value for record in records} == expected
    assert len(kafka.consume_all(topic, isolation="read_uncommitted")) == 3


def test_a_topic_is_inspected_and_read_for_training_without_a_group(kafka: KafkaCluster) -> None:
    """The aborted record is in neither; the one that cannot be read is counted."""
    topic = kafka.new_topic("inspected", partitions=2)
    shape = SHAPES["wide, host in a field, a row number, a constant and a counter"]
    kafka.produce(topic, [(None, record.value) for record in shape.records])
    transact(transactional(kafka, topic), topic, b"aborted", commit=False)
    kafka.produce(topic, [(None, b"{")])
    config, events = config_for(kafka), RecordedEvents()
    for oldest in (True, False):
        sample = read_sample(config, topic, events, n_records=100, oldest=oldest, seconds=20)
        assert sample is not None
        found = inspect_records(sample, now_ns=time.time_ns())
        assert set(found.features) == shape.features
        assert (found.proof.n_records, found.proof.n_read) == (25, 24)
    few = read_sample(config, topic, events, n_records=2, oldest=True, seconds=20)
    assert few is not None
    assert len(few) == 2
    readings = TopicRecords(
        topic,
        read_period(config, topic, events, since_ns=1, until_ns=None),
        ColumnChoice(features=found.features),
        format_of(found.proposal.settings),
        now_ns=time.time_ns(),
    ).read()
    assert set(readings.series) == set(shape.series)
    assert len(readings) == 24
    assert "1 of 25 records are dead letters, not_json" in "".join(readings.notes)
    later = time.time_ns() + 10**15
    assert not [*read_period(config, topic, events, since_ns=later, until_ns=None)]
    assert not [*read_period(config, topic, events, since_ns=None, until_ns=1)]


def test_reading_ends_before_an_open_transaction(kafka: KafkaCluster) -> None:
    """Control: once it is committed, the same reading shows it."""
    topic = kafka.new_topic("open")
    producer = transactional(kafka, topic)
    transact(producer, topic, b"done", commit=True)
    producer.begin_transaction()
    producer.produce(topic, b"open")
    producer.flush(10)

    before = [r.value for r in read_topic(config_for(kafka), topic, RecordedEvents(), follow=False)]
    producer.commit_transaction(20)
    after = [r.value for r in read_topic(config_for(kafka), topic, RecordedEvents(), follow=False)]

    assert before == [b"done"]
    assert after == [b"done", b"open"]


def test_a_topic_that_does_not_exist_is_refused_by_name(kafka: KafkaCluster) -> None:
    config = config_for(kafka)

    with pytest.raises(KafkaRefusedError, match="topic 'nowhere' does not exist"):
        list(read_topic(config, "nowhere", RecordedEvents(), follow=False))
    with pytest.raises(KafkaRefusedError, match="topic 'nowhere' does not exist"):
        publish_readings(config, "nowhere", [], RecordedEvents())


def test_a_reading_too_large_for_the_topic_is_refused_by_name(kafka: KafkaCluster) -> None:
    """Control: the topic takes a smaller one. Random bytes, since the broker weighs compressed."""
    topic = kafka.new_topic("narrow", max_message_bytes="2000")
    random = np.random.default_rng(1).bytes(16_000)

    for size, fits in [(500, True), (16_000, False)]:
        reading = EncodedReading(key=b"s", value=random[:size], time_ns=0)
        if fits:
            assert publish_readings(config_for(kafka), topic, [reading], RecordedEvents()) == 1
            continue
        with pytest.raises(KafkaRefusedError, match=f"raise max.message.bytes of topic '{topic}'"):
            publish_readings(config_for(kafka), topic, [reading], RecordedEvents())


def test_a_feed_rides_over_a_broker_restart_without_loss_or_repetition(
    own_kafka: RealKafka,
) -> None:
    topic = own_kafka.new_topic("restart", partitions=2)
    values = [f"v{i}".encode() for i in range(2000)]

    def readings() -> list[EncodedReading]:
        return [
            EncodedReading(key=b"s%d" % (i % 3), value=value, time_ns=i)
            for i, value in enumerate(values)
        ]

    acknowledged_at_kill: list[int] = []

    def kill_once(acknowledged: int) -> None:
        if not acknowledged_at_kill:
            acknowledged_at_kill.append(acknowledged)
            own_kafka.kill()
            own_kafka.start()

    n = publish_readings(
        config_for(own_kafka),
        topic,
        readings(),
        RecordedEvents(),
        pace=Pace(rate=2000),
        on_progress=kill_once,
    )

    assert acknowledged_at_kill[0] < n == len(values)
    arrived = list(read_topic(config_for(own_kafka), topic, RecordedEvents(), follow=False))
    assert sorted(r.value or b"" for r in arrived) == sorted(values)


def test_an_older_producer_of_the_same_identity_is_fenced(kafka: KafkaCluster) -> None:
    topic = kafka.new_topic("fenced")
    older = transactional(kafka, topic)
    transact(older, topic, b"older", commit=True)
    newer = transactional(kafka, topic)
    transact(newer, topic, b"newer", commit=True)

    with pytest.raises(KafkaException) as caught:
        transact(older, topic, b"too late", commit=True)

    error = error_of(caught.value)
    operation = Operation(doing="committing", transactional_id=topic)
    assert isinstance(translate(error, operation), FencedError)
    assert recovery(error) is Recovery.GIVE_UP
    assert [m.value() for m in kafka.consume_all(topic)] == [b"older", b"newer"]


def test_offsets_of_a_member_that_left_abort_the_transaction(kafka: KafkaCluster) -> None:
    """A late acknowledgement after the group moved on commits nothing."""
    topic = kafka.new_topic("left")
    kafka.produce(topic, [(None, b"a")])
    config = config_for(kafka)
    consumer = member(config, "consumer")
    consumer.subscribe([topic])
    while not [m for m in consumer.consume(1, 5) if m.error() is None]:
        pass
    metadata = consumer.consumer_group_metadata()
    consumer.close()
    producer = transactional(kafka, topic)
    producer.begin_transaction()

    with pytest.raises(KafkaException) as caught:
        producer.send_offsets_to_transaction([TopicPartition(topic, 0, 1)], metadata, 20)

    error = error_of(caught.value)
    assert isinstance(translate(error, "committing"), FencedError)
    assert recovery(error) is Recovery.ABORT
    producer.abort_transaction(20)
    assert kafka.committed(config.group_id, topic) == {0: -1001}


@pytest.mark.parametrize("protocol", ["consumer", "classic"])
def test_a_record_of_ten_megabytes_passes_the_daemons_own_clients(
    kafka: KafkaCluster, protocol: Literal["consumer", "classic"]
) -> None:
    """Incompressible, so that neither side is let off by its compression."""
    topic = kafka.new_topic("large", max_message_bytes="15000000")
    value = np.random.default_rng(1).bytes(10_000_000)
    config = config_for(kafka)
    publish_readings(
        config, topic, [EncodedReading(key=b"s", value=value, time_ns=0)], RecordedEvents()
    )
    consumer = member(config, protocol)
    consumer.subscribe([topic])

    found: list[bytes | None] = []
    while not found:
        found = [m.value() for m in consumer.consume(1, 20) if m.error() is None]
    consumer.close()

    assert found == [value]
