"""A changelog, or an input topic, that is deleted, on a real broker."""

from confluent_kafka.admin import (  # type: ignore[attr-defined]  # public, not re-exported
    AdminClient,
    NewPartitions,
)

from tests.system.harness import as_records, sine_values, with_anomaly
from tests.system.scene import Scene, await_true


def test_one_that_was_deleted_is_refused_by_name_until_another_is_named(scene: Scene) -> None:
    """The same name again is no way out. What was open is resolved once another is named."""
    changelog = f"{scene.topics.group}-changelog"
    records = as_records(with_anomaly(sine_values(100, seed=1), 56, 4), "s")
    admin = AdminClient({"bootstrap.servers": scene.kafka.bootstrap})
    scene.kafka.produce(scene.topics.input, records[:60])
    for _ in range(2):  # control: a restart on the same topic is welcome
        with scene.daemon() as daemon:
            scene.await_committed({0: 60}, daemon)
            daemon.wait_for("state_restored", 30)
            assert daemon.stop() == 0
    opened = scene.alert_identities()
    assert [sequence for _, sequence in opened][:1] == [0]

    other = scene.kafka.new_topic("other", partitions=3)
    with scene.daemon(input__topic=other, output__late_topic=f"{other}-late") as daemon:
        assert daemon.wait(60) == 2
        (failed,) = daemon.find("daemon_failed")
        assert daemon.find("daemon_ready") == []
    assert f"keeps the state of the input topic {scene.topics.input!r}" in failed["detail"]
    assert f"{other}-late" not in admin.list_topics(timeout=10).topics, "nothing was made"

    admin.delete_topics([changelog])[changelog].result(30)
    await_true(lambda: changelog not in admin.list_topics(timeout=10).topics, "it is gone")

    for found in ("no topic of that name", "the topic id"):
        with scene.daemon() as daemon:
            assert daemon.wait(60) == 2
            (failed,) = daemon.find("daemon_failed")
            assert daemon.find("daemon_ready") == []
        assert f"topic '{changelog}' (state.topic) is not the one in which" in failed["detail"]
        assert f"found {found}" in failed["detail"]
        assert "set state.topic to a new name" in failed["detail"]
        if found == "no topic of that name":
            assert changelog not in admin.list_topics(timeout=10).topics, "nothing was made"
            scene.kafka.create_topic(changelog, config={"cleanup.policy": "compact"})

    scene.kafka.produce(scene.topics.input, records[60:])
    with scene.daemon(state__topic=f"{changelog}-2") as daemon:
        daemon.wait_for("state_restored", 30, state="history")
        scene.await_committed({0: 100}, daemon)
        assert daemon.stop() == 0
        assert len(daemon.find("incidents_adopted")) == 1
    told = scene.alert_identities()
    assert len({identity for identity, _ in told}) == 1, "one incident, under one id"
    assert len(told) > len(opened)


def test_an_input_topic_that_is_made_anew_is_read_from_its_oldest_record(scene: Scene) -> None:
    """What was open is resolved under its id."""
    records = as_records(with_anomaly(sine_values(140, seed=1), 56, 4), "s")
    admin, topic = AdminClient({"bootstrap.servers": scene.kafka.bootstrap}), scene.topics.input
    scene.kafka.produce(topic, records[:60])
    with scene.daemon() as daemon:
        scene.await_committed({0: 60}, daemon)
        assert daemon.stop() == 0
    opened = scene.alert_identities()
    admin.delete_topics([topic])[topic].result(30)
    await_true(lambda: topic not in admin.list_topics(timeout=10).topics, "it is gone")
    scene.kafka.create_topic(topic, config={"max.message.bytes": str(15 * 1024 * 1024)})
    scene.kafka.produce(topic, records[100:])
    with scene.daemon() as daemon:
        scene.await_committed({0: 40}, daemon)
        (told,) = daemon.find("offset_mismatched")
        assert (told["reason"], told["begins"]) == ("recreated", [0])
        assert daemon.stop() == 0
    assert len({identity for identity, _ in scene.alert_identities()}) == 1, "under one id"
    assert len(scene.alert_identities()) > len(opened) > 0


def test_partitions_that_are_added_while_a_daemon_runs_are_taken_up(scene: Scene) -> None:
    """From their oldest record, though the group began at the end; and so they are later."""
    records = as_records(sine_values(30, seed=1), "s")
    admin, topic = AdminClient({"bootstrap.servers": scene.kafka.bootstrap}), scene.topics.input
    scene.kafka.produce(topic, records)
    with scene.daemon(kafka__start="latest") as daemon:
        scene.await_committed({0: 30}, daemon)
        admin.create_partitions([NewPartitions(topic, 2)])[topic].result(30)
        await_true(lambda: len(admin.list_topics(topic).topics[topic].partitions) == 2, "added")
        scene.kafka.produce(topic, as_records(sine_values(20, seed=2), "t"), partition=1)
        scene.await_committed({0: 30, 1: 20}, daemon)
        assert daemon.stop() == 0
        assert len(daemon.find("changelog_extended")) == 1
    admin.create_partitions([NewPartitions(topic, 3)])[topic].result(30)
    await_true(lambda: len(admin.list_topics(topic).topics[topic].partitions) == 3, "added")
    scene.kafka.produce(topic, as_records(sine_values(20, seed=3), "u"), partition=2)
    group = scene.topics.group
    admin.delete_consumer_groups([group])[group].result(30)  # in the same stop
    with scene.daemon(kafka__start="latest") as daemon:
        scene.await_committed({0: 30, 1: 20, 2: 20}, daemon)
        assert daemon.stop() == 0
        assert len(daemon.find("changelog_extended")) == 1
        (told,) = daemon.find("offset_mismatched")
        assert (told["reason"], told["count"]) == ("missing", 2)
