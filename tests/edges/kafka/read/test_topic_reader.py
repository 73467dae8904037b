"""A reader of committed records that knows when it has seen all there is."""

import time
from collections.abc import Iterator

import pytest
from confluent_kafka import Producer

from stream_vae.edges.kafka.config import KafkaConfig
from stream_vae.edges.kafka.embedded import EmbeddedBroker
from stream_vae.edges.kafka.properties import producer_properties
from stream_vae.edges.kafka.read.topic_reader import TopicRecord, read_topic
from stream_vae.errors import KafkaUnavailableError
from stream_vae.events import BrokerUnreachable, Event
from tests.recorded_events import RecordedEvents

PARTITIONS = 3


@pytest.fixture
def broker() -> Iterator[EmbeddedBroker]:
    with EmbeddedBroker({"alerts": PARTITIONS}) as broker:
        yield broker


def config_for(broker: EmbeddedBroker, deadline_s: float = 20.0) -> KafkaConfig:
    return KafkaConfig(bootstrap_servers=broker.bootstrap, broker_deadline_s=deadline_s)


def publish(broker: EmbeddedBroker, first: int, n: int) -> None:
    producer = Producer(producer_properties(config_for(broker)))
    for i in range(first, first + n):
        producer.produce("alerts", f"v{i}".encode(), b"k" if i % 2 else None, i % PARTITIONS)
    assert producer.flush(10) == 0
    producer.close()


def numbers(records: list[TopicRecord]) -> set[int]:
    return {int((record.value or b"v-1")[1:]) for record in records}


def test_it_ends_where_the_topic_ended(broker: EmbeddedBroker) -> None:
    publish(broker, 0, 100)

    records = list(read_topic(config_for(broker), "alerts", RecordedEvents(), follow=False))

    assert numbers(records) == set(range(100))
    for partition in range(PARTITIONS):
        own = [r for r in records if r.partition == partition]
        assert [r.offset for r in own] == list(range(len(own)))
        assert [r.value for r in own] == [f"v{i}".encode() for i in range(partition, 100, 3)]
    assert {r.key for r in records} == {b"k", None}


def test_an_empty_topic_gives_nothing_and_ends(broker: EmbeddedBroker) -> None:
    assert list(read_topic(config_for(broker), "alerts", RecordedEvents(), follow=False)) == []


@pytest.mark.slow
def test_records_published_after_the_start_belong_to_the_next_reading(
    broker: EmbeddedBroker,
) -> None:
    publish(broker, 0, 30)
    reading = read_topic(config_for(broker), "alerts", RecordedEvents(), follow=False)

    first = next(reading)
    publish(broker, 30, 30)
    rest = list(reading)

    assert numbers([first, *rest]) == set(range(30))
    assert numbers(
        list(read_topic(config_for(broker), "alerts", RecordedEvents(), follow=False))
    ) == set(range(60))


@pytest.mark.parametrize("from_beginning", [True, False])
@pytest.mark.slow
def test_following_goes_on_with_what_comes_later(
    broker: EmbeddedBroker, from_beginning: bool
) -> None:
    """Without the beginning the old records are not shown; the two cases are each other's control.

    The reader looks up the topic's end at its first step, so it is asked to stop only once the
    later records, published from inside `stop`, have come.
    """
    publish(broker, 0, 30)
    expected = set(range(0 if from_beginning else 30, 60))
    found: list[TopicRecord] = []
    published = False
    deadline = time.monotonic() + 20

    def stop() -> bool:
        nonlocal published
        if not published:
            published = True
            publish(broker, 30, 30)
        return len(found) >= len(expected) or time.monotonic() > deadline

    for record in read_topic(
        config_for(broker),
        "alerts",
        RecordedEvents(),
        follow=True,
        from_beginning=from_beginning,
        stop=stop,
    ):
        found.append(record)  # noqa: PERF402 - `stop` looks at it while it grows

    assert numbers(found) == expected
    assert len(found) == len(expected)


@pytest.mark.slow
def test_a_follower_ends_when_the_topic_falls_silent(broker: EmbeddedBroker) -> None:
    publish(broker, 0, 3)

    records = list(
        read_topic(config_for(broker), "alerts", RecordedEvents(), follow=True, until_idle_s=1.0)
    )

    assert numbers(records) == {0, 1, 2}


def test_without_brokers_it_says_so_and_gives_up_at_the_deadline() -> None:
    events = RecordedEvents()
    config = KafkaConfig(bootstrap_servers="127.0.0.1:1", broker_deadline_s=0.5)

    with pytest.raises(KafkaUnavailableError, match="reading topic 'alerts'"):
        list(read_topic(config, "alerts", events, follow=False))

    reasons = [event.detail for event in events.of(BrokerUnreachable)]
    assert reasons
    assert all("reading topic 'alerts'" in reason for reason in reasons)


@pytest.mark.slow
def test_a_follower_that_loses_its_brokers_gives_up_at_the_deadline(
    broker: EmbeddedBroker,
) -> None:
    publish(broker, 0, 3)
    events = RecordedEvents()
    config = config_for(broker, deadline_s=1.5)
    reading = read_topic(config, "alerts", events, follow=True)
    found = [next(reading) for _ in range(3)]

    broker.go_down()
    with pytest.raises(KafkaUnavailableError):
        next(reading)

    assert numbers(found) == {0, 1, 2}
    assert events.of(BrokerUnreachable)


@pytest.mark.slow
def test_a_follower_survives_an_outage_shorter_than_the_deadline(broker: EmbeddedBroker) -> None:
    publish(broker, 0, 3)

    class BringsItBack(RecordedEvents):
        def record(self, event: Event) -> None:
            super().record(event)
            if isinstance(event, BrokerUnreachable):
                broker.come_up()

    events = BringsItBack()
    reading = read_topic(config_for(broker), "alerts", events, follow=True)
    found = [next(reading) for _ in range(3)]
    broker.go_down()
    later = _publish_when_up(broker, reading)

    assert numbers(found) == {0, 1, 2}
    assert numbers(later) == {3, 4, 5}
    assert events.of(BrokerUnreachable)


def _publish_when_up(broker: EmbeddedBroker, reading: Iterator[TopicRecord]) -> list[TopicRecord]:
    """Queue records while the broker is away; the reader's own waiting brings it back."""
    producer = Producer(producer_properties(config_for(broker)))
    for i in range(3, 6):
        producer.produce("alerts", f"v{i}".encode(), partition=i % PARTITIONS)
    later = [next(reading) for _ in range(3)]
    assert producer.flush(10) == 0
    producer.close()
    return later
