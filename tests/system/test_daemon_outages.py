"""Brokers that are unavailable: at start, in mid-stream, for too long, and when asked to stop."""

import json
import signal
import time
from functools import partial
from pathlib import Path

from tests.limits import slowness
from tests.system.broker import RealKafka
from tests.system.harness import DaemonProcess, Topics, as_records, sine_values
from tests.system.scene import Scene, await_true, metric, mixed_stream, poison, probe

TRANSACTION_TIMEOUT_S = 3.0
N_SERIES = 5
LARGE = b"poison -1" + b" " * 10_000_000


def has_dead_letters(daemon: DaemonProcess, more_than: int) -> bool:
    return metric(daemon, "dead_letters_total") > more_than


def has_consumed(daemon: DaemonProcess, n: int) -> bool:
    return metric(daemon, "records_consumed_total") == n


def test_brokers_and_topics_are_waited_for_and_an_outage_is_survived(
    own_kafka: RealKafka, small_bundle: Path, tmp_path: Path
) -> None:
    """The outage is longer than the broker lets a transaction wait for its producer.

    A daemon of little patience gives up meanwhile.
    """
    names = {kind: f"{tmp_path.name}.{kind}" for kind in ("input", "alerts", "dead", "late")}
    topics = Topics(
        input=names["input"],
        alerts=names["alerts"],
        dead_letters=names["dead"],
        late=names["late"],
        group=tmp_path.name,
    )
    scene = Scene(kafka=own_kafka, topics=topics, bundle=small_bundle, directory=tmp_path)
    stream = mixed_stream(N_SERIES, 100)
    own_kafka.kill()
    quick = {
        "kafka__transaction_timeout_s": TRANSACTION_TIMEOUT_S,
        "kafka__delivery_timeout_s": 1.0,
        "kafka__commit_interval_s": 0.01,
        "kafka__poll_records": 10,
    }
    with (
        scene.daemon(**quick, kafka__broker_deadline_s=180.0) as daemon,
        scene.daemon(kafka__broker_deadline_s=3.0) as hasty,
    ):
        assert hasty.wait(60) == 1
        assert "gave up after 3 s" in hasty.find("daemon_failed")[0]["detail"]
        assert hasty.find("broker_unreachable")
        daemon.wait_for("broker_unreachable", 60)
        assert probe(daemon, "readyz")[0] == 503
        assert probe(daemon, "livez")[0] == 200
        assert metric(daemon, "broker_reachable") == 0

        own_kafka.start()
        delayed = daemon.wait_for("consumption_delayed")
        assert repr(topics.input) in delayed["detail"], "the missing topic is named"
        daemon.wait_for("broker_reached")
        assert metric(daemon, "broker_reachable") == 1

        own_kafka.create_topic(topics.input, config={"max.message.bytes": "15000000"})
        daemon.wait_for("partitions_assigned")
        await_true(lambda: probe(daemon, "readyz")[0] == 200, "ready")
        own_kafka.produce(topics.input, [(None, LARGE)])
        scene.await_committed({0: 1}, daemon)

        told = len(daemon.find("broker_unreachable"))
        own_kafka.produce(topics.input, stream)
        await_true(partial(has_dead_letters, daemon, more_than=1), "some are committed")
        own_kafka.kill()
        killed_at = time.monotonic()
        assert metric(daemon, "dead_letters_total") < 501, "killed in mid-stream"
        daemon.wait_for("broker_unreachable", count=told + 1)
        await_true(lambda: probe(daemon, "readyz")[0] == 503, "not ready")
        said = json.loads(probe(daemon, "statusz")[1])["conditions"]
        assert "broker_unreachable" in {condition["code"] for condition in said}
        assert probe(daemon, "livez")[0] == 200
        time.sleep(max(0.0, killed_at + TRANSACTION_TIMEOUT_S + 1 - time.monotonic()))
        own_kafka.start()
        scene.await_committed({0: 1 + len(stream)}, daemon, timeout_s=90)

        assert daemon.stop() == 0
    every = [LARGE, *(value for _, value in poison(0, 500))]
    assert scene.dead_letters() == every, "each once, in topics that the daemon has made"
    identities = scene.alert_identities()
    assert len(identities) >= 2 * N_SERIES, "opened and resolved, as if nothing had happened"
    assert len(identities) == len(set(identities))


def test_no_broker_keeps_a_daemon_from_ending(own_kafka: RealKafka, scene: Scene) -> None:
    """By its deadline, by a second SIGTERM, by the deadline of a shutdown; nothing half done."""
    waiting = {"kafka__commit_interval_s": 9.0, "kafka__group_protocol": "classic"}
    with (
        scene.daemon(**waiting, kafka__group_id="g1", kafka__broker_deadline_s=2.0) as deserted,
        scene.daemon(**waiting, kafka__group_id="g2") as impatient,
        scene.daemon(**waiting, kafka__group_id="g3", shutdown_deadline_s=2.0) as hurried,
    ):
        daemons = (deserted, impatient, hurried)
        for daemon in daemons:
            daemon.wait_for("partitions_assigned", 60)
        own_kafka.produce(scene.topics.input, as_records(sine_values(20, seed=1), "pump"))
        for daemon in daemons:
            await_true(partial(has_consumed, daemon, 20), "consumed")
        own_kafka.kill()
        for daemon in daemons:
            daemon.wait_for("broker_unreachable")

        impatient.sigterm()
        hurried.sigterm()
        time.sleep(0.5)
        assert impatient.exit_code is None, "control: it still tries to commit"
        impatient.sigterm()
        asked_at = time.monotonic()
        assert impatient.wait(5) == 128 + signal.SIGTERM
        assert time.monotonic() - asked_at < 2 * slowness()
        assert hurried.wait(10) == 1
        assert hurried.find("daemon_stopped")[0]["reason"] == "shutdown deadline passed"
        assert deserted.wait(30) == 1
        assert deserted.find("daemon_failed")[0]["error"] == "KafkaUnavailableError"
    own_kafka.start()
    for group in ("g1", "g2", "g3"):
        assert own_kafka.committed(group, scene.topics.input)[0] < 0, "left to the next instance"
