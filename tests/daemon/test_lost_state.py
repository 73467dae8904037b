"""A start whose changelog holds nothing, while incidents are open on the alerts topic."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Literal

import pytest

from stream_vae.core.alerts import AlertDetector, AlertEvent
from stream_vae.core.incidents import SeriesIncidents
from stream_vae.core.series_index import SeriesName
from stream_vae.events import IncidentsAdopted, StateRestored
from stream_vae.pipeline.incident_ids import EventPlace, Origin, incident_id, incident_ids_by_key
from stream_vae.pipeline.open_alerts import open_incidents
from stream_vae.wire.alerts import decode_alert
from tests.memory_kafka.scene import ALERTS, CHANGELOG, GROUP, INPUT, Scene, make_settings

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


def first_of(scene: Scene, key: str) -> AlertEvent:
    """Return the first alert event of a series."""
    events = (decode_alert(entry.value or b"") for entry in scene.entries(ALERTS))
    return next(event for event in events if event.series.key == key)


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


@pytest.mark.parametrize("start", ["latest", "history", "earliest"])
def test_what_is_open_is_resolved_under_its_id_if_the_offsets_are_lost_too(
    scene: Scene, start: str
) -> None:
    """Read from its beginning, the input opens the incidents again, under the same ids."""
    scene.group.committed.clear()
    settings = make_settings(kafka={"start": start})
    one = scene.start("b", settings=settings, open_incidents=found(scene))
    scene.settle_empty(one)
    scene.feed_series("s", range(40, 80))
    scene.settle(one)
    assert len(one.events.of(IncidentsAdopted)) == (start != "earliest")
    told = [e for e in scene.alerts() if e["series"]["key"] == "s"]
    assert len({event["incident_id"] for event in told}) == 1
    assert [(e["status"], e["sequence"]) for e in told] == [
        ("firing", 0),
        *([("firing", 0)] if start == "earliest" else []),
        ("resolved", 1),
    ]


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
    assert found(scene, origin_of(topic="another")) == {}


def test_a_stop_is_heeded_among_the_incidents_of_others(scene: Scene) -> None:
    """To know them takes a thousand hashes each. Control: it is asked for each of them."""
    first = first_of(scene, "s")
    asked: list[None] = []
    others = [replace(first, incident_id=f"{i:032x}") for i in range(10)]

    def stops_at(limit: int) -> int:
        asked.clear()

        def stopping() -> bool:
            asked.append(None)
            return len(asked) >= limit

        assert open_incidents(others, origin_of(), stopping=stopping) == {}
        return len(asked)

    assert [stops_at(3), stops_at(100)] == [3, 10]


def test_what_the_changelog_holds_counts_for_more(scene: Scene) -> None:
    """Of a partition whose state is there nothing is adopted."""
    adopted = found(scene)
    one = scene.start("b")
    scene.settle(one)
    one.stop()
    other = scene.start("c", open_incidents=adopted)
    scene.settle(other)
    assert other.events.of(IncidentsAdopted) == []


def test_an_update_keeps_the_highest_sequence(scene: Scene) -> None:
    first = first_of(scene, "s")
    update = replace(first, sequence=3, severity="critical")
    (incidents,) = open_incidents([first, update], origin_of()).values()
    assert incidents.anomaly is not None
    assert incidents.anomaly.incident is not None
    assert incidents.anomaly.incident.sequence == 3


@pytest.mark.parametrize("nth", [None, 0, 2], ids=["a reading", "an event", "the third event"])
@pytest.mark.parametrize("nanoseconds", [0, 904])
def test_what_events_do_not_tell_of_a_start_is_found_out(
    scene: Scene, nanoseconds: int, nth: int | None
) -> None:
    """Seconds as a binary fraction are hardly ever whole microseconds."""
    told = first_of(scene, "s")
    place = None
    if nth is not None:
        place = EventPlace(offset=told.source.offset_start, nth=nth)
    began = round(told.starts_at.timestamp()) * 10**9 + nanoseconds
    event = replace(told, incident_id=incident_id(origin_of(), (0, "s"), began, event=place))
    assert open_incidents([event], origin_of(group="another")) == {}, "control"
    incidents = open_incidents([event], origin_of())
    if nth and nanoseconds:
        assert incidents == {}, "both at once would be too much to try"
        return
    incident = incidents[0, "s"].anomaly
    assert incident is not None
    assert incident.incident is not None
    assert incident.incident.started_at == began


@pytest.mark.parametrize("nanoseconds", [0, 904])
@pytest.mark.parametrize("kind", ["anomaly", "silence"])
def test_an_incident_whose_id_contains_no_partition_is_adopted(
    scene: Scene, kind: Literal["anomaly", "silence"], nanoseconds: int
) -> None:
    """An earlier release opened it. Control: one of another group's."""
    told = first_of(scene, "s")
    began = round(told.starts_at.timestamp()) * 10**9 + nanoseconds
    silent_at = told.source.offset_start if kind == "silence" else None
    for group, is_ours in ((GROUP, True), ("another", False)):
        identity = incident_ids_by_key(origin_of(group), "s", silent_at=silent_at)(began)
        event = replace(told, kind=kind, incident_id=identity)
        assert (set(open_incidents([event], origin_of())) == {(0, "s")}) == is_ours


def test_an_incident_that_opened_under_an_earlier_name_of_the_detector_is_adopted(
    scene: Scene,
) -> None:
    """Its updates give the new name, and keep the id."""
    opened = first_of(scene, "s")
    renamed = origin_of(name="renamed")
    update = replace(opened, detector=renamed.detector, sequence=1)
    for events in ([opened], [opened, update]):
        assert set(open_incidents(events, renamed)) == {(0, "s")}
        assert open_incidents(events, origin_of(name="renamed", group="another")) == {}
    ended = replace(update, status="resolved")
    assert open_incidents([opened, ended], renamed) == {}
