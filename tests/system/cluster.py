"""A running Kafka, whoever started it, and what tests do with it."""

import logging
import time
import uuid
from collections.abc import Iterable, Mapping

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from tests.limits import Limit, slowness

LARGEST_RECORD_BYTES = 16 * 1024 * 1024

Record = tuple[bytes | str | None, bytes | str | None]

_LOG = logging.getLogger("stream_vae.tests.kafka_client")

_CLIENT: dict[str, str | int | float | bool] = {
    "socket.timeout.ms": 10_000,
    "reconnect.backoff.ms": 50,
    "reconnect.backoff.max.ms": 500,
    "allow.auto.create.topics": False,
}


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
        admin.create_topics([topic], request_timeout=timeout_s * slowness())[name].result(
            timeout_s * slowness()
        )
        limit = Limit(timeout_s)
        while not limit.is_over:
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

        producer = self.producer(**{"message.timeout.ms": int(timeout_s * slowness() * 1000)})
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
        left = producer.flush(timeout_s * slowness())
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
            return _read(consumer, set(partitions), n, Limit(timeout_s))
        finally:
            consumer.close()

    def committed(self, group: str, topic: str) -> dict[int, int]:
        """Return the committed offset of each partition; -1001 where there is none."""
        consumer = self.consumer(**{"group.id": group})
        try:
            partitions = consumer.list_topics(topic, timeout=10).topics[topic].partitions
            wanted = [TopicPartition(topic, p) for p in partitions]
            limit = Limit(20.0)
            while True:
                try:
                    return {p.partition: p.offset for p in consumer.committed(wanted, timeout=10)}
                except KafkaException:  # a broker that has just started may not know its groups yet
                    if limit.is_over:
                        raise
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
        limit = Limit(timeout_s)
        while True:
            self._check_alive()
            try:
                if client.list_topics(timeout=1).brokers:
                    return
            except KafkaException as exc:
                if limit.is_over:
                    msg = f"no answer from {self.bootstrap} after {timeout_s} s: {exc}"
                    raise BrokerUnavailableError(msg) from exc

    def _check_alive(self) -> None:
        """Raise BrokerUnavailableError if it is known that no answer can come."""

    def _properties(self) -> dict[str, str | int | float | bool]:
        return {**_CLIENT, "bootstrap.servers": self.bootstrap}


def _read(consumer: Consumer, unfinished: set[int], n: int | None, limit: Limit) -> list[Message]:
    found: list[Message] = []
    while not limit.is_over and (unfinished if n is None else len(found) < n):
        for message in consumer.consume(500, 0.1):
            error = message.error()
            if error is None:
                found.append(message)
            elif error.code() == KafkaError._PARTITION_EOF:
                unfinished.discard(message.partition() or 0)
            elif not error.retriable() and error.code() != KafkaError._TRANSPORT:
                raise KafkaException(error)
    return found
