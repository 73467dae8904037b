"""A start that is not cold: from the history in the topic."""

import dataclasses

from tests.system.harness import as_records, sine_values, with_anomaly
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
