"""The one place that turns librdkafka's errors into ours."""

# ruff: noqa: SLF001 - the codes librdkafka raises itself are public, their names start with `_`

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum
from typing import Literal

from confluent_kafka import KafkaError, KafkaException

from stream_vae.errors import (
    ConfigError,
    FencedError,
    KafkaRefusedError,
    KafkaUnavailableError,
    StreamVaeError,
)


class Recovery(Enum):
    """What the caller can do."""

    RETRY = "retry"
    """Call again with the same arguments."""
    ABORT = "abort"
    """Abort the transaction, then try all of it again with the partitions still owned."""
    GIVE_UP = "give up"
    """Nothing this client does will help: close it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """What was being done, so that a message can name what is missing."""

    doing: str
    """In gerund form: `reading the input topic`."""
    topic: str | None = None
    access: Literal["Read", "Write", "Create", "DescribeConfigs"] = "Read"
    """The right on the topic that the operation needs."""
    group: str | None = None
    transactional_id: str | None = None


_SUPERSEDED = frozenset(
    {
        KafkaError._FENCED,
        KafkaError.PRODUCER_FENCED,
        KafkaError.INVALID_PRODUCER_EPOCH,
        KafkaError.FENCED_INSTANCE_ID,
        KafkaError.UNRELEASED_INSTANCE_ID,
    }
)
"""Another client carries the same name."""

_GENERATION_PASSED = frozenset(
    {
        KafkaError.ILLEGAL_GENERATION,
        KafkaError.UNKNOWN_MEMBER_ID,
        KafkaError.FENCED_MEMBER_EPOCH,
        KafkaError.STALE_MEMBER_EPOCH,
        KafkaError._ASSIGNMENT_LOST,
        KafkaError._MAX_POLL_EXCEEDED,
    }
)
"""The group moved on without us: partitions may belong to others now."""

_UNAVAILABLE = frozenset(
    {
        KafkaError._TRANSPORT,
        KafkaError._FAIL,
        KafkaError._RESOLVE,
        KafkaError._ALL_BROKERS_DOWN,
        KafkaError._TIMED_OUT,
        KafkaError._TIMED_OUT_QUEUE,
        KafkaError._MSG_TIMED_OUT,
        KafkaError._QUEUE_FULL,
        KafkaError._ISR_INSUFF,
        KafkaError._NODE_UPDATE,
        KafkaError._WAIT_COORD,
        KafkaError._WAIT_CACHE,
        KafkaError._IN_PROGRESS,
        KafkaError._PREV_IN_PROGRESS,
        KafkaError._INTR,
        KafkaError._RETRY,
        KafkaError._OUTDATED,
        KafkaError._PARTIAL,
        KafkaError._UNKNOWN_BROKER,
        KafkaError._DESTROY_BROKER,
        KafkaError.LEADER_NOT_AVAILABLE,
        KafkaError.NOT_LEADER_FOR_PARTITION,
        KafkaError.REQUEST_TIMED_OUT,
        KafkaError.BROKER_NOT_AVAILABLE,
        KafkaError.REPLICA_NOT_AVAILABLE,
        KafkaError.STALE_CTRL_EPOCH,
        KafkaError.NETWORK_EXCEPTION,
        KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
        KafkaError.COORDINATOR_NOT_AVAILABLE,
        KafkaError.NOT_COORDINATOR,
        KafkaError.NOT_ENOUGH_REPLICAS,
        KafkaError.NOT_ENOUGH_REPLICAS_AFTER_APPEND,
        KafkaError.REBALANCE_IN_PROGRESS,
        KafkaError.NOT_CONTROLLER,
        KafkaError.CONCURRENT_TRANSACTIONS,
        KafkaError.TRANSACTION_COORDINATOR_FENCED,
        KafkaError.KAFKA_STORAGE_ERROR,
        KafkaError.REASSIGNMENT_IN_PROGRESS,
        KafkaError.FETCH_SESSION_ID_NOT_FOUND,
        KafkaError.INVALID_FETCH_SESSION_EPOCH,
        KafkaError.LISTENER_NOT_FOUND,
        KafkaError.FENCED_LEADER_EPOCH,
        KafkaError.UNKNOWN_LEADER_EPOCH,
        KafkaError.STALE_BROKER_EPOCH,
        KafkaError.OFFSET_NOT_AVAILABLE,
        KafkaError.MEMBER_ID_REQUIRED,
        KafkaError.PREFERRED_LEADER_NOT_AVAILABLE,
        KafkaError.ELIGIBLE_LEADERS_NOT_AVAILABLE,
        KafkaError.UNSTABLE_OFFSET_COMMIT,
        KafkaError.THROTTLING_QUOTA_EXCEEDED,
        KafkaError.REBOOTSTRAP_REQUIRED,
    }
)
"""The cluster is away, moving or busy: time mends it."""

_ABORTABLE = frozenset(
    {
        KafkaError.TRANSACTION_ABORTABLE,
        KafkaError.INVALID_PRODUCER_ID_MAPPING,
        KafkaError.UNKNOWN_PRODUCER_ID,
        KafkaError._PURGE_QUEUE,
        KafkaError._PURGE_INFLIGHT,
    }
)
"""This transaction is spoilt, the next one need not be."""

_SETTINGS = frozenset(
    {
        KafkaError._INVALID_ARG,
        KafkaError._NOT_CONFIGURED,
        KafkaError._SSL,
        KafkaError._FS,
        KafkaError._UNKNOWN_PROTOCOL,
        KafkaError.INVALID_TRANSACTION_TIMEOUT,
        KafkaError.INVALID_SESSION_TIMEOUT,
        KafkaError.INVALID_GROUP_ID,
    }
)
"""The operator's settings cannot work."""

