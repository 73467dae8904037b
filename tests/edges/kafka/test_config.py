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

TOKEN: dict[str, Any] = {
    "security_protocol": "SASL_SSL",
    "sasl_mechanism": "OAUTHBEARER",
    "sasl_oauthbearer_token_endpoint_url": "https://login.example.org/token",
    "sasl_oauthbearer_client_id": "daemon",
    "sasl_oauthbearer_client_secret": SecretStr("hunter2"),
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


@pytest.mark.parametrize("given", [SASL, TLS, TOKEN], ids=["sasl", "tls", "token"])
def test_complete_credentials_are_accepted(given: dict[str, Any]) -> None:
    config = KafkaConfig(**given)
    assert config.security_protocol == given["security_protocol"]


@pytest.mark.parametrize("missing", ["sasl_mechanism", "sasl_username", "sasl_password"])
def test_incomplete_sasl_is_refused(missing: str) -> None:
    given = {name: value for name, value in SASL.items() if name != missing}
    with pytest.raises(ValueError, match=f"{missing} must be given"):
        KafkaConfig(**given)


@pytest.mark.parametrize("missing", [name for name in TOKEN if "oauthbearer" in name])
def test_incomplete_client_credentials_are_refused(missing: str) -> None:
    given = {name: value for name, value in TOKEN.items() if name != missing}
    with pytest.raises(ValueError, match=f"{missing} must be given") as info:
        KafkaConfig(**given)
    assert "hunter2" not in str(info.value)


def test_client_credentials_may_come_by_property_under_either_name() -> None:
    given: dict[str, Any] = {n: value for n, value in TOKEN.items() if "client" not in n}
    for stem in ("sasl.oauthbearer.client", "sasl.oauthbearer.client.credentials.client"):
        config = KafkaConfig(**given, common={f"{stem}.id": "daemon", f"{stem}.secret": "x"})
        assert config.sasl_oauthbearer_client_id is None


def test_another_way_to_a_token_needs_no_client_credentials() -> None:
    """Control: a property that is no such way does not lift the need."""
    given: dict[str, Any] = {n: TOKEN[n] for n in ("security_protocol", "sasl_mechanism")}
    grant: Properties = {
        "sasl.oauthbearer.grant.type": "urn:ietf:params:oauth:grant-type:jwt-bearer"
    }
    assert KafkaConfig(**given, common=grant).sasl_mechanism == "OAUTHBEARER"
    with pytest.raises(ValueError, match="sasl_oauthbearer_client_id must be given"):
        KafkaConfig(**given, common={"linger.ms": 5})


def test_client_credentials_for_another_mechanism_are_refused() -> None:
    with pytest.raises(ValueError, match=r"scope is set.*is SCRAM-SHA-512; expected OAUTHBEARER"):
        KafkaConfig(**SASL, sasl_oauthbearer_scope="kafka")


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
    assert "hunter2" not in repr(KafkaConfig(**TOKEN))
    config = make_config("common", {"ssl.keystore.password": "hunter2"})
    assert config.common == {"ssl.keystore.password": "hunter2"}
    assert "hunter2" not in repr(config)
