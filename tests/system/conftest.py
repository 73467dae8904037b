"""One real Kafka broker and one small model for the whole run."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.system.broker import BrokerUnavailableError, KafkaCluster, RealKafka
from tests.system.harness import Topics, train_small_bundle
from tests.system.scene import Scene
from tests.system.secure_broker import SecureKafka


@contextmanager
def needed() -> Iterator[None]:
    """Skip what needs a broker where none can be had; fail where one must be."""
    try:
        yield
    except BrokerUnavailableError as exc:
        reason = f"no Apache Kafka broker: {exc}"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)


@pytest.fixture(scope="session")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KafkaCluster]:
    """A running Kafka: our own process, or the one STREAM_VAE_TEST_BOOTSTRAP names."""
    bootstrap = os.environ.get("STREAM_VAE_TEST_BOOTSTRAP")
    with needed():
        if bootstrap:
            cluster = KafkaCluster(bootstrap)
            cluster.await_ready(30.0)
        else:
            cluster = RealKafka.create(tmp_path_factory.mktemp("kafka"))
    yield cluster
    if isinstance(cluster, RealKafka):
        cluster.stop()


@pytest.fixture(scope="session")
def secure_kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecureKafka]:
    """A broker of our own that asks for credentials and rights."""
    secure = SecureKafka(tmp_path_factory.mktemp("secure-kafka"))
    try:
        with needed():
            secure.start()
        yield secure
    finally:
        secure.stop()


@pytest.fixture
def own_kafka(kafka: KafkaCluster) -> Iterator[RealKafka]:
    """The same broker for tests that kill it; it runs again afterwards."""
    if not isinstance(kafka, RealKafka):
        pytest.skip("STREAM_VAE_TEST_BOOTSTRAP names a broker that tests must not kill")
    yield kafka
    kafka.start()


@pytest.fixture
def topics(kafka: KafkaCluster) -> Topics:
    """Topics of one partition and a group that no other test has."""
    return Topics.create(kafka)


@pytest.fixture
def scene(kafka: KafkaCluster, topics: Topics, small_bundle: Path, tmp_path: Path) -> Scene:
    """Everything a daemon needs, for this test alone."""
    return Scene(kafka=kafka, topics=topics, bundle=small_bundle, directory=tmp_path)


@pytest.fixture(scope="session")
def small_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A trained bundle: 3 features, windows of 8 steps of a minute."""
    return train_small_bundle(tmp_path_factory.mktemp("model") / "bundle")
