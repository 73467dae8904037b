"""An instance that is stuck, blind or idle says so, with the reason, until that is mended."""

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest

from stream_vae.core.health import CONDITIONS
from stream_vae.core.readings import ReadingBatch
from stream_vae.events import InstanceObserved, NothingRead, SeriesCounted, UnseenTemplates
from stream_vae.logs.templates import mine
from stream_vae.pipeline.unseen_lines import UnseenLines
from tests.memory_kafka.clock import START_S
from tests.memory_kafka.instance import Instance
from tests.memory_kafka.producer import MemoryProducer
from tests.memory_kafka.scene import CHANGELOG, Scene, reading

Deed = Callable[[Scene, Instance], None]


def status_of(one: Instance) -> dict[str, Any]:
    """The status as a client gets it."""
    found: dict[str, Any] = json.loads(json.dumps(one.loop.status(), allow_nan=False))
    return found


def conditions_of(one: Instance) -> dict[str, str]:
    return {found["code"]: found["detail"] for found in status_of(one)["conditions"]}


def observe(one: Instance, after_s: float = 1.0) -> None:
    """Let time go by, and the instance look at itself."""
    one._kafka.clock.sleep(after_s)
    one.turn(2)


def feed_without(scene: Scene, *missing: str, begin: int = 100, n: int = 120) -> None:
    for step in range(begin, begin + n):
        found = json.loads(reading(step))
        scene.feed("s", [json.dumps({k: v for k, v in found.items() if k not in missing}).encode()])


def widen_input(scene: Scene, one: Instance) -> None:
    assert one.partition_adder is not None
    one.partition_adder.refusal = "Alter is missing"
    scene.add_partitions(2)
    scene.feed_series("t", range(7), partition=1)
    one.turn(400)


def take_the_served_partition(scene: Scene, one: Instance) -> None:
    widen_input(scene, one)
    scene.start("b")
    scene.group.assign({"a": [1], "b": [0]})
    one.turn(20)
    observe(one)


def widen_changelog(scene: Scene, one: Instance) -> None:
    scene.kafka.add_partitions(CHANGELOG, 2)
    scene.group.assign({"a": [0, 1]})
    for other in scene.instances[1:]:
        other.stop()
    scene.settle(one)


def send_nothing_of_the_model(scene: Scene, one: Instance) -> None:
    feed_without(scene, "f0", "f1", "f2")
    scene.feed("s", [b"poison"])
    scene.settle(one)


def send_without_one(scene: Scene, one: Instance) -> None:
    feed_without(scene, "f1")
    scene.settle(one)


def send_new_keys(scene: Scene, one: Instance) -> None:
    """Readings of one time, of more series than any could be judged of."""
    for i in range(120):
        scene.feed(f"key {i}", [reading(50)])
    scene.settle(one)
    observe(one, 301.0)


def send_all(scene: Scene, one: Instance) -> None:
    scene.feed_series("s", range(300, 330))
    scene.settle(one)
    observe(one)


def outrun(scene: Scene, one: Instance) -> None:
    """Two records come for each that is read."""
    for turn in range(62):
        scene.feed_series("s", range(100 + 2 * turn, 102 + 2 * turn))
        scene.kafka.clock.sleep(5.0)
        one.turn()


def hold_the_model(scene: Scene, one: Instance) -> None:
    one.scoring.held = 1000
    scene.feed_series("s", range(100, 300))
    one.turn(100)
    observe(one, 61.0)


def let_the_model_go(scene: Scene, one: Instance) -> None:
    one.scoring.held = 0
    scene.settle(one)
    observe(one)


def stop_fetching(scene: Scene, one: Instance) -> None:
    """As a client that hangs: nothing comes of what it knows to be there."""
    scene.feed_series("s", range(100, 130))
    one.turn()
    one.consumer._fetch = lambda max_records: []  # type: ignore[method-assign]
    observe(one)
    observe(one, 61.0)


def fetch_again(scene: Scene, one: Instance) -> None:
    del one.consumer._fetch
    scene.settle(one)
    observe(one)


def cut_off(_: Scene, one: Instance) -> None:
    one.faults.unavailable = 10_000


def reconnect(_: Scene, one: Instance) -> None:
    one.faults.unavailable = 0


def publish_in_vain(_: Scene, one: Instance) -> None:
    producer = one.loop._parts.producer
    assert isinstance(producer, MemoryProducer)
    producer.reachable = False


def publish_again(_: Scene, one: Instance) -> None:
    producer = one.loop._parts.producer
    assert isinstance(producer, MemoryProducer)
    producer.reachable = True


def wait_a_minute(_: Scene, one: Instance) -> None:
    observe(one, 61.0)


def lose_all_partitions(scene: Scene, one: Instance) -> None:
    scene.group.assign({})
    observe(one)


def get_a_partition(scene: Scene, one: Instance) -> None:
    scene.group.balance()
    observe(one)
    scene.settle(one)