_TOPIC_MISSING = frozenset(
    {
        KafkaError.UNKNOWN_TOPIC_OR_PART,
        KafkaError.UNKNOWN_TOPIC_ID,
        KafkaError.INCONSISTENT_TOPIC_ID,
        KafkaError._UNKNOWN_TOPIC,
        KafkaError._UNKNOWN_PARTITION,
    }
)
_CREDENTIALS = frozenset(
    {
        KafkaError._AUTHENTICATION,
        KafkaError.SASL_AUTHENTICATION_FAILED,
        KafkaError.ILLEGAL_SASL_STATE,
        KafkaError.UNSUPPORTED_SASL_MECHANISM,
    }
)
_TOO_LARGE = frozenset(
    {
        KafkaError.MSG_SIZE_TOO_LARGE,
        KafkaError.RECORD_LIST_TOO_LARGE,
        KafkaError.INVALID_MSG_SIZE,
    }
)
_REFUSALS_OF_GROUPS = frozenset(
    {KafkaError.GROUP_AUTHORIZATION_FAILED, KafkaError.GROUP_MAX_SIZE_REACHED}
)
_UNSUPPORTED = frozenset({KafkaError.UNSUPPORTED_VERSION, KafkaError._UNSUPPORTED_FEATURE})
_LOCAL_REFUSALS = frozenset(
    {
        *_TOPIC_MISSING,
        *_CREDENTIALS,
        KafkaError._NO_OFFSET,
        KafkaError._AUTO_OFFSET_RESET,
        KafkaError._LOG_TRUNCATION,
        KafkaError._UNSUPPORTED_FEATURE,
        KafkaError._INVALID_DIFFERENT_RECORD,
    }
)


def unveiled(error: KafkaError) -> KafkaError:
    """Return a fatal error under the code it stands for.

    A consumer meets it as `_FATAL`: only the text tells which, beginning with that of the code.
    """
    if error.code() != KafkaError._FATAL:
        return error
    told = error.str().removeprefix("Fatal error: ")
    known = _SUPERSEDED | _GENERATION_PASSED | _UNSUPPORTED | _REFUSALS_OF_GROUPS
    meant = (code for code in known if told.startswith(KafkaError(code).str()))
    return KafkaError(next(meant, error.code()), error.str(), True)


