"""Partitions on their way back, on the log in memory."""

from collections.abc import Callable, Mapping
from dataclasses import replace

import pytest

from stream_vae.errors import KafkaUnavailableError, StateError
from stream_vae.events import RecordsConsumed, RecordsLost
from stream_vae.pipeline.pipeline import Pipeline
from stream_vae.state.partitions import Phase
from tests.conftest import make_spec
from tests.memory_kafka.consumer import MemoryOffsets
from tests.memory_kafka.instance import Instance
from tests.memory_kafka.reader import MemoryReader
from tests.memory_kafka.scene import CHANGELOG, INPUT, Scene, reading

SLOW = {"snapshot_interval_s": 1000.0}
"""Nothing is saved but on leaving in good order."""


def interrupted(n_partitions: int = 2, state: Mapping[str, float] | None = None) -> Scene:
    """Return a scene whose only instance was killed within an incident of each partition."""
    scene = Scene(n_partitions, state=state or {})
    for partition in range(n_partitions):
        scene.feed_series(f"s{partition}", range(30), anomalies=range(25, 30), partition=partition)
    first = scene.start("first")
    scene.settle(first)
    first.kill()
    for partition in range(n_partitions):
        scene.feed_series(f"s{partition}", range(30, 60), partition=partition)
    scene.kafka.clock.sleep(60.0)
    assert scene.told() == [(f"s{p}", "firing", 0) for p in range(n_partitions)]
    return scene


def test_a_partition_is_held_until_its_state_is_back_while_others_go_on() -> None:
    scene = interrupted()
    one = scene.start()
    assert one.changelog_reader is not None
    one.changelog_reader.held = {0}
    one.turn_until(lambda: scene.committed == {0: 30, 1: 60})
    assert one.partitions[0].phase is Phase.RESTORING
    assert one.partitions.live == {1}
    assert [t for t in scene.told() if t[1] == "resolved"] == [("s1", "resolved", 1)]
    one.changelog_reader.held = set()
    scene.settle(one)
    assert ("s0", "resolved", 1) in scene.told()
    scene.assert_undisturbed(one)


def test_a_partition_is_held_while_its_input_is_read_again_and_others_go_on() -> None:
    scene = interrupted(state=SLOW)
    one = scene.start()
    one.input_reader.held = {1}
    one.turn_until(lambda: scene.committed == {0: 60, 1: 30})
    assert one.partitions[1].phase is Phase.REPLAYING
    one.input_reader.held = set()
    scene.assert_undisturbed(one)


def test_what_is_read_again_publishes_nothing() -> None:
    """Control: the first time it did."""
    scene = Scene(state=SLOW)
    scene.feed_series("s", range(40), anomalies=range(20, 25))
    scene.feed("s", [b"poison", reading(3)])
    first = scene.start("first")
    scene.settle(first)
    first.kill()
    published = scene.told(), scene.dead_letters(), scene.late()
    assert [len(each) for each in published] == [2, 1, 1]
    second = scene.start("first")
    scene.settle(second)
    [restored] = second.restored
    assert (restored.state, restored.series, restored.replayed) == ("restored", 1, 42)
    assert (scene.told(), scene.dead_letters(), scene.late()) == published
    assert second.events.of(RecordsConsumed) == []
    scene.assert_undisturbed(second)


def test_revoked_partitions_are_saved_so_that_nothing_is_read_again() -> None:
    """Control: of an instance that was killed everything is."""
    scene = Scene(state=SLOW)
    scene.feed_series("s", range(40), anomalies=range(30, 40))
    first, second = scene.start("first"), scene.start("second")
    scene.group.assign({"first": [0]})
    first.turn_until(lambda: scene.committed == {0: 40})
    assert scene.state().offsets == {}
    scene.group.assign({"second": [0]})
    first.turn()
    assert scene.state().offsets == {(0, "s"): 40}
    assert scene.state().checkpoints == {0: 40}
    assert first.pipeline.n_series == 0
    second.turn_until(lambda: second.restored)
    assert [r.replayed for r in second.restored] == [0]
    scene.feed_series("s", range(40, 50))
    second.turn_until(lambda: scene.committed == {0: 50})
    second.kill()
    third = scene.start("second")
    scene.group.assign({"second": [0]})
    third.turn_until(lambda: third.restored)
    assert [r.replayed for r in third.restored] == [10]
    first.stop()
    scene.assert_undisturbed(third)


def test_a_killed_instance_has_no_more_read_again_than_since_the_last_snapshot_but_one() -> None:
    scene = Scene(state={"snapshot_interval_s": 2.0})
    one = scene.start()
    for step in range(0, 400, 10):
        scene.feed_series("s", range(step, step + 10))
        one.turn(10)  # 0.2 s
    scene.settle(one)
    one.kill()
    again = scene.start()
    again.turn_until(lambda: again.restored)
    [restored] = again.restored
    assert 0 < restored.replayed <= 2 * 100 + 20
    scene.assert_undisturbed(again)


