"""What daemons left behind, as a consumer of committed records sees it."""

import json
from dataclasses import dataclass
from typing import Any

from confluent_kafka import Message

from tests.state.saved_state import State
from tests.system.cluster import KafkaCluster
from tests.system.harness import Topics
from tests.system.incident_names import rename_incident
from tests.system.state import read_state

_READ_WITHIN_S = 300.0

Aside = tuple[bytes | None, bytes | None, tuple[tuple[str, bytes], ...]]
"""Key, value and headers of a dead letter or late record."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outputs:
    """Everything the oracle and the daemons under chaos must agree on."""

    alerts: list[dict[str, Any]]
    """Alert events; those of one series in the order of the topic."""
    dead_letters: list[Aside]
    late: list[Aside]
    committed: dict[int, int]
    """Input partition -> the group's committed offset."""
    state: State
    """What a daemon would restore."""


def collect(kafka: KafkaCluster, topics: Topics) -> Outputs:
    """Read all output topics with `read_committed`, when all daemons have stopped."""
    return Outputs(
        alerts=[_alert(m) for m in _read(kafka, topics.alerts)],
        dead_letters=[_aside(m) for m in _read(kafka, topics.dead_letters)],
        late=[_aside(m) for m in _read(kafka, topics.late)],
        committed=kafka.committed(topics.group, topics.input),
        state=read_state(kafka, f"{topics.group}-changelog").comparable(),
    )


def _read(kafka: KafkaCluster, topic: str) -> list[Message]:
    return kafka.consume_all(topic, timeout_s=_READ_WITHIN_S)


def _alert(message: Message) -> dict[str, Any]:
    """Return an event without what must differ: when, by whom, and the name of its input topic."""
    event: dict[str, Any] = json.loads(message.value() or b"")
    rename_incident(event)
    del event["detected_at"], event["detector"]["instance"], event["source"]["topic"]
    return event


def _aside(message: Message) -> Aside:
    pairs = message.headers() or []
    headers = tuple(
        (name, value if isinstance(value, bytes) else str(value).encode())
        for name, value in (pairs.items() if isinstance(pairs, dict) else pairs)
        if name != "dlq.source.topic"
    )
    return message.key(), message.value(), headers
