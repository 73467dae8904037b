"""A model slower than its input, and a stop in the middle of it."""

from tests.system.broker import KafkaCluster
from tests.system.scene import Scene, mixed_stream, poison


def test_a_daemon_behind_its_input_pauses_goes_on_and_drains_when_told_to_stop(
    kafka: KafkaCluster, scene: Scene
) -> None:
    """Whatever it has consumed it finishes and commits; the rest it leaves where it is."""
    records = mixed_stream(5, 300)
    kafka.produce(scene.topics.input, records)
    slow = {
        "worker__samples": 1024,
        "worker__max_batch": 16,
        "worker__max_in_flight": 16,
        "logging__summary_period_s": 0.1,
    }
    with scene.daemon(**slow, kafka__poll_records=150) as daemon:
        daemon.wait_for("consumption_paused", 60)
        daemon.wait_for("consumption_resumed", 60, count=2)
        assert daemon.stop() == 0
        summaries = daemon.find("summary")
        others = [event for event in daemon.events if event not in summaries]

    committed = scene.committed()[0]
    assert 150 < committed < len(records), "control: stopped in mid-stream"
    assert sum(summary["records"] for summary in summaries) == committed, "all in flight is kept"
    taken = {value for _, value in records[:committed]}
    expected = [value for _, value in poison(0, len(records)) if value in taken]
    assert scene.dead_letters() == expected, "pausing lost nothing"
    assert sum(summary["readings"] for summary in summaries) == committed - len(expected)
    assert len(summaries) > 2
    assert len(others) < 30, "nothing is logged per reading, whatever the level"