# Where a group without offsets begins


def test_history_warms_a_new_group_up_and_says_nothing_of_it() -> None:
    """Control: without, the first readings only fill windows."""
    states = {}
    for start in ("history", "latest"):
        scene = Scene(kafka={"start": start})
        scene.feed_series("s", range(40), anomalies=range(20, 40))
        one = scene.start()
        one.turn_until(lambda one=one: one.restored)  # type: ignore[misc]  # bound in the loop
        [restored] = one.restored
        states[restored.state] = restored.replayed
        scene.feed_series("s", range(40, 47), anomalies=range(44, 47))  # a window is of 8 steps
        scene.settle(one)
        # What comes then is clearly worse than what is left of history in the first window.
        told = [("s", "firing", 0), ("s", "firing", 1)]
        assert scene.told() == (told if start == "history" else []), start
        # Of history, the newest readings that are looked back on may count.
        assert all(e["source"]["offset_start"] >= 38 for e in scene.alerts())
        one.stop()
    assert states == {"history": 40, "cold": 0}


@pytest.mark.parametrize("bound", [{"history_readings": 10}, {"history_age_s": 30.0}])
def test_history_is_bounded_by_readings_and_by_age(bound: dict[str, float]) -> None:
    scene = Scene(kafka={"start": "history"}, state=bound)
    scene.feed_series("s", range(30))
    scene.kafka.clock.sleep(60.0)
    scene.feed_series("s", range(30, 40))
    one = scene.start()
    one.turn_until(lambda: one.restored)
    assert one.restored[0].replayed == 10


def test_a_group_that_begins_with_the_latest_record_misses_none_after() -> None:
    """What comes while no instance runs is read, although nothing had been consumed before."""
    scene = Scene(kafka={"start": "latest"})
    scene.feed("s", [b"before"] * 5)
    first = scene.start()
    scene.settle(first)
    first.stop()
    assert first.events.of(RecordsConsumed) == []
    scene.feed_committed("s", [b"after %d" % i for i in range(20)])
    second = scene.start()
    scene.settle(second)
    second.stop()
    assert scene.committed == {0: 26}, "past the marker"
    assert scene.dead_letters() == [b"after %d" % i for i in range(20)]


def test_a_group_that_kept_no_state_until_now_warms_up_from_history() -> None:
    scene = Scene()
    scene.feed_series("s", range(40))
    cold = scene.start(settings=without_state(scene))
    scene.settle(cold)
    cold.stop()
    assert scene.entries(CHANGELOG) == []
    one = scene.start()
    scene.settle(one)
    assert [(r.state, r.replayed) for r in one.restored] == [("history", 40)]
    scene.assert_undisturbed(one)


def test_the_first_checkpoint_is_not_beyond_the_committed_offset() -> None:
    """Records that wait to be processed may all be too old to be history."""
    scene = Scene(state={"history_age_s": 30.0, **SLOW})
    scene.feed_series("s", range(20))
    cold = scene.start(settings=without_state(scene))
    scene.settle(cold)
    cold.stop()
    scene.feed_series("s", range(20, 60))
    scene.kafka.clock.sleep(1000.0)
    scene.feed_series("s", range(60, 62))
    one = scene.start()
    one.turn_until(lambda: one.restored)
    checkpoint = one.partitions[0].checkpoint
    assert checkpoint is not None
    assert checkpoint.offset == 20


def test_without_state_a_partition_begins_cold() -> None:
    scene = Scene()
    scene.feed_series("s", range(40), anomalies=range(36, 40))
    for _ in range(2):
        one = scene.start(settings=without_state(scene))
        scene.settle(one)
        one.stop()
        assert [(r.state, r.series, r.replayed) for r in one.restored] == [("cold", 0, 0)]
    assert scene.told() == [("s", "firing", 0)]


def without_state(scene: Scene) -> object:
    settings = scene.parts.settings
    return settings.model_copy(update={"state": replace(settings.state, changelog=False)})


# Other models, damage and loss


def test_an_incident_outlives_a_change_of_the_model() -> None:
    scene = Scene()
    scene.feed_series("s", range(40), anomalies=range(36, 40))
    first = scene.start()
    scene.settle(first)
    first.stop()
    scene.feed_series("s", range(40, 60))
    other = replace(make_spec(), version="2")
    for state in ("carried over", "restored"):
        one = scene.start(spec=other)
        scene.settle(one)
        one.stop()
        assert [r.state for r in one.restored] == [state]
    assert scene.told() == [("s", "firing", 0), ("s", "resolved", 1)]


