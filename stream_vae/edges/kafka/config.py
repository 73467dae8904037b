"""Settings of the Kafka client."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Literal

from annotated_types import Ge, Gt, Le, MinLen
from pydantic import SecretStr

PropertyValue = str | int | float | bool
Properties = dict[str, PropertyValue]

# A host name, an IPv4 address or a bracketed IPv6 one; librdkafka takes port 9092 where none is.
_ADDRESS = re.compile(r"(\[[0-9A-Fa-f:.%]+\]|[A-Za-z0-9._-]+)(:[0-9]{1,5})?")

_COMMITS = "the daemon commits offsets in its transactions, see kafka.commit_interval_s"
_EXACTLY_ONCE = "exactly-once delivery requires its value"

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

# librdkafka properties that have a setting of their own; giving both is an error.
TYPED_PROPERTIES: Mapping[str, str] = {
    "sasl.mechanism": "sasl_mechanism",
    "sasl.mechanisms": "sasl_mechanism",
    "sasl.username": "sasl_username",
    "sasl.password": "sasl_password",
    "sasl.oauthbearer.token.endpoint.url": "sasl_oauthbearer_token_endpoint_url",
    "sasl.oauthbearer.client.id": "sasl_oauthbearer_client_id",
    "sasl.oauthbearer.client.credentials.client.id": "sasl_oauthbearer_client_id",
    "sasl.oauthbearer.client.secret": "sasl_oauthbearer_client_secret",
    "sasl.oauthbearer.client.credentials.client.secret": "sasl_oauthbearer_client_secret",
    "sasl.oauthbearer.scope": "sasl_oauthbearer_scope",
    "sasl.oauthbearer.extensions": "sasl_oauthbearer_extensions",
    "https.ca.location": "https_ca_location",
    "ssl.ca.location": "ssl_ca_location",
    "ssl.certificate.location": "ssl_certificate_location",
    "ssl.key.location": "ssl_key_location",
    "ssl.key.password": "ssl_key_password",
}

_PASSWORD_MECHANISMS = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512")
_PASSWORD = ("sasl.username", "sasl.password")
_CLIENT_CREDENTIALS = (
    "sasl.oauthbearer.token.endpoint.url",
    "sasl.oauthbearer.client.id",
    "sasl.oauthbearer.client.secret",
)
# Token methods without a client secret; librdkafka itself validates their properties.
_OTHER_TOKENS = (
    "enable.sasl.oauthbearer.unsecure.jwt",
    "sasl.oauthbearer.grant.type",
    "sasl.oauthbearer.metadata.authentication.type",
    "sasl.oauthbearer.method",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class KafkaConfig:
    """Brokers, group and client properties."""

    bootstrap_servers: Annotated[str, MinLen(1)] = "localhost:9092"
    """Comma-separated host:port of some brokers."""

    group_id: Annotated[str, MinLen(1)] = "stream-vae"
    """Consumer group; daemons that share it share the input's partitions."""

    instance_id: Annotated[str, MinLen(1)] | None = None
    """Stable name of this instance (the pod's name): static group membership and a stable
    transactional id. Unset, both are random. Two live instances must not share one."""

    group_protocol: Literal["auto", "consumer", "classic"] = "auto"
    """`consumer` is KIP-848 (Kafka 4.0 and newer), `classic` the cooperative-sticky protocol;
    `auto` uses `consumer` if the brokers support it."""

    start: Literal["latest", "earliest", "history"] = "latest"
    """Start of a group without committed offsets; `history` is `latest`, warmed up from the
    records in the topic (see `state.history_age_s`)."""

    poll_records: Annotated[int, Gt(0), Le(1_000_000)] = 500
    """Most records returned by one poll; 1000 of logs, unless set. What is there is taken after
    `worker.max_wait_ms`, also if it is fewer."""

    commit_interval_s: Annotated[float, Gt(0), Le(1e6)] = 1.0
    """Longest time between two transactions while records flow; a pending alert commits at once."""

    transaction_timeout_s: Annotated[float, Gt(0), Le(1e6)] = 30.0
    """The broker aborts a transaction open for longer (a dead daemon's) and unblocks readers."""

    session_timeout_s: Annotated[float, Gt(0), Le(1e6)] = 45.0
    """Time without a heartbeat after which the group reassigns this instance's partitions; out of
    the group for as long (`classic`: and `max.poll.interval.ms`), it joins as another member."""

    broker_deadline_s: Annotated[float, Gt(0), Le(1e6)] = 300.0
    """Give up (exit 1) after this time without any broker, at start or later."""

    delivery_timeout_s: Annotated[float, Ge(1), Le(1e6)] = 60.0
    """Longest wait for a broker to acknowledge one record, within the transaction's time."""

    security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = "PLAINTEXT"
    """Transport and authentication."""

    sasl_mechanism: (
        Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER", "GSSAPI"] | None
    ) = None
    """Authentication mechanism; required with `SASL_PLAINTEXT` and `SASL_SSL`."""

    sasl_username: Annotated[str, MinLen(1)] | None = None
    """Required with `PLAIN` and `SCRAM-…`."""

    sasl_password: SecretStr | None = None
    """Required with `PLAIN` and `SCRAM-…`; use the secrets directory, not the YAML file."""

    sasl_oauthbearer_token_endpoint_url: Annotated[str, MinLen(1)] | None = None
    """`OAUTHBEARER`: token endpoint of the OIDC provider for client credentials (HTTPS)."""

    sasl_oauthbearer_client_id: Annotated[str, MinLen(1)] | None = None
    """`OAUTHBEARER`: client id of the daemon at that provider."""

    sasl_oauthbearer_client_secret: SecretStr | None = None
    """`OAUTHBEARER`: client secret; use the secrets directory, not the YAML file."""

    sasl_oauthbearer_scope: Annotated[str, MinLen(1)] | None = None
    """`OAUTHBEARER`: scopes to request, if the provider requires them; separated by spaces."""

    sasl_oauthbearer_extensions: Annotated[str, MinLen(1)] | None = None
    """`OAUTHBEARER`: SASL extensions `name=value,…` sent with the token, if brokers need them."""

    https_ca_location: Annotated[str, MinLen(1)] | None = None
    """PEM file of the authorities that sign the provider's certificate; unset, the system's."""

    ssl_ca_location: Annotated[str, MinLen(1)] | None = None
    """PEM file of the authorities that sign the brokers' certificates; unset, the system's."""

    ssl_certificate_location: Annotated[str, MinLen(1)] | None = None
    """PEM file of the daemon's own certificate (mutual TLS); needs `ssl_key_location`."""

    ssl_key_location: Annotated[str, MinLen(1)] | None = None
    """PEM file of the private key of that certificate."""

    ssl_key_password: SecretStr | None = None
    """Password of the private key, if it is encrypted."""

    common: Properties = field(default_factory=dict, repr=False)
    """librdkafka properties for every client, by their own names (`socket.keepalive.enable`)."""

    consumer: Properties = field(default_factory=dict, repr=False)
    """librdkafka properties for the consumer alone."""

    producer: Properties = field(default_factory=dict, repr=False)
    """librdkafka properties for the producer alone."""

    def __post_init__(self) -> None:
        """Validate the fields against each other; report all errors."""
        errors = [*self._address_errors(), *self._property_errors(), *self._security_errors()]
        if self.commit_interval_s >= self.transaction_timeout_s:
            errors.append(
                f"commit_interval_s ({self.commit_interval_s:g}) must be < transaction_timeout_s "
                f"({self.transaction_timeout_s:g}), or the broker aborts it before its commit"
            )
        if errors:
            raise ValueError("; ".join(errors))

    def _address_errors(self) -> Iterator[str]:
        for address in self.bootstrap_servers.split(","):
            if not _ADDRESS.fullmatch(address.strip()):
                yield (
                    f"bootstrap_servers: found {address!r}, expected host:port, several of them "
                    "separated by commas"
                )

    def _property_errors(self) -> Iterator[str]:
        maps = (("common", self.common), ("consumer", self.consumer), ("producer", self.producer))
        for place, properties in maps:
            for name in properties:
                if name in OWNED_PROPERTIES:
                    yield f"{place}: {name} is set by the daemon: {OWNED_PROPERTIES[name]}"
                elif name.endswith("_cb"):
                    yield f"{place}: {name} is a callback, which cannot be configured"
                elif name in TYPED_PROPERTIES and getattr(self, TYPED_PROPERTIES[name]) is not None:
                    typed = TYPED_PROPERTIES[name]
                    yield f"{place}: {name} is also given as kafka.{typed}; leave one out"

    def _security_errors(self) -> Iterator[str]:
        protocol = self.security_protocol
        if protocol.startswith("SASL"):
            yield from self._sasl_errors()
        else:
            expected = "SASL_PLAINTEXT or SASL_SSL"
            yield from self._out_of_place(("sasl_", "https_"), "security_protocol", expected)
        if not protocol.endswith("SSL"):
            yield from self._out_of_place(("ssl_",), "security_protocol", "SSL or SASL_SSL")
        has_certificate = self._has("ssl.certificate.location") or self._maps("ssl.certificate.pem")
        if has_certificate != (self._has("ssl.key.location") or self._maps("ssl.key.pem")):
            yield "ssl_certificate_location and ssl_key_location must be given together"

    def _out_of_place(self, prefixes: tuple[str, ...], by: str, expected: str) -> Iterator[str]:
        """Yield an error for each field that is set but unused, given the setting `by`."""
        for name in dict.fromkeys(TYPED_PROPERTIES.values()):
            if name.startswith(prefixes) and getattr(self, name) is not None:
                found = getattr(self, by)
                yield f"{name} is set, but {by} is {found}; expected {expected}"

    def _sasl_errors(self) -> Iterator[str]:
        mechanism = self.sasl_mechanism
        if not self._has("sasl.mechanism"):
            yield f"security_protocol is {self.security_protocol}; sasl_mechanism must be given"
        needed: tuple[str, ...] = ()
        if mechanism in _PASSWORD_MECHANISMS:
            needed = _PASSWORD
        elif mechanism == "OAUTHBEARER" and not any(map(self._maps, _OTHER_TOKENS)):
            needed = _CLIENT_CREDENTIALS
        for name in needed:
            if not self._has(name):
                typed = TYPED_PROPERTIES[name]
                yield f"sasl_mechanism is {mechanism}; {typed} must be given"
        if mechanism not in {None, "OAUTHBEARER"}:
            yield from self._out_of_place(
                ("sasl_oauthbearer_", "https_"), "sasl_mechanism", "OAUTHBEARER"
            )

    def _has(self, name: str) -> bool:
        """Return whether a property is set, under any of its names."""
        typed = TYPED_PROPERTIES[name]
        names = [each for each, setting in TYPED_PROPERTIES.items() if setting == typed]
        return getattr(self, typed) is not None or any(map(self._maps, names))

    def _maps(self, name: str) -> bool:
        return any(name in each for each in (self.common, self.consumer, self.producer))
