"""What a changelog topic holds once compacted, in a form that two daemons' can be compared."""

from dataclasses import dataclass, field
from typing import Any

import msgspec
import numpy as np

from stream_vae.pipeline.series_memory import StateShape
from stream_vae.wire.snapshots import (
    CHECKPOINT,
    INCIDENTS,
    SERIES,
    Checkpoint,
    decode_rows,
    decode_value,
    head_of,
)
from tests.system.cluster import KafkaCluster


@dataclass(slots=True)
class SavedState:
    """The newest records of a changelog, by input partition and series key."""

    rows: dict[tuple[int, str], np.void] = field(default_factory=dict)
    offsets: dict[tuple[int, str], int] = field(default_factory=dict)
    incidents: dict[tuple[int, str], dict[str, Any]] = field(default_factory=dict)
    checkpoints: dict[int, int] = field(default_factory=dict)

    def comparable(self) -> dict[tuple[int, str], dict[str, Any]]:
        """Return what must be the same whatever happened to the daemons on the way.

        Kafka's times of the records differ between two topics; incidents older than their series'
        row count for nothing.
        """
        found: dict[tuple[int, str], dict[str, Any]] = {}
        for name, row in self.rows.items():
            incidents = self.incidents.get(name)
            if incidents is not None and incidents["offset"] < self.offsets[name]:
                incidents = None
            if incidents is not None:
                incidents = {k: v for k, v in incidents.items() if k != "offset" and v} or None
            found[name] = {
                "count": int(row["index"]["count"]),
                "established": bool(row["index"]["established"]),
                "windows": row["windows"].tobytes(),
                "threshold": row["threshold"].tobytes(),
                "incidents": incidents,
            }
        return found


def read_state(kafka: KafkaCluster, topic: str) -> SavedState:
    """Read a changelog as a daemon that takes over would."""
    state = SavedState()
    for message in kafka.consume_all(topic, timeout_s=120):
        key, value, partition = message.key(), message.value(), message.partition()
        assert isinstance(key, bytes)
        assert partition is not None
        kind, name = key[:1], (partition, key[1:].decode(errors="replace"))
        if kind == SERIES:
            _note_row(state, name, value)
        elif kind == INCIDENTS:
            state.incidents.pop(name, None)
            if value is not None:
                content = msgspec.json.decode(value)
                state.incidents[name] = {"offset": content["offset"], **content["value"]}
        elif kind == CHECKPOINT and value is not None:
            state.checkpoints[partition] = decode_value(value, Checkpoint)[0].offset
    return state


def _note_row(state: SavedState, name: tuple[int, str], value: bytes | None) -> None:
    if value is None:
        state.rows.pop(name, None)
        state.offsets.pop(name, None)
        return
    head = head_of(value)
    shape = StateShape(length=head.length, n_features=head.n_features, scores=head.scores)
    offsets, rows = decode_rows([value], shape.row)
    state.rows[name], state.offsets[name] = rows[0], int(offsets[0])
