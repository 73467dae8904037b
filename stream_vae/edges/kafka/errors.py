"""Translates librdkafka's errors into ours."""

# ruff: noqa: SLF001 - the codes librdkafka raises itself are public, their names start with `_`

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum
from typing import Literal

from confluent_kafka import KafkaError, KafkaException

from stream_vae.edges.kafka.error_codes import (
    ABORTABLE,
    CREDENTIALS,
    GENERATION_PASSED,
    LOCAL_REFUSALS,
    RIGHT_MISSING,
    SETTINGS,
    SUPERSEDED,
    TOKENLESS,
    TOO_LARGE,
    TOPIC_MISSING,
    UNAVAILABLE,
    effective_code,
    unwrapped,
)
from stream_vae.errors import (
    ConfigError,
    FencedError,
    KafkaRefusedError,
    KafkaUnavailableError,
    StreamVaeError,
    TopicMissingError,
)


class Recovery(Enum):
    """The caller's way to recover."""

    RETRY = "retry"
    """Call again with the same arguments."""
    ABORT = "abort"
    """Abort the transaction, then retry all of it with the partitions still owned."""
    GIVE_UP = "give up"
    """The client cannot recover: close it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """The operation in progress, for messages that name what is missing."""

    doing: str
    """In gerund form: `reading the input topic`."""
    topic: str | None = None
    access: Literal["Read", "Write", "Create", "Alter", "DescribeConfigs"] = "Read"
    """The right on the topic that the operation needs."""
    group: str | None = None
    transactional_id: str | None = None
    session_timeout_s: float | None = None
    """Of a member that joins the group."""


def refuses_connection(error: KafkaError) -> bool:
    """Return whether a broker, or the token provider, refuses our identity."""
    return effective_code(error) in {*CREDENTIALS, KafkaError._SSL}


def lacks_right(error: KafkaError) -> bool:
    """Return whether the error is a missing right."""
    return error.code() in RIGHT_MISSING


def is_fenced(error: KafkaError) -> bool:
    """Return whether somebody else has taken this client's place, or its partitions."""
    return _kind(unwrapped(error)) is FencedError


def has_no_transaction(error: KafkaError) -> bool:
    """Return whether the brokers know of no transaction of the client's that could be ended.

    They timed it out, or never heard of it, as where one restarts. librdkafka takes that for fatal
    (its issues 3297, 4849). Nobody else has the transactional id: its epoch is looked at before.
    """
    return error.code() == KafkaError.INVALID_TXN_STATE


def recovery(error: KafkaError) -> Recovery:
    """Return how the caller can recover from an error.

    librdkafka's own flags (`fatal`, `txn_requires_abort`, `retriable`) take precedence over the
    code: only the client knows its state. But retrying a transaction does not help if a right is
    missing.
    """
    error = unwrapped(error)
    code = effective_code(error)
    if error.fatal() or code in SUPERSEDED | RIGHT_MISSING:
        return Recovery.GIVE_UP
    if error.txn_requires_abort() or code in ABORTABLE | GENERATION_PASSED:
        return Recovery.ABORT
    if error.retriable() or code in UNAVAILABLE:
        return Recovery.RETRY
    return Recovery.GIVE_UP


def translate(error: KafkaError, operation: Operation | str) -> StreamVaeError:
    """Return our exception for one of librdkafka's errors.

    Its message contains the operation, librdkafka's text, and advice.

    Args:
        error: librdkafka's error.
        operation: The operation in progress; plain text if there is no topic or group to name.
    """
    if isinstance(operation, str):
        operation = Operation(doing=operation)
    error = unwrapped(error)
    # The client's own codes, which begin so, are no words to a reader: its text comes first.
    is_own = error.name().startswith("_")
    words = f"{error.str()} ({error.name()})" if is_own else f"{error.name()}: {error.str()}"
    message = f"{operation.doing}: {words}"
    advice = _advice(error, operation)
    return _kind(error)(f"{message}; {advice}" if advice else message)


