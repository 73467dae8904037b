"""What the state changelog holds: the values a restored daemon would go on with."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tests.system.cluster import KafkaCluster
from tests.system.harness import Topics
from tests.system.state import read_state

State = dict[str, dict[str, object]]
"""Partition and series -> name of a thing remembered -> its value, comparable by `==`."""

_BY_THE_CLOCK = {"index.arrived", "index.epoch", "index.interval"}
"""When readings came in, not what they were."""


def state_of(kafka: KafkaCluster, topics: Topics) -> State:
    """Return what the changelog of a group restores to, after its daemons stopped in good order.

    Then every series stands at the end of its input, and nothing is left to be read again: offsets
    and checkpoints, which depend on when series were saved, need not be compared.
    """
    saved = read_state(kafka, f"{topics.group}-changelog")
    state: State = {}
    for (partition, key), row in saved.rows.items():
        state[f"{partition}/{key}"] = dict(_fields("", row))
    for name, incidents in saved.incidents.items():
        # A series that was saved later without incidents had calmed down.
        if incidents["offset"] >= saved.offsets.get(name, 0):
            told = {kind: value for kind, value in incidents.items() if kind != "offset" and value}
            # To have calmed down is the same, whether it was written down or not.
            if told:
                state.setdefault(f"{name[0]}/{name[1]}", {})["incidents"] = told
    return state


def _fields(prefix: str, row: np.void) -> list[tuple[str, object]]:
    """Return the fields of a packed row, numbers readable, arrays as bytes: NaN equals NaN."""
    found: list[tuple[str, object]] = []
    for name in row.dtype.names or ():
        value = row[name]
        if isinstance(value, np.void):
            found += _fields(f"{prefix}{name}.", value)
        elif prefix + name not in _BY_THE_CLOCK:
            found.append((prefix + name, _comparable(np.asarray(value))))
    return found


def _comparable(value: NDArray[Any]) -> object:
    return value.item() if value.ndim == 0 else value.tobytes().hex()
