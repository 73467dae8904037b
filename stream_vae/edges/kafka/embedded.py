"""A mock Kafka broker inside this process, for the demo and fast tests."""

import ctypes
from collections.abc import Mapping
from types import TracebackType
from typing import Self

from confluent_kafka import cimpl

_PRODUCER = 0
_BROKER = 1
_ERROR_BYTES = 512


class EmbeddedBroker:
    """librdkafka's mock cluster: brokers on loopback, served by a thread of its own, no GIL.

    It is NOT Kafka, so nothing about delivery can be proven on it:

    * `read_committed` readers see records of open and aborted transactions.
    * Offsets sent to a transaction are discarded: a restarted group starts over.
    * An old transactional id is not fenced.
    * A partition keeps its newest 5 MiB (or 100,000 record batches) and drops the oldest silently.
    * There is no admin API: `AdminClient.create_topics` times out. Topics come from `topics` here;
      any other requested name is created with 4 partitions.
    * A classic group waits 3 s before it assigns partitions (disabled here), starves a second
      cooperative member and assigns no partitions to a returning static member: use
      `group.protocol=consumer`, which rebalances within 3 s.
    * An empty fetch is held for all of `fetch.wait.max.ms`, even if records arrive.
    * A client that outlives it may hang in `close`, retrying a commit: close clients first.

    Confluent's Python client exposes none of the mock's functions, so they are called in the C
    library it is linked with (exported since librdkafka 1.3, declared in `rdkafka_mock.h`).

    Args:
        topics: Name -> partition count.
        n_brokers: Numbered from 1; the first one is meant where none is named.

    Example:
        >>> from confluent_kafka import Producer
        >>> with EmbeddedBroker({"readings": 2}) as broker:
        ...     client = Producer({"bootstrap.servers": broker.bootstrap})
        ...     len(client.list_topics("readings", timeout=5).topics["readings"].partitions)
        2
    """

    def __init__(self, topics: Mapping[str, int] | None = None, *, n_brokers: int = 1) -> None:
        self._library = _declare(ctypes.CDLL(cimpl.__file__))
        self._client = self._open(n_brokers)
        self._cluster = self._library.rd_kafka_handle_mock_cluster(self._client)
        self.bootstrap: str = self._library.rd_kafka_mock_cluster_bootstraps(self._cluster).decode()
        """host:port for any Kafka client."""
        self._library.rd_kafka_mock_group_initial_rebalance_delay_ms(self._cluster, 0)
        for name, partitions in (topics or {}).items():
            self.create_topic(name, partitions)

    def create_topic(self, name: str, partitions: int = 1) -> None:
        """Create a topic.

        Raises:
            ValueError: If it exists already, or the partition count is not positive.
        """
        code = -1
        if partitions > 0:  # the mock would create an unusable topic
            code = self._library.rd_kafka_mock_topic_create(
                self._cluster, name.encode(), partitions, 1
            )
        if code != 0:
            msg = f"cannot create topic {name!r} with {partitions} partitions: error {code}"
            raise ValueError(msg)

    def go_down(self, broker: int = _BROKER) -> None:
        """Close every connection and refuse new ones."""
        self._library.rd_kafka_mock_broker_set_down(self._cluster, broker)

    def come_up(self, broker: int = _BROKER) -> None:
        """Accept connections again; data and port are unchanged."""
        self._library.rd_kafka_mock_broker_set_up(self._cluster, broker)

    def lead(self, topic: str, partition: int, broker: int) -> None:
        """Make a broker the leader of a partition."""
        self._library.rd_kafka_mock_partition_set_leader(
            self._cluster, topic.encode(), partition, broker
        )

    def slow_down(self, round_trip_ms: int) -> None:
        """Hold each answer back for so long; 0: as fast as it can again."""
        self._library.rd_kafka_mock_broker_set_rtt(self._cluster, _BROKER, round_trip_ms)

    def refuse(self, request: int, *codes: int) -> None:
        """Answer the next requests of a kind with these errors, one each; 0 is none.

        Args:
            request: Its API key in Kafka's protocol.
            codes: Of `KafkaError`.
        """
        self._library.rd_kafka_mock_push_request_errors_array(
            self._cluster, request, len(codes), (ctypes.c_int * len(codes))(*codes)
        )

    def close(self) -> None:
        """Stop the cluster and discard its data; a second call is a no-op."""
        if self._client:
            self._library.rd_kafka_destroy(self._client)
            self._client = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _open(self, n_brokers: int) -> int | None:
        """Start the idle client that owns the cluster."""
        error = ctypes.create_string_buffer(_ERROR_BYTES)
        properties = self._library.rd_kafka_conf_new()
        # Without a callback the client's own log is discarded.
        self._library.rd_kafka_conf_set_log_cb(properties, None)
        self._library.rd_kafka_conf_set(
            properties, b"test.mock.num.brokers", b"%d" % n_brokers, error, _ERROR_BYTES
        )
        client: int | None = self._library.rd_kafka_new(_PRODUCER, properties, error, _ERROR_BYTES)
        if not client:
            msg = f"the embedded broker does not start: {error.value.decode()}"
            raise OSError(msg)
        return client


def _declare(library: ctypes.CDLL) -> ctypes.CDLL:
    """Declare the functions used; undeclared, a 64-bit pointer is truncated to 32 bits."""
    pointer, text, number, size = ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int, ctypes.c_size_t
    signatures: dict[str, tuple[object, list[object]]] = {
        "rd_kafka_conf_new": (pointer, []),
        "rd_kafka_conf_set": (number, [pointer, text, text, text, size]),
        "rd_kafka_conf_set_log_cb": (None, [pointer, pointer]),
        "rd_kafka_new": (pointer, [number, pointer, text, size]),
        "rd_kafka_destroy": (None, [pointer]),
        "rd_kafka_handle_mock_cluster": (pointer, [pointer]),
        "rd_kafka_mock_cluster_bootstraps": (text, [pointer]),
        "rd_kafka_mock_topic_create": (number, [pointer, text, number, number]),
        "rd_kafka_mock_group_initial_rebalance_delay_ms": (None, [pointer, ctypes.c_int32]),
        "rd_kafka_mock_partition_set_leader": (
            number,
            [pointer, text, ctypes.c_int32, ctypes.c_int32],
        ),
        "rd_kafka_mock_push_request_errors_array": (
            None,
            [pointer, ctypes.c_int16, size, ctypes.POINTER(ctypes.c_int)],
        ),
        "rd_kafka_mock_broker_set_down": (number, [pointer, ctypes.c_int32]),
        "rd_kafka_mock_broker_set_up": (number, [pointer, ctypes.c_int32]),
        "rd_kafka_mock_broker_set_rtt": (number, [pointer, ctypes.c_int32, number]),
    }
    for name, (result, arguments) in signatures.items():
        function = getattr(library, name)
        function.restype = result
        function.argtypes = arguments
    return library
