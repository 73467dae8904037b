"""The child process that adds partitions, where no broker answers."""

import time

from stream_vae.edges.kafka.admin.partition_adder import PartitionAdder
from stream_vae.edges.kafka.config import KafkaConfig
from tests.limits import Limit


def test_what_the_child_says_of_its_failure_is_told_once() -> None:
    adder = PartitionAdder(
        KafkaConfig(bootstrap_servers="localhost:1", common={"no.such.property": "1"}), "t"
    )
    adder.add(2)
    adder.add(3)  # nothing, while that is in progress
    limit = Limit(30)
    while (failure := adder.take_failure()) is None:
        assert not limit.is_over
        time.sleep(0.02)
    assert "no.such.property" in failure
    assert adder.take_failure() is None


def test_what_is_in_progress_ends_with_the_daemon() -> None:
    adder = PartitionAdder(KafkaConfig(bootstrap_servers="localhost:1"), "t")
    adder.add(2)
    limit = Limit(5)
    adder.close()
    adder.close()
    assert adder.take_failure() is None
    assert not limit.is_over, "the request itself waits for 10 s"