def come_back_without_answers(scene: Scene, one: Instance) -> None:
    """The changelog's reader hangs."""
    scene.group.assign({})
    one.turn(5)
    assert one.changelog_reader is not None
    one.changelog_reader.poll = lambda max_records: None  # type: ignore[method-assign]
    scene.group.balance()
    one.turn(5)
    observe(one, 30.0)


def answer_again(scene: Scene, one: Instance) -> None:
    assert one.changelog_reader is not None
    del one.changelog_reader.poll
    scene.settle(one)
    observe(one)


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """How an instance gets stuck, what it says, and how it gets going again."""

    code: str
    says: str
    cause: Deed
    mend: Deed


CASES = (
    Case(
        code="changelog_too_narrow",
        says="input partitions 1 wait for topic 'stream-vae-changelog'",
        cause=widen_input,
        mend=widen_changelog,
    ),
    Case(
        code="all_partitions_held",
        says="kafka-topics.sh --alter",
        cause=take_the_served_partition,
        mend=widen_changelog,
    ),
    Case(
        code="nothing_read",
        says="none of the last 121 records gave a reading: 120 name none of the model's features "
        "(f0, f1, f2), but timestamp; 1 are dead letters, most of them not_json (",
        cause=send_nothing_of_the_model,
        mend=send_all,
    ),
    Case(
        code="features_not_observed",
        says="1 of 3 features never observed: f1",
        cause=send_without_one,
        mend=send_all,
    ),
    Case(
        code="nothing_judged",
        says="no reading has been judged for 30",
        cause=send_new_keys,
        mend=send_all,
    ),
    Case(
        code="lag_growing",
        says="did 5 minutes ago: the input is faster than this instance",
        cause=outrun,
        mend=lose_all_partitions,
    ),
    Case(
        code="worker_behind",
        says="the input is paused until the model has caught up: 80 readings",
        cause=hold_the_model,
        mend=let_the_model_go,
    ),
    Case(
        code="partition_stalled",
        says="partition 0 is stuck: nothing was read for 6",
        cause=stop_fetching,
        mend=fetch_again,
    ),
    Case(code="broker_unreachable", says="no broker answers", cause=cut_off, mend=reconnect),
    Case(
        code="broker_unreachable",
        says="no broker answers",
        cause=publish_in_vain,
        mend=publish_again,
    ),
    Case(
        code="input_idle",
        says="all input is read, no record has come for 6",
        cause=wait_a_minute,
        mend=send_all,
    ),
    Case(
        code="no_partitions",
        says="no partition is assigned",
        cause=lose_all_partitions,
        mend=get_a_partition,
    ),
    Case(
        code="restoring",
        says="partition 0 is being restored for 3",
        cause=come_back_without_answers,
        mend=answer_again,
    ),
)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.code)
def test_who_is_stuck_or_idle_says_why_until_it_is_mended(case: Case) -> None:
    """Control: before and after, there is nothing to say of it."""
    scene = Scene(kafka={"poll_records": 1 if case.code == "lag_growing" else 16})
    if case.code != "features_not_observed":
        scene.feed_series("s", range(20))
    one = scene.start()
    scene.settle(one)
    observe(one)
    assert case.code not in conditions_of(one)

    case.cause(scene, one)
    assert case.says in conditions_of(one)[case.code]
    readiness, means = one.loop.readiness(), CONDITIONS[case.code]
    assert readiness.status == {"blocking": "failed", "fault": "degraded", "idle": "ok"}[means]
    assert case.says in readiness.reason
    observe(one)
    assert case.code in one.events.of(InstanceObserved)[-1].conditions
    assert one.loop.liveness().is_ok, "a restart would mend none of them"

    case.mend(scene, one)
    assert case.code not in conditions_of(one)
    assert one.loop.readiness().status == "ok", one.loop.readiness().reason


def test_a_partition_of_which_nothing_is_heard_is_stuck_and_an_empty_one_is_not() -> None:
    for is_heard in (False, True):
        scene = Scene()
        one = scene.start()
        if not is_heard:
            one.consumer._fetch = lambda max_records: []  # type: ignore[method-assign]
        one.turn_until(lambda one=one: one.partitions.live)  # type: ignore[misc]  # bound here
        observe(one)
        observe(one, 61.0)
        assert ("partition_stalled" in conditions_of(one)) is not is_heard


def test_every_condition_is_tried_here_or_where_it_arises() -> None:
    """Those are in test_decoder_gate, test_loop, test_misfit_stream and test_log_stream."""
    elsewhere = {"decoding_held", "not_in_group", "stream_step_differs", "lines_unknown"}
    assert {case.code for case in CASES} == CONDITIONS.keys() - elsewhere


