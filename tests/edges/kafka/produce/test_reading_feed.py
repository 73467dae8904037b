"""Every reading acknowledged, in order, at the pace asked for."""

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream_vae.edges.kafka.config import KafkaConfig, Properties
from stream_vae.edges.kafka.embedded import EmbeddedBroker
from stream_vae.edges.kafka.produce.reading_feed import EncodedReading, Pace, publish_readings
from stream_vae.edges.kafka.read.topic_reader import read_topic
from stream_vae.errors import KafkaRefusedError, KafkaUnavailableError
from stream_vae.events import BrokerUnreachable
from tests.recorded_events import RecordedEvents

SECOND = 10**9


@pytest.fixture
def broker() -> Iterator[EmbeddedBroker]:
    with EmbeddedBroker({"readings": 2}) as broker:
        yield broker


def config_for(
    broker: EmbeddedBroker, *, delivery_s: float = 20.0, producer: Properties | None = None
) -> KafkaConfig:
    return KafkaConfig(
        bootstrap_servers=broker.bootstrap,
        delivery_timeout_s=delivery_s,
        broker_deadline_s=20.0,
        producer=producer or {},
    )


def make_readings(n: int) -> list[EncodedReading]:
    return [
        EncodedReading(key=f"s{i % 5}".encode(), value=f"v{i}".encode(), time_ns=i * SECOND)
        for i in range(n)
    ]


def test_each_reading_arrives_once_and_a_series_in_order(broker: EmbeddedBroker) -> None:
    readings = make_readings(1000)

    n = publish_readings(config_for(broker), "readings", readings, RecordedEvents())

    arrived = list(read_topic(config_for(broker), "readings", RecordedEvents(), follow=False))
    assert n == len(arrived) == 1000
    for series in {reading.key for reading in readings}:
        assert [r.value for r in arrived if r.key == series] == [
            r.value for r in readings if r.key == series
        ]


@pytest.mark.slow
def test_a_full_queue_waits_and_loses_nothing(broker: EmbeddedBroker) -> None:
    """The client holds 10 records at most, so most of the 500 meet a full queue."""
    config = config_for(broker, producer={"queue.buffering.max.messages": 10})
    told: list[int] = []

    n = publish_readings(
        config, "readings", make_readings(500), RecordedEvents(), on_progress=told.append
    )

    assert n == 500
    assert told == sorted(told)
    assert told[-1] == 500
    assert len(list(read_topic(config, "readings", RecordedEvents(), follow=False))) == 500


def test_nothing_to_publish_is_published(broker: EmbeddedBroker) -> None:
    assert publish_readings(config_for(broker), "readings", [], RecordedEvents()) == 0


def test_a_reading_the_client_cannot_send_is_refused_by_name(broker: EmbeddedBroker) -> None:
    config = config_for(broker, producer={"message.max.bytes": 2000})
    large = EncodedReading(key=b"s", value=b"x" * 3000, time_ns=0)

    with pytest.raises(KafkaRefusedError, match=r"publishing to 'readings'.*max\.message\.bytes"):
        publish_readings(config, "readings", [*make_readings(3), large], RecordedEvents())


@pytest.mark.slow
def test_a_delivery_that_fails_is_raised_not_swallowed(broker: EmbeddedBroker) -> None:
    """The broker goes away for good while the readings are taken."""

    def readings() -> Iterator[EncodedReading]:
        for position, reading in enumerate(make_readings(300)):
            if position == 100:
                broker.go_down()
            yield reading

    with pytest.raises(KafkaUnavailableError, match="publishing to 'readings'"):
        publish_readings(
            config_for(broker, delivery_s=1.0), "readings", readings(), RecordedEvents()
        )


def test_without_brokers_it_says_so_and_gives_up_at_the_deadline() -> None:
    events = RecordedEvents()
    config = KafkaConfig(bootstrap_servers="127.0.0.1:1", broker_deadline_s=0.5)

    with pytest.raises(KafkaUnavailableError, match="publishing to 'readings'"):
        publish_readings(config, "readings", make_readings(3), events)

    assert events.of(BrokerUnreachable)


@given(position=st.integers(0, 10**6), rate=st.floats(0.01, 1e5))
def test_a_rate_spaces_readings_evenly_whatever_their_clock(position: int, rate: float) -> None:
    pace = Pace(rate=rate)

    assert pace.due_s(position, 123 * SECOND) == pytest.approx(position / rate)


@given(elapsed_s=st.floats(0, 1e7), speed=st.floats(0.01, 1e5))
def test_a_speed_follows_the_readings_clock_whatever_their_number(
    elapsed_s: float, speed: float
) -> None:
    pace = Pace(speed=speed)

    due = pace.due_s(7, round(elapsed_s * SECOND))

    assert due == pytest.approx(elapsed_s / speed, rel=1e-6, abs=1e-6)


def test_a_reading_older_than_the_first_is_due_at_once() -> None:
    assert Pace(speed=1.0).due_s(3, -5 * SECOND) < 0


@pytest.mark.parametrize("value", [0.0, -1.0, float("nan")])
@pytest.mark.parametrize("name", ["rate", "speed"])
def test_a_pace_that_never_ends_is_refused(name: str, value: float) -> None:
    with pytest.raises(ValueError, match=f"{name} is {value}; expected more than 0"):
        Pace(**{name: value})


def test_two_paces_at_once_are_refused() -> None:
    with pytest.raises(ValueError, match="expected one of them"):
        Pace(rate=1.0, speed=1.0)


def test_a_paced_feed_publishes_all_of_it(broker: EmbeddedBroker) -> None:
    n = publish_readings(
        config_for(broker), "readings", make_readings(20), RecordedEvents(), pace=Pace(speed=200.0)
    )

    assert n == 20
