"""Adds partitions to a topic, in a process of its own.

While an administrative call is under way, librdkafka can abort the process if the network fails
(its issue 4605). At start that costs a start; here it costs a child, which is tried again.
"""

import json
import subprocess
import sys
import time
from contextlib import suppress
from typing import Any

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient, NewPartitions  # type: ignore[attr-defined]  # public, not re-exported

from stream_vae.edges.kafka.config import KafkaConfig
from stream_vae.edges.kafka.errors import Operation, error_of, translate
from stream_vae.edges.kafka.properties import client_properties

_REQUEST_TIMEOUT_S = 10.0
_LONGEST_S = 30.0


def widen_command(config: KafkaConfig, topic: str, n_partitions: int) -> str:
    """Return the command that gives a topic so many partitions."""
    return (
        f"kafka-topics.sh --bootstrap-server {config.bootstrap_servers} --alter --topic {topic} "
        f"--partitions {n_partitions}"
    )


class PartitionAdder:
    """See `ports.PartitionAdder`.

    Args:
        config: Brokers and credentials.
        topic: The topic that grows.
    """

    def __init__(self, config: KafkaConfig, topic: str) -> None:
        self._config = config
        self._topic = topic
        self._child: subprocess.Popen[str] | None = None
        self._began_at = 0.0

    def command(self, n_partitions: int) -> str:
        """Return what an operator runs for the same."""
        return widen_command(self._config, self._topic, n_partitions)

    def add(self, n_partitions: int) -> None:
        """Start giving the topic this many partitions; a no-op while that is in progress."""
        if self._child is not None:
            return
        properties = client_properties(self._config)
        del properties["logger"]
        request = {"properties": properties, "topic": self._topic, "n_partitions": n_partitions}
        self._began_at = time.monotonic()
        self._child = subprocess.Popen(  # noqa: S603 -- this module, by this interpreter
            [sys.executable, "-m", __name__],
            stdin=subprocess.PIPE,  # credentials: a pipe is private
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        with suppress(OSError):  # one that exits at once is reported by its exit code
            print(json.dumps(request), file=self._child.stdin, flush=True)

    def take_failure(self) -> str | None:
        """Return why it failed, once."""
        child = self._child
        if child is None:
            return None
        code = child.poll()
        if code is None:
            if time.monotonic() - self._began_at > _LONGEST_S:
                child.kill()
            return None
        self._child = None
        said, _ = child.communicate()
        return (
            None if code == 0 else said.strip() or f"adding partitions ended with exit code {code}"
        )

    def close(self) -> None:
        """End what is in progress."""
        if self._child is not None:
            self._child.kill()
            self._child.communicate()
            self._child = None


def add_partitions(properties: dict[str, Any], topic: str, n_partitions: int) -> None:
    """Give a topic so many partitions, unless it has as many.

    Raises:
        KafkaRefusedError: If the brokers refuse.
        KafkaUnavailableError: If none answers.
    """
    operation = Operation(
        doing=f"adding partitions to the topic {topic!r}", topic=topic, access="Alter"
    )
    wanted = [NewPartitions(topic, n_partitions)]
    admin = AdminClient(properties)  # whose answers never come once it is let go of
    asked = admin.create_partitions(wanted, request_timeout=_REQUEST_TIMEOUT_S)
    for answer in asked.values():
        try:
            answer.result()
        except KafkaException as exc:
            error = error_of(exc)
            if error.code() != KafkaError.INVALID_PARTITIONS:  # another instance was faster
                raise translate(error, operation) from exc


if __name__ == "__main__":
    try:
        add_partitions(**json.loads(sys.stdin.readline()))
    except Exception as failure:  # noqa: BLE001 -- whatever it is, the parent reports it
        print(failure)  # noqa: T201 -- to the parent
        sys.exit(1)
