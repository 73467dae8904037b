"""What librdkafka is told; every dictionary is judged by librdkafka itself."""

import logging
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import pytest
import trustme
from confluent_kafka import Consumer, Producer
from pydantic import SecretStr

from stream_vae.edges.kafka.client_log import CLIENT_LOG
from stream_vae.edges.kafka.config import OWNED_PROPERTIES, KafkaConfig, Properties
from stream_vae.edges.kafka.properties import (
    ClientProperties,
    client_properties,
    consumer_properties,
    producer_properties,
    reader_properties,
    verify_properties,
)
from stream_vae.errors import ConfigError

NOWHERE = "127.0.0.1:1"
BUILDERS: dict[str, tuple[type, Callable[[KafkaConfig], ClientProperties]]] = {
    "consumer": (Consumer, lambda c: consumer_properties(c, "consumer", instance="pod-0")),
    "classic": (Consumer, lambda c: consumer_properties(c, "classic", instance="pod-0")),
    "reader": (Consumer, reader_properties),
    "transactional": (Producer, lambda c: producer_properties(c, transactional_id="tx")),
    "idempotent": (Producer, producer_properties),
}
CONFIGS = {
    "defaults": KafkaConfig(bootstrap_servers=NOWHERE),
    "static member, short times": KafkaConfig(
        bootstrap_servers=NOWHERE,
        instance_id="pod-0",
        commit_interval_s=0.05,
        transaction_timeout_s=1.0,
        session_timeout_s=1.0,
        delivery_timeout_s=1.0,
    ),
    "long times": KafkaConfig(
        bootstrap_servers=NOWHERE,
        transaction_timeout_s=900.0,
        session_timeout_s=1800.0,
        delivery_timeout_s=2000.0,
    ),
    "SASL over TLS": KafkaConfig(
        bootstrap_servers=NOWHERE,
        security_protocol="SASL_SSL",
        sasl_mechanism="SCRAM-SHA-512",
        sasl_username="farm",
        sasl_password=SecretStr("s3cret"),
    ),
    "token over TLS": KafkaConfig(
        bootstrap_servers=NOWHERE,
        security_protocol="SASL_SSL",
        sasl_mechanism="OAUTHBEARER",
        sasl_oauthbearer_token_endpoint_url="https://127.0.0.1:1/token",  # noqa: S106 -- an address
        sasl_oauthbearer_client_id="farm",
        sasl_oauthbearer_client_secret=SecretStr("s3cret"),
        sasl_oauthbearer_scope="readings alerts",
        sasl_oauthbearer_extensions="logicalCluster=a,pool=b",
    ),
}


def passing_through(place: str, name: str, value: str | bool) -> KafkaConfig:
    maps: dict[str, Properties] = {place: {name: value}}
    return KafkaConfig(
        bootstrap_servers=NOWHERE,
        consumer=maps.get("consumer", {}),
        producer=maps.get("producer", {}),
        common=maps.get("common", {}),
    )


@pytest.mark.parametrize("builder", BUILDERS)
@pytest.mark.parametrize("config", CONFIGS)
def test_librdkafka_accepts_what_is_produced(builder: str, config: str) -> None:
    client, build = BUILDERS[builder]

    client(build(CONFIGS[config])).close()


@pytest.mark.parametrize("builder", ["consumer", "classic", "reader"])
def test_consumers_read_committed_records_and_commit_nothing_by_themselves(builder: str) -> None:
    properties = BUILDERS[builder][1](CONFIGS["defaults"])

    assert properties["isolation.level"] == "read_committed"
    assert properties["enable.auto.commit"] is False
    assert properties["enable.auto.offset.store"] is False
    assert properties["allow.auto.create.topics"] is False


@pytest.mark.parametrize("builder", BUILDERS)
def test_an_owned_property_cannot_be_passed_through_and_every_other_one_can(builder: str) -> None:
    """The two halves are each other's control: no property is neither owned nor overridable."""
    properties = BUILDERS[builder][1](CONFIGS["defaults"])
    place = "producer" if BUILDERS[builder][0] is Producer else "consumer"
    derived = {"logger", "enable.partition.eof", "heartbeat.interval.ms"}
    for name in properties.keys() - derived:
        if name in OWNED_PROPERTIES:
            with pytest.raises(ValueError, match=name):
                passing_through(place, name, "1")
        elif name == "client.id":
            assert properties[name].startswith("stream-vae")
        else:
            config = passing_through(place, name, "4321")
            assert BUILDERS[builder][1](config)[name] == "4321"


def test_the_narrower_map_wins_over_the_common_one() -> None:
    config = KafkaConfig(
        common={"socket.timeout.ms": 1, "linger.ms": 2},
        consumer={"socket.timeout.ms": 3},
        producer={"linger.ms": 4},
    )

    assert client_properties(config)["socket.timeout.ms"] == 1
    assert reader_properties(config)["socket.timeout.ms"] == 3
    assert producer_properties(config)["socket.timeout.ms"] == 1
    assert producer_properties(config)["linger.ms"] == 4


@pytest.mark.parametrize("protocol", ["consumer", "classic"])
def test_only_a_configured_instance_is_a_static_member(
    protocol: Literal["consumer", "classic"],
) -> None:
    """A drawn name must not hold its partitions for a session after it left."""
    drawn = consumer_properties(KafkaConfig(), protocol, instance="x7f")
    configured = consumer_properties(KafkaConfig(instance_id="pod-0"), protocol, instance="pod-0")

    assert "group.instance.id" not in drawn
    assert drawn["client.id"] == "stream-vae-x7f"
    assert configured["group.instance.id"] == "pod-0"


