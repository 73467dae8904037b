"""The loop between edges in memory: ingest, delivery, back-pressure and series by the clock."""

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from stream_vae.core.model_spec import Scores
from stream_vae.detect.config import SilenceConfig
from stream_vae.errors import FencedError, KafkaUnavailableError
from stream_vae.events import (
    ConsumptionPaused,
    ConsumptionResumed,
    PartitionsLost,
    SeriesEvicted,
    TransactionCommitted,
)
from tests.conftest import MeanSquareScorer
from tests.inputs.point_lists import PointListDecoder, point_list
from tests.memory_kafka.clock import START_S
from tests.memory_kafka.faults import CommitFault
from tests.memory_kafka.scene import GROUP, INPUT, F, Scene, reading

SELDOM = {"commit_interval_s": 20.0}


def test_what_goes_in_comes_out_once_and_is_committed_to_the_end() -> None:
    scene = Scene()
    scene.feed_series("s", range(40), anomalies=range(20, 26))
    scene.feed("s", [b"poison", reading(3)])
    scene.feed_aborted("s", [reading(41, 50.0)] * 5)
    scene.feed_committed("s", [b"more poison"])
    one = scene.start()
    scene.settle(one)
    assert scene.told() == [("s", "firing", 0), ("s", "resolved", 1)]
    assert scene.dead_letters() == [b"poison", b"more poison"]
    assert scene.late() == [reading(3)]
    assert scene.committed == {0: 50}, "past the transaction's marker"
    assert one.events.of(TransactionCommitted)[-1].lag_records == {0: 0}
    one.stop()
    assert scene.committed == {0: 50}
    assert len(scene.state().rows) == 1


def test_records_of_several_readings_are_settled_as_one_wherever_the_instance_is_killed() -> None:
    scene = Scene()
    scene.parts = replace(scene.parts, decoder=PointListDecoder(F))
    steps = iter(range(10_000))
    for n in (5, 1, 12, 3) * 5:
        taken = [next(steps) for _ in range(n)]
        points = [
            [name, START_S + t, *(20.0 if t % 50 > 42 else 0.1 * ((t + i) % 7) for i in range(F))]
            for t in taken
            for name in ("a", "b")
        ]
        scene.feed("gateway", [point_list(*points)])
    scene.feed("gateway", [point_list(["a", START_S + 3, 0, 0, 0], ["b", START_S + 900, 0, 0, 0])])
    one = scene.start()
    for steps_on in (25, 40, 60):
        one.faults.crash_in = steps_on
        one.turn_until(lambda one=one: not one.is_running)  # type: ignore[misc]  # bound in the loop
        one = scene.start()
    scene.settle(one)
    assert len(scene.late()) == 1
    assert len(scene.told()) > 4
    scene.assert_undisturbed(one)


# When is committed


def test_quiet_readings_are_committed_once_an_interval_and_alerts_at_once() -> None:
    scene = Scene(kafka=SELDOM)
    one = scene.start()
    one.turn(3)
    scene.kafka.clock.sleep(20.0)
    one.turn()
    begun = scene.kafka.clock.monotonic()
    scene.feed_series("s", range(30))
    one.turn(20)
    assert scene.committed == {0: 0}
    scene.feed_series("s", range(30, 34), anomalies=range(30, 34))
    one.turn(6)
    assert scene.committed == {0: 34}
    assert scene.told() == [("s", "firing", 0)]
    assert scene.kafka.clock.monotonic() - begun < 1.0
    scene.feed_series("s", range(34, 36))
    one.turn(6)
    assert scene.committed == {0: 34}, "control"
    scene.kafka.clock.sleep(20.0)
    one.turn(2)
    assert scene.committed == {0: 36}


def test_the_loop_goes_on_beside_a_transaction_and_waits_for_it_after_a_second() -> None:
    scene = Scene()
    one = scene.start()
    one.turn_until(lambda: scene.kafka.committed(GROUP) == {0: 0})
    one.faults.transaction_turns = 10_000
    scene.feed("s", [b"poison"])
    scene.kafka.clock.sleep(0.5)
    one.turn()
    scene.feed("s", [b"more"])
    one.turn(20)  # 0.4 s
    assert one.partitions.positions == {0: 2}
    assert scene.dead_letters() == []
    one.turn(40)
    assert scene.dead_letters() == [b"poison"]
    scene.assert_undisturbed(one)


