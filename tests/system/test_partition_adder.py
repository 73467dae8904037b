"""Partitions added on a real broker, by a child process."""

import time

import pytest

from stream_vae.edges.kafka.admin.partition_adder import PartitionAdder
from stream_vae.edges.kafka.config import KafkaConfig
from stream_vae.edges.kafka.read.topic_ends import TopicEnds
from stream_vae.errors import KafkaUnavailableError
from tests.limits import Limit
from tests.system.broker import KafkaCluster


def await_ends(ends: TopicEnds, partitions: list[int]) -> dict[int, int]:
    limit = Limit(30)
    while True:
        try:
            return ends(partitions)
        except KafkaUnavailableError:
            assert not limit.is_over
            time.sleep(0.05)


def await_failure(adder: PartitionAdder) -> str:
    limit = Limit(30)
    while (failure := adder.take_failure()) is None:
        assert not limit.is_over
        time.sleep(0.05)
    return failure


def test_a_topic_is_given_partitions_and_a_refusal_names_topic_and_reason(
    kafka: KafkaCluster,
) -> None:
    config = KafkaConfig(bootstrap_servers=kafka.bootstrap)
    topic = kafka.new_topic("narrow")
    ends, adder = TopicEnds(config, topic), PartitionAdder(config, topic)
    assert ends.n_partitions() == 1
    with pytest.raises(KafkaUnavailableError):
        ends([0, 1])
    adder.add(3)
    assert await_ends(ends, [0, 1, 2]) == {0: 0, 1: 0, 2: 0}
    assert ends.n_partitions() == 3

    missing = PartitionAdder(config, f"{topic}-missing")
    missing.add(2)
    assert f"adding partitions to the topic '{topic}-missing'" in await_failure(missing)
    assert missing.take_failure() is None
    adder.close()
