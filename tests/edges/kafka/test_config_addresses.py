"""Addresses that no broker can have are refused before anything starts."""

import pytest

from stream_vae.edges.kafka.config import KafkaConfig


@pytest.mark.parametrize(
    "servers", ["localhost", "a:9092", "a:9092, b.c-d_e:9093", "10.0.0.1:9092", "[::1]:9092"]
)
def test_addresses_of_brokers_are_taken(servers: str) -> None:
    assert KafkaConfig(bootstrap_servers=servers).bootstrap_servers == servers


@pytest.mark.parametrize(
    "servers", ["http://a:9092", "a:9092;b:9092", "a:9092,", "a b:9092", "a:port", "::1:9092"]
)
def test_what_is_no_address_is_refused_with_what_is_expected(servers: str) -> None:
    with pytest.raises(ValueError, match=r"bootstrap_servers: found .*expected host:port"):
        KafkaConfig(bootstrap_servers=servers)
