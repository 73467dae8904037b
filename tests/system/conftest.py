"""One real Kafka broker for the whole run."""

import os
from collections.abc import Iterator

import pytest

from tests.system.broker import BrokerUnavailableError, KafkaCluster, RealKafka


@pytest.fixture(scope="session")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KafkaCluster]:
    """A running Kafka: our own process, or the one STREAM_VAE_TEST_BOOTSTRAP names."""
    bootstrap = os.environ.get("STREAM_VAE_TEST_BOOTSTRAP")
    try:
        if bootstrap:
            cluster = KafkaCluster(bootstrap)
            cluster.await_ready(30.0)
        else:
            cluster = RealKafka.create(tmp_path_factory.mktemp("kafka"))
    except BrokerUnavailableError as exc:
        reason = f"no Apache Kafka broker: {exc}"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    yield cluster
    if isinstance(cluster, RealKafka):
        cluster.stop()


@pytest.fixture
def own_kafka(kafka: KafkaCluster) -> Iterator[RealKafka]:
    """The same broker for tests that kill it; it runs again afterwards."""
    if not isinstance(kafka, RealKafka):
        pytest.skip("STREAM_VAE_TEST_BOOTSTRAP names a broker that tests must not kill")
    yield kafka
    kafka.start()
