"""Group offsets, saved state and input that contradict each other at a start."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from stream_vae.errors import ConfigError, InputChangedError, KafkaUnavailableError
from stream_vae.events import OffsetMismatched
from stream_vae.wire import snapshots
from stream_vae.wire.alert_deduplicator import AlertDeduplicator
from stream_vae.wire.alerts import decode_alert
from tests.memory_kafka.consumer import MemoryOffsets
from tests.memory_kafka.instance import Instance
from tests.memory_kafka.scene import ALERTS, CHANGELOG, INPUT, Scene, make_settings, reading

SLOW = {"snapshot_interval_s": 1000.0}
"""Nothing is saved but on leaving in good order."""


def mixed(steps: range, anomalies: range = range(0)) -> list[bytes]:
    """Return readings, each followed by a record that is none."""
    found = []
    for step in steps:
        found += [reading(step, 20.0 if step in anomalies else 0.0), b"poison %d" % step]
    return found


def begun(scene: Scene, *, stops: bool) -> None:
    """Have an instance take a first part of the input in, with an incident that stays open."""
    scene.feed("s", mixed(range(40), range(36, 40)))
    first = scene.start("first")
    scene.settle(first)
    if stops:
        first.stop()
    else:
        first.kill()
    scene.kafka.clock.sleep(60.0)


def start(scene: Scene, name: str = "a", unanswered: str = "", **sections: Any) -> Instance:
    """Start an instance, which is certain of the end of its partitions after some seconds."""
    settings = make_settings(state=SLOW, **sections)
    one = scene.start(name, settings=settings)
    one.faults.unanswered |= {unanswered}
    for _ in range(5):
        one.turn()
        scene.kafka.clock.sleep(1.0)
    return one


def reasons(one: Instance) -> list[str]:
    return [event.reason for event in one.events.of(OffsetMismatched)]


def recreate(scene: Scene) -> None:
    """Delete the input, with the group's offsets as brokers do, and make it anew."""
    scene.kafka.create_topic(INPUT, scene.n_partitions)
    scene.group.committed.clear()


def crash_within_a_new_incident(scene: Scene, one: Instance, steps: range) -> Instance:
    """Open an incident, kill the instance before it saves its series, and start another."""
    scene.feed_series("s", steps, anomalies=steps[-4:])
    scene.settle(one)
    one.kill()
    scene.kafka.clock.sleep(60.0)
    return start(scene, "next")


def firing(scene: Scene) -> set[str]:
    """Return the ids of incidents whose last event is firing."""
    last = {event["incident_id"]: event["status"] for event in scene.alerts()}
    return {one for one, status in last.items() if status == "firing"}


@pytest.mark.parametrize(
    ("where", "stops"), [("latest", False), ("earliest", True), ("history", False)]
)
def test_a_group_whose_offsets_are_gone_goes_on_where_its_state_ends(
    where: str, *, stops: bool
) -> None:
    """Nothing is published twice, and nothing that came meanwhile goes unpublished."""
    scene = Scene(state=SLOW)
    begun(scene, stops=stops)
    scene.group.committed.clear()
    scene.feed("s", mixed(range(40, 80)))
    one = start(scene, kafka={"start": where})
    scene.assert_undisturbed(one)
    [told] = one.events.of(OffsetMismatched)
    assert (told.reason, told.partitions) == ("missing", (0,))
    assert (told.group_offsets, told.state_offsets, told.begins) == ((None,), (80,), (80,))


def test_what_happened_to_all_partitions_alike_is_told_once() -> None:
    """Of other partitions another thing; what is not found out soon is not waited for."""
    scene = Scene(12, state=SLOW)
    for partition in range(12):
        scene.feed_series("s", range(40), partition=partition)
    first = scene.start("first")
    scene.settle(first)
    first.stop()
    for partition in range(10):
        scene.group.committed[partition] = (10, "")
    del scene.group.committed[10]
    scene.group.committed[11] = (10, "")
    one = scene.start()
    assert one.changelog_reader is not None
    one.changelog_reader.held = {11}
    one.turn(40)
    assert one.events.of(OffsetMismatched) == []
    for _ in range(3):
        scene.kafka.clock.sleep(3.0)
        one.turn()
    one.changelog_reader.held = set()
    scene.settle(one)
    told = [(e.reason, e.count, e.partitions, e.begins) for e in one.events.of(OffsetMismatched)]
    assert sorted(told) == [
        ("missing", 1, (10,), (40,)),
        ("set_back", 1, (11,), (10,)),
        ("set_back", 10, tuple(range(8)), (10,) * 8),
    ]
    assert {event.mismatch for event in one.restored} == {"missing", "set_back"}


