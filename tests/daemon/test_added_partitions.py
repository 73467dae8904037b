"""Partitions that the input gets while the daemon runs."""

from collections.abc import Mapping
from dataclasses import replace

import pytest

from stream_vae.events import (
    ChangelogExtended,
    ChangelogTooNarrow,
    OffsetMismatched,
    StateRestored,
)
from stream_vae.wire import snapshots
from tests.memory_kafka.instance import Instance
from tests.memory_kafka.scene import CHANGELOG, Scene


def running(scene: Scene) -> Instance:
    scene.feed_series("s", range(20))
    one = scene.start()
    scene.settle(one)
    return one


def forbid(one: Instance, refusal: str | None) -> None:
    assert one.partition_adder is not None
    one.partition_adder.refusal = refusal


def forget_count(scene: Scene) -> None:
    """Make the changelog one of a build that did not tell how many partitions there were."""
    entries = scene.entries(CHANGELOG)
    scene.kafka.create_topic(CHANGELOG)
    for entry in entries:
        value = entry.value
        if entry.key == snapshots.INPUT and value is not None:
            saved, _ = snapshots.decode_value(value, snapshots.SavedInput)
            value = snapshots.encode_value(replace(saved, began_with=0))
        scene.kafka.produce(CHANGELOG, value, key=entry.key, partition=0)


def restored(one: Instance) -> list[int]:
    return [event.partition for event in one.events.of(StateRestored)]


def test_the_changelog_is_extended_and_the_new_partitions_go_live() -> None:
    scene = Scene()
    one = running(scene)
    scene.add_partitions(3)
    scene.feed_series("t", range(40), anomalies=range(20, 26), partition=2)
    scene.settle(one)
    assert len(scene.kafka.logs(CHANGELOG)) == 3
    assert one.events.of(ChangelogExtended) == [ChangelogExtended(topic=CHANGELOG, n_partitions=3)]
    assert one.events.of(ChangelogTooNarrow) == []
    assert scene.told() == [("t", "firing", 0), ("t", "resolved", 1)]
    one.stop()
    assert {partition for partition, _ in scene.state().rows} == {0, 2}


@pytest.mark.parametrize("refusal", [None, "Alter is missing"])
def test_what_it_has_asked_for_is_told_of_though_another_instance_has_the_partition_by_then(
    refusal: str | None,
) -> None:
    """Control: what was refused is not told of, nor asked about for ever."""
    scene = Scene()
    one = running(scene)
    forbid(one, refusal)
    scene.add_partitions(2)
    one.turn_until(lambda: "adder.add" in one.faults.steps)
    other = scene.start("b")
    forbid(other, refusal)
    scene.group.assign({"a": [0], "b": [1]})
    for _ in range(100):
        one.turn()
        other.turn()
    n_told = len(one.events.of(ChangelogExtended))
    assert n_told == (refusal is None)
    one.faults.steps.clear()
    one.turn(100)
    assert "changelog.n_partitions" not in one.faults.steps


def test_where_that_is_refused_the_command_and_the_lag_are_told_and_the_others_go_on() -> None:
    scene = Scene()
    one = running(scene)
    forbid(one, "Alter is missing")
    scene.add_partitions(2)
    scene.feed_series("t", range(7), partition=1)
    scene.feed_series("s", range(20, 60), anomalies=range(30, 36))
    one.turn(400)

    told = one.events.of(ChangelogTooNarrow)[-1]
    command = f"kafka-topics.sh --alter --topic {CHANGELOG} --partitions 2"
    assert (told.partitions, told.n_partitions, told.lag_records) == ((1,), 1, {1: 7})
    assert (told.detail, told.command) == ("Alter is missing", command)
    health = one.loop.readiness()
    assert health.is_ok, "the other partitions are served"
    assert f"input partitions 1 wait for topic {CHANGELOG!r}" in health.reason
    assert command in health.reason
    assert scene.told() == [("s", "firing", 0), ("s", "resolved", 1)]
    assert restored(one) == [0]


def test_they_go_live_once_somebody_has_extended_the_changelog() -> None:
    scene = Scene()
    one = running(scene)
    forbid(one, "Alter is missing")
    scene.add_partitions(2)
    scene.feed_series("t", range(7), partition=1)
    one.turn(600)
    assert restored(one) == [0]
    scene.kafka.add_partitions(CHANGELOG, 2)
    scene.settle(one)
    assert restored(one) == [0, 1]
    assert "wait" not in one.loop.readiness().reason


