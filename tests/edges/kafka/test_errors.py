"""Every error librdkafka knows becomes one of ours, with what would mend it."""

import pytest
from confluent_kafka import Consumer, KafkaError, KafkaException

from stream_vae.edges.kafka.error_codes import TOKENLESS
from stream_vae.edges.kafka.errors import (
    Operation,
    Recovery,
    recovery,
    refuses_connection,
    translate,
    translated,
)
from stream_vae.errors import (
    ConfigError,
    FencedError,
    KafkaRefusedError,
    KafkaUnavailableError,
    StreamVaeError,
    TopicMissingError,
)

READING = Operation(doing="reading", topic="readings", group="farm")
WRITING = Operation(
    doing="publishing", topic="alerts", access="Write", group="farm", transactional_id="pod-0"
)
CODES = {
    name: code
    for name in dir(KafkaError)
    if name.strip("_").isupper() and isinstance(code := getattr(KafkaError, name), int)
}
# Events of librdkafka's queues and answers to requests this program never makes: no caller of ours
# can meet them as an error, so the root of the tree (a bug) is right.
NEVER_MET = {
    "NO_ERROR", "UNKNOWN", "_APPLICATION", "_ASSIGN_PARTITIONS", "_BAD_COMPRESSION", "_BAD_MSG",
    "_CONFLICT", "_CRIT_SYS_RESOURCE", "_DESTROY", "_EXISTING_SUBSCRIPTION", "_FATAL",
    "_GAPLESS_GUARANTEE", "_INCONSISTENT", "_INVALID_TYPE", "_KEY_DESERIALIZATION",
    "_KEY_SERIALIZATION", "_NOENT", "_NOOP", "_NOT_IMPLEMENTED", "_PARTITION_EOF", "_READ_ONLY",
    "_REVOKE_PARTITIONS", "_STATE", "_UNDERFLOW", "_UNKNOWN_GROUP", "_VALUE_DESERIALIZATION",
    "_VALUE_SERIALIZATION",
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(CODES))
def test_every_error_code_becomes_one_of_our_errors_and_names_itself(name: str) -> None:
    error = translate(KafkaError(CODES[name]), READING)

    assert isinstance(error, StreamVaeError)
    is_own = name.startswith("_")  # of the client, whose text tells the same in words
    assert (f" ({name})" if is_own else f"reading: {name}: ") in str(error)
    assert (type(error) is StreamVaeError) == (name in NEVER_MET)


@pytest.mark.parametrize("name", sorted(n for n in CODES if "AUTH" in n and "DELEGATION" not in n))
def test_missing_rights_are_the_operators_and_retrying_is_pointless(name: str) -> None:
    error = KafkaError(CODES[name])

    assert isinstance(translate(error, READING), KafkaRefusedError)
    assert recovery(error) is Recovery.GIVE_UP


@pytest.mark.parametrize(
    ("code", "operation", "expected"),
    [
        (KafkaError.TOPIC_AUTHORIZATION_FAILED, READING, "needs Read and Describe on topic 'readi"),
        (KafkaError.TOPIC_AUTHORIZATION_FAILED, WRITING, "needs Write and Describe on topic 'aler"),
        (
            KafkaError.TOPIC_AUTHORIZATION_FAILED,
            Operation(doing="describing", topic="dead", access="DescribeConfigs"),
            "needs DescribeConfigs on topic 'dead'",
        ),
        (KafkaError.GROUP_AUTHORIZATION_FAILED, READING, "needs Read and Describe on group 'farm'"),
        (
            KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
            WRITING,
            "needs Write and Describe on transactional id 'pod-0'",
        ),
        (
            KafkaError.TOPIC_AUTHORIZATION_FAILED,
            Operation(doing="creating", topic="alerts", access="Create"),
            "needs Create on topic 'alerts'",
        ),
        (KafkaError.CLUSTER_AUTHORIZATION_FAILED, WRITING, "IdempotentWrite on the cluster"),
        (KafkaError.UNKNOWN_TOPIC_OR_PART, READING, "topic 'readings' does not exist"),
        (KafkaError.MSG_SIZE_TOO_LARGE, WRITING, "raise max.message.bytes of topic 'alerts'"),
        (KafkaError._AUTHENTICATION, READING, "check kafka.security_protocol"),
        (KafkaError.INVALID_SESSION_TIMEOUT, WRITING, "check kafka.session_timeout_s; expected"),
        (KafkaError.PRODUCER_FENCED, WRITING, "another instance has the name of this one"),
    ],
)
def test_the_message_names_the_missing_right_and_its_object(
    code: int, operation: Operation, expected: str
) -> None:
    assert expected in str(translate(KafkaError(code), operation))