def test_what_was_not_told_yet_is_told_when_the_partitions_go() -> None:
    scene = Scene(2, state=SLOW)
    for partition in range(2):
        scene.feed_series("s", range(40), partition=partition)
    first = scene.start("first")
    scene.settle(first)
    first.stop()
    scene.group.committed[0] = (10, "")
    one = scene.start()
    assert one.changelog_reader is not None
    one.changelog_reader.held = {1}
    one.turn_until(lambda: one.partitions.live == {0})
    scene.group.assign({"a": [0]})
    one.turn(5)
    assert reasons(one) == ["set_back"]


def test_a_history_that_no_broker_tells_of_is_asked_for_with_pauses(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Live partitions wait during each request."""
    scene = Scene(state=SLOW)
    begun(scene, stops=True)
    recreate(scene)
    scene.feed_series("s", range(100, 130))
    clock, asked, usual = scene.kafka.clock, [], MemoryOffsets.since

    def since(offsets: MemoryOffsets, partition: int, time_ns: int) -> int | None:
        asked.append(clock.monotonic())
        clock.sleep(1.0)
        raise KafkaUnavailableError("no answer")

    monkeypatch.setattr(MemoryOffsets, "since", since)
    one = scene.start()
    until = clock.monotonic() + 40
    while clock.monotonic() < until:
        one.turn()
        clock.sleep(0.01)
    assert 5 <= len(asked) <= 11, "a quarter of the time at most"
    monkeypatch.setattr(MemoryOffsets, "since", usual)
    clock.sleep(4.0)
    scene.settle(one)


def test_state_of_an_earlier_release_tells_where_it_ends_too() -> None:
    """It names no input and no position; of what was saved, the highest offset counts."""
    scene = Scene(state=SLOW)
    begun(scene, stops=True)
    entries = [
        e
        for e in scene.entries(CHANGELOG)
        if (e.key or b"")[:1] not in {snapshots.POSITION, snapshots.INPUT}
    ]
    scene.kafka.create_topic(CHANGELOG)
    for entry in entries:
        scene.kafka.produce(CHANGELOG, entry.value, key=entry.key, partition=0)
    scene.group.committed.clear()
    one = start(scene, kafka={"start": "latest"})
    scene.assert_undisturbed(one)
    assert reasons(one) == ["missing"]


def test_nothing_is_told_where_they_agree() -> None:
    """The control, after a stop and after a crash."""
    scene = Scene(state=SLOW)
    begun(scene, stops=False)
    for end in (60, 80):
        scene.feed("s", mixed(range(end - 20, end)))
        one = start(scene)
        scene.settle(one)
        assert reasons(one) == []
        one.stop()
    assert len(scene.dead_letters()) == 80


@pytest.mark.parametrize(
    ("knows_ids", "stops", "unanswered"),
    [(True, False, ""), (False, True, ""), (True, True, "offsets.since")],
    ids=["ids", "no ids", "a request is not answered at first"],
)
def test_an_input_that_was_made_anew_is_read_from_its_oldest_record(
    unanswered: str, *, knows_ids: bool, stops: bool
) -> None:
    """Incidents opened before and after it are resolved, each under its id."""
    scene = Scene(state=SLOW)
    scene.parts = replace(scene.parts, knows_ids=knows_ids)
    begun(scene, stops=stops)
    recreate(scene)
    scene.feed_series("s", range(100, 130))
    one = start(scene, "a", unanswered, kafka={"start": "latest"})
    scene.settle(one)
    assert reasons(one) == ["recreated"]
    assert scene.told() == [("s", "firing", 0), ("s", "resolved", 1)]
    other = crash_within_a_new_incident(scene, one, range(130, 150))
    scene.feed_series("s", range(150, 170))
    scene.settle(other)
    assert reasons(other) == []
    assert scene.told()[2:] == [("s", "firing", 0), ("s", "resolved", 1)]
    assert firing(scene) == set()


def test_an_offset_that_was_committed_for_the_deleted_topic_does_not_count() -> None:
    """It may be, by a daemon that had not heard of it; the new topic reaches beyond it."""
    scene = Scene(state=SLOW)
    begun(scene, stops=True)
    scene.kafka.create_topic(INPUT)
    scene.feed("t", [b"new %d" % i for i in range(100)])
    one = start(scene)
    scene.settle(one)
    assert reasons(one) == ["recreated"]
    assert {b"new %d" % i for i in range(100)} <= set(scene.dead_letters())


def test_a_daemon_whose_input_was_made_anew_ends_and_the_next_one_finds_out() -> None:
    scene = Scene(state=SLOW)
    scene.feed("s", mixed(range(40), range(36, 40)))
    one = scene.start()
    scene.settle(one)
    scene.kafka.create_topic(INPUT)
    one.turn_until(lambda: not one.is_running)
    assert isinstance(one.failure, InputChangedError)
    scene.feed_series("s", range(100, 130))
    other = start(scene, "next")
    scene.settle(other)
    assert reasons(other) == ["recreated"]
    assert scene.told() == [("s", "firing", 0), ("s", "resolved", 1)]


def test_an_offset_beyond_the_end_is_one_at_the_end() -> None:
    """The whole topic is not read again."""
    scene = Scene(state=SLOW)
    begun(scene, stops=True)
    scene.group.committed = {0: (1000, "")}
    one = start(scene)
    assert reasons(one) == ["beyond_end"]
    scene.settle(one)
    assert scene.committed == {0: 80}
    assert len(scene.dead_letters()) == 40
    scene.feed_series("s", range(40, 60))
    scene.settle(one)
    assert firing(scene) == set()


@pytest.mark.parametrize("comes_back", [False, True])
def test_an_end_that_a_new_leader_does_not_know_yet_is_waited_for(*, comes_back: bool) -> None:
    """Also where another leader did not know it, before the partition went to another instance."""
    scene = Scene(state=SLOW)
    begun(scene, stops=True)
    scene.group.committed = {0: (82, "")}
    one = scene.start()
    one.turn(5)
    if comes_back:
        for owned in ([], [0]):
            scene.group.assign({"a": owned})
            scene.kafka.clock.sleep(100.0)
            one.turn(5)
    assert one.restored == []
    scene.feed("s", mixed(range(40, 41)))
    scene.kafka.clock.sleep(1.0)
    scene.settle(one)
    assert reasons(one) == []


def test_an_incident_that_opens_after_the_group_was_set_back_outlives_a_crash() -> None:
    """Offsets of before are not compared with those of after; the series' row is one of before."""
    scene = Scene(state=SLOW)
    scene.feed("s", mixed(range(40), range(20, 24)))
    first = scene.start("first")
    scene.settle(first)
    first.stop()
    scene.group.committed = {0: (10, "")}
    settings = make_settings(state=SLOW | {"history_readings": 1}, kafka={"poll_records": 4})
    one = scene.start(settings=settings)
    one.turn_until(lambda: len(scene.told()) == 3)
    assert reasons(one) == ["set_back"]
    assert len(firing(scene)) == 1, "told again"
    assert len({event["incident_id"] for event in scene.alerts()}) == 1, "under its id"
    one.kill()
    scene.kafka.clock.sleep(60.0)
    other = scene.start("next", settings=settings)
    scene.settle(other)
    assert reasons(other) == []
    assert firing(scene) == set()


@given(
    marks=st.text(".!", min_size=20, max_size=40),
    set_back=st.lists(st.tuples(st.integers(0, 40), st.integers(0, 12), st.booleans()), max_size=3),
)
@example(marks="." * 10 + "!" * 10, set_back=[(0, 0, False)])
@example(marks="." * 10 + "!" * 6 + "." * 4 + "!" * 8, set_back=[(8, 3, True), (12, 0, False)])
@settings(max_examples=6)
def test_however_the_group_is_set_back_consumers_see_each_incident_open_once_and_end_once(
    marks: str, set_back: list[tuple[int, int, bool]]
) -> None:
    """Consumers that drop repetitions, that is; it ends by readings after its start.

    Args:
        marks: `!` where a reading is anomalous; normal ones lead the way, and come at the end.
        set_back: To which reading, how long before a stop, and whether that is a crash.
    """
    anomalies = [12 + i for i, mark in enumerate(marks) if mark == "!"]
    scene = Scene(state=SLOW, kafka={"poll_records": 4})
    scene.feed_series("s", range(12 + len(marks)), anomalies=anomalies)
    one = scene.start("first")
    scene.settle(one)
    for nth, (back_to, n_turns, crashes) in enumerate(set_back):
        one.kill() if crashes else one.stop()
        scene.kafka.clock.sleep(60.0)
        scene.group.committed = {0: (min(back_to, scene.committed[0]), "")}
        one = scene.start(f"next {nth}")
        one.turn(n_turns)
    end = 12 + len(marks)
    scene.feed_series("s", range(end, end + 30))
    scene.settle(one)
    deduplicator = AlertDeduplicator()
    seen: dict[str, list[str]] = {}
    for event in (decode_alert(entry.value or b"") for entry in scene.entries(ALERTS)):
        if deduplicator.is_new(event):
            seen.setdefault(event.incident_id, []).append(event.status)
            assert event.window.end > event.starts_at or event.status == "firing"
    for statuses in seen.values():
        assert statuses == ["firing"] * (len(statuses) - 1) + ["resolved"]


@pytest.mark.parametrize("kind", ["set back", "recreated"])
def test_a_start_after_a_clean_stop_restores_whatever_had_happened_before(kind: str) -> None:
    """Records of before stay in the changelog; what was saved again counts, and nothing is read."""
    scene = Scene(state=SLOW)
    begun(scene, stops=True)
    if kind == "set back":
        scene.group.committed = {0: (10, "")}
    else:
        recreate(scene)
        scene.feed("s", mixed(range(100, 140)))
    for name, expected in (("a", "history"), ("b", "restored"), ("c", "restored")):
        one = start(scene, name)
        scene.settle(one)
        [told] = one.restored
        assert told.state == expected
        one.stop()
    assert (told.replayed, told.series_discarded, told.detail) == (0, 0, "")


@pytest.mark.parametrize("finds_owner", [True, False], ids=["at once", "when it is loaded"])
@pytest.mark.parametrize("n_partitions", [1, 3])
def test_the_state_of_another_input_topic_is_refused(
    n_partitions: int, *, finds_owner: bool
) -> None:
    """Before the group is joined, if its oldest records tell; of how many partitions it may be.

    Control: that of this one is not, whatever the brokers know of ids.
    """
    scene = Scene(state=SLOW)
    begun(scene, stops=True)
    scene.group.committed.clear()
    scene.kafka.create_topic("other", n_partitions)
    settings = scene.parts.settings
    other = settings.model_copy(update={"input": replace(settings.input, topic="other")})
    named: tuple[str, ...] = ("'other'", repr(INPUT), repr(CHANGELOG), "kafka.group_id")
    if finds_owner or n_partitions != 1:
        with pytest.raises(ConfigError) as refused:
            scene.start("other", settings=other, finds_owner=finds_owner)
        told = str(refused.value)
    else:
        one = scene.start("other", settings=other, finds_owner=False)
        one.turn_until(lambda: not one.is_running)
        assert isinstance(one.failure, ConfigError)
        told = str(one.failure)
    if not finds_owner and n_partitions != 1:
        named = ("If the state is another input's, correct input.topic",)
    for name in named:
        assert name in told
    control = start(scene, "control")
    scene.settle(control)
