"""A series whose key goes on in another partition."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from stream_vae.core.records import RecordBatch
from stream_vae.detect.config import SilenceConfig
from stream_vae.errors import KafkaUnavailableError
from stream_vae.events import KeySearchUnfinished, SeriesEvicted
from tests.memory_kafka import consumer, reader
from tests.memory_kafka.columns import record_batch
from tests.memory_kafka.consumer import MemoryOffsets
from tests.memory_kafka.instance import Instance
from tests.memory_kafka.partition_log import PartitionLog
from tests.memory_kafka.scene import Scene

WATCHED = SilenceConfig(intervals=10.0, at_least_s=15.0)
QUICK = SilenceConfig(intervals=3.0, at_least_s=1.0)
"""Tells of a silence before it can be said that a series has moved."""
UNWATCHED = SilenceConfig(intervals=0)


def scene_of(silence: SilenceConfig = WATCHED, partitions: int = 2) -> Scene:
    return Scene(partitions, detect={"silence": silence})


def send(
    scene: Scene, one: Instance, steps: range, partition: int, anomalies: range = range(0)
) -> None:
    """Send a reading a second, which is taken in at once."""
    for step in steps:
        scene.feed_series("s", range(step, step + 1), anomalies=anomalies, partition=partition)
        one.turn(3)
        scene.kafka.clock.sleep(0.9)


def pause(scene: Scene, one: Instance, seconds: int) -> None:
    for _ in range(seconds):
        one.turn(3)
        scene.kafka.clock.sleep(0.9)


def told(scene: Scene) -> list[tuple[str, str]]:
    return [(event["kind"], event["status"]) for event in scene.alerts()]


def moved(one: Instance) -> int:
    return sum(event.count for event in one.events.of(SeriesEvicted) if event.reason == "moved")


@pytest.mark.parametrize(
    "silence", [WATCHED, QUICK, UNWATCHED], ids=["watched", "quick", "unwatched"]
)
@pytest.mark.parametrize("restart", [False, True])
def test_its_incident_is_resolved_with_the_reason_and_no_silence_is_told_of(
    silence: SilenceConfig, *, restart: bool
) -> None:
    scene = scene_of(silence)
    one = scene.start()
    scene.settle_empty(one)
    send(scene, one, range(40), 0, range(35, 40))
    assert told(scene) == [("anomaly", "firing")]
    if restart:
        one.stop()
        one = scene.start("b")
    send(scene, one, range(40, 90), 1)
    assert told(scene) == [("anomaly", "firing"), ("anomaly", "resolved")]
    summary = scene.alerts()[-1]["summary"]
    assert summary.startswith("s sends in another partition now; scored as anomalous for 5 s")
    assert moved(one) == 1
    assert one.pipeline.n_series == 1
    one.stop()
    assert set(scene.state().rows) == {(1, "s")}


def two_instances(scene: Scene) -> tuple[Instance, Instance]:
    """Return two that own a partition each."""
    scene.feed_series("other", range(1), partition=0)
    scene.feed_series("other", range(1), partition=1)
    one, two = scene.start("a"), scene.start("b")
    scene.group.assign({"a": [0], "b": [1]})
    scene.settle(one, two)
    return one, two


def send_to_both(
    scene: Scene, both: tuple[Instance, Instance], steps: range, partition: int, **more: range
) -> None:
    for step in steps:
        scene.feed_series("s", range(step, step + 1), partition=partition, **more)
        for one in both:
            one.turn(3)
        scene.kafka.clock.sleep(0.9)


@pytest.mark.parametrize(
    "silence", [WATCHED, QUICK, UNWATCHED], ids=["watched", "quick", "unwatched"]
)
def test_its_incident_is_resolved_where_another_instance_has_the_new_partition(
    silence: SilenceConfig,
) -> None:
    scene = scene_of(silence)
    both = two_instances(scene)
    send_to_both(scene, both, range(40), 0, anomalies=range(35, 40))
    assert told(scene) == [("anomaly", "firing")]
    send_to_both(scene, both, range(40, 90), 1)
    assert told(scene) == [("anomaly", "firing"), ("anomaly", "resolved")]
    assert scene.alerts()[-1]["reason"] == "moved"
    assert [moved(one) for one in both] == [1, 0]


def test_it_is_found_beside_a_partition_whose_broker_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    scene = scene_of(partitions=3)
    for partition in range(3):
        scene.feed_series("other", range(1), partition=partition)
    both = scene.start("a"), scene.start("b")
    scene.group.assign({"a": [0], "b": [1, 2]})
    scene.settle(*both)
    usual = MemoryOffsets.since

    def since(offsets: MemoryOffsets, partition: int, time_ns: int) -> int | None:
        if partition == 2:
            scene.kafka.clock.sleep(1.0)
            raise KafkaUnavailableError("no answer")
        return usual(offsets, partition, time_ns)

    monkeypatch.setattr(MemoryOffsets, "since", since)
    send_to_both(scene, both, range(40), 0)
    send_to_both(scene, both, range(40, 90), 1)
    assert told(scene) == []
    assert [moved(one) for one in both] == [1, 0]


@pytest.mark.parametrize("hangs_for_s", [50.0, 1000.0])
def test_a_search_that_is_not_finished_in_time_is_repeated_and_that_is_told(
    monkeypatch: pytest.MonkeyPatch, hangs_for_s: float
) -> None:
    """No silence is told of a series that sends there; nor is one hidden for good: the control."""
    scene = scene_of(partitions=3)
    for partition in range(3):
        scene.feed_series("other", range(1), partition=partition)
    both = scene.start("a"), scene.start("b")
    scene.group.assign({"a": [0], "b": [1, 2]})
    scene.settle(*both)
    clock, usual = scene.kafka.clock, MemoryOffsets.since
    send_to_both(scene, both, range(40), 0)
    until = clock.monotonic() + hangs_for_s

    def since(offsets: MemoryOffsets, partition: int, time_ns: int) -> int | None:
        if partition == 2 and clock.monotonic() < until:
            clock.sleep(1.0)
            raise KafkaUnavailableError("no answer")
        return usual(offsets, partition, time_ns)

    monkeypatch.setattr(MemoryOffsets, "since", since)
    send_to_both(scene, both, range(40, 240), 2)
    found = [(e.partitions, e.series, e.is_last) for e in both[0].events.of(KeySearchUnfinished)]
    if hangs_for_s < 100:
        assert told(scene) == []
        assert moved(both[0]) == 1
        assert 1 <= len(found) <= 2
        assert set(found) == {((2,), 1, False)}
    else:
        assert told(scene) == [("silence", "firing")]
        assert found[:3] == [((2,), 1, False), ((2,), 1, False), ((2,), 1, True)]


def test_it_is_found_where_producers_are_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    """By eight intervals; the records are timed by them."""
    append = PartitionLog.append

    def append_late(log: PartitionLog, time_ns: int, *rest: Any) -> int:
        return append(log, time_ns - 8 * 10**9, *rest)

    def batch(topic: str, found: Any) -> RecordBatch | None:
        records = record_batch(topic, found)
        return None if records is None else replace(records, timed_by_broker=False)

    monkeypatch.setattr(PartitionLog, "append", append_late)
    for client in (consumer, reader):
        monkeypatch.setattr(client, "record_batch", batch)
    scene = scene_of()
    both = two_instances(scene)
    send_to_both(scene, both, range(20), 0)
    send_to_both(scene, both, range(20, 45), 1)
    assert told(scene) == []
    assert [moved(one) for one in both] == [1, 0]


def test_it_is_found_in_a_partition_that_is_not_restored_yet(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    scene = scene_of()
    one, two = both = two_instances(scene)
    send_to_both(scene, both, range(40), 0)
    two.stop()

    def committed(_offsets: MemoryOffsets, _partitions: object) -> dict[int, int]:
        raise KafkaUnavailableError("no answer")

    monkeypatch.setattr(MemoryOffsets, "committed", committed)
    scene.group.assign({"a": [0, 1]})
    send(scene, one, range(40, 90), 1)
    assert one.partitions.live == {0}
    assert told(scene) == []


def test_brokers_that_hang_take_a_part_of_the_time_and_hide_no_silence_elsewhere(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    scene = scene_of(partitions=6)
    one = scene.start()
    scene.settle_empty(one)
    for step in range(20):
        for partition in range(6):
            scene.feed_series("s", range(step, step + 1), partition=partition)
        one.turn(4)
        scene.kafka.clock.sleep(0.9)
    clock, usual, turns = scene.kafka.clock, one.consumer.is_at_end, []

    def is_at_end(partition: int) -> bool:
        if partition < 5:
            clock.sleep(1.0)
        return partition == 5 and usual(partition)

    monkeypatch.setattr(one.consumer, "is_at_end", is_at_end)
    began = clock.monotonic()
    while clock.monotonic() < began + 50:
        at = clock.monotonic()
        one.turn()
        turns.append(clock.monotonic() - at)
        clock.sleep(0.1)
    assert told(scene) == [("silence", "firing")]
    assert max(turns) < 2
    assert len(turns) > 250, "of 417 where all answer"


def test_a_silence_ends_when_the_key_sends_to_another_instance_at_last() -> None:
    """Until then it is one: the control. It is searched for again and again."""
    scene = scene_of()
    both = two_instances(scene)
    send_to_both(scene, both, range(40), 0)
    for _ in range(40):
        for one in both:
            one.turn(3)
        scene.kafka.clock.sleep(0.9)
    assert told(scene) == [("silence", "firing")]
    scene.kafka.clock.sleep(700.0)
    send_to_both(scene, both, range(800, 830), 1)
    assert told(scene) == [("silence", "firing"), ("silence", "resolved")]
    assert scene.alerts()[-1]["reason"] == "moved"


def test_a_series_that_sends_nowhere_is_told_of() -> None:
    """The control: the same pause, and the key is nowhere else."""
    scene = scene_of()
    one = scene.start()
    scene.settle_empty(one)
    send(scene, one, range(40), 0)
    pause(scene, one, 40)
    assert told(scene) == [("silence", "firing")]
    assert moved(one) == 0


def test_a_silence_that_was_told_of_before_ends_when_the_key_sends_elsewhere() -> None:
    scene = scene_of()
    one = scene.start()
    scene.settle_empty(one)
    send(scene, one, range(40), 0)
    pause(scene, one, 40)
    send(scene, one, range(80, 84), 1)
    assert told(scene) == [("silence", "firing"), ("silence", "resolved")]
    assert moved(one) == 1


@pytest.mark.parametrize(
    "seed", [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in (1, 2))]
)
def test_a_key_that_a_producer_spreads_over_partitions_keeps_all_its_rows(seed: int) -> None:
    scene, chosen = scene_of(QUICK, partitions=3), np.random.default_rng(seed)
    one = scene.start()
    scene.settle_empty(one)
    for step in range(250):
        send(scene, one, range(step, step + 1), int(chosen.integers(3)))
    assert moved(one) == 0
    assert one.pipeline.n_series == 3
    assert told(scene) == []


@pytest.mark.parametrize("kind", ["anomaly", "silence"])
def test_what_opens_at_one_step_in_several_partitions_are_several_incidents(kind: str) -> None:
    """A consumer drops what it has seen by id and sequence: each is told to its end."""
    scene = scene_of(partitions=3)
    one = scene.start()
    scene.settle_empty(one)
    anomalies = range(35, 40) if kind == "anomaly" else ()
    for step in range(40):
        for partition in range(3):
            steps = range(step, step + 1)
            scene.feed_series("s", steps, anomalies=anomalies, partition=partition)
        one.turn(4)
        scene.kafka.clock.sleep(0.9)
    pause(scene, one, 40 if kind == "silence" else 0)
    for partition in range(3):
        scene.feed_series("s", range(80, 120), partition=partition)
    scene.settle(one)
    events = [event for event in scene.alerts() if event["kind"] == kind]
    assert len({event["starts_at"] for event in events}) == 1, "control"
    assert [event["status"] for event in events].count("resolved") == 3
    ids = [(event["source"]["partition"], event["incident_id"]) for event in events]
    assert len(set(ids)) == len({identity for _, identity in ids}) == 3


def test_what_is_still_to_be_read_keeps_a_row(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody can say that a series has left a partition that is not read to its end."""
    scene = scene_of()
    one = scene.start()
    scene.settle_empty(one)
    send(scene, one, range(40), 0)

    def not_at_end(partition: int) -> bool:
        return partition != 0

    monkeypatch.setattr(one.consumer, "is_at_end", not_at_end)
    send(scene, one, range(40, 80), 1)
    assert moved(one) == 0
    monkeypatch.undo()
    send(scene, one, range(80, 82), 1)
    assert moved(one) == 1


def test_a_series_that_comes_back_begins_anew() -> None:
    scene = scene_of()
    one = scene.start()
    scene.settle_empty(one)
    send(scene, one, range(40), 0)
    send(scene, one, range(40, 80), 1)
    send(scene, one, range(80, 120), 0)
    assert moved(one) == 2
    assert told(scene) == []
    rows: dict[Any, Any] = scene.state().rows
    assert one.pipeline.n_series == 1
    assert (1, "s") not in rows