def test_a_model_of_other_windows_warms_up_from_history_and_says_why() -> None:
    scene = Scene()
    scene.feed_series("s", range(40), anomalies=range(36, 40))
    first = scene.start()
    scene.settle(first)
    first.stop()
    scene.feed_series("s", range(40, 60))
    one = scene.start(spec=replace(make_spec(), version="2", window_length=12))
    scene.settle(one)
    one.stop()
    [restored] = one.restored
    assert (restored.state, restored.series_discarded, restored.replayed) == ("history", 1, 40)
    assert "8 steps of 1 s" in restored.detail
    assert scene.told() == [("s", "firing", 0), ("s", "resolved", 1)]


FAR_OFF = (
    b'{"schema_version":2,"offset":3,"value":{"anomaly":null,"silence":'
    b'{"since":9000000000000000000,"offset":3,"arrived":3,"allowed_s":3.0}}}'
)
"""A silence since the year 2255."""


@pytest.mark.parametrize(
    ("key", "value"),
    [
        (b"ss", b"SV damaged"),
        (b"c", b"{}"),
        (b"p", b"{}"),
        (b"t", b"{}"),
        (b"is", b"no json"),
        (b"is", FAR_OFF),
        (b"m12345678", b"[]"),
    ],
    ids=["row", "checkpoint", "position", "input", "incidents", "time", "model"],
)
def test_damaged_state_ends_the_instance_and_is_named(key: bytes, value: bytes) -> None:
    """Nothing is consumed on top of it. Control: without the damage it comes back."""
    scene = interrupted(1)
    control = scene.start("control")
    control.turn_until(lambda: control.restored)
    control.kill()
    scene.kafka.clock.sleep(60.0)
    committed = scene.committed
    offset = scene.kafka.produce(CHANGELOG, value, key=key, partition=0)
    one = scene.start()
    one.turn_until(lambda: not one.is_running)
    assert isinstance(one.failure, StateError)
    assert f"{CHANGELOG!r}, partition 0, offset {offset}, key" in str(one.failure)
    assert scene.committed == committed
    assert scene.group.members == {}, "others may try at once"


def test_records_lost_by_retention_are_told_and_reading_goes_on_with_what_is_left() -> None:
    """Control: nothing is told where what comes next is still there."""
    scene = Scene()
    scene.feed("s", [b"poison %d" % i for i in range(10)])
    first = scene.start()
    scene.settle(first)
    first.stop()
    scene.feed("s", [b"poison %d" % i for i in range(10, 20)])
    log = scene.kafka.logs(INPUT)[0]
    log.delete_before(10)
    second = scene.start()
    second.turn(3)
    second.kill()
    assert second.events.of(RecordsLost) == []
    log.delete_before(15)
    third = scene.start()
    scene.settle(third)
    lost = third.events.of(RecordsLost)
    assert [(e.partition, e.wanted_offset, e.oldest_offset) for e in lost] == [(0, 10, 15)]
    assert scene.dead_letters() == [b"poison %d" % i for i in (*range(10), *range(15, 20))]


def test_what_was_to_be_read_again_and_is_lost_does_not_hold_the_partition() -> None:
    scene = interrupted(1, SLOW)
    scene.kafka.logs(INPUT)[0].delete_before(28)
    one = scene.start()
    scene.settle(one)
    assert [(r.state, r.replayed) for r in one.restored] == [("restored", 2)]
    assert one.events.of(RecordsLost) == []


def test_a_transaction_left_open_holds_its_partitions_until_it_has_timed_out() -> None:
    """What it would commit must not be read twice; of another name nobody else ends it."""
    scene = Scene(2)
    for partition in range(2):
        scene.feed("s", [b"poison"], partition)
    first = scene.start("first")
    first.faults.crash_at = "producer.commit"
    first.turn_until(lambda: not first.is_running)
    scene.group.expire("first")
    one = scene.start("other")
    one.turn(40)
    assert [p.phase for p in one.partitions.restoring] == [Phase.HELD] * 2
    scene.kafka.clock.sleep(31.0)
    scene.settle(one)
    assert scene.dead_letters() == [b"poison"] * 2
    scene.assert_undisturbed(one)


@pytest.mark.parametrize(
    ("client", "request_"), [(MemoryOffsets, "end"), (MemoryReader, "end_offsets")]
)
def test_a_partition_whose_leader_is_gone_does_not_hold_the_others(
    monkeypatch: pytest.MonkeyPatch, client: type, request_: str
) -> None:
    """Of the input, or of the changelog."""
    scene = Scene(partitions=3)
    for partition in range(3):
        scene.feed_series("s", range(20), partition=partition)
    first = scene.start("first")
    scene.settle(first)
    first.stop()
    usual = getattr(client, request_)

    def end(self: object, asked: int | list[int]) -> object:
        if asked == 0 or (isinstance(asked, list) and 0 in asked):
            raise KafkaUnavailableError("no leader")
        return usual(self, asked)

    monkeypatch.setattr(client, request_, end)
    one = scene.start("next")
    for _ in range(10):
        one.turn(3)
        scene.kafka.clock.sleep(1.0)
    assert one.partitions.live == {1, 2}
    monkeypatch.undo()
    scene.settle(one)