@pytest.mark.parametrize("fault", list(CommitFault))
def test_a_commit_that_fails_repeats_and_loses_nothing(fault: CommitFault) -> None:
    scene = Scene()
    scene.feed_series("s", range(40), anomalies=range(20, 26))
    scene.feed("s", [b"poison"])
    one = scene.start()
    one.turn_until(lambda: one.restored)
    one.faults.commits.append(fault)
    gives_up = fault in {CommitFault.BEFORE, CommitFault.AFTER}
    one.turn_until(lambda: scene.committed == {0: 41} or not one.is_running)
    assert one.is_running != gives_up
    if gives_up:
        assert isinstance(one.failure, KafkaUnavailableError)
        assert scene.group.members == {}, "others may take over at once"
        one = scene.start("another")
    scene.assert_undisturbed(one)


def test_a_transaction_of_a_membership_that_has_passed_is_repeated_by_the_new_one() -> None:
    scene = Scene()
    one = scene.start()
    one.turn_until(lambda: one.restored)
    one.faults.transaction_turns = 3
    scene.feed("s", [b"poison"])
    scene.kafka.clock.sleep(1.0)
    one.turn()
    scene.group.bump(one.name)
    one.turn_until(lambda: scene.committed == {0: 1})
    log = scene.kafka.logs("stream-vae.dead-letters")
    assert sum(each.end for each in log) == 4, "record and marker, aborted and committed"
    assert scene.dead_letters() == [b"poison"]


def test_who_lost_its_partitions_publishes_nothing_of_them() -> None:
    scene = Scene(kafka=SELDOM)
    one = scene.start("one")
    one.turn_until(lambda: one.restored)
    scene.feed_series("s", range(10))
    scene.feed("s", [b"poison"])
    one.turn(5)
    assert one.loop._parts.committer.outbox.waiting.dead_letters, "control"
    one.faults.transaction_turns = 1000
    scene.kafka.clock.sleep(20.0)
    one.turn()  # begins a transaction of a membership that then passes
    other = scene.start("other")
    scene.group.expire("one")
    other.turn_until(lambda: other.partitions.live)
    scene.kafka.clock.sleep(20.0)
    other.turn_until(scene.dead_letters)
    one.turn(5)
    one.faults.transaction_turns = 0
    assert one.events.of(PartitionsLost)
    assert scene.dead_letters() == [b"poison"]
    scene.assert_undisturbed(one, other)


def test_an_instance_that_the_group_does_not_let_in_again_says_since_when_it_is_out() -> None:
    scene = Scene()
    scene.feed_series("s", range(40), anomalies=range(30, 40))
    one = scene.start()
    scene.settle(one)
    assert one.loop.readiness().is_ok, "control"
    scene.group.refuses_back = True
    scene.group.expire(one.name)
    one.turn(5)
    scene.feed_series("s", range(40, 60))
    health = one.loop.readiness()
    assert (health.is_ok, health.reason[:32]) == (False, "not in the group since 2023-11-1")
    assert one.loop.liveness().is_ok
    scene.group.refuses_back = False
    scene.assert_undisturbed(one)
    assert len(one.events.of(PartitionsLost)) == 1


def test_of_two_instances_of_one_name_the_older_ends_and_says_why() -> None:
    scene = Scene()
    scene.feed("s", [b"poison"] * 40)
    older = scene.start("pod-0")
    older.turn(2)
    newer = scene.start("pod-0")
    older.turn()
    assert isinstance(older.failure, FencedError)
    assert scene.group.members["pod-0"] is newer.consumer.member, "it takes nobody along"
    scene.assert_undisturbed(newer)


def test_an_instance_without_partitions_is_ready_and_takes_over() -> None:
    scene = Scene()
    scene.feed_series("s", range(40), anomalies=range(30, 40))
    one, standby = scene.start("a"), scene.start("b")
    assert not standby.loop.readiness().is_ok
    standby.turn()
    assert standby.loop.readiness().is_ok
    scene.group.assign({"a": [0]})
    one.turn_until(lambda: scene.committed == {0: 40})
    one.stop()
    scene.assert_undisturbed(standby)


def test_a_loop_that_does_not_come_round_is_not_alive() -> None:
    one = (scene := Scene()).start()
    one.turn()
    assert one.loop.liveness().is_ok
    scene.kafka.clock.sleep(3600.0)
    assert not one.loop.liveness().is_ok
    one.turn()
    assert one.loop.liveness().is_ok


