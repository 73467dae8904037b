"""State that survives: interrupted daemons say what an undisturbed one says, on a real broker."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.system.cluster import KafkaCluster, Record
from tests.system.harness import Topics, as_records, sine_values, with_anomaly
from tests.system.scene import Scene
from tests.system.state import read_state

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(240)]

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
        del event["detected_at"], event["detector"]["instance"], event["source"]["topic"]
        events.append(event)
    return events


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
    assert ours.comparable() == theirs.comparable()
    assert len(ours.rows) == SERIES
