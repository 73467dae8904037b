"""What the system tests stand on: this broker is real Kafka and keeps its promises."""

from tests.system.broker import KafkaCluster, RealKafka


def test_read_committed_sees_committed_records_and_never_aborted_ones(kafka: KafkaCluster) -> None:
    """The aborted record is on the broker: the control reads it without isolation."""
    topic = kafka.new_topic("isolation")
    producer = kafka.producer(**{"transactional.id": topic})
    producer.init_transactions(20)
    for value, keep in [(b"aborted", False), (b"committed", True)]:
        producer.begin_transaction()
        producer.produce(topic, value)
        producer.flush(10)
        if keep:
            producer.commit_transaction(20)
        else:
            producer.abort_transaction(20)

    committed = [m.value() for m in kafka.consume_all(topic)]
    uncommitted = [m.value() for m in kafka.consume_all(topic, isolation="read_uncommitted")]

    assert committed == [b"committed"]
    assert uncommitted == [b"aborted", b"committed"]


def test_records_and_topics_survive_a_kill_of_the_broker(own_kafka: RealKafka) -> None:
    topic = own_kafka.new_topic("kill", partitions=3)
    sent = {(f"k{i}".encode(), f"v{i}".encode()) for i in range(50)}
    own_kafka.produce(topic, sent)
    bootstrap = own_kafka.bootstrap

    own_kafka.kill()
    own_kafka.start()

    assert own_kafka.bootstrap == bootstrap
    assert {(m.key(), m.value()) for m in own_kafka.consume_all(topic, 50)} == sent


def test_a_record_of_ten_megabytes_passes(kafka: KafkaCluster) -> None:
    topic = kafka.new_topic("large")
    value = b"x" * 10_000_000

    kafka.produce(topic, [(None, value)])

    assert [m.value() for m in kafka.consume_all(topic, 1)] == [value]


def test_committed_offsets_are_those_of_the_transaction(kafka: KafkaCluster) -> None:
    """Offsets sent to an aborted transaction change nothing; the control is the committed one."""
    topic = kafka.new_topic("offsets", partitions=1)
    group = f"group-{topic}"
    kafka.produce(topic, [(None, b"a"), (None, b"b"), (None, b"c")])
    consumer = kafka.consumer(**{"group.id": group, "group.protocol": "consumer"})
    producer = kafka.producer(**{"transactional.id": f"tx-{topic}"})
    try:
        consumer.subscribe([topic])
        assert len(consumer.consume(3, 20)) == 3
        producer.init_transactions(20)
        for keep, expected in [(False, -1001), (True, 3)]:
            producer.begin_transaction()
            producer.send_offsets_to_transaction(
                consumer.position(consumer.assignment()), consumer.consumer_group_metadata(), 20
            )
            if keep:
                producer.commit_transaction(20)
            else:
                producer.abort_transaction(20)
            assert kafka.committed(group, topic) == {0: expected}
    finally:
        consumer.close()
