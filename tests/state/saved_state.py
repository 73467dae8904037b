"""What a changelog topic holds once compacted, in a form that two daemons' can be compared."""

import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import msgspec
import numpy as np

from stream_vae.core import series_index, steps, usual_gaps
from stream_vae.core.sessions import SessionAssembler
from stream_vae.wire.snapshots import (
    CHECKPOINT,
    INCIDENTS,
    SERIES,
    Checkpoint,
    decode_rows,
    decode_value,
    head_of,
)

State = dict[str, dict[str, object]]
"""Partition and series -> name of a thing remembered -> its value, comparable by `==`."""

_ROWS = {"index": series_index.ROW, "steps": steps.ROW, "gaps": usual_gaps.ROW}
_BY_THE_CLOCK = {"arrived", "epoch", "interval", "arrival", "since", "at", "longest"}
"""When readings came in, not what they were."""


@dataclass(slots=True)
class SavedState:
    """The newest records of a changelog, by input partition and series key."""

    rows: dict[tuple[int, str], np.void] = field(default_factory=dict)
    offsets: dict[tuple[int, str], int] = field(default_factory=dict)
    incidents: dict[tuple[int, str], dict[str, Any]] = field(default_factory=dict)
    checkpoints: dict[int, int] = field(default_factory=dict)
    parts: dict[int, dict[str, object]] = field(default_factory=dict)
    """Partition -> what is remembered of it as a whole."""

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
                if part in _ROWS:
                    parts.update(_fields(part, np.void(row[part])))
                else:
                    parts[part] = row[part].tobytes().hex()  # so that NaN equals NaN
        for name, told in self._remembered():
            unnamed = {kind: _unnamed(incident) for kind, incident in told.items()}
            state.setdefault(f"{name[0]}/{name[1]}", {})["incidents"] = unnamed
        state |= {f"{partition}": parts for partition, parts in self.parts.items()}
        return state

    def firing(self) -> frozenset[str]:
        """Return the ids of the incidents that are open."""
        found = []
        for _, told in self._remembered():
            found += [(told.get("anomaly") or {}).get("incident"), told.get("silence")]
        return frozenset(incident["id"] for incident in found if incident)

    def _remembered(self) -> Iterator[tuple[tuple[int, str], dict[str, Any]]]:
        for name, incidents in self.incidents.items():
            # A series that was saved later without incidents had calmed down.
            if incidents["offset"] >= self.offsets.get(name, 0):
                told = {k: v for k, v in incidents.items() if k != "offset" and v}
                # To have calmed down is the same, whether it was written down or not.
                if told:
                    yield name, told

    def add(self, partition: int, key: bytes, value: bytes | None) -> None:
        """Take one record in, in the order of the topic."""
        kind, name = key[:1], (partition, key[1:].decode(errors="replace"))
        if kind == SERIES:
            self._add_row(name, value)
        elif kind == INCIDENTS:
            self.incidents.pop(name, None)
            if value is not None:
                content = msgspec.json.decode(value)
                self.incidents[name] = {"offset": content["offset"], **content["value"]}
        elif kind == CHECKPOINT and value is not None:
            checkpoint = decode_value(value, Checkpoint)[0]
            self.checkpoints[partition] = checkpoint.offset
            self.parts[partition] = {}
            for of, part in checkpoint.parts.items():
                told = _sessions(part) if of == SessionAssembler.name else {of: part.hex()}
                self.parts[partition].update(told)

    def _add_row(self, name: tuple[int, str], value: bytes | None) -> None:
        if value is None:
            self.rows.pop(name, None)
            self.offsets.pop(name, None)
            return
        offsets, rows = decode_rows(head_of(value), [value])
        self.rows[name], self.offsets[name] = rows[0], int(offsets[0])


def _sessions(part: bytes) -> dict[str, object]:
    """Return what is remembered of open sessions, but for when their newest line came in."""
    content = msgspec.msgpack.decode(zlib.decompress(part))
    tag, _arrived, pairs, sessions, cells, unseen = content
    told = {"tag": tag, "pairs": pairs, "rows": sessions, "cells": cells, "unseen": unseen}
    return {f"sessions.{name}": value for name, value in told.items()}


def _unnamed(remembered: dict[str, Any]) -> dict[str, Any]:
    """Return an incident without its id, which tells two deployments apart."""
    kept = {name: value for name, value in remembered.items() if name != "id"}
    if kept.get("incident"):
        kept["incident"] = _unnamed(kept["incident"])
    return kept


def _fields(name: str, part: np.void) -> dict[str, object]:
    """Return what a part says, but for what is by the clock."""
    row = np.frombuffer(part.tobytes(), _ROWS[name])[0]
    kept = [field for field in _ROWS[name].names or () if field not in _BY_THE_CLOCK]
    return {f"{name}.{field}": row[field].item() for field in kept}
