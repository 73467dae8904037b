"""A member that the group does not let in again, with the real client."""

import logging
import time
from collections.abc import Callable

import pytest
from confluent_kafka import KafkaError, Message, Producer

from stream_vae.edges.kafka.client_log import ConsumerLog
from stream_vae.edges.kafka.config import KafkaConfig
from stream_vae.edges.kafka.consume import membership
from stream_vae.edges.kafka.consume.input_consumer import InputConsumer
from stream_vae.edges.kafka.embedded import EmbeddedBroker
from stream_vae.errors import ConfigError
from stream_vae.events import ConsumptionDelayed, MemberReplaced, MembershipLost, MembershipRegained
from tests.edges.kafka.consume.refusing_coordinator import RefusingCoordinator
from tests.recorded_events import RecordedEvents

PATIENCE_S = 20.0
LIMIT_S = 1.0


class Owner:
    """Knows which partitions it has."""

    def __init__(self, consumer: InputConsumer) -> None:
        self.consumer = consumer
        self.owned: set[int] = set()
        self.lost: list[tuple[int, ...]] = []
        consumer.subscribe(self)

    def partitions_assigned(self, partitions: tuple[int, ...]) -> None:
        self.owned.update(partitions)

    def partitions_revoked(self, partitions: tuple[int, ...]) -> None:
        self.owned.difference_update(partitions)

    def partitions_lost(self, partitions: tuple[int, ...]) -> None:
        self.owned.difference_update(partitions)
        self.lost.append(partitions)

    def poll_until(self, is_reached: Callable[[], object]) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while not is_reached():
            assert time.monotonic() < deadline, (self.owned, self.lost)
            self.consumer.poll(100, 0.02)

    def poll_for(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        self.poll_until(lambda: time.monotonic() > end)


def out_since_of(one: Owner) -> int:
    """Return nanoseconds; 0 where it is not out of the group."""
    return one.consumer.out_since_ns or 0


def test_a_member_that_is_refused_for_ever_is_told_of_and_replaced_by_another(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The client rejoins under its old id, and is refused without a word (KAFKA-19233)."""
    monkeypatch.setattr(membership, "_GRACE_S", 0.2)
    monkeypatch.setattr(membership, "_ASK_PAUSE_S", 0.05)
    monkeypatch.setattr(membership, "LEAST_LIMIT_S", LIMIT_S)
    events = RecordedEvents()
    with EmbeddedBroker({"readings": 2}) as broker, RefusingCoordinator(broker) as coordinator:
        config = KafkaConfig(
            bootstrap_servers=coordinator.bootstrap, group_id="g", session_timeout_s=LIMIT_S
        )
        one = Owner(InputConsumer(config, "readings", events))
        assert not one.consumer.joined
        assert out_since_of(one) == 0, "it has not been in it"
        one.poll_until(lambda: one.owned == {0, 1})
        one.poll_for(1.2 * LIMIT_S)
        assert (one.consumer.joined, events.events) == (True, []), "control"

        fenced_ns = time.time_ns()
        coordinator.fence()
        one.poll_until(lambda: not one.consumer.joined)
        assert one.owned == set()
        assert out_since_of(one) >= fenced_ns
        one.poll_until(lambda: one.consumer.joined and one.owned == {0, 1})
        one.consumer.abandon()

    assert len(coordinator.refused) == 1
    assert coordinator.members[-1] not in coordinator.refused, "another identity"
    assert out_since_of(one) == 0
    told, *_ = events.of(MembershipLost)
    assert (told.group, told.replaced_after_s) == ("g", LIMIT_S)
    replaced, *_ = events.of(MemberReplaced)
    (regained,) = events.of(MembershipRegained)
    assert LIMIT_S < replaced.out_s < regained.out_s


def test_a_session_timeout_that_the_brokers_refuse_ends_it_with_what_they_allow() -> None:
    join_group = 11
    with EmbeddedBroker({"readings": 1}) as broker:
        broker.refuse(join_group, *[KafkaError.INVALID_SESSION_TIMEOUT] * 20)
        config = KafkaConfig(
            bootstrap_servers=broker.bootstrap,
            group_id="g",
            group_protocol="classic",
            session_timeout_s=15.0,
        )
        one = Owner(InputConsumer(config, "readings", RecordedEvents()))
        with pytest.raises(ConfigError) as refused:
            one.poll_until(lambda: one.consumer.joined)
        one.consumer.abandon()
    assert "INVALID_SESSION_TIMEOUT" in str(refused.value)
    assert "kafka.session_timeout_s is 15; expected what the brokers allow, from" in str(
        refused.value
    )


def test_what_was_fetched_before_a_member_is_replaced_is_left_to_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with EmbeddedBroker({"readings": 1}) as broker:
        producer = Producer({"bootstrap.servers": broker.bootstrap})
        for value in (b"first", b"second"):
            producer.produce("readings", value, partition=0)
        producer.flush()
        config = KafkaConfig(bootstrap_servers=broker.bootstrap, group_id="g")
        one = Owner(InputConsumer(config, "readings", RecordedEvents()))
        one.poll_until(lambda: one.owned == {0})
        one.consumer.release({0: 0})
        records = None
        while records is None:
            records = one.consumer.poll(1, 1.0)
        monkeypatch.setattr(one.consumer._membership, "must_replace", lambda *_, **__: True)
        assert (records.values, one.consumer.poll(1, 1.0)) == ([b"first"], None)
        assert one.lost == [(0,)]
        one.consumer.abandon()


@pytest.mark.parametrize("offers_consumer", [True, False])
def test_auto_takes_classic_only_where_the_coordinator_does_not_know_the_other_protocol(
    *, offers_consumer: bool
) -> None:
    """Brokers before 4.0 do not list it, and the client then waits for ever without an error."""
    events = RecordedEvents()
    with (
        EmbeddedBroker({"readings": 2}) as broker,
        RefusingCoordinator(broker, offers_heartbeat=offers_consumer) as coordinator,
    ):
        config = KafkaConfig(bootstrap_servers=coordinator.bootstrap, group_id="g")
        one = Owner(InputConsumer(config, "readings", events))
        one.poll_until(lambda: one.consumer.joined and one.owned == {0, 1})
        one.consumer.abandon()
    assert bool(coordinator.members) == offers_consumer
    told = [each.detail for each in events.of(ConsumptionDelayed)]
    assert [("taking `classic`" in each) for each in told] == ([] if offers_consumer else [True])


def test_a_member_that_never_gets_in_is_told_of_after_a_while(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Whatever the reason: the client gives none. Control: none that gets in at once."""
    monkeypatch.setattr(membership, "_GRACE_S", 0.2)
    monkeypatch.setattr(membership, "_JOINS_WITHIN_S", 0.5)
    events = RecordedEvents()
    with EmbeddedBroker({"readings": 1}) as broker, RefusingCoordinator(broker) as coordinator:
        coordinator.refuses_all = True
        config = KafkaConfig(bootstrap_servers=coordinator.bootstrap, group_id="g")
        one = Owner(InputConsumer(config, "readings", events))
        begun_ns = time.time_ns()
        one.poll_until(lambda: out_since_of(one))
        assert out_since_of(one) <= begun_ns + 0.5e9
        (told,) = events.of(MembershipLost)
        assert (told.group, told.replaced_after_s) == ("g", None)
        coordinator.refuses_all = False
        one.poll_until(lambda: one.consumer.joined)
        assert out_since_of(one) == 0
        assert len(events.of(MembershipRegained)) == 1
        one.consumer.abandon()


@pytest.mark.parametrize("is_wanted", [True, False])
def test_the_debug_messages_that_auto_needs_are_logged_only_where_they_are_wanted(
    caplog: pytest.LogCaptureFixture, *, is_wanted: bool
) -> None:
    caplog.set_level(logging.DEBUG)
    log = ConsumerLog(keeps_debug=is_wanted)
    log.log(logging.DEBUG, "%s [%s] %s", "HEARTBEAT", "consumer-1", "next heartbeat")
    log.log(logging.WARNING, "%s [%s] %s", "FAIL", "consumer-1", "connection refused")
    assert not log.is_refused
    assert ("next heartbeat" in caplog.text, "connection refused" in caplog.text) == (
        is_wanted,
        True,
    )


def test_a_topics_newest_id_is_known_from_the_log() -> None:
    """Control: the first one is told as a change too, from none; that there is none is no id."""
    log = ConsumerLog(keeps_debug=False)
    assert log.topic_ids == {}
    none = "A" * 22
    for before, after in ((none, "068X6FEERiWDBdyM04NF0w"), ("068X6FEERiWDBdyM04NF0w", none)):
        text = f"[thrd:main]: Topic readings changed id from {before} to {after}"
        log.log(logging.DEBUG, "%s [%s] %s", "METADATA", "consumer-1", text)
        assert log.topic_ids == {"readings": "068X6FEERiWDBdyM04NF0w"}


def test_in_a_classic_group_a_member_may_be_out_for_as_long_as_others_take_to_poll() -> None:
    """Also if that is the protocol because the brokers have no other."""
    limits = {}
    for protocol in ("classic", "auto", "consumer"):
        config = KafkaConfig(bootstrap_servers="127.0.0.1:9", group_protocol=protocol)
        one = InputConsumer(config, "readings", RecordedEvents())
        if protocol == "auto":
            one._handle_error(KafkaError(KafkaError.UNSUPPORTED_VERSION), Message())
        limits[protocol] = one._membership._limit_s
        one.abandon()
    assert limits["auto"] == limits["classic"] > limits["consumer"]
