"""Settings of the Kafka client."""

from dataclasses import dataclass, field
from typing import Annotated, Literal

from annotated_types import Ge, Gt

PropertyValue = str | int | float | bool


@dataclass(frozen=True, slots=True, kw_only=True)
class KafkaConfig:
    """Brokers, group and client properties."""

    bootstrap_servers: str = "localhost:9092"
    """Comma-separated host:port of some brokers."""

    group_id: str = "stream-vae"
    """Consumer group; daemons that share it share the input's partitions."""

    instance_id: str | None = None
    """Stable name of this instance (the pod's name): static group membership and a stable
    transactional id. Unset, both are drawn at start. Two live instances must not share one."""

    group_protocol: Literal["auto", "consumer", "classic"] = "auto"
    """`consumer` is KIP-848 (Kafka 4.0 and newer), `classic` the cooperative-sticky protocol;
    `auto` takes `consumer` where the brokers offer it."""

    start: Literal["latest", "earliest"] = "latest"
    """Where a group without committed offsets begins."""

    poll_records: Annotated[int, Gt(0)] = 500
    """Most records taken by one poll."""

    commit_interval_s: Annotated[float, Gt(0)] = 1.0
    """Longest time between two transactions while records flow; a waiting alert commits at once."""

    transaction_timeout_s: Annotated[float, Gt(0)] = 30.0
    """The broker aborts a transaction left open longer (a dead daemon's) and unblocks its readers."""

    session_timeout_s: Annotated[float, Gt(0)] = 45.0
    """Silence after which the group gives this instance's partitions to others."""

    broker_deadline_s: Annotated[float, Gt(0)] = 300.0
    """Give up (exit 1) after so long without any broker, at start or later."""

    security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = "PLAINTEXT"
    """Transport and authentication."""

    common: dict[str, PropertyValue] = field(default_factory=dict)
    """librdkafka properties for every client."""

    consumer: dict[str, PropertyValue] = field(default_factory=dict)
    """librdkafka properties for the consumer."""

    producer: dict[str, PropertyValue] = field(default_factory=dict)
    """librdkafka properties for the producer."""

    delivery_timeout_s: Annotated[float, Ge(1)] = 60.0
    """Longest wait for one transaction's steps before it is tried again."""
