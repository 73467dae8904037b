"""Kafka clients at work whose debug log is the thing observed: a source of real lines of a log."""

import logging
import random
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from types import TracebackType
from typing import Self

from confluent_kafka import Consumer, Producer

_CONTEXTS = "broker,topic,metadata,protocol,eos,msg,fetch"
_ORDERS_PER_S = 20.0
_TURN_S = 0.05
_NANOSECONDS = 10**9


@dataclass(frozen=True, slots=True, kw_only=True)
class LogLine:
    """A line that a client wrote."""

    instance: str
    time_ns: int
    """Nanoseconds since 1970."""
    text: str
    """`TIME INSTANCE MESSAGE`, the message as librdkafka wrote it."""


class ObservedClients:
    """Instances of a service, each a thread with a producer and a consumer of one topic.

    Args:
        bootstrap: Of the broker that they use; must outlive them.
        topic: Its name; with as many partitions as there are instances, or more.
        instances: Names.
        take: Is given each line, from the thread of its instance.
    """

    def __init__(
        self,
        bootstrap: str,
        topic: str,
        instances: Sequence[str],
        take: Callable[[LogLine], None],
    ) -> None:
        self._bootstrap, self._topic, self._take = bootstrap, topic, take
        self._instances = instances
        self._is_over = threading.Event()
        self._threads = ThreadPoolExecutor(len(instances), thread_name_prefix="observed")
        self._working: list[Future[None]] = []

    def __enter__(self) -> Self:
        self._working = [self._threads.submit(self._work, name) for name in self._instances]
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop the clients; raise what ended one of them before."""
        self._is_over.set()
        self._threads.shutdown()
        if exc is None:
            for one in self._working:
                one.result()

    def _work(self, instance: str) -> None:
        log = logging.getLogger(f"{__name__}.{instance}")
        log.setLevel(logging.DEBUG)
        log.propagate = False
        log.addHandler(_Lines(instance, self._take))
        common = {
            "bootstrap.servers": self._bootstrap,
            "debug": _CONTEXTS,
            # What is rare in a minute and belongs to normal work comes often enough to be learnt.
            "topic.metadata.refresh.interval.ms": 5_000,
            "reconnect.backoff.max.ms": 2_000,
        }
        producer = Producer(
            {**common, "client.id": f"{instance}-out", "enable.idempotence": True, "linger.ms": 20},
            logger=log,
        )
        consumer = Consumer(
            {
                **common,
                "client.id": f"{instance}-in",
                "group.id": self._topic,
                "group.protocol": "consumer",
                "auto.offset.reset": "earliest",
                "auto.commit.interval.ms": 2_000,
                "fetch.wait.max.ms": 200,
            },
            logger=log,
        )
        try:
            consumer.subscribe([self._topic])
            self._pass_on_orders(instance, producer, consumer)
        finally:
            log.handlers.clear()
            consumer.close()

    def _pass_on_orders(self, instance: str, producer: Producer, consumer: Consumer) -> None:
        chance = random.Random(instance)  # noqa: S311 -- load, not secrets
        n = 0
        while not self._is_over.wait(_TURN_S):
            while chance.random() < _ORDERS_PER_S * _TURN_S / 2:
                n += 1
                producer.produce(self._topic, f"order {n}".encode())
            producer.poll(0)
            consumer.consume(100, timeout=0.001)


class _Lines(logging.Handler):
    """Makes a line of each message."""

    def __init__(self, instance: str, take: Callable[[LogLine], None]) -> None:
        super().__init__()
        self._instance, self._take = instance, take

    def emit(self, record: logging.LogRecord) -> None:
        """See `logging.Handler`."""
        at = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="microseconds")
        time = at.replace("+00:00", "Z")
        self._take(
            LogLine(
                instance=self._instance,
                time_ns=round(record.created * _NANOSECONDS),
                text=f"{time} {self._instance} {record.getMessage()}",
            )
        )
