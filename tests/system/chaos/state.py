"""What the state changelog holds: the values a restored daemon would go on with."""

from typing import Any

import msgspec
import numpy as np
from confluent_kafka import Message
from numpy.typing import NDArray

from stream_vae.pipeline.series_memory import StateShape
from stream_vae.wire.snapshots import INCIDENTS, SERIES, decode_rows, head_of
from tests.system.cluster import KafkaCluster
from tests.system.harness import Topics

State = dict[str, dict[str, object]]
"""Series -> name of a thing remembered -> its value, comparable by `==`."""

_READ_WITHIN_S = 300.0


def state_of(kafka: KafkaCluster, topics: Topics) -> State:
    """Return what the changelog of a group restores to, after its daemons stopped in good order.

    Then every series stands at the end of its input, and nothing is left to be read again: offsets
    and checkpoints, which depend on when series were saved, need not be compared.
    """
    newest: dict[tuple[int, bytes], Message] = {}
    topic = f"{topics.group}-changelog"
    for message in kafka.consume_all(topic, timeout_s=_READ_WITHIN_S):
        newest[message.partition() or 0, message.key() or b""] = message
    state: State = {}
    saved_at: dict[str, int] = {}
    for (partition, key), message in newest.items():
        value = message.value()
        if key[:1] == SERIES and value is not None:
            name = f"{partition}/{key[1:].decode()}"
            state[name], saved_at[name] = _row(value)
    for (partition, key), message in newest.items():
        value = message.value()
        if key[:1] == INCIDENTS and value is not None:
            name = f"{partition}/{key[1:].decode()}"
            content: dict[str, Any] = msgspec.json.decode(value)
            # A series that was saved later without incidents had calmed down.
            if content["offset"] >= saved_at.get(name, 0):
                state.setdefault(name, {})["incidents"] = content["value"]
    return state


def _row(value: bytes) -> tuple[dict[str, object], int]:
    head = head_of(value)
    shape = StateShape(length=head.length, n_features=head.n_features, scores=head.scores)
    offsets, rows = decode_rows([value], shape.row)
    return dict(_fields("", rows[0])), int(offsets[0])


def _fields(prefix: str, row: np.void) -> list[tuple[str, object]]:
    """Return the fields of a packed row, numbers readable, arrays as bytes: NaN equals NaN."""
    found: list[tuple[str, object]] = []
    for name in row.dtype.names or ():
        value = row[name]
        if isinstance(value, np.void):
            found += _fields(f"{prefix}{name}.", value)
        else:
            found.append((prefix + name, _comparable(np.asarray(value))))
    return found


def _comparable(value: NDArray[Any]) -> object:
    return value.item() if value.ndim == 0 else value.tobytes().hex()
