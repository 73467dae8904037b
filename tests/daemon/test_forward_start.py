"""Where a forwarder begins, by whether there was a topic when it started."""

from pathlib import Path

import pytest
from confluent_kafka import Producer

from stream_vae.core.alerts import AlertEvent
from stream_vae.core.health import Heartbeat
from stream_vae.daemon.clock import SystemClock
from stream_vae.daemon.forward import start_forwarder
from stream_vae.daemon.surroundings import Surroundings
from stream_vae.edges.kafka.embedded import EmbeddedBroker
from stream_vae.events import AlertForwarded, AlertsSkipped, ConsumptionDelayed, Event
from stream_vae.forwarding.exchange import Response
from stream_vae.settings import load_settings
from stream_vae.wire.alerts import encode_alert
from tests.forwarding.bench import opened
from tests.forwarding.stand_ins import serving
from tests.recorded_events import RecordedEvents

TOPIC = "alerts"
DAY_S = 86_400.0


def publish(broker: EmbeddedBroker, event: AlertEvent) -> None:
    producer = Producer({"bootstrap.servers": broker.bootstrap})
    producer.produce(TOPIC, encode_alert(event))
    assert producer.flush(10) == 0


class FirstDaemon(RecordedEvents):
    """Makes the alerts topic, and tells of an incident, once a forwarder waits."""

    def __init__(self, broker: EmbeddedBroker) -> None:
        super().__init__()
        self._broker = broker

    def record(self, event: Event) -> None:
        if isinstance(event, ConsumptionDelayed) and not self.of(ConsumptionDelayed):
            self._broker.create_topic(TOPIC)
            publish(self._broker, opened("first"))
        super().record(event)


@pytest.mark.parametrize("is_there", [False, True])
def test_the_first_event_of_a_topic_that_was_waited_for_is_told(
    *, is_there: bool, tmp_path: Path
) -> None:
    """Control: of one that was there, what came before the first start is skipped."""
    clock = SystemClock()
    with serving(lambda *_: Response(status=200)) as url, EmbeddedBroker({"dead": 1}) as broker:
        if is_there:
            broker.create_topic(TOPIC)
            publish(broker, opened("first"))
        file = tmp_path / "c.yaml"
        file.write_text(
            f"kafka: {{bootstrap_servers: '{broker.bootstrap}', group_protocol: consumer}}\n"
            f"output: {{alerts_topic: {TOPIC}, dead_letter_topic: dead}}\n"
            f"forward: {{to: slack, url: '{url}'}}\n"
        )
        events = FirstDaemon(broker)
        heartbeat = Heartbeat(clock.monotonic() - DAY_S)
        loop = start_forwarder(
            Surroundings(
                loaded=load_settings(file, environ={}),
                events=events,
                clock=clock,
                heartbeat=heartbeat,
                http_url=None,
                stopping=lambda: False,
                show=lambda _: None,
            )
        )
        assert loop is not None
        assert heartbeat.age(clock.monotonic()) < DAY_S, "live while it waits"
        loop.start()
        ends = clock.monotonic() + 30
        while not events.of(AlertForwarded) + events.of(AlertsSkipped):
            loop.turn()
            assert clock.monotonic() < ends
        loop.stop()
        loop.run()
    assert len(events.of(ConsumptionDelayed)) == (not is_there)
    assert [one.series for one in events.of(AlertForwarded)] == ([] if is_there else ["first"])
    assert [one.records for one in events.of(AlertsSkipped)] == ([1] if is_there else [])
