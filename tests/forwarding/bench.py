"""A forwarder's loop between brokers and a receiver in memory, turned by hand."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from stream_vae.core.alerts import AlertEvent, AlertSeries
from stream_vae.core.health import Heartbeat
from stream_vae.forwarding.loop import ForwardLoop
from stream_vae.forwarding.parts import ForwardParts, ForwardPlan
from stream_vae.forwarding.receivers import Receiver
from stream_vae.wire.alerts import decode_alert, encode_alert
from tests.memory_kafka.broker import MemoryKafka
from tests.memory_kafka.clock import ManualClock
from tests.memory_kafka.consumer import MemoryConsumer
from tests.memory_kafka.faults import Crash, Faults
from tests.memory_kafka.partition_log import Entry
from tests.memory_kafka.producer import MemoryProducer
from tests.recorded_events import RecordedEvents

GOLDEN = Path(__file__).parents[1] / "golden" / "alert_v1.json"
EVENT = decode_alert(GOLDEN.read_bytes())
ALERTS, DEAD_LETTERS, GROUP = "alerts", "dead-letters", "stream-vae-forward-webhook"

PLAN = ForwardPlan(
    topic=ALERTS,
    dead_letter_topic=DEAD_LETTERS,
    group=GROUP,
    name="pumps",
    receiver="webhook at http://x",
    start="earliest",
    min_severity="info",
    retry_s=3600.0,
    liveness_timeout_s=60.0,
)


def opened(series: str, n: int = 0, *, severity: Any = "warning", sequence: int = 0) -> AlertEvent:
    """Return an event of the nth incident of a series."""
    return replace(
        EVENT,
        incident_id=f"{series}-{n}",
        sequence=sequence,
        severity=severity,
        series=AlertSeries(key=series),
        summary=f"{series}: flow 24",
    )


def risen(series: str, n: int = 0) -> AlertEvent:
    return opened(series, n, severity="critical", sequence=1)


def resolved(series: str, n: int = 0) -> AlertEvent:
    event = opened(series, n, severity="critical", sequence=2)
    end = EVENT.starts_at + timedelta(hours=1)
    return replace(event, status="resolved", ends_at=end, reason="back_to_normal")


class Forwarder:
    """One forwarder, from its start to its death."""

    def __init__(
        self, bench: "Bench", receiver: Receiver, plan: ForwardPlan, name: str = "a"
    ) -> None:
        self.faults = Faults()
        self.events = RecordedEvents()
        self.consumer = MemoryConsumer(
            bench.kafka, ALERTS, plan.group, name=name, events=self.events, faults=self.faults
        )
        producer = MemoryProducer(bench.kafka, plan.group, f"{plan.group}.{name}", self.faults)
        self.loop = ForwardLoop(
            plan,
            ForwardParts(
                consumer=self.consumer,
                producer=producer,
                receiver=receiver,
                events=self.events,
                heartbeat=Heartbeat(bench.clock.monotonic()),
                clock=bench.clock,
                chance=lambda: 1.0,
            ),
        )
        self.loop.start()

    def turn(self, times: int = 5) -> None:
        for _ in range(times):
            self.loop.turn()

    def lives(self, times: int) -> bool:
        """Turn until it is killed; return whether it was not."""
        try:
            self.turn(times)
        except Crash:
            return False
        return True

    def die(self) -> None:
        self.faults.is_dead = True
        self.consumer.member.silent_since = -1e9


class Bench:
    """Brokers, a clock and what was published."""

    def __init__(self, partitions: int = 1) -> None:
        self.clock = ManualClock()
        self.kafka = MemoryKafka(self.clock)
        self.kafka.create_topic(ALERTS, partitions)
        self.kafka.create_topic(DEAD_LETTERS, 1)

    def publish(self, *events: AlertEvent | bytes, partition: int = 0) -> None:
        for event in events:
            value = event if isinstance(event, bytes) else encode_alert(event)
            self.kafka.produce(ALERTS, value, key=b"k", partition=partition)

    def dead_letters(self) -> list[Entry]:
        return [entry for _, entry in self.kafka.read_all(DEAD_LETTERS)]

    def is_committed(self, group: str = GROUP) -> bool:
        ends = {p: log.end for p, log in enumerate(self.kafka.logs(ALERTS)) if log.end}
        return {p: o for p, o in self.kafka.committed(group).items() if o} == ends

    def turn_until(
        self, done: Callable[[], bool], *forwarders: Forwarder, limit: int = 500
    ) -> None:
        for _ in range(limit):
            if done():
                return
            for one in forwarders:
                one.loop.turn()
        raise AssertionError("not within the turns allowed")
