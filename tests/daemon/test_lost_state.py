"""A start whose changelog holds nothing, while incidents are open on the alerts topic."""

import json
from collections.abc import Mapping
from typing import Any

import pytest

from stream_vae.core.alerts import AlertDetector
from stream_vae.core.incidents import SeriesIncidents
from stream_vae.core.series_index import SeriesName
from stream_vae.events import IncidentsAdopted, StateRestored
from stream_vae.pipeline.alert_builder import Origin
from stream_vae.pipeline.open_alerts import open_incidents
from stream_vae.wire.alerts import decode_alert
from tests.memory_kafka.scene import ALERTS, CHANGELOG, GROUP, INPUT, Scene

OPEN = [("s", "firing", 0)]


def origin_of(group: str = GROUP, name: str = "memory", topic: str = INPUT) -> Origin:
    return Origin(
        detector=AlertDetector(name=name, version="0", instance="a"), topic=topic, group=group
    )


def found(scene: Scene, origin: Origin | None = None) -> Mapping[SeriesName, SeriesIncidents]:
    events = (decode_alert(entry.value or b"") for entry in scene.entries(ALERTS))
    return open_incidents(events, origin or origin_of())


@pytest.fixture
def scene() -> Scene:
    """Two series have had incidents; that of one is open, and the changelog is lost."""
    scene = Scene()
    scene.feed_series("t", range(40), anomalies=range(20, 26))
    scene.feed_series("s", range(40), anomalies=range(36, 40))
    one = scene.start()
    scene.settle(one)
    one.stop()
    assert scene.told() == [*OPEN, ("t", "firing", 0), ("t", "resolved", 1)]
    scene.kafka.create_topic(CHANGELOG, 1)
    return scene


def is_of(value: bytes | None, event: dict[str, Any]) -> bool:
    return bool(json.loads(value or b"")["incident_id"] == event["incident_id"])


def test_what_is_open_is_adopted_and_resolved_under_its_id_when_readings_are_normal(
    scene: Scene,
) -> None:
    one = scene.start("b", open_incidents=found(scene))
    scene.settle(one)
    assert one.events.of(IncidentsAdopted) == [IncidentsAdopted(topic=INPUT, partition=0, count=1)]
    (restored,) = one.events.of(StateRestored)
    assert (restored.state, restored.incidents_open) == ("history", 1)
    assert scene.told()[:1] == OPEN
    assert len(scene.told()) == 3, "it is open already: nobody is told again"
    scene.feed_series("s", range(40, 80))
    scene.settle(one)
    events = [event for event in scene.alerts() if event["series"]["key"] == "s"]
    assert [(e["status"], e["sequence"]) for e in events] == [("firing", 0), ("resolved", 1)]
    assert events[0]["incident_id"] == events[1]["incident_id"]


def test_without_that_it_stays_open_for_good(scene: Scene) -> None:
    """The control."""
    one = scene.start("b")
    scene.settle(one)
    scene.feed_series("s", range(40, 80))
    scene.settle(one)
    first, *others = [event for event in scene.alerts() if event["series"]["key"] == "s"]
    assert first["incident_id"] not in {event["incident_id"] for event in others}


def test_what_was_adopted_outlives_a_crash_right_after(scene: Scene) -> None:
    one = scene.start("b", open_incidents=found(scene))
    scene.settle(one)
    one.turn(200)
    one.kill()
    scene.kafka.clock.sleep(60.0)
    other = scene.start("c")
    scene.settle(other)
    scene.feed_series("s", range(40, 80))
    scene.settle(other)
    assert [e for e in scene.told() if e[0] == "s"] == [*OPEN, ("s", "resolved", 1)]


def test_what_other_deployments_have_open_is_left_to_them(scene: Scene) -> None:
    assert set(found(scene)) == {(0, "s")}
    assert found(scene, origin_of(group="another")) == {}
    assert found(scene, origin_of(name="another")) == {}
    assert found(scene, origin_of(topic="another")) == {}


def test_what_the_changelog_holds_counts_for_more(scene: Scene) -> None:
    """Of a partition whose state is there nothing is adopted."""
    adopted = found(scene)
    one = scene.start("b")
    scene.settle(one)
    one.stop()
    other = scene.start("c", open_incidents=adopted)
    scene.settle(other)
    assert other.events.of(IncidentsAdopted) == []


def test_events_of_other_kinds_and_orders_are_read(scene: Scene) -> None:
    """An update keeps the highest sequence; what is resolved is not open."""
    firing = next(e for e in scene.alerts() if e["series"]["key"] == "s")
    first = next(e.value or b"" for e in scene.entries(ALERTS) if is_of(e.value, firing))
    update = json.loads(first) | {"sequence": 3, "severity": "critical"}
    events = [decode_alert(value) for value in (first, json.dumps(update).encode())]
    (incidents,) = open_incidents(events, origin_of()).values()
    assert incidents.anomaly is not None
    assert incidents.anomaly.incident is not None
    assert incidents.anomaly.incident.sequence == 3