def test_records_do_not_outlive_their_transaction() -> None:
    config = KafkaConfig(transaction_timeout_s=10.0, delivery_timeout_s=60.0)

    transactional = producer_properties(config, transactional_id="tx")

    assert transactional["message.timeout.ms"] == transactional["transaction.timeout.ms"] == 10_000
    assert producer_properties(config)["message.timeout.ms"] == 60_000


def test_credentials_reach_the_client_and_no_printed_form_of_the_settings() -> None:
    config = CONFIGS["SASL over TLS"]

    assert client_properties(config)["sasl.password"] == "s3cret"
    assert client_properties(config)["sasl.username"] == "farm"
    assert "s3cret" not in repr(config)


def test_a_token_comes_by_client_credentials_unless_something_else_is_said() -> None:
    """Without a file of authorities, the usual places of all kinds of systems are looked at."""
    config = CONFIGS["token over TLS"]
    chosen = replace(
        config, https_ca_location="ca.pem", common={"sasl.oauthbearer.method": "default"}
    )

    assert client_properties(config)["sasl.oauthbearer.method"] == "oidc"
    assert client_properties(config)["sasl.oauthbearer.client.secret"] == "s3cret"
    assert client_properties(config)["https.ca.location"] == "probe"
    assert client_properties(chosen)["sasl.oauthbearer.method"] == "default"
    assert client_properties(chosen)["https.ca.location"] == "ca.pem"
    assert "https.ca.location" not in client_properties(
        replace(config, common={"https.ca.pem": "x"})
    )
    assert "sasl.oauthbearer.method" not in client_properties(CONFIGS["SASL over TLS"])


@pytest.mark.parametrize(
    ("place", "name", "value"),
    [
        ("common", "socket.keepalive.enabled", True),
        ("consumer", "fetch.min.bytes", "many"),
        ("producer", "compression.codec", "rar"),
    ],
)
def test_what_librdkafka_does_not_know_is_the_operators_mistake(
    place: str, name: str, value: str | bool
) -> None:
    verify_properties(CONFIGS["defaults"])
    config = passing_through(place, name, value)

    with pytest.raises(ConfigError, match=name):
        verify_properties(config)


@pytest.mark.parametrize("state", ["missing", "wrong"])
@pytest.mark.parametrize(
    ("setting", "others"),
    [
        ("ssl_ca_location", {}),
        ("ssl_certificate_location", {"ssl_key_location": "KEY"}),
        ("ssl_key_location", {"ssl_certificate_location": "CERTIFICATE"}),
        ("https_ca_location", {}),
    ],
)
def test_a_file_of_keys_that_cannot_be_used_is_named_with_its_setting(
    tmp_path: Path, setting: str, others: dict[str, str], state: str
) -> None:
    """Control: files that can be used are."""
    authority = trustme.CA()
    issued = authority.issue_cert("client")
    issued.cert_chain_pems[0].write_to_path(tmp_path / "CERTIFICATE")
    issued.private_key_pem.write_to_path(tmp_path / "KEY")
    authority.cert_pem.write_to_path(tmp_path / "CA")
    good = {"ssl_certificate_location": "CERTIFICATE", "ssl_key_location": "KEY"}
    security: dict[str, Any] = {"security_protocol": "SSL"}
    if setting == "https_ca_location":
        security = {
            "security_protocol": "SASL_SSL",
            "sasl_mechanism": "OAUTHBEARER",
            "sasl_oauthbearer_token_endpoint_url": "https://idp.example/token",
            "sasl_oauthbearer_client_id": "ann",
            "sasl_oauthbearer_client_secret": SecretStr("secret"),
        }
    for name, file in others.items():
        security[name] = str(tmp_path / file)
    usable = security | {setting: str(tmp_path / good.get(setting, "CA"))}
    verify_properties(KafkaConfig(bootstrap_servers=NOWHERE, **usable))
    bad = tmp_path / "bad.pem"
    if state == "wrong":
        bad.write_text("garbage")

    with pytest.raises(ConfigError) as caught:
        verify_properties(KafkaConfig(bootstrap_servers=NOWHERE, **security | {setting: str(bad)}))

    assert f"kafka.{setting}: the file {str(bad)!r} cannot be " in str(caught.value)
    assert ("No such file" in str(caught.value)) == (state == "missing")


def test_the_clients_log_goes_to_the_logger(
    caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    """Control: without the logger the same message is on stderr."""
    caplog.set_level(logging.INFO, CLIENT_LOG.name)
    logged = reader_properties(KafkaConfig(bootstrap_servers="localhost:1"))
    unlogged = {name: value for name, value in logged.items() if name != "logger"}
    stderr: dict[str, str] = {}
    for name, properties in (("logged", logged), ("unlogged", unlogged)):
        consumer = Consumer(properties)
        stderr[name] = ""
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            consumer.poll(0.1)
            stderr[name] += capfd.readouterr().err
            if "Connection refused" in (caplog.text if name == "logged" else stderr[name]):
                break
        consumer.close()

    assert "Connection refused" in caplog.text
    assert stderr["logged"] == ""
    assert "Connection refused" in stderr["unlogged"]