def recovery(error: KafkaError) -> Recovery:
    """Say what the caller can do about an error.

    librdkafka's own verdict (`fatal`, `txn_requires_abort`, `retriable`) stands above the code:
    only the client knows in which state it is.
    """
    error = unveiled(error)
    code = error.code()
    if error.fatal() or code in _SUPERSEDED:
        return Recovery.GIVE_UP
    if error.txn_requires_abort() or code in _ABORTABLE | _GENERATION_PASSED:
        return Recovery.ABORT
    if error.retriable() or code in _UNAVAILABLE:
        return Recovery.RETRY
    return Recovery.GIVE_UP


def translate(error: KafkaError, operation: Operation | str) -> StreamVaeError:
    """Return our exception for one of librdkafka's errors.

    Its message says what was being done, what librdkafka said, and what would mend it.

    Args:
        error: What went wrong.
        operation: What was being done; bare text where there is no topic or group to name.
    """
    if isinstance(operation, str):
        operation = Operation(doing=operation)
    error = unveiled(error)
    message = f"{operation.doing}: {error.name()}: {error.str()}"
    advice = _advice(error, operation)
    return _kind(error)(f"{message}; {advice}" if advice else message)


@contextmanager
def translated(operation: Operation | str) -> Iterator[None]:
    """Raise ours for any `KafkaException` in the block, with the original as its cause."""
    try:
        yield
    except KafkaException as exc:
        raise translate(error_of(exc), operation) from exc


def error_of(exc: KafkaException) -> KafkaError:
    """Return the error an exception carries; some carry bare text."""
    carried = exc.args[0] if exc.args else None
    if isinstance(carried, KafkaError):
        return carried
    return KafkaError(KafkaError._FAIL, str(exc))


def _kind(error: KafkaError) -> type[StreamVaeError]:
    code = error.code()
    if code in _SUPERSEDED | _GENERATION_PASSED:
        return FencedError
    if code in _UNAVAILABLE | _ABORTABLE:
        return KafkaUnavailableError
    if code in _SETTINGS:
        return ConfigError
    if code in _LOCAL_REFUSALS or code > 0:
        return KafkaRefusedError
    return KafkaUnavailableError if error.retriable() else StreamVaeError


def _advice(error: KafkaError, operation: Operation) -> str:
    code = error.code()
    topic = f"topic {operation.topic!r}" if operation.topic else "the topic"
    group = f"group {operation.group!r}" if operation.group else "the group"
    identity = f"transactional id {operation.transactional_id!r}"
    identity = identity if operation.transactional_id else "the transactional id"
    by_code = {
        KafkaError.TOPIC_AUTHORIZATION_FAILED: f"needs {operation.access} and Describe on {topic}",
        KafkaError.GROUP_AUTHORIZATION_FAILED: f"needs Read and Describe on {group}",
        KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED: (
            f"needs Write and Describe on {identity}"
        ),
        KafkaError.CLUSTER_AUTHORIZATION_FAILED: "needs IdempotentWrite on the cluster",
        KafkaError.POLICY_VIOLATION: f"the brokers' policy for {topic} forbids it",
        KafkaError.UNRELEASED_INSTANCE_ID: (
            "it is a live rival, or this instance before it was killed, until its session is over"
        ),
    }
    if code in by_code:
        return by_code[code]
    if code in _CREDENTIALS:
        return "the brokers refuse the credentials: check kafka.security_protocol and kafka.sasl_…"
    if code in _TOPIC_MISSING:
        return f"{topic} does not exist, or the right Describe on it is missing"
    if code in _TOO_LARGE:
        return f"raise max.message.bytes of {topic}"
    if code in _SUPERSEDED:
        return f"another instance has the name of this one ({identity}, {group})"
    return ""
