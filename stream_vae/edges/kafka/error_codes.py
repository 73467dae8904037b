"""Groups of librdkafka's error codes, and the effective code behind a wrapping one."""

# ruff: noqa: SLF001 - the codes librdkafka raises itself are public, their names start with `_`

import re

from confluent_kafka import KafkaError

SUPERSEDED = frozenset(
    {
        KafkaError._FENCED,
        KafkaError.PRODUCER_FENCED,
        KafkaError.INVALID_PRODUCER_EPOCH,
        KafkaError.FENCED_INSTANCE_ID,
        KafkaError.UNRELEASED_INSTANCE_ID,
    }
)
"""Another client has the same id."""

GENERATION_PASSED = frozenset(
    {
        KafkaError.ILLEGAL_GENERATION,
        KafkaError.UNKNOWN_MEMBER_ID,
        KafkaError.FENCED_MEMBER_EPOCH,
        KafkaError.STALE_MEMBER_EPOCH,
        KafkaError._ASSIGNMENT_LOST,
        KafkaError._MAX_POLL_EXCEEDED,
    }
)
"""The group has a newer generation: partitions may belong to others now."""

UNAVAILABLE = frozenset(
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
"""The cluster is unavailable, electing leaders or busy: transient."""

ABORTABLE = frozenset(
    {
        KafkaError.TRANSACTION_ABORTABLE,
        KafkaError.INVALID_PRODUCER_ID_MAPPING,
        KafkaError.UNKNOWN_PRODUCER_ID,
        KafkaError.INVALID_TXN_STATE,
        KafkaError._PURGE_QUEUE,
        KafkaError._PURGE_INFLIGHT,
    }
)
"""This transaction has failed, the next one may succeed."""

SETTINGS = frozenset(
    {
        KafkaError._INVALID_ARG,
        KafkaError._NOT_CONFIGURED,
        KafkaError._FS,
        KafkaError._UNKNOWN_PROTOCOL,
        KafkaError.INVALID_TRANSACTION_TIMEOUT,
        KafkaError.INVALID_SESSION_TIMEOUT,
        KafkaError.INVALID_GROUP_ID,
    }
)
"""The operator's settings are invalid."""

TOPIC_MISSING = frozenset(
    {
        KafkaError.UNKNOWN_TOPIC_OR_PART,
        KafkaError.UNKNOWN_TOPIC_ID,
        KafkaError.INCONSISTENT_TOPIC_ID,
        KafkaError._UNKNOWN_TOPIC,
        KafkaError._UNKNOWN_PARTITION,
    }
)
CREDENTIALS = frozenset(
    {
        KafkaError._AUTHENTICATION,
        KafkaError.SASL_AUTHENTICATION_FAILED,
        KafkaError.ILLEGAL_SASL_STATE,
        KafkaError.UNSUPPORTED_SASL_MECHANISM,
    }
)
BROKEN_CONNECTION = frozenset({KafkaError._TRANSPORT, KafkaError._SSL})
CERTIFICATE = re.compile(r"certificate|unknown ca\b|trust anchors", re.IGNORECASE)
"""Matches every refusal of a certificate, the brokers' or the daemon's own."""
TOKENLESS = "Failed to acquire SASL OAUTHBEARER token"
TOKEN_REFUSED = re.compile(
    r"invalid_(?:client|grant|request|scope)|unauthorized_client|unsupported_grant_type"
)
"""Codes of RFC 6749, section 5.2: the provider refused the request; not transient."""
TOO_LARGE = frozenset(
    {
        KafkaError.MSG_SIZE_TOO_LARGE,
        KafkaError.RECORD_LIST_TOO_LARGE,
        KafkaError.INVALID_MSG_SIZE,
    }
)
REFUSALS_OF_GROUPS = frozenset(
    {KafkaError.GROUP_AUTHORIZATION_FAILED, KafkaError.GROUP_MAX_SIZE_REACHED}
)
RIGHT_MISSING = frozenset(
    {
        KafkaError.TOPIC_AUTHORIZATION_FAILED,
        KafkaError.GROUP_AUTHORIZATION_FAILED,
        KafkaError.CLUSTER_AUTHORIZATION_FAILED,
        KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
    }
)
UNSUPPORTED = frozenset({KafkaError.UNSUPPORTED_VERSION, KafkaError._UNSUPPORTED_FEATURE})
LOCAL_REFUSALS = frozenset(
    {
        *TOPIC_MISSING,
        *CREDENTIALS,
        KafkaError._SSL,
        KafkaError._NO_OFFSET,
        KafkaError._AUTO_OFFSET_RESET,
        KafkaError._LOG_TRUNCATION,
        KafkaError._UNSUPPORTED_FEATURE,
        KafkaError._INVALID_DIFFERENT_RECORD,
    }
)


def unwrapped(error: KafkaError) -> KafkaError:
    """Return a fatal error with the code that it wraps.

    A consumer gets it as `_FATAL`: only its text, which starts with that of the code, names it.
    """
    if error.code() != KafkaError._FATAL:
        return error
    text = error.str().removeprefix("Fatal error: ")
    known = SUPERSEDED | GENERATION_PASSED | UNSUPPORTED | REFUSALS_OF_GROUPS
    meant = (code for code in known if text.startswith(KafkaError(code).str()))
    return KafkaError(next(meant, error.code()), error.str(), True)


def effective_code(error: KafkaError) -> int:
    """Return the effective code, where only the text identifies it.

    A refused certificate may be reported as a broken connection, and other TLS failures are
    transient; a missing token is reported as refused credentials, even if the provider is only
    unavailable.
    """
    code, text = error.code(), error.str()
    if code in BROKEN_CONNECTION:
        return KafkaError._SSL if CERTIFICATE.search(text) else KafkaError._TRANSPORT
    if code in CREDENTIALS and text.startswith(TOKENLESS):
        if CERTIFICATE.search(text):
            return KafkaError._SSL
        return code if TOKEN_REFUSED.search(text) else KafkaError._TRANSPORT
    return code
