"""Settings of the Kafka client."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Literal

from annotated_types import Ge, Gt, MinLen
from pydantic import SecretStr

PropertyValue = str | int | float | bool
Properties = dict[str, PropertyValue]

_COMMITS = "the daemon commits offsets in its transactions, see kafka.commit_interval_s"
_EXACTLY_ONCE = "exactly-once delivery needs it as it is"

# librdkafka properties that the daemon sets itself -> what to use instead.
OWNED_PROPERTIES: Mapping[str, str] = {
    "acks": _EXACTLY_ONCE,
    "auto.commit.enable": _COMMITS,
    "auto.commit.interval.ms": _COMMITS,
    "auto.offset.reset": "use kafka.start",
    "bootstrap.servers": "use kafka.bootstrap_servers",
    "delivery.timeout.ms": "use kafka.delivery_timeout_s",
    "enable.auto.commit": _COMMITS,
    "enable.auto.offset.store": _COMMITS,
    "enable.idempotence": _EXACTLY_ONCE,
    "group.id": "use kafka.group_id",
    "group.instance.id": "use kafka.instance_id",
    "group.protocol": "use kafka.group_protocol",
    "group.remote.assignor": "use kafka.group_protocol",
    "isolation.level": "readings are always read committed",
    "message.timeout.ms": "use kafka.delivery_timeout_s",
    "metadata.broker.list": "use kafka.bootstrap_servers",
    "partition.assignment.strategy": "use kafka.group_protocol",
    "request.required.acks": _EXACTLY_ONCE,
    "security.protocol": "use kafka.security_protocol",
    "session.timeout.ms": "use kafka.session_timeout_s",
    "transaction.timeout.ms": "use kafka.transaction_timeout_s",
    "transactional.id": "it follows kafka.instance_id",
}

# librdkafka properties that also have a setting of their own; given twice they are refused.
TYPED_PROPERTIES: Mapping[str, str] = {
    "sasl.mechanism": "sasl_mechanism",
    "sasl.mechanisms": "sasl_mechanism",
    "sasl.username": "sasl_username",
    "sasl.password": "sasl_password",
    "ssl.ca.location": "ssl_ca_location",
    "ssl.certificate.location": "ssl_certificate_location",
    "ssl.key.location": "ssl_key_location",
    "ssl.key.password": "ssl_key_password",
}

_PASSWORD_MECHANISMS = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512")


@dataclass(frozen=True, slots=True, kw_only=True)
class KafkaConfig:
    """Brokers, group and client properties."""

    bootstrap_servers: Annotated[str, MinLen(1)] = "localhost:9092"
    """Comma-separated host:port of some brokers."""

    group_id: Annotated[str, MinLen(1)] = "stream-vae"
    """Consumer group; daemons that share it share the input's partitions."""

    instance_id: Annotated[str, MinLen(1)] | None = None
    """Stable name of this instance (the pod's name): static group membership and a stable
    transactional id. Unset, both are drawn at start. Two live instances must not share one."""

    group_protocol: Literal["auto", "consumer", "classic"] = "auto"
    """`consumer` is KIP-848 (Kafka 4.0 and newer), `classic` the cooperative-sticky protocol;
    `auto` takes `consumer` where the brokers offer it."""

    start: Literal["latest", "earliest", "history"] = "latest"
    """Where a group without committed offsets begins; `history` is `latest`, warmed up by what the
    topic holds (see `state.history_age_s`)."""

    poll_records: Annotated[int, Gt(0)] = 500
    """Most records taken by one poll."""

    commit_interval_s: Annotated[float, Gt(0)] = 1.0
    """Longest time between two transactions while records flow; a waiting alert commits at once."""

    transaction_timeout_s: Annotated[float, Gt(0)] = 30.0
    """The broker aborts a transaction left open longer (a dead daemon's) and unblocks readers."""

    session_timeout_s: Annotated[float, Gt(0)] = 45.0
    """Silence after which the group gives this instance's partitions to others."""

    broker_deadline_s: Annotated[float, Gt(0)] = 300.0
    """Give up (exit 1) after so long without any broker, at start or later."""

    delivery_timeout_s: Annotated[float, Ge(1)] = 60.0
    """Longest wait for a broker to acknowledge one record, within the transaction's time."""

    security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = "PLAINTEXT"
    """Transport and authentication."""

    sasl_mechanism: (
        Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER", "GSSAPI"] | None
    ) = None
    """How the daemon proves who it is; needed with `SASL_PLAINTEXT` and `SASL_SSL`."""

    sasl_username: Annotated[str, MinLen(1)] | None = None
    """Needed with `PLAIN` and `SCRAM-…`."""

    sasl_password: SecretStr | None = None
    """Needed with `PLAIN` and `SCRAM-…`; give it by the secrets directory, not in the YAML."""

    ssl_ca_location: Annotated[str, MinLen(1)] | None = None
    """PEM file of the authorities that sign the brokers' certificates; unset, the system's."""

    ssl_certificate_location: Annotated[str, MinLen(1)] | None = None
    """PEM file of the daemon's own certificate (mutual TLS); needs `ssl_key_location`."""

    ssl_key_location: Annotated[str, MinLen(1)] | None = None
    """PEM file of the private key of that certificate."""

    ssl_key_password: SecretStr | None = None
    """Opens the private key, where it is encrypted."""

    common: Properties = field(default_factory=dict, repr=False)
    """librdkafka properties for every client, by their own names (`socket.keepalive.enable`)."""

    consumer: Properties = field(default_factory=dict, repr=False)
    """librdkafka properties for the consumer alone."""

    producer: Properties = field(default_factory=dict, repr=False)
    """librdkafka properties for the producer alone."""

    def __post_init__(self) -> None:
        """Hold the fields against each other, naming all that do not fit."""
        faults = [*self._property_faults(), *self._security_faults()]
        if self.commit_interval_s >= self.transaction_timeout_s:
            faults.append(
                f"commit_interval_s ({self.commit_interval_s:g}) must be < transaction_timeout_s "
                f"({self.transaction_timeout_s:g}), or the broker aborts what waits for its commit"
            )
        if faults:
            raise ValueError("; ".join(faults))

    def _property_faults(self) -> Iterator[str]:
        maps = (("common", self.common), ("consumer", self.consumer), ("producer", self.producer))
        for place, properties in maps:
            for name in properties:
                if name in OWNED_PROPERTIES:
                    yield f"{place}: {name} is set by the daemon: {OWNED_PROPERTIES[name]}"
                elif name.endswith("_cb"):
                    yield f"{place}: {name} is a callback, which no configuration can give"
                elif name in TYPED_PROPERTIES and getattr(self, TYPED_PROPERTIES[name]) is not None:
                    typed = TYPED_PROPERTIES[name]
                    yield f"{place}: {name} is also given as kafka.{typed}; leave one out"

    def _security_faults(self) -> Iterator[str]:
        protocol = self.security_protocol
        if protocol.startswith("SASL"):
            yield from self._sasl_faults()
        else:
            for name in ("sasl_mechanism", "sasl_username", "sasl_password"):
                if getattr(self, name) is not None:
                    expected = "SASL_PLAINTEXT or SASL_SSL"
                    yield f"{name} is set, but security_protocol is {protocol}; expected {expected}"
        if not protocol.endswith("SSL"):
            for name in ("ca_location", "certificate_location", "key_location", "key_password"):
                if getattr(self, f"ssl_{name}") is not None:
                    expected = "SSL or SASL_SSL"
                    yield (
                        f"ssl_{name} is set, but security_protocol is {protocol}; "
                        f"expected {expected}"
                    )
        has_certificate = self._has("ssl.certificate.location") or self._maps("ssl.certificate.pem")
        if has_certificate != (self._has("ssl.key.location") or self._maps("ssl.key.pem")):
            yield "ssl_certificate_location and ssl_key_location must be given together"

    def _sasl_faults(self) -> Iterator[str]:
        if not (self._has("sasl.mechanism") or self._has("sasl.mechanisms")):
            yield f"security_protocol is {self.security_protocol}; sasl_mechanism must be given"
        if self.sasl_mechanism in _PASSWORD_MECHANISMS:
            for name in ("sasl.username", "sasl.password"):
                if not self._has(name):
                    yield (
                        f"sasl_mechanism is {self.sasl_mechanism}; {TYPED_PROPERTIES[name]} must "
                        "be given"
                    )

    def _has(self, name: str) -> bool:
        return getattr(self, TYPED_PROPERTIES[name]) is not None or self._maps(name)

    def _maps(self, name: str) -> bool:
        return any(name in each for each in (self.common, self.consumer, self.producer))
