"""The daemon's own topics on a real broker: made as they must be, refused where they are not."""

from collections.abc import Sequence
from pathlib import Path

import pytest
from confluent_kafka.admin import (  # type: ignore[attr-defined]  # public, not re-exported
    AdminClient,
    ConfigResource,
)

from stream_vae.edges.kafka.admin.owned_topics import OwnedTopic
from stream_vae.edges.kafka.admin.startup import await_topics, create_topics, refuse_unfit
from stream_vae.edges.kafka.config import KafkaConfig
from stream_vae.errors import ConfigError
from tests.recorded_events import RecordedEvents
from tests.system.broker import KafkaCluster
from tests.system.harness import DaemonProcess, Topics, make_config


def owned(name: str) -> tuple[OwnedTopic, ...]:
    return (
        OwnedTopic(name=f"{name}.alerts", kind="alerts", batch_bytes=1_000_000),
        OwnedTopic(name=f"{name}.dead", kind="dead_letters"),
        OwnedTopic(name=f"{name}.late", kind="late"),
        OwnedTopic(name=f"{name}.state", kind="changelog"),
    )


def start(kafka: KafkaCluster, source: str, topics: Sequence[OwnedTopic]) -> None:
    events = RecordedEvents()
    config = KafkaConfig(bootstrap_servers=kafka.bootstrap, broker_deadline_s=20.0)
    found = await_topics(config, source, topics, events, stopping=lambda: False)
    assert events.events == [], "nothing was waited for"
    assert found is not None
    refuse_unfit(found, topics, kafka.bootstrap)
    missing = [topic for topic in topics if topic.name not in found.owned]
    create_topics(config, missing, found.source.n_partitions)


def test_missing_topics_are_made_fit_and_found_fit_at_the_next_start(kafka: KafkaCluster) -> None:
    source = kafka.new_topic("source", partitions=3)
    topics = owned(source)
    start(kafka, source, topics)
    start(kafka, source, topics)
    admin = AdminClient({"bootstrap.servers": kafka.bootstrap})
    known = admin.list_topics(timeout=10).topics
    assert {len(known[topic.name].partitions) for topic in topics} == {3}
    for topic in topics:
        resource = ConfigResource(ConfigResource.Type.TOPIC, topic.name)
        described = admin.describe_configs([resource], request_timeout=10)[resource].result(10)
        in_force = {name: described[name].value for name in topic.made_with}
        assert in_force == topic.made_with


def test_everything_wrong_with_existing_topics_is_told_at_once_and_nothing_is_made(
    kafka: KafkaCluster,
) -> None:
    source = kafka.new_topic("source", partitions=3)
    alerts, dead, late, state = owned(source)
    kafka.create_topic(alerts.name, 1, {"cleanup.policy": "compact", "max.message.bytes": "9000"})
    kafka.create_topic(dead.name, 1, {"max.message.bytes": "2000"})
    kafka.create_topic(state.name, 2)

    with pytest.raises(ConfigError) as refused:
        start(kafka, source, (alerts, dead, late, state))

    told = str(refused.value)
    assert f"'{alerts.name}' (output.alerts_topic) has cleanup.policy=compact" in told
    assert f"'{alerts.name}' (output.alerts_topic) has max.message.bytes=9000" in told
    assert f"'{dead.name}' (output.dead_letter_topic) has max.message.bytes=2000" in told
    assert f"'{state.name}' (state.topic) has cleanup.policy=delete" in told
    admin = AdminClient({"bootstrap.servers": kafka.bootstrap})
    assert late.name not in admin.list_topics(timeout=10).topics


def test_an_unfit_topic_ends_the_daemon_as_an_operators_mistake(
    kafka: KafkaCluster, topics: Topics, small_bundle: Path, tmp_path: Path
) -> None:
    kafka.create_topic(f"{topics.group}-changelog", 2, {"cleanup.policy": "compact"})
    with DaemonProcess(make_config(tmp_path, kafka, topics, small_bundle)) as daemon:
        assert daemon.wait(60) == 2
        (failed,) = daemon.find("daemon_failed")
    assert "has 2 partitions; expected 1" in failed["detail"]
