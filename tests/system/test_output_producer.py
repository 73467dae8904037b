"""Transactions whose outcome the client does not know."""

import time
from collections.abc import Iterator

import pytest

from stream_vae.core.records import OutputRecord
from stream_vae.edges.kafka import properties
from stream_vae.edges.kafka.config import KafkaConfig
from stream_vae.edges.kafka.deadline import Deadline
from stream_vae.edges.kafka.errors import Operation
from stream_vae.edges.kafka.produce import transactional_client
from stream_vae.edges.kafka.produce.output_producer import OutputProducer
from stream_vae.edges.kafka.produce.transactional_client import ClientHungError, TransactionalClient
from stream_vae.errors import FencedError, KafkaUnavailableError
from tests.recorded_events import RecordedEvents
from tests.system.broker import KafkaCluster, RealKafka
from tests.system.chaos.proxy import Network, Proxy
from tests.system.scene import await_true


def record_of(topic: str, value: bytes) -> OutputRecord:
    return OutputRecord(topic=topic, key=b"k", value=value, headers=[], partition=0)


@pytest.mark.parametrize("step", ["add_offsets", "commit"], ids=["before", "after"])
def test_a_transaction_of_unknown_outcome_is_published_once(
    kafka: KafkaCluster, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    """Its client hung before the commit, or after it; no offset moves that could tell."""
    topic, output = kafka.new_topic("in"), kafka.new_topic("state")
    config = KafkaConfig(bootstrap_servers=kafka.bootstrap, group_id=topic)
    consumer = kafka.consumer(**{"group.id": topic})
    nobody = consumer.consumer_group_metadata()
    record = record_of(output, b"v")
    producer = OutputProducer(config, topic, RecordedEvents())
    producer.open()
    assert producer.commit([], topic, {0: 5}, nobody)
    take_step = getattr(TransactionalClient, step)
    hung: list[bool] = []

    def hang_once(self: TransactionalClient, *arguments: object) -> None:
        if step == "commit":
            take_step(self, *arguments)
        if not hung:
            hung.append(True)
            raise ClientHungError
        if step != "commit":
            take_step(self, *arguments)

    monkeypatch.setattr(TransactionalClient, step, hang_once)
    assert producer.commit([record], topic, {0: 5}, nobody)
    producer.close()
    consumer.close()
    assert hung
    assert [m.value() for m in kafka.consume_all(output)] == [b"v"]


def test_a_producer_that_no_group_guards_takes_its_id_back_from_nobody(
    kafka: KafkaCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever holds the id meanwhile may have moved the same records."""
    topic, output = kafka.new_topic("in"), kafka.new_topic("out")
    config = KafkaConfig(bootstrap_servers=kafka.bootstrap, group_id=topic)
    consumer = kafka.consumer(**{"group.id": topic})
    nobody = consumer.consumer_group_metadata()
    record = record_of(output, b"v")
    producer = OutputProducer(config, topic, RecordedEvents(), may_renew=False)
    producer.open()

    def hang(*_: object) -> None:
        raise ClientHungError

    with monkeypatch.context() as patched:
        patched.setattr(TransactionalClient, "add_offsets", hang)
        with pytest.raises(KafkaUnavailableError, match="run it again"):
            producer.commit([record], topic, {0: 5}, nobody)
    producer.close()
    consumer.close()
    assert kafka.consume_all(output) == []


@pytest.mark.parametrize("how", ["stopped", "cut off", "unnamed"])
def test_of_two_producers_of_one_name_the_newer_goes_on(
    kafka: KafkaCluster, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    """Also if the older one comes back after a transaction that the brokers have timed out.

    Control: of one without a name nobody can be a rival, so that it takes its id back.
    """
    topic, output = kafka.new_topic("in"), kafka.new_topic("out")
    config = KafkaConfig(
        bootstrap_servers=kafka.bootstrap,
        group_id=topic,
        transaction_timeout_s=1.0,
        commit_interval_s=0.5,
    )
    consumer = kafka.consumer(**{"group.id": topic})
    nobody = consumer.consumer_group_metadata()
    older, newer = (
        OutputProducer(config, topic, RecordedEvents(), may_have_rival=how != "unnamed")
        for _ in range(2)
    )
    older.open()
    assert older.commit([record_of(output, b"1")], topic, {0: 1}, nobody)
    commit = TransactionalClient.commit

    def commit_late(self: TransactionalClient, deadline: Deadline) -> None:
        """The newer one begins, and has its first transaction, in the middle of this one."""
        with monkeypatch.context() as again:
            again.setattr(TransactionalClient, "commit", commit)
            newer.open()
            assert newer.commit([record_of(output, b"2")], topic, {0: 2}, nobody)
        monkeypatch.setattr(TransactionalClient, "commit", commit)
        time.sleep(1.1)
        commit(self, deadline)

    monkeypatch.setattr(TransactionalClient, "commit", commit_late)
    if how == "stopped":
        monkeypatch.setattr(transactional_client, "_STEP_TIMEOUT_S", 0.5)
    if how == "unnamed":
        assert older.commit([record_of(output, b"late")], topic, {0: 2}, nobody)
        with pytest.raises(FencedError):
            newer.commit([record_of(output, b"3")], topic, {0: 3}, nobody)
    else:
        told = {
            "stopped": "another instance has the name",
            "cut off": "a newer instance of this name",
        }
        with pytest.raises(FencedError, match=told[how]):
            older.commit([record_of(output, b"late")], topic, {0: 2}, nobody)
        assert newer.commit([record_of(output, b"3")], topic, {0: 3}, nobody)
        assert [m.value() for m in kafka.consume_all(output)] == [b"1", b"2", b"3"]
    consumer.close()


@pytest.fixture(scope="module")
def proxy() -> Iterator[Proxy]:
    proxy = Proxy()
    yield proxy
    proxy.close()


@pytest.fixture(scope="module")
def far_kafka(proxy: Proxy, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealKafka]:
    """A broker behind the proxy."""
    broker = RealKafka.create(tmp_path_factory.mktemp("far"), forwarded_ports=[proxy.port])
    proxy.forward_to(broker.inner_ports[0])
    yield broker
    broker.kill()


@pytest.mark.parametrize("answer", [Network.UP, Network.ANSWER_LOST], ids=["heard", "lost"])
def test_a_record_of_an_aborted_transaction_is_published_by_the_next_one(
    far_kafka: RealKafka, proxy: Proxy, monkeypatch: pytest.MonkeyPatch, answer: Network
) -> None:
    """Also if the broker has stored it, and the client has not heard so when it aborts.

    The client waits before it sends the record again, so that it is sure to abort in between.
    """
    patient = {"retry.backoff.ms": 8_000, "retry.backoff.max.ms": 8_000}
    usual = properties.producer_properties
    monkeypatch.setattr(
        "stream_vae.edges.kafka.produce.transactional_client.producer_properties",
        lambda *a, **k: usual(*a, **k) | patient,
    )
    output = far_kafka.new_topic("out")
    config = KafkaConfig(bootstrap_servers=f"127.0.0.1:{proxy.port}", group_id=output)
    operation = Operation(doing="committing", transactional_id=output)
    client = TransactionalClient(config, operation, RecordedEvents())
    client.open(Deadline(30))

    def publish(value: bytes) -> None:
        client.begin(Deadline(30))
        client.publish(record_of(output, value), lambda _error, _message: None)

    def stored(isolation: str) -> list[bytes | None]:
        return [m.value() for m in far_kafka.consume_all(output, isolation=isolation)]

    publish(b"first")
    client.commit(Deadline(30))
    proxy.set_network(answer)
    publish(b"second")
    await_true(lambda: stored("read_uncommitted") == [b"first", b"second"], "stored")
    client.abort(Deadline(30))
    publish(b"second")
    client.commit(Deadline(30))
    client.close()
    assert stored("read_committed") == [b"first", b"second"]
    assert stored("read_uncommitted") == [b"first", b"second", b"second"]