def test_brokers_that_do_not_answer_are_asked_again() -> None:
    scene = interrupted()
    one = scene.start()
    one.faults.unavailable = 2
    one.turn(20)
    assert one.partitions.live == set()
    scene.kafka.clock.sleep(1.0)
    one.turn(20)
    assert one.partitions.live == set()
    scene.kafka.clock.sleep(1.0)
    scene.assert_undisturbed(one)


# Partitions that leave, wherever they are


def hold(one: Instance) -> None:
    one.faults.unavailable = 1000


def hold_changelog(one: Instance) -> None:
    assert one.changelog_reader is not None
    one.changelog_reader.held = {0, 1}


def hold_input(one: Instance) -> None:
    one.input_reader.held = {0, 1}


def leave_alone(one: Instance) -> None: ...


@pytest.mark.parametrize("is_lost", [False, True], ids=["revoked", "lost"])
@pytest.mark.parametrize(
    ("phase", "prepare"),
    [
        (Phase.HELD, hold),
        (Phase.RESTORING, hold_changelog),
        (Phase.REPLAYING, hold_input),
        (Phase.LIVE, leave_alone),
    ],
    ids=lambda value: value.value if isinstance(value, Phase) else "",
)
def test_a_partition_may_leave_in_any_phase(
    phase: Phase, prepare: Callable[[Instance], None], is_lost: bool
) -> None:
    scene = interrupted(state=SLOW)
    one = scene.start("one")
    prepare(one)
    one.turn_until(lambda: {p.phase for p in one.partitions.within(*Phase)} == {phase})
    other = scene.start("other")
    one.faults.unavailable = 0
    if is_lost:
        scene.group.expire("one")
    else:
        scene.group.assign({"other": [0, 1]})
    one.turn()
    scene.group.assign({"other": [0, 1]})
    assert one.partitions.within(*Phase) == []
    assert one.pipeline.n_series == 0
    other.turn_until(lambda: scene.committed == {0: 60, 1: 60})
    scene.group.assign({"one": [0], "other": [1]})
    if prepare is hold_changelog and one.changelog_reader is not None:
        one.changelog_reader.held = set()
    one.input_reader.held = set()
    other.turn()
    scene.kafka.clock.sleep(1.0)
    one.turn_until(lambda: one.partitions.live == {0})  # it may come back
    scene.assert_undisturbed(one, other)


def test_a_partition_may_leave_while_brokers_do_not_tell_where_it_begins() -> None:
    """A group without offsets asks once more, when the state is back."""
    scene = Scene()
    scene.feed("s", [b"poison"])
    one = scene.start("one")
    one.turn_until(lambda: one.partitions.within(Phase.RESTORING))
    one.faults.unavailable = 1000
    one.turn(3)
    assert [p.phase for p in one.partitions.restoring] == [Phase.RESTORED]
    scene.group.expire("one")
    one.turn()
    one.faults.unavailable = 0
    scene.assert_undisturbed(one)


@pytest.mark.parametrize("step", ["consumer.release", "input.add", "changelog.add"])
def test_an_instance_may_be_killed_between_two_phases(step: str) -> None:
    scene = interrupted(state=SLOW)
    one = scene.start()
    one.faults.crash_at = step
    one.turn_until(lambda: not one.is_running)
    scene.assert_undisturbed(scene.start())


def test_series_are_forgotten_for_those_that_come_back_only_if_there_is_no_room(
    make_pipeline: Callable[..., Pipeline],
) -> None:
    scene = Scene(2)
    for i in range(20):
        scene.feed_series(f"s{i}", range(12), partition=i % 2)
    first = scene.start("first")
    scene.settle(first)
    first.stop()
    small = scene.start("small", capacity=16)
    scene.settle(small)
    assert small.pipeline.n_series == 16
    small.stop()
    large = scene.start("large")
    scene.settle(large)
    assert sum(r.series for r in large.restored) >= 16


def test_no_answer_for_long_is_a_failure_that_repeats_nothing() -> None:
    scene = interrupted()
    one = scene.start()

    def fail(_: int) -> None:
        raise KafkaUnavailableError("gave up after 300 s")

    one.turn_until(lambda: one.partitions.live == {0, 1})
    scene.feed("s0", [b"poison"])
    one.input_reader.poll = fail  # type: ignore[method-assign, assignment]  # as its client does
    scene.group.expire(one.name)
    one.turn_until(lambda: not one.is_running)
    assert isinstance(one.failure, KafkaUnavailableError)
    scene.assert_undisturbed(scene.start())