def gave_up(reason: StreamVaeError, deadline_s: float) -> KafkaUnavailableError:
    """Return the error of a wait for brokers that reached its deadline."""
    return KafkaUnavailableError(f"gave up after {deadline_s:g} s: {reason}")


@contextmanager
def translated(operation: Operation | str) -> Iterator[None]:
    """Raise ours for any `KafkaException` in the block, with the original as its cause."""
    try:
        yield
    except KafkaException as exc:
        raise translate(error_of(exc), operation) from exc


def error_of(exc: KafkaException) -> KafkaError:
    """Return the error in an exception; some contain plain text."""
    carried = exc.args[0] if exc.args else None
    if isinstance(carried, KafkaError):
        return carried
    return KafkaError(KafkaError._FAIL, str(exc))


def _kind(error: KafkaError) -> type[StreamVaeError]:
    code = effective_code(error)
    if code in SUPERSEDED | GENERATION_PASSED:
        return FencedError
    if code in UNAVAILABLE | ABORTABLE:
        return KafkaUnavailableError
    if code in SETTINGS:
        return ConfigError
    if code in TOPIC_MISSING:
        return TopicMissingError
    if code in LOCAL_REFUSALS or code > 0:
        return KafkaRefusedError
    return KafkaUnavailableError if error.retriable() else StreamVaeError


def _advice(error: KafkaError, operation: Operation) -> str:
    code = effective_code(error)
    topic = f"topic {operation.topic!r}" if operation.topic else "the topic"
    group = f"group {operation.group!r}" if operation.group else "the group"
    identity = f"transactional id {operation.transactional_id!r}"
    identity = identity if operation.transactional_id else "the transactional id"
    credentials = (
        "the brokers refuse the credentials: check kafka.security_protocol and kafka.sasl_…"
    )
    if error.str().startswith(TOKENLESS):
        credentials = certificates = "check kafka.sasl_oauthbearer_… and kafka.https_ca_location"
    else:
        certificates = "check kafka.ssl_… here and the certificates of the brokers"
    # Read and Write include Describe, but lists of rights often name it too.
    describe = " and Describe" if operation.access in {"Read", "Write"} else ""
    missing = f"{topic} does not exist, or the right Describe on it is missing"
    rival = f"another instance has the name of this one ({identity}, {group})"
    timeout = operation.session_timeout_s
    session = (
        f"kafka.session_timeout_s is {timeout:g}" if timeout else "check kafka.session_timeout_s"
    )
    by_code = {
        **dict.fromkeys(CREDENTIALS, credentials),
        **dict.fromkeys(TOPIC_MISSING, missing),
        **dict.fromkeys(TOO_LARGE, f"raise max.message.bytes of {topic}"),
        **dict.fromkeys(SUPERSEDED, rival),
        KafkaError._SSL: certificates,
        KafkaError.INVALID_SESSION_TIMEOUT: (
            f"{session}; expected what the brokers allow, from group.min.session.timeout.ms to "
            "group.max.session.timeout.ms"
        ),
        KafkaError.TOPIC_AUTHORIZATION_FAILED: f"needs {operation.access}{describe} on {topic}",
        KafkaError.GROUP_AUTHORIZATION_FAILED: f"needs Read and Describe on {group}",
        KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED: (
            f"needs Write and Describe on {identity}"
        ),
        KafkaError.CLUSTER_AUTHORIZATION_FAILED: (
            f"needs {operation.access}{describe} on {topic}, before Kafka 2.8 also IdempotentWrite "
            "on the cluster"
        ),
        KafkaError.POLICY_VIOLATION: f"the brokers' policy for {topic} forbids it",
        KafkaError.UNRELEASED_INSTANCE_ID: (
            "it is a live rival, or this instance before it was killed, until its session is over"
        ),
    }
    return by_code.get(code, "")
