"""What a changelog topic holds once compacted, in a form that two daemons' can be compared."""

from dataclasses import dataclass, field
from typing import Any

import msgspec
import numpy as np

from stream_vae.core.series_index import ROW
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

State = dict[str, dict[str, object]]
"""Partition and series -> name of a thing remembered -> its value, comparable by `==`."""

_BY_THE_CLOCK = {"arrived", "epoch", "interval"}
"""When readings came in, not what they were."""


@dataclass(slots=True)
class SavedState:
    """The newest records of a changelog, by input partition and series key."""

    rows: dict[tuple[int, str], np.void] = field(default_factory=dict)
    offsets: dict[tuple[int, str], int] = field(default_factory=dict)
    incidents: dict[tuple[int, str], dict[str, Any]] = field(default_factory=dict)
    checkpoints: dict[int, int] = field(default_factory=dict)

    def comparable(self) -> State:
        """Return what must be the same whatever happened to the daemons on the way.

        That is when they have stopped in good order: then every series stands at the end of its
        input, and nothing is left to be read again. Offsets and checkpoints, which depend on when
        series were saved, need not be compared.
        """
        state: State = {}
        for (partition, key), row in self.rows.items():
            parts = state.setdefault(f"{partition}/{key}", {})
            for part in row.dtype.names or ():
                if part == "index":
                    parts.update(_index(np.void(row[part])))
                else:
                    parts[part] = row[part].tobytes().hex()  # so that NaN equals NaN
        for name, incidents in self.incidents.items():
            # A series that was saved later without incidents had calmed down.
            if incidents["offset"] >= self.offsets.get(name, 0):
                told = {k: value for k, value in incidents.items() if k != "offset" and value}
                # To have calmed down is the same, whether it was written down or not.
                if told:
                    state.setdefault(f"{name[0]}/{name[1]}", {})["incidents"] = told
        return state


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
    offsets, rows = decode_rows(head_of(value), [value])
    state.rows[name], state.offsets[name] = rows[0], int(offsets[0])


def _index(part: np.void) -> dict[str, object]:
    row = np.frombuffer(part.tobytes(), ROW)[0]
    return {name: row[name].item() for name in ROW.names or () if name not in _BY_THE_CLOCK}