def test_run_works_until_it_is_told_to_stop_and_then_commits_what_it_has() -> None:
    scene = Scene(kafka=SELDOM)
    scene.feed_series("s", range(100))
    one = scene.start()
    one.loop._parts.consumer.abandon()
    one = scene.start()
    taken = []

    def stop_in_mid_stream() -> None:
        taken.append(one.partitions.positions.get(0, 0))
        if taken[-1] > 40:
            one.loop.stop()

    one.events.tick = stop_in_mid_stream  # type: ignore[method-assign]  # the service's place
    one.scoring.held = 2
    one.loop.run()
    assert 40 < taken[-1] < 100, "control: stopped in mid-stream"
    assert scene.committed == {0: taken[-1]}
    assert scene.state().offsets == {(0, "s"): taken[-1]}


# Back-pressure


def test_a_worker_behind_pauses_the_input_and_nothing_is_lost_by_that() -> None:
    scene = Scene()
    scene.feed_series("s", range(400), anomalies=range(200, 210))
    one = scene.start()
    one.turn_until(lambda: one.restored)
    one.scoring.held = 1000
    one.turn(100)
    assert [e.readings_in_flight for e in one.events.of(ConsumptionPaused)] == [80]
    assert one.consumer.paused
    assert one.partitions.positions == {0: 80}, "no more than one poll beyond the limit of 64"
    scene.group.bump(one.name)
    one.turn(10)
    assert scene.group.members, "it is still polled"
    one.scoring.held = 0
    one.turn_until(lambda: not one.consumer.paused)
    assert len(one.events.of(ConsumptionResumed)) == 1
    scene.assert_undisturbed(one)


def test_a_worker_that_catches_up_within_half_a_second_pauses_nothing() -> None:
    scene = Scene()
    scene.feed_series("s", range(400))
    one = scene.start()
    one.turn_until(lambda: one.restored)
    for _ in range(8):
        one.scoring.held = 1000
        one.turn(20)
        one.scoring.held = 0
        one.turn(2)
    assert one.events.of(ConsumptionPaused) == []
    scene.assert_undisturbed(one)


def test_a_partition_that_joins_a_paused_member_is_restored_and_released() -> None:
    scene = Scene(2)
    for partition in range(2):
        scene.feed_series(f"s{partition}", range(200), partition=partition)
    one = scene.start("one")
    scene.group.assign({"one": [0]})
    one.turn_until(lambda: one.partitions.live == {0})
    one.scoring.held = 1000
    one.turn_until(lambda: one.consumer.paused)
    scene.group.assign({"one": [0, 1]})
    one.turn(50)
    assert one.partitions.live >= {0}
    one.scoring.held = 0
    scene.assert_undisturbed(one)


class BrokenScorer(MeanSquareScorer):
    """Breaks on a window that holds a value."""

    def score(self, values: NDArray[np.float64], end_times: NDArray[np.int64]) -> Scores:
        if (values > 90.0).any():
            raise ArithmeticError("no score")
        return super().score(values, end_times)


def test_a_model_that_fails_ends_the_instance_and_nothing_is_skipped() -> None:
    """Control: a sound one goes on where it ended."""
    scene = Scene()
    scene.feed_series("s", range(30))
    scene.feed("s", [reading(30, 95.0)])
    scene.feed_series("s", range(31, 40))
    broken = scene.start(scorer=BrokenScorer())
    broken.turn_until(lambda: not broken.is_running)
    assert isinstance(broken.failure, ArithmeticError)
    assert scene.group.members == {}
    assert scene.kafka.group("stream-vae", INPUT).committed.get(0, (0, ""))[0] <= 30
    scene.assert_undisturbed(scene.start())


# Series by the clock


def quiet_scene(**sections: Any) -> Scene:
    """Return a scene in which series fall silent after ten seconds without a reading."""
    return Scene(
        detect={"silence": SilenceConfig(intervals=0.001, at_least_s=10.0)},
        **sections,
    )


def feed_by_the_clock(scene: Scene, keys: tuple[str, ...], steps: range) -> None:
    """Append a reading of each series a second, and let time go by."""
    for step in steps:
        for key in keys:
            scene.feed(key, [reading(step)])
        scene.kafka.clock.sleep(1.0)


