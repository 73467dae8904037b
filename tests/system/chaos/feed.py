"""Publishes the input: at once for the oracle, piece by piece beside the faults."""

import threading
import time
from collections.abc import Sequence
from contextlib import suppress

from confluent_kafka import KafkaError, KafkaException, Message

from tests.system.chaos.stream import StreamRecord
from tests.system.cluster import KafkaCluster

_PATIENCE_S = 120.0
_SLICE = 20
_LOOK_S = 0.1


def publish_all(
    kafka: KafkaCluster, topic: str, records: Sequence[StreamRecord], *, first_ms: int
) -> None:
    """Publish records as fast as the broker takes them."""
    feed = Feed(kafka, topic, [records], per_s=float("inf"), first_ms=first_ms)
    feed.release(0)
    feed.finish()


class Feed:
    """Publishes chunk after chunk, each once it is released, at a steady pace.

    An idempotent producer, so that the topic holds each record once and in order even if the broker
    is killed on the way. Record n bears the time `first_ms` + n.

    Args:
        kafka: Reached past all proxies.
        topic: The input topic.
        chunks: What to publish.
        per_s: Records a second.
        first_ms: Time of the first record, milliseconds since 1970.
    """

    def __init__(
        self,
        kafka: KafkaCluster,
        topic: str,
        chunks: Sequence[Sequence[StreamRecord]],
        *,
        per_s: float,
        first_ms: int,
    ) -> None:
        self._topic = topic
        self._chunks = chunks
        self._per_s = per_s
        self._time_ms = first_ms
        self._kafka = kafka
        self.renew()
        self._released = [threading.Event() for _ in chunks]
        self._failed: list[KafkaError] = []
        self._thread = threading.Thread(target=self._run, name="feed", daemon=True)
        self._thread.start()

    def release(self, i: int) -> None:
        """Let chunk i follow those before it."""
        self._released[i].set()

    def renew(self) -> None:
        """Begin with a new client, when nothing is under way: the topic was made anew."""
        self._producer = self._kafka.producer(
            **{"message.timeout.ms": int(_PATIENCE_S * 1000), "linger.ms": 5}
        )

    def finish(self) -> None:
        """Wait until all is published.

        Raises:
            AssertionError: If something was not acknowledged.
        """
        n_records = sum(map(len, self._chunks))
        self._thread.join(n_records / self._per_s + _PATIENCE_S)
        assert not self._thread.is_alive(), "the feed is not at its end"
        left = self._producer.flush(_PATIENCE_S)
        assert not left, f"{left} records are not acknowledged"
        assert not self._failed, f"{len(self._failed)} records failed: {self._failed[:3]}"

    def _run(self) -> None:
        for chunk, released in zip(self._chunks, self._released, strict=True):
            released.wait()
            for at in range(0, len(chunk), _SLICE):
                began = time.monotonic()
                for record in chunk[at : at + _SLICE]:
                    self._publish(record)
                self._producer.poll(0)
                time.sleep(max(_SLICE / self._per_s - (time.monotonic() - began), 0.0))

    def _publish(self, record: StreamRecord) -> None:
        while True:
            try:
                self._producer.produce(
                    self._topic,
                    record.value,
                    record.key,
                    record.partition,
                    timestamp=self._time_ms,
                    on_delivery=self._settle,
                )
            except BufferError:
                self._producer.poll(0.1)
            except KafkaException:  # the partition is not there yet
                with suppress(KafkaException):
                    self._producer.list_topics(self._topic, timeout=1.0)
                time.sleep(_LOOK_S)
            else:
                self._time_ms += 1
                return

    def _settle(self, error: KafkaError | None, _message: Message) -> None:
        if error is not None:
            self._failed.append(error)
