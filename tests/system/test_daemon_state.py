"""State that survives: interrupted daemons say what an undisturbed one says, on a real broker."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.system.cluster import KafkaCluster, Record
from tests.system.harness import Topics, as_records, sine_values, with_anomaly
from tests.system.incident_names import rename_incident
from tests.system.scene import Scene
from tests.system.state import read_state

SERIES, STEPS = 6, 160


def stream() -> list[Record]:
    """Return readings step by step, with long and short anomalies all over the stream."""
    series = []
    for i in range(SERIES):
        values = sine_values(STEPS, seed=i)
        for at, length in ((20 + 3 * i, 4), (50 + 5 * i, 25), (110 + 4 * i, 9)):
            values = with_anomaly(values, at, length)
        series.append(as_records(values, f"s{i}"))
    return [record for step in zip(*series, strict=True) for record in step]


def told(scene: Scene) -> list[dict[str, Any]]:
    """Return all alert events but for what may differ between two daemons on two topics."""
    events = []
    for message in scene.kafka.consume_all(scene.topics.alerts):
        event = json.loads(message.value() or b"")
        rename_incident(event)
        del event["detected_at"], event["detector"]["instance"], event["source"]["topic"]
        events.append(event)
    return events


def identity(event: dict[str, Any]) -> tuple[str, int]:
    return event["incident_id"], event["sequence"]


@pytest.fixture
def oracle(kafka: KafkaCluster, small_bundle: Path, tmp_path: Path) -> Scene:
    """The same stream through one daemon that nothing happens to."""
    scene = Scene(
        kafka=kafka,
        topics=Topics.create(kafka),
        bundle=small_bundle,
        directory=tmp_path / "oracle",
    )
    scene.directory.mkdir()
    kafka.produce(scene.topics.input, stream())
    with scene.daemon() as daemon:
        scene.await_committed({0: SERIES * STEPS}, daemon)
        assert daemon.stop() == 0
    return scene


@pytest.mark.parametrize("protocol", ["consumer", "classic"])
def test_partitions_move_with_their_state(
    kafka: KafkaCluster, small_bundle: Path, tmp_path: Path, protocol: str
) -> None:
    """A second instance joins within incidents, then the first one leaves."""
    records, n = stream(), 3
    scenes = []
    for name in ("moved", "oracle"):
        directory = tmp_path / name
        directory.mkdir()
        topics = Topics.create(kafka, partitions=n)
        scenes.append(Scene(kafka=kafka, topics=topics, bundle=small_bundle, directory=directory))
    scene, oracle = scenes

    def produce(to: Scene, begin: int, end: int) -> None:
        for p in range(n):
            here = [record for record in records[begin:end] if int(str(record[0])[-2]) % n == p]
            to.kafka.produce(to.topics.input, here, partition=p)

    produce(oracle, 0, len(records))
    ends = {p: len(records) // n for p in range(n)}
    with oracle.daemon() as daemon:
        oracle.await_committed(ends, daemon)
        assert daemon.stop() == 0
    settings = {"kafka__group_protocol": protocol, "kafka__session_timeout_s": 6.0}
    with scene.daemon(**settings) as first:
        produce(scene, 0, 300)
        scene.await_committed(dict.fromkeys(range(n), 100), first)
        with scene.daemon(**settings) as second:
            second.wait_for("state_restored", 30, state="restored")
            produce(scene, 300, 600)
            scene.await_committed(dict.fromkeys(range(n), 200), first, second)
            assert first.stop() == 0
            produce(scene, 600, len(records))
            scene.await_committed(ends, second)
            assert second.stop() == 0
    assert sorted(told(scene), key=identity) == sorted(told(oracle), key=identity)


def test_interrupted_daemons_say_and_remember_what_an_undisturbed_one_does(
    scene: Scene, oracle: Scene
) -> None:
    """Stopped within incidents, killed without notice, killed again while restoring."""
    records, begin = stream(), 0
    for end, kill in ((170, False), (420, True), (700, True), (len(records), False)):
        scene.kafka.produce(scene.topics.input, records[begin:end])
        begin = end
        with scene.daemon(state__snapshot_interval_s=0.3, kafka__poll_records=50) as daemon:
            scene.await_committed({0: end}, daemon)
            if kill:
                daemon.sigkill()
            else:
                assert daemon.stop() == 0
            assert daemon.stray_lines == []
    assert len(told(oracle)) > 3 * SERIES
    assert told(scene) == told(oracle)
    ours, theirs = (
        read_state(one.kafka, f"{one.topics.group}-changelog") for one in (scene, oracle)
    )
    # The same readings were produced twice, at other times: what partitions remember are times.
    of_ours, of_theirs = (
        {name: parts for name, parts in one.comparable().items() if "/" in name}
        for one in (ours, theirs)
    )
    assert of_ours == of_theirs
    assert len(ours.rows) == SERIES
