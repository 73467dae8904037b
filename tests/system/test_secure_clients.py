"""The clients that a person uses, and the producer, against brokers that refuse."""

import uuid
from collections.abc import Callable
from dataclasses import replace

import pytest
from confluent_kafka import Consumer
from pydantic import SecretStr

from stream_vae.core.records import OutputRecord
from stream_vae.edges.kafka.admin.startup import await_topics
from stream_vae.edges.kafka.config import KafkaConfig
from stream_vae.edges.kafka.produce.output_producer import OutputProducer
from stream_vae.edges.kafka.produce.reading_feed import EncodedReading, publish_readings
from stream_vae.edges.kafka.read.topic_reader import read_topic
from stream_vae.errors import KafkaRefusedError, KafkaUnavailableError
from stream_vae.events import BrokerUnreachable, TransactionAborted
from tests.recorded_events import RecordedEvents
from tests.system.secure_broker import Right, SecureKafka


def config_for(kafka: SecureKafka, user: str, *, says: str = "right") -> KafkaConfig:
    """Register a user and return its way in, with the password that it says."""
    kafka.by_password(user, "right")
    return KafkaConfig(
        bootstrap_servers=kafka.broker.addresses["SCRAM"],
        group_id=user,
        security_protocol="SASL_SSL",
        sasl_mechanism="SCRAM-SHA-512",
        sasl_username=user,
        sasl_password=SecretStr(says),
        ssl_ca_location=kafka.ca_file,
        broker_deadline_s=3600.0,  # who waits for it is stopped by the time limit of a test
    )


@pytest.mark.parametrize(
    "use",
    [
        lambda config: list(read_topic(config, "alerts", RecordedEvents(), follow=False)),
        lambda config: publish_readings(config, "readings", [], RecordedEvents()),
    ],
    ids=["alerts", "feed"],
)
def test_a_wrong_password_is_told_at_once(
    secure_kafka: SecureKafka, use: Callable[[KafkaConfig], object]
) -> None:
    config = config_for(secure_kafka, "visitor", says="wrong")

    with pytest.raises(KafkaRefusedError, match=r"invalid credentials.*kafka\.sasl_"):
        use(config)


def record(topic: str) -> OutputRecord:
    return OutputRecord(topic=topic, key=b"s", value=b"v", headers=[], partition=0)


def test_feeding_needs_write_and_reading_alerts_needs_read_on_the_topic_alone(
    secure_kafka: SecureKafka,
) -> None:
    """Control: without the right each is refused, by its name."""
    config = config_for(secure_kafka, f"person-{uuid.uuid4().hex[:8]}")
    topic = secure_kafka.broker.new_topic("fed")
    reading = EncodedReading(key=b"s", value=b"v", time_ns=0)

    for operation, use in (
        ("Write", lambda: publish_readings(config, topic, [reading], RecordedEvents())),
        ("Read", lambda: list(read_topic(config, topic, RecordedEvents(), follow=False))),
    ):
        right = Right(kind="topic", name=topic, operation=operation)
        secure_kafka.grant(config.group_id, [replace(right, operation="Describe")])
        with pytest.raises(KafkaRefusedError, match=f"needs {operation} and .* topic '{topic}'"):
            use()
        secure_kafka.grant(config.group_id, [right])
        assert use()


def test_a_provider_of_tokens_that_is_away_is_waited_for(secure_kafka: SecureKafka) -> None:
    """Control: one that answers and refuses ends the daemon at once, see its own tests."""
    secure_kafka.by_token("waiter", "right")
    config = KafkaConfig(
        bootstrap_servers=secure_kafka.broker.addresses["TOKEN"],
        security_protocol="SASL_SSL",
        sasl_mechanism="OAUTHBEARER",
        sasl_oauthbearer_token_endpoint_url="https://127.0.0.1:1/token",  # noqa: S106 -- an address
        sasl_oauthbearer_client_id="waiter",
        sasl_oauthbearer_client_secret=SecretStr("right"),
        ssl_ca_location=secure_kafka.ca_file,
        broker_deadline_s=2.5,
    )
    events = RecordedEvents()

    with pytest.raises(KafkaUnavailableError, match="Could not connect to server"):
        await_topics(
            config,
            "readings",
            (),
            events,
            stopping=lambda: False,
        )

    assert any("OAUTHBEARER token" in e.detail for e in events.of(BrokerUnreachable))


@pytest.mark.parametrize("n_topics", [1, 2])
def test_a_right_withdrawn_from_a_running_daemon_is_named(
    secure_kafka: SecureKafka, n_topics: int
) -> None:
    """It is not tried again: no other transaction would have it. Control: it may write the rest."""
    user = f"writer-{uuid.uuid4().hex[:8]}"
    config = config_for(secure_kafka, user)
    topics = [secure_kafka.broker.new_topic(f"out-{i}") for i in range(n_topics)]
    rights = [Right(kind="topic", name=topic, operation="Write") for topic in topics[1:]]
    secure_kafka.grant(
        user,
        [
            *rights,
            Right(kind="topic", name=topics[0], operation="Describe"),
            Right(kind="transactional id", name=f"{user}.", operation="Write", is_prefix=True),
        ],
    )
    events = RecordedEvents()
    producer = OutputProducer(
        config,
        f"{user}.0",
        events,
    )
    producer.open()
    group = Consumer({"group.id": config.group_id, "bootstrap.servers": ""})
    nobody = group.consumer_group_metadata()
    for topic in topics[1:]:
        assert producer.commit([record(topic)], "in", {}, nobody)

    with pytest.raises(KafkaRefusedError, match="needs Write and Describe on") as caught:
        producer.commit([record(topic) for topic in topics], "in", {}, nobody)

    for topic in topics:
        assert repr(topic) in str(caught.value)
    assert len(events.of(TransactionAborted)) == 1
    producer.close()
