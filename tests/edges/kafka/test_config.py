"""What the operator may set of the Kafka client, and what belongs to the daemon."""

from typing import Any

import pytest
from pydantic import SecretStr

from stream_vae.edges.kafka.config import OWNED_PROPERTIES, KafkaConfig, Properties

SASL: dict[str, Any] = {
    "security_protocol": "SASL_SSL",
    "sasl_mechanism": "SCRAM-SHA-512",
    "sasl_username": "ann",
    "sasl_password": SecretStr("hunter2"),
}
TLS: dict[str, Any] = {
    "security_protocol": "SSL",
    "ssl_certificate_location": "user.crt",
    "ssl_key_location": "user.key",
}


def make_config(place: str, properties: Properties) -> KafkaConfig:
    given: dict[str, Any] = {place: properties}
    return KafkaConfig(**given)


@pytest.mark.parametrize("place", ["common", "consumer", "producer"])
@pytest.mark.parametrize("name", [*OWNED_PROPERTIES, "error_cb"])
def test_properties_of_the_daemon_are_refused(place: str, name: str) -> None:
    with pytest.raises(ValueError, match=f"{place}: {name} is "):
        make_config(place, {name: "x"})


@pytest.mark.parametrize("place", ["common", "consumer", "producer"])
def test_other_properties_pass(place: str) -> None:
    """Control: refusing every property would pass the test above."""
    properties: Properties = {"linger.ms": 5, "socket.keepalive.enable": True, "client.id": "x"}
    assert getattr(make_config(place, properties), place) == properties


def test_what_is_owned_names_settings_that_exist() -> None:
    config = KafkaConfig()
    for advice in OWNED_PROPERTIES.values():
        for word in advice.replace(",", "").split():
            if word.startswith("kafka."):
                assert hasattr(config, word.removeprefix("kafka."))


@pytest.mark.parametrize("given", [SASL, TLS], ids=["sasl", "tls"])
def test_complete_credentials_are_accepted(given: dict[str, Any]) -> None:
    config = KafkaConfig(**given)
    assert config.security_protocol == given["security_protocol"]


@pytest.mark.parametrize("missing", ["sasl_mechanism", "sasl_username", "sasl_password"])
def test_incomplete_sasl_is_refused(missing: str) -> None:
    given = {name: value for name, value in SASL.items() if name != missing}
    with pytest.raises(ValueError, match=f"{missing} must be given"):
        KafkaConfig(**given)


def test_sasl_without_a_sasl_protocol_is_refused() -> None:
    with pytest.raises(ValueError, match=r"sasl_username is set.*is PLAINTEXT") as info:
        KafkaConfig(**{**SASL, "security_protocol": "PLAINTEXT"})
    assert "hunter2" not in str(info.value)


@pytest.mark.parametrize("missing", ["ssl_certificate_location", "ssl_key_location"])
def test_half_a_certificate_is_refused(missing: str) -> None:
    given = {name: value for name, value in TLS.items() if name != missing}
    with pytest.raises(ValueError, match="must be given together"):
        KafkaConfig(**given)


def test_a_certificate_may_come_by_property() -> None:
    config = KafkaConfig(
        security_protocol="SSL",
        ssl_certificate_location="user.crt",
        common={"ssl.key.pem": "-----BEGIN"},
    )
    assert config.ssl_key_location is None


def test_tls_without_a_tls_protocol_is_refused() -> None:
    with pytest.raises(ValueError, match="ssl_key_location is set, but security_protocol is PLAIN"):
        KafkaConfig(**{**TLS, "security_protocol": "PLAINTEXT"})


def test_a_setting_given_twice_is_refused() -> None:
    with pytest.raises(ValueError, match=r"sasl\.username is also given as kafka\.sasl_username"):
        KafkaConfig(**SASL, common={"sasl.username": "bob"})


def test_a_transaction_must_outlive_the_wait_for_its_commit() -> None:
    with pytest.raises(ValueError, match=r"commit_interval_s \(30\) must be <"):
        KafkaConfig(commit_interval_s=30.0, transaction_timeout_s=30.0)


def test_every_fault_is_told_at_once() -> None:
    with pytest.raises(ValueError, match=r"group\.id.*acks.*commit_interval_s"):
        KafkaConfig(common={"group.id": "x", "acks": 1}, commit_interval_s=99.0)


def test_secrets_are_not_shown() -> None:
    assert "hunter2" not in repr(KafkaConfig(**SASL))
    config = make_config("common", {"ssl.keystore.password": "hunter2"})
    assert config.common == {"ssl.keystore.password": "hunter2"}
    assert "hunter2" not in repr(config)