def test_the_status_tells_how_far_each_partition_is_and_what_is_known_of_series() -> None:
    scene = Scene(2)
    scene.feed_series("s", range(40), anomalies=range(35, 40))
    scene.feed_series("s", range(20), partition=1)  # a producer that does not keep to one
    one = scene.start()
    assert status_of(one)["partitions"] == []
    scene.settle(one)
    observe(one)
    found = status_of(one)
    first = {"topic": "stream-vae.readings", "partition": 0, "phase": "live", "position": 40}
    assert found["partitions"][0] == first | {
        "committed": 40,
        "lag_records": 0,
        "lag_s": 0.0,
        "stalled_s": 0.0,
        "restoring_s": 0.0,
    }
    assert found["incidents"] == {"open": 1, "anomaly": 1, "silence": 0}
    assert found["series"]["active"] == found["series"]["warmed_up"] == 2
    assert found["series"]["in_several_partitions"] == 1
    assert found["last_verdict"]["s_ago"] < 60
    assert found["detectors"][0]["model_id"] == "squares"
    assert found["observed_s_ago"] < 2
    scene.kafka.clock.sleep(100.0)
    assert status_of(one)["observed_s_ago"] > 100, "a loop that stands still cannot look fresh"


def test_lag_in_seconds_is_the_age_of_what_waits_and_grows_while_nothing_is_fetched() -> None:
    scene = Scene(kafka={"poll_records": 4})
    scene.feed_series("s", range(200))
    scene.kafka.clock.sleep(3600.0)
    one = scene.start()
    one.turn_until(lambda: one.partitions.positions.get(0, 0) > 0)
    observe(one)

    def lag_s() -> float:
        return one.events.of(InstanceObserved)[-1].lag_seconds[0]

    assert 3600 < lag_s() < 3610
    scene.settle(one)
    observe(one)
    assert lag_s() == 0
    one.faults.unavailable = 10_000  # all was read, and nobody knows what has come since
    for _ in range(3):
        observe(one, 30.0)
    assert 85 < lag_s() < 100
    one.faults.unavailable = 0
    observe(one)
    assert lag_s() == 0
    scene.kafka.clock.sleep(7200.0)
    observe(one)
    scene.feed_series("s", range(200, 240))
    observe(one)
    assert 0 < lag_s() < 10, "the topic was at rest, and nothing waited"


def test_a_series_of_which_nothing_can_be_judged_is_counted_beside_those_that_are() -> None:
    scene = Scene()
    for step in range(60):
        scene.feed("seen", [reading(step)])
        partly = {"timestamp": START_S + step, "f0": 0.1 if step % 3 == 0 else None}
        scene.feed("blind", [json.dumps(partly).encode()])
    one = scene.start()
    scene.settle(one)
    observe(one)
    assert status_of(one)["series"]["blind_examples"] == ["blind"]
    assert one.events.of(SeriesCounted)[-1].blind == 1
    scene.feed_series("blind", range(60, 80))
    scene.settle(one)
    observe(one)
    assert one.events.of(SeriesCounted)[-1].blind == 0


def test_records_of_which_nothing_is_read_are_told_of_once_until_one_is() -> None:
    scene = Scene()
    one = scene.start()
    for begin in (0, 1000):
        feed_without(scene, "f0", "f1", "f2", begin=begin, n=300)
        scene.feed_series("s", range(begin + 300, begin + 302))
        scene.settle(one)
    told = one.events.of(NothingRead)
    assert [(e.without_feature, e.rejected) for e in told] == [(e.records, 0) for e in told]
    assert len(told) == 2


def test_unseen_templates_are_told_once_a_minute_if_there_are_more(
    make_readings: Callable[..., ReadingBatch],
) -> None:
    scene = Scene()
    one = scene.start("a")
    scene.feed_series("s", range(5))
    scene.settle(one)
    assert status_of(one)["unseen_templates"] == []
    one.pipeline.unseen_lines = found = UnseenLines(mine(["request 1 served"]))

    def add(*texts: str) -> None:
        n = len(texts)
        lines = make_readings([0] * n, ["web-1"] * n, np.zeros((n, 1)))
        found.add(replace(lines, unseen=np.array(texts, object)))

    def see(*texts: str) -> int:
        add(*texts)
        observe(one, 61.0)
        return len(one.events.of(UnseenTemplates))

    assert see("disk 1 full", "disk 2 is \x1b[2J", "disk 3 full") == 1
    [told] = one.events.of(UnseenTemplates)
    assert (told.lines, told.templates[0]) == (3, "2 x disk <*> full")
    first, second = status_of(one)["unseen_templates"]
    assert first == {"template": "disk <*> full", "lines": 2, "example": "disk 1 full"}
    assert "\x1b" not in second["example"] + second["template"]
    assert see() == 1
    assert see("disk 4 full") == 2
    observe(one, 2.0)
    add("disk 5 full")
    observe(one, 2.0)
    assert len(one.events.of(UnseenTemplates)) == 2
