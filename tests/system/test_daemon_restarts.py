"""Daemons that stop, die and share, on a real broker: nothing lost, nothing twice."""

from collections import Counter
from pathlib import Path

import pytest

from tests.system.broker import KafkaCluster
from tests.system.harness import (
    DaemonProcess,
    Topics,
    as_records,
    make_config,
    sine_values,
    with_anomaly,
)
from tests.system.test_daemon import await_processed, identities, read_alerts

POISON = [(b"k", b"poison %d" % i) for i in range(40)]


def stream(n_series: int, n: int) -> list[tuple[bytes, bytes]]:
    """Return n steps of some series, each with anomalies, step by step, with poison in between."""
    series = [
        as_records(with_anomaly(sine_values(n, seed=i), at=n // 2 + 3 * i), f"s{i}")
        for i in range(n_series)
    ]
    mixed = [record for step in zip(*series, strict=True) for record in step]
    every = len(mixed) // len(POISON)
    for i, poison in enumerate(POISON):
        mixed.insert(i * (every + 1), poison)
    return mixed


def assert_each_once(kafka: KafkaCluster, topics: Topics) -> None:
    """No alert event and no dead letter stands twice, and no dead letter is missing."""
    alerts = Counter(identities(read_alerts(kafka, topics)))
    assert alerts
    assert max(alerts.values()) == 1
    letters = Counter(message.value() for message in kafka.consume_all(topics.dead_letters))
    assert letters == Counter(value for _, value in POISON)


def test_a_restart_repeats_nothing_and_leaves_nothing_out(
    kafka: KafkaCluster, topics: Topics, small_bundle: Path, tmp_path: Path
) -> None:
    records = stream(4, 100)
    config = make_config(tmp_path, kafka, topics, small_bundle)
    half = len(records) // 2
    kafka.produce(topics.input, records[:half])
    with DaemonProcess(config) as first:
        await_processed(first, half)
        assert first.stop() == 0
    assert kafka.committed(topics.group, topics.input) == {0: half}
    kafka.produce(topics.input, records[half:])
    with DaemonProcess(config) as second:
        await_processed(second, len(records) - half)
        assert second.find("state_restored")[0]["state"] == "restored"
        assert second.stop() == 0
    assert kafka.committed(topics.group, topics.input) == {0: len(records)}
    assert_each_once(kafka, topics)


def test_sigkill_in_mid_stream_repeats_nothing_and_loses_nothing(
    kafka: KafkaCluster, topics: Topics, small_bundle: Path, tmp_path: Path
) -> None:
    records = stream(4, 150)
    small_polls = {"kafka.poll_records": 20, "kafka.transaction_timeout_s": 3.0}
    config = make_config(tmp_path, kafka, topics, small_bundle, small_polls)
    for _ in range(2):
        kafka.produce(topics.input, records[: len(records) // 4])
        records = records[len(records) // 4 :]
        with DaemonProcess(config) as daemon:
            daemon.wait_for("records_rejected", 60)
            daemon.sigkill()
    kafka.produce(topics.input, records)
    total = sum(1 for _ in kafka.consume_all(topics.input))
    with DaemonProcess(config) as last:
        while kafka.committed(topics.group, topics.input) != {0: total}:
            last.wait_for("summary", 30, count=len(last.find("summary")) + 1)
        assert last.stop() == 0
    assert_each_once(kafka, topics)


@pytest.mark.parametrize("protocol", ["consumer", "classic"])
def test_two_daemons_share_partitions_and_one_takes_over(
    kafka: KafkaCluster, small_bundle: Path, tmp_path: Path, protocol: str
) -> None:
    topics = Topics.create(kafka, partitions=4)
    overrides = {"kafka.group_protocol": protocol, "kafka.session_timeout_s": 6.0}
    configs = [make_config(tmp_path, kafka, topics, small_bundle, overrides) for _ in range(2)]
    records = stream(12, 60)
    with DaemonProcess(configs[0]) as one, DaemonProcess(configs[1]) as two:
        for daemon in (one, two):
            daemon.wait_for("partitions_assigned", 60)
        kafka.produce(topics.input, records[:400])
        await_processed(two, 1)
        assert one.stop() == 0
        kafka.produce(topics.input, records[400:])
        while sum(kafka.committed(topics.group, topics.input).values()) < len(records):
            two.wait_for("summary", 30, count=len(two.find("summary")) + 1)
        assert two.stop() == 0
    assert_each_once(kafka, topics)


def test_of_two_daemons_with_one_name_the_older_ends_and_says_why(
    kafka: KafkaCluster, topics: Topics, small_bundle: Path, tmp_path: Path
) -> None:
    overrides = {"kafka.instance_id": "stream-vae-0", "kafka.group_protocol": "classic"}
    config = make_config(tmp_path, kafka, topics, small_bundle, overrides)
    other = make_config(tmp_path, kafka, topics, small_bundle, overrides)
    kafka.produce(topics.input, stream(2, 40))
    with DaemonProcess(config) as older:
        await_processed(older, 120)
        with DaemonProcess(other) as newer:
            newer.wait_for("partitions_assigned", 60)
            kafka.produce(topics.input, as_records(sine_values(20, seed=1), "late"))
            assert older.wait(60) == 1
            assert older.find("daemon_failed")[0]["error"] == "FencedError"
            assert newer.exit_code is None
            assert newer.stop() == 0
