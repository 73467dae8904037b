"""What is waited for at start, and what is said when the wait is over."""

import pytest

from stream_vae.edges.kafka.admin.startup import await_topics
from stream_vae.edges.kafka.config import KafkaConfig
from stream_vae.edges.kafka.embedded import EmbeddedBroker
from stream_vae.errors import KafkaUnavailableError, StreamVaeError, TopicMissingError
from stream_vae.events import BrokerUnreachable, ConsumptionDelayed, Event, TopicsFound
from tests.recorded_events import RecordedEvents


def outcome(bootstrap: str) -> tuple[StreamVaeError, list[Event]]:
    events = RecordedEvents()
    config = KafkaConfig(bootstrap_servers=bootstrap, broker_deadline_s=1.0)
    with pytest.raises(StreamVaeError) as failure:
        await_topics(config, "readings", [], events, stopping=lambda: False)
    return failure.value, events.events


def test_a_topic_that_is_missing_is_no_outage() -> None:
    with EmbeddedBroker({"others": 1}) as broker:
        error, told = outcome(broker.bootstrap)
    assert type(error) is TopicMissingError
    assert "gave up after 1 s: the input topic 'readings' does not exist" in str(error)
    assert "input.topic" in str(error)
    assert {type(event) for event in told} == {ConsumptionDelayed}


class Maker(RecordedEvents):
    """Makes the topic the second time that it is told to be missing."""

    def __init__(self, broker: EmbeddedBroker) -> None:
        super().__init__()
        self._broker = broker

    def record(self, event: Event) -> None:
        super().record(event)
        if isinstance(event, ConsumptionDelayed) and len(self.of(ConsumptionDelayed)) == 2:
            self._broker.create_topic("readings")


def test_a_topic_may_be_waited_for_longer_than_brokers() -> None:
    with EmbeddedBroker({"others": 1}) as broker:
        events = Maker(broker)
        config = KafkaConfig(bootstrap_servers=broker.bootstrap, broker_deadline_s=0.1)
        found = await_topics(
            config,
            "readings",
            [],
            events,
            stopping=lambda: False,
            called="the alerts topic",
            advice="start the daemon",
            topic_deadline_s=30.0,
        )
    assert found is not None
    assert found.was_source_missing
    assert [e.deadline_s for e in events.of(ConsumptionDelayed)] == [30.0, 30.0]
    (over,) = events.of(TopicsFound)
    assert events.events[-1] is over, "what was missing is so no longer"
    assert over.waited_s > 0
    told = {e.detail for e in events.of(ConsumptionDelayed)}
    assert told == {"the alerts topic 'readings' does not exist; start the daemon"}


@pytest.mark.slow
def test_brokers_that_are_away_are_an_outage() -> None:
    """Control: nobody answers, so nobody knows what is missing."""
    error, told = outcome("127.0.0.1:1")
    assert type(error) is KafkaUnavailableError
    assert {type(event) for event in told} <= {BrokerUnreachable}


def test_a_topic_that_is_there_is_waited_for_no_longer() -> None:
    """Control for both: there is nothing to tell."""
    events = RecordedEvents()
    with EmbeddedBroker({"readings": 1}) as broker:
        config = KafkaConfig(bootstrap_servers=broker.bootstrap, broker_deadline_s=30.0)
        found = await_topics(config, "readings", [], events, stopping=lambda: False)
    assert events.events == []
    assert found is not None
    assert found.source.n_partitions == 1
    assert not found.was_source_missing