@pytest.mark.parametrize(
    ("code", "kind", "way_out"),
    [
        (KafkaError._TRANSPORT, KafkaUnavailableError, Recovery.RETRY),
        (KafkaError._ALL_BROKERS_DOWN, KafkaUnavailableError, Recovery.RETRY),
        (KafkaError._TIMED_OUT, KafkaUnavailableError, Recovery.RETRY),
        (KafkaError.COORDINATOR_LOAD_IN_PROGRESS, KafkaUnavailableError, Recovery.RETRY),
        (KafkaError.FENCED_LEADER_EPOCH, KafkaUnavailableError, Recovery.RETRY),
        (KafkaError.TRANSACTION_ABORTABLE, KafkaUnavailableError, Recovery.ABORT),
        (KafkaError.INVALID_TXN_STATE, KafkaUnavailableError, Recovery.ABORT),
        (KafkaError.ILLEGAL_GENERATION, FencedError, Recovery.ABORT),
        (KafkaError.STALE_MEMBER_EPOCH, FencedError, Recovery.ABORT),
        (KafkaError._FENCED, FencedError, Recovery.GIVE_UP),
        (KafkaError.INVALID_PRODUCER_EPOCH, FencedError, Recovery.GIVE_UP),
        (KafkaError.FENCED_INSTANCE_ID, FencedError, Recovery.GIVE_UP),
        (KafkaError.INVALID_TRANSACTION_TIMEOUT, ConfigError, Recovery.GIVE_UP),
        (KafkaError.UNKNOWN_TOPIC_OR_PART, TopicMissingError, Recovery.GIVE_UP),
        (KafkaError.MSG_SIZE_TOO_LARGE, KafkaRefusedError, Recovery.GIVE_UP),
    ],
)
def test_who_can_mend_it_and_how(code: int, kind: type[StreamVaeError], way_out: Recovery) -> None:
    error = KafkaError(code)

    assert type(translate(error, READING)) is kind
    assert recovery(error) is way_out


@pytest.mark.parametrize(
    ("code", "text", "advice"),
    [
        (KafkaError._AUTHENTICATION, "invalid credentials", "kafka.sasl_…"),
        (KafkaError._SSL, "SSL handshake failed: certificate verify failed", "kafka.ssl_…"),
        (KafkaError._TRANSPORT, "Receive failed: tlsv13 alert certificate required", "kafka.ssl_…"),
        (KafkaError._TRANSPORT, "Receive failed: tlsv1 alert unknown ca:", "kafka.ssl_…"),
        (KafkaError._AUTHENTICATION, TOKENLESS + ': {"error": "invalid_client"}', "_oauthbearer_…"),
        (KafkaError._AUTHENTICATION, TOKENLESS + ": SSL certificate problem", "https_ca_location"),
    ],
)
def test_who_is_not_let_in_is_refused(code: int, text: str, advice: str) -> None:
    error = KafkaError(code, text)

    assert refuses_connection(error)
    assert recovery(error) is Recovery.GIVE_UP
    assert type(translate(error, READING)) is KafkaRefusedError
    assert advice in str(translate(error, READING))


@pytest.mark.parametrize(
    ("code", "text"),
    [
        (KafkaError._TRANSPORT, "Disconnected"),
        (KafkaError._SSL, "SSL handshake failed: unexpected eof while reading"),
        (KafkaError._AUTHENTICATION, TOKENLESS + ": Could not connect to server"),
        (KafkaError._AUTHENTICATION, TOKENLESS + ": <html>503 Service Unavailable</html>"),
    ],
)
def test_brokers_and_providers_that_are_away_are_waited_for(code: int, text: str) -> None:
    """Control: the same codes as above, with other texts."""
    error = KafkaError(code, text)

    assert not refuses_connection(error)
    assert recovery(error) is Recovery.RETRY
    assert type(translate(error, READING)) is KafkaUnavailableError


def test_a_transaction_that_lacks_a_right_is_not_tried_again() -> None:
    """Control: one that was merely too late is."""
    for code, way_out in [
        (KafkaError.TOPIC_AUTHORIZATION_FAILED, Recovery.GIVE_UP),
        (KafkaError._TIMED_OUT, Recovery.ABORT),
    ]:
        assert recovery(KafkaError(code, txn_requires_abort=True)) is way_out


def test_the_clients_own_verdict_stands_above_the_code() -> None:
    """Control: the same code without the flags is retried."""
    code = KafkaError._TIMED_OUT

    assert recovery(KafkaError(code)) is Recovery.RETRY
    assert recovery(KafkaError(code, txn_requires_abort=True)) is Recovery.ABORT
    assert recovery(KafkaError(code, fatal=True, txn_requires_abort=True)) is Recovery.GIVE_UP
    assert recovery(KafkaError(KafkaError.POLICY_VIOLATION)) is Recovery.GIVE_UP
    assert recovery(KafkaError(KafkaError.POLICY_VIOLATION, retriable=True)) is Recovery.RETRY


def test_a_real_exception_is_translated_with_its_cause() -> None:
    with (
        pytest.raises(ConfigError, match=r'starting: No such .* "nope"') as caught,
        translated(Operation(doing="starting")),
    ):
        Consumer({"group.id": "g", "nope": 1})

    assert isinstance(caught.value.__cause__, KafkaException)


def test_an_exception_that_carries_only_text_keeps_the_text() -> None:
    with pytest.raises(KafkaUnavailableError, match="broken pipe"), translated("starting"):
        raise KafkaException("broken pipe")
