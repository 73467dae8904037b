"""A changelog that is deleted, on a real broker."""

from confluent_kafka.admin import AdminClient

from tests.system.harness import as_records, sine_values
from tests.system.scene import Scene, await_true


def test_one_that_was_deleted_is_refused_by_name_until_another_is_named(scene: Scene) -> None:
    """The same name again is no way out: nobody would hear of what was lost."""
    changelog, records = f"{scene.topics.group}-changelog", as_records(sine_values(40, seed=1), "s")
    admin = AdminClient({"bootstrap.servers": scene.kafka.bootstrap})
    scene.kafka.produce(scene.topics.input, records)
    for _ in range(2):  # control: a restart on the same topic is welcome
        with scene.daemon() as daemon:
            scene.await_committed({0: 40}, daemon)
            daemon.wait_for("state_restored", 30)
            assert daemon.stop() == 0
    admin.delete_topics([changelog])[changelog].result(30)
    await_true(lambda: changelog not in admin.list_topics(timeout=10).topics, "it is gone")

    for _ in range(2):
        with scene.daemon() as daemon:
            assert daemon.wait(60) == 2
            (failed,) = daemon.find("daemon_failed")
        assert f"topic '{changelog}' (state.topic) is not the one in which" in failed["detail"]
        assert "set state.topic to a new name" in failed["detail"]

    with scene.daemon(state__topic=f"{changelog}-2") as daemon:
        daemon.wait_for("state_restored", 30, state="history")
        assert daemon.stop() == 0
