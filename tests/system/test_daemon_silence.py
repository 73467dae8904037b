"""Series that stop, on a real broker: told once, by the wall clock, across restarts."""

from tests.system.harness import as_records, sine_values
from tests.system.scene import Scene, await_true
from tests.system.test_daemon_state import told

QUIET = {"detect__silence__intervals": 0.05, "detect__silence__at_least_s": 3.0}
"""Three seconds at steps of a minute."""


def test_a_silence_opens_once_survives_a_restart_and_ends_with_the_next_reading(
    scene: Scene,
) -> None:
    for i in range(2):
        scene.kafka.produce(scene.topics.input, as_records(sine_values(40, seed=i), f"s{i}"))
    with scene.daemon(**QUIET) as first:
        await_true(lambda: len(told(scene)) == 2, "both silences")
        assert first.stop() == 0
    with scene.daemon(**QUIET) as second:
        second.wait_for("state_restored", state="restored")
        later = as_records(sine_values(3, seed=9, first=40), "s0", first=40)
        scene.kafka.produce(scene.topics.input, later)
        scene.await_committed({0: 83}, second)
        await_true(lambda: len(told(scene)) == 4, "s0 is silent again")
        assert second.stop() == 0
    events = told(scene)
    assert {event["kind"] for event in events} == {"silence"}
    by_series = {
        key: [(e["incident_id"], e["sequence"], e["status"]) for e in events if key in e["summary"]]
        for key in ("s0", "s1")
    }
    first_id, again_id = by_series["s0"][0][0], by_series["s0"][2][0]
    assert first_id != again_id
    assert by_series["s0"] == [
        (first_id, 0, "firing"),
        (first_id, 1, "resolved"),
        (again_id, 0, "firing"),
    ]
    assert [status for _, _, status in by_series["s1"]] == ["firing"]
    opened = events[0]
    assert opened["p_value"] is None
    assert opened["features"] == []
    assert opened["score"] > opened["threshold"] == 3.0
