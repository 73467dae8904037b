"""What daemons left behind, as a consumer of committed records sees it."""

import json
from dataclasses import dataclass
from typing import Any

from confluent_kafka import Message

from tests.state.saved_state import State
from tests.system.chaos.operators import NAME
from tests.system.cluster import KafkaCluster
from tests.system.harness import Topics
from tests.system.incident_names import rename_incident
from tests.system.state import read_state

_READ_WITHIN_S = 300.0
_DETECTOR = "stream-vae"

Aside = tuple[bytes | None, bytes | None, tuple[tuple[str, bytes], ...]]
"""Key, value and headers of a dead letter or late record."""


Told = tuple[str, int, str]
"""Id, sequence and status of an alert event, in the order of the topic."""


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
    told: list[Told]
    firing: frozenset[str]
    """Ids of the incidents that the state holds as open."""


def collect(kafka: KafkaCluster, topics: Topics, changelog: str) -> Outputs:
    """Read all output topics with `read_committed`, when all daemons have stopped."""
    alerts = [json.loads(m.value() or b"") for m in _read(kafka, topics.alerts)]
    state = read_state(kafka, changelog)
    return Outputs(
        told=[(a["incident_id"], a["sequence"], a["status"]) for a in alerts],
        firing=state.firing(),
        alerts=[_comparable(a) for a in alerts],
        dead_letters=[_aside(m) for m in _read(kafka, topics.dead_letters)],
        late=[_aside(m) for m in _read(kafka, topics.late)],
        committed=kafka.committed(topics.group, topics.input),
        state=state.comparable(),
    )


def _read(kafka: KafkaCluster, topic: str) -> list[Message]:
    return kafka.consume_all(topic, timeout_s=_READ_WITHIN_S)


def _comparable(event: dict[str, Any]) -> dict[str, Any]:
    """Return an event without what must differ: when, by whom, and the name of its input topic."""
    rename_incident(event)
    event["detector"]["name"] = _first_name(event["detector"]["name"])
    del event["detected_at"], event["detector"]["instance"], event["source"]["topic"]
    return event


def _aside(message: Message) -> Aside:
    pairs = message.headers() or []
    headers = tuple(
        (name, _first_name(value.decode() if isinstance(value, bytes) else str(value)).encode())
        for name, value in (pairs.items() if isinstance(pairs, dict) else pairs)
        if name != "dlq.source.topic"
    )
    return message.key(), message.value(), headers


def _first_name(text: str) -> str:
    """Return the name that a detector had at first, if this is a later one."""
    return _DETECTOR if text.startswith(NAME) else text
