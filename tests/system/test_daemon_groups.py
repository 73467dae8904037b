"""Names, protocols and positions within a consumer group."""

from pathlib import Path

import pytest

from tests.system.broker import KafkaCluster, RealKafka
from tests.system.harness import Topics
from tests.system.scene import Scene, poison


def test_a_name_belongs_to_the_newest_instance_that_bears_it(scene: Scene) -> None:
    """With the protocol `consumer`, whose group refuses a name while it is in use.

    The older of two is fenced and says why; one that was killed is waited for.
    """
    named = {
        "kafka__instance_id": "pod-0",
        "kafka__group_protocol": "consumer",
        "kafka__transaction_timeout_s": 3.0,
    }
    with scene.daemon(**named) as older:
        scene.kafka.produce(scene.topics.input, poison(0, 10))
        scene.await_committed({0: 10}, older)
        with scene.daemon(**named) as newer:
            delayed = newer.wait_for("consumption_delayed", 60)
            assert "UNRELEASED_INSTANCE_ID" in delayed["detail"]
            assert older.exit_code is None, "an idle one has not noticed yet"
            scene.kafka.produce(scene.topics.input, poison(10, 20))
            assert older.wait(30) == 1
            failed = older.find("daemon_failed")[0]
            assert failed["error"] == "FencedError"
            assert "another instance has the name of this one" in failed["detail"]
            assert "pod-0" in failed["detail"]
            scene.await_committed({0: 20}, newer)
            newer.sigkill()
        scene.kafka.produce(scene.topics.input, poison(20, 30))
        with scene.daemon(**named) as restarted:
            scene.await_committed({0: 30}, restarted)
            assert restarted.stop() == 0
    assert scene.dead_letters() == [value for _, value in poison(0, 30)]


def test_of_two_instances_with_one_name_the_older_ends_in_a_classic_group_too(scene: Scene) -> None:
    """There the group lets the newer one in at once."""
    named = {"kafka__instance_id": "pod-0", "kafka__group_protocol": "classic"}
    with scene.daemon(**named) as older:
        scene.kafka.produce(scene.topics.input, poison(0, 10))
        scene.await_committed({0: 10}, older)
        with scene.daemon(**named) as newer:
            newer.wait_for("partitions_assigned", 60)
            scene.kafka.produce(scene.topics.input, poison(10, 20))
            assert older.wait(60) == 1
            assert older.find("daemon_failed")[0]["error"] == "FencedError"
            scene.await_committed({0: 20}, newer)
            assert newer.stop() == 0
    assert scene.dead_letters() == [value for _, value in poison(0, 20)]


def test_auto_takes_the_classic_protocol_where_brokers_offer_no_other(
    kafka: KafkaCluster, small_bundle: Path, tmp_path: Path
) -> None:
    """Control: asked for `consumer` by name, the daemon does not settle for less."""
    if not isinstance(kafka, RealKafka):
        pytest.skip("STREAM_VAE_TEST_BOOTSTRAP names the only broker of this run")
    old = RealKafka.create(tmp_path / "kafka", {"group.coordinator.rebalance.protocols": "classic"})
    try:
        topics = Topics.create(old)
        scene = Scene(kafka=old, topics=topics, bundle=small_bundle, directory=tmp_path)
        old.produce(topics.input, poison(0, 10))
        with (
            scene.daemon(kafka__group_protocol="auto") as flexible,
            scene.daemon(kafka__group_protocol="consumer", kafka__group_id="other") as strict,
        ):
            scene.await_committed({0: 10}, flexible)
            assert "taking `classic`" in flexible.find("consumption_delayed")[0]["detail"]
            assert flexible.stop() == 0
            assert strict.wait(60) == 1
            assert "UNSUPPORTED_VERSION" in strict.find("daemon_failed")[0]["detail"]
    finally:
        old.kill()
