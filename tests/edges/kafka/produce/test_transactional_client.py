"""A client that does not come back is left behind; one that is merely slow is not."""

import threading
from typing import Any

import pytest

from stream_vae.core.records import OutputRecord
from stream_vae.edges.kafka.config import KafkaConfig
from stream_vae.edges.kafka.deadline import Deadline
from stream_vae.edges.kafka.embedded import EmbeddedBroker
from stream_vae.edges.kafka.errors import Operation
from stream_vae.edges.kafka.produce import transactional_client
from stream_vae.edges.kafka.produce.transactional_client import ClientHungError, TransactionalClient
from stream_vae.errors import KafkaUnavailableError
from stream_vae.events import BrokerReached, BrokerUnreachable
from tests.recorded_events import RecordedEvents


class SlowProducer:
    """Stands in for librdkafka, which cannot be made to hang at will."""

    def __init__(self, delay_s: float) -> None:
        self.may_end = threading.Event()
        self._delay_s = delay_s

    def send_offsets_to_transaction(self, *_: Any) -> None:
        self.may_end.wait(self._delay_s)


def make_client(producer: SlowProducer, events: RecordedEvents) -> Any:
    config = KafkaConfig(
        bootstrap_servers="127.0.0.1:1", transaction_timeout_s=1.0, commit_interval_s=0.5
    )
    client: Any = TransactionalClient(
        config,
        Operation(doing="testing", transactional_id="t"),
        events,
    )
    client._producer = producer
    return client


@pytest.mark.slow
def test_a_call_that_outlasts_every_transaction_is_given_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(transactional_client, "_STEP_TIMEOUT_S", 0.2)
    producer, events = SlowProducer(60.0), RecordedEvents()
    client = make_client(producer, events)
    with pytest.raises(ClientHungError):
        client.add_offsets([], None, Deadline(60))
    waits = [event.waited_s for event in events.of(BrokerUnreachable)]
    assert len(waits) >= 3, "told while it waits, so that the daemon shows signs of life"
    assert waits == sorted(waits)
    producer.may_end.set()


def test_a_slow_call_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transactional_client, "_STEP_TIMEOUT_S", 0.2)
    events = RecordedEvents()
    make_client(SlowProducer(0.5), events).add_offsets([], None, Deadline(60))
    assert events.of(BrokerUnreachable)
    assert len(events.of(BrokerReached)) == 1


def test_a_quick_call_is_not_told_of() -> None:
    events = RecordedEvents()
    make_client(SlowProducer(0.0), events).add_offsets([], None, Deadline(60))
    assert events.events == []


def test_a_commit_that_ends_at_the_deadline_names_the_topics_of_its_open_records(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(transactional_client, "_STEP_TIMEOUT_S", 0.2)
    with EmbeddedBroker({"alerts": 1, "dead-letters": 1}) as broker:
        config = KafkaConfig(bootstrap_servers=broker.bootstrap)
        operation = Operation(doing="testing", transactional_id="t")
        client = TransactionalClient(config, operation, RecordedEvents())
        client.open(Deadline(20))
        client.begin(Deadline(20))
        for topic in ("alerts", "dead-letters"):
            record = OutputRecord(topic=topic, key=None, value=b"1", headers=(), partition=0)
            client.publish(record, lambda *_: None)
            if topic == "alerts":
                client._producer.flush(20)
                broker.go_down()
        with pytest.raises(KafkaUnavailableError) as raised:
            client.commit(Deadline(0.2))
        client._producer.purge()
    assert "'dead-letters'" in str(raised.value)
    assert "'alerts'" not in str(raised.value), "control: that one is acknowledged"