def test_a_right_that_is_granted_later_is_made_use_of() -> None:
    scene = Scene()
    one = running(scene)
    forbid(one, "Alter is missing")
    scene.add_partitions(2)
    one.turn(600)
    assert restored(one) == [0]
    forbid(one, None)
    scene.kafka.clock.sleep(60.0)
    scene.settle(one)
    assert restored(one) == [0, 1]


def test_a_partition_that_appears_is_read_from_its_beginning_wherever_the_group_began() -> None:
    """Control: what the topic held before a group that starts at the end is not read."""
    scene = Scene(kafka={"start": "latest"})
    scene.feed_series("s", range(20))
    one = scene.start()
    one.turn(50)
    assert one.pipeline.n_series == 0
    scene.add_partitions(2)
    scene.feed_series("t", range(9), partition=1)
    one.turn(600)
    assert scene.committed == {0: 20, 1: 9}
    assert one.pipeline.n_series == 1


@pytest.mark.parametrize("is_told", [True, False], ids=["told", "early build"])
def test_so_is_one_that_was_added_while_the_groups_offsets_were_deleted_too(
    *, is_told: bool
) -> None:
    """The changelog tells whose it is, and how many partitions there were."""
    scene = Scene(kafka={"start": "latest"})
    scene.feed("s", [b"before"] * 5)
    one = scene.start()
    scene.settle(one)
    one.stop()
    if not is_told:
        forget_count(scene)
    scene.group.committed.clear()
    scene.feed("s", [b"meanwhile"] * 3)
    scene.add_partitions(3)
    scene.feed("t", [b"new"] * 9, partition=1)
    other = scene.start("b")
    scene.settle(other)
    assert scene.committed == {0: 8, 1: 9, 2: 0}
    letters = scene.dead_letters()
    assert (letters.count(b"meanwhile"), letters.count(b"new"), len(letters)) == (3, 9, 12)
    assert [told.reason for told in other.events.of(OffsetMismatched)] == ["missing"]
    assert len(other.events.of(ChangelogExtended)) == 1


@pytest.mark.parametrize("state", [{}, {"changelog": False}], ids=["state", "stateless"])
@pytest.mark.parametrize("is_noted", [True, False], ids=["noted", "earlier release"])
def test_so_is_one_that_was_added_while_no_instance_ran(
    state: Mapping[str, bool], *, is_noted: bool
) -> None:
    scene = Scene(kafka={"start": "latest"}, state=state)
    scene.feed("s", [b"before"] * 5)
    one = scene.start()
    scene.settle(one)
    one.stop()
    if not is_noted:
        scene.group.committed = {0: (5, "of an earlier release")}
    scene.add_partitions(2)
    scene.kafka.add_partitions(CHANGELOG, 2)
    scene.feed("t", [b"new"] * 9, partition=1)
    for name in ("b", "c"):
        other = scene.start(name)
        scene.settle(other)
        other.stop()
    assert scene.dead_letters() == [b"new"] * 9


def test_one_that_another_member_of_a_new_group_gets_first_begins_where_the_group_does() -> None:
    """It has no offset while others have, and yet was not added."""
    scene = Scene(2, kafka={"start": "latest"})
    for partition in range(2):
        scene.feed("s", [b"before"] * 5, partition)
    one = scene.start("a")
    scene.group.assign({"a": [0]})
    one.turn_until(lambda: scene.committed == {0: 5})
    other = scene.start("b")
    scene.settle(one, other)
    assert scene.committed == {0: 5, 1: 5}
    assert scene.dead_letters() == []


def test_two_members_that_find_new_partitions_end_with_one_changelog_of_all() -> None:
    scene = Scene(2)
    scene.feed_series("s", range(20))
    one, other = scene.start("a"), scene.start("b")
    scene.settle(one, other)
    scene.add_partitions(5)
    for partition in (2, 3, 4):
        scene.feed_series(f"t{partition}", range(9), partition=partition)
    scene.settle(one, other)
    assert len(scene.kafka.logs(CHANGELOG)) == 5
