"""Starts that are not cold: from the topic's history, and by another model than the last."""

import dataclasses
from pathlib import Path

import pytest

from tests.system.harness import as_records, sine_values, train_small_bundle, with_anomaly
from tests.system.scene import Scene, metric
from tests.system.test_daemon_state import told

SERIES = [f"s{i}" for i in range(3)]
STEPS = 120
ANOMALY = range(70, 90)


def produce(scene: Scene, begin: int, end: int) -> None:
    for i, series in enumerate(SERIES):
        values = with_anomaly(sine_values(STEPS, seed=i), ANOMALY.start, len(ANOMALY))
        records = as_records(values[begin:end], series, first=begin)
        scene.kafka.produce(scene.topics.input, records)


def test_a_new_daemon_warms_up_from_history_and_says_nothing_of_it(scene: Scene) -> None:
    """Control: without, it begins with series that have not filled a window."""
    produce(scene, 0, 80)
    n = len(SERIES)
    group = f"{scene.topics.group}-cold"
    names = dataclasses.replace(scene.topics, group=group, alerts=f"{group}.alerts")
    cold = dataclasses.replace(scene, topics=names)
    with (
        scene.daemon(kafka__start="history") as daemon,
        cold.daemon(kafka__start="latest") as control,
    ):
        restored = daemon.wait_for("state_restored")
        assert (restored["state"], restored["replayed"]) == ("history", 80 * n)
        control.wait_for("state_restored", state="cold")
        cold.await_committed({0: 80 * n}, control)
        produce(scene, 80, STEPS)
        scene.await_committed({0: STEPS * n}, daemon)
        cold.await_committed({0: STEPS * n}, control)
        warming_up = [
            metric(one, "readings_judged_total", verdict="warming_up") for one in (daemon, control)
        ]
        assert warming_up == [0, 7 * n]
        assert daemon.stop() == 0
    events = told(scene)
    assert {event["series"]["key"] for event in events} == set(SERIES)
    assert all(event["starts_at"] >= "2026-01-01T01:18" for event in events), "history is mute"


def test_history_is_bounded_by_readings(scene: Scene) -> None:
    produce(scene, 0, 50)
    with scene.daemon(kafka__start="history", state__history_readings=10) as daemon:
        assert daemon.wait_for("state_restored")["replayed"] == 10


@pytest.mark.parametrize(
    ("window_length", "state"), [(8, "carried over"), (12, "history")], ids=["same", "other"]
)
def test_an_incident_outlives_a_change_of_the_model(
    scene: Scene, tmp_path: Path, window_length: int, state: str
) -> None:
    """It was opened by one model and is resolved by the next, without a warm-up in between."""
    n = len(SERIES)
    produce(scene, 0, 80)
    with scene.daemon() as first:
        scene.await_committed({0: 80 * n}, first)
        assert first.stop() == 0
    before = told(scene)
    assert [e["status"] for e in before].count("firing") >= n
    bundle = train_small_bundle(tmp_path / "other", window_length=window_length, seed=8)
    produce(scene, 80, STEPS)
    with scene.daemon(bundle__path=str(bundle)) as second:
        restored = second.wait_for("state_restored")
        discarded = (n, "warning") if state == "history" else (0, "info")
        assert restored["state"] == state
        assert (restored["series_discarded"], restored["level"]) == discarded
        assert ("; 8 steps" in restored["detail"]) is (state == "history")
        scene.await_committed({0: STEPS * n}, second)
        assert metric(second, "readings_judged_total", verdict="warming_up") == 0
        assert second.stop() == 0
    after = told(scene)[len(before) :]
    resolved = {e["incident_id"] for e in after if e["status"] == "resolved"}
    opened = {e["incident_id"] for e in before if e["sequence"] == 0}
    open_then = opened - {e["incident_id"] for e in before if e["status"] == "resolved"}
    assert len(open_then) == n
    assert open_then <= resolved
    with scene.daemon(bundle__path=str(bundle)) as third:
        assert third.wait_for("state_restored")["state"] == "restored"