def test_a_silence_opens_once_survives_a_restart_and_ends_with_the_next_reading() -> None:
    scene = quiet_scene()
    feed_by_the_clock(scene, ("s0", "s1"), range(40))
    first = scene.start()
    scene.settle(first)
    assert scene.told() == []
    scene.kafka.clock.sleep(11.0)
    first.turn(100)
    assert scene.told() == [("s0", "firing", 0), ("s1", "firing", 0)]
    first.stop()
    second = scene.start()
    scene.settle(second)
    feed_by_the_clock(scene, ("s0",), range(60, 63))
    scene.settle(second)
    scene.kafka.clock.sleep(11.0)
    second.turn(100)
    assert scene.told() == [
        *[("s0", "firing", 0), ("s0", "resolved", 1), ("s0", "firing", 0)],
        ("s1", "firing", 0),
    ]
    events = [event for event in scene.alerts() if event["series"]["key"] == "s0"]
    assert {event["kind"] for event in scene.alerts()} == {"silence"}
    assert events[0]["incident_id"] == events[1]["incident_id"] != events[2]["incident_id"]
    assert events[0]["score"] > events[0]["threshold"] == 10.0
    assert (events[0]["p_value"], events[0]["features"]) == (None, [])


@pytest.mark.parametrize("reason", ["more is to be read", "no broker answers"])
def test_nobody_is_called_silent_while_readings_may_be_on_their_way(reason: str) -> None:
    """Control: once that is over and nothing came, it is told."""
    scene = quiet_scene()
    feed_by_the_clock(scene, ("s",), range(40))
    one = scene.start()
    scene.settle(one)
    if reason == "no broker answers":
        one.faults.unavailable = 1000
    else:
        scene.feed("other", [b"poison"] * 600)
    scene.kafka.clock.sleep(11.0)
    one.turn(10)
    assert scene.told() == []
    one.faults.unavailable = 0
    one.turn(200)
    assert scene.told() == [("s", "firing", 0)]


@pytest.mark.parametrize("ahead_s", [3600.0, -3600.0])
def test_a_wall_clock_that_is_set_anew_makes_no_series_silent(ahead_s: float) -> None:
    scene = quiet_scene()
    feed_by_the_clock(scene, ("s",), range(40))
    one = scene.start()
    scene.settle(one)
    scene.kafka.clock.set_wall_clock(ahead_s)
    one.turn(100)
    assert scene.told() == []
    scene.kafka.clock.sleep(11.0)
    one.turn(100)
    assert scene.told() == [("s", "firing", 0)], "control"


def test_a_small_budget_is_kept_and_who_never_filled_a_window_goes_first() -> None:
    scene = Scene(state={"snapshot_interval_s": 0.5})
    scene.feed_series("known", range(40), anomalies=range(37, 40))
    one = scene.start(capacity=40)
    scene.settle(one)
    scene.feed_series("unknown", range(1))
    for i in range(200):
        scene.feed(f"passing {i}", [reading(0)])
    scene.settle(one)
    assert one.pipeline.n_series <= 40
    evicted = one.events.of(SeriesEvicted)
    assert {e.reason for e in evicted} == {"memory"}
    assert sum(e.count for e in evicted) >= 162
    scene.feed_series("known", range(40, 60))
    scene.settle(one)
    assert scene.told() == [("known", "firing", 0), ("known", "resolved", 1)]
    one.stop()
    assert len(scene.state().rows) <= 40, "the others have tombstones"


def test_a_series_without_readings_is_forgotten_and_what_it_left_open_is_resolved() -> None:
    scene = Scene(state={"series_ttl_s": 100.0, "snapshot_interval_s": 0.5})
    scene.feed_series("s", range(40), anomalies=range(37, 40))
    one = scene.start()
    scene.settle(one)
    one.turn(100)
    assert len(scene.state().rows) == 1, "control"
    scene.kafka.clock.sleep(101.0)
    one.turn(100)
    assert scene.told() == [("s", "firing", 0), ("s", "resolved", 1)]
    assert [e.reason for e in one.events.of(SeriesEvicted)] == ["idle"]
    assert scene.state().rows == {}
    one.stop()


def test_readings_keep_their_fields_on_the_way_out() -> None:
    """What an alert event says of its readings is what was in the record."""
    scene = Scene()
    scene.feed_series("s", range(40), anomalies=range(37, 40))
    one = scene.start()
    scene.settle(one)
    [event] = scene.alerts()
    newest = json.loads(reading(event["source"]["offset_end"], 20.0))
    assert {f["name"]: f["actual"] for f in event["features"]} == {
        f"f{i}": newest[f"f{i}"] for i in range(F)
    }
    assert (event["source"]["topic"], event["source"]["partition"]) == (INPUT, 0)
