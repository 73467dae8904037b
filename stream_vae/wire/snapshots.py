"""Changelog records: the state of series to bytes and back.

Six kinds of records share one compacted partition, distinguished by the first byte of the key:

* `s` + series key: the state of one series, its parts packed in sequence. They follow a header
  with schema version, model, input offset and checksum, and for each part its name, a fingerprint
  of its fields and its size. Null: the series was evicted; the header `offset` says at which
  offset.
* `i` + series key: its incidents, JSON.
* `m` + model: what another model needs to use rows that this one wrote, JSON.
* `c`: the checkpoint of the partition, JSON.
* `p`: the input offset up to which outputs were published, JSON.
* `t`: the input topic that the offsets in later records belong to, JSON.

Everything is little-endian; JSON carries `schema_version`.
"""

import struct
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Final, TypeVar

import msgspec
import numpy as np
from numpy.typing import NDArray

from stream_vae.core.incidents import SeriesIncidents
from stream_vae.core.state_layout import LONGEST_NAME, PartHead
from stream_vae.errors import StateError
from stream_vae.wire import snapshots_v1

SCHEMA_VERSION: Final = 2
MODEL_BYTES = 8

SERIES, INCIDENTS, MODEL, CHECKPOINT, POSITION, INPUT = b"s", b"i", b"m", b"c", b"p", b"t"
OFFSET_HEADER = "offset"

_MAGIC = b"SV"
_HEADER = struct.Struct("<2sHI8sqI")
"""Magic, schema version, checksum, model, input offset, number of parts."""
_PACKED_HEADER = np.dtype(
    [
        ("magic", "S2"),
        ("schema_version", "<u2"),
        ("checksum", "<u4"),
        ("model", f"V{MODEL_BYTES}"),
        ("offset", "<i8"),
        ("n_parts", "<u4"),
    ]
)
_PART = np.dtype([("name", f"S{LONGEST_NAME}"), ("fingerprint", "<u4"), ("size", "<u4")])
_OFFSET, _OFFSET_AT = np.dtype("<i8"), 16
_CHECKED_FROM = 8  # the bytes that the checksum covers start here

_Value = TypeVar("_Value")


@dataclass(frozen=True, slots=True, kw_only=True)
class RowHead:
    """The common header of the rows of a chunk."""

    model: bytes
    """Version of the detector that wrote them."""
    parts: tuple[PartHead, ...]
    """In storage order."""
    schema_version: int = SCHEMA_VERSION

    @property
    def row_at(self) -> int:
        """Where the parts begin in a record's value."""
        if self.schema_version == 1:
            return snapshots_v1.HEADER.size
        return _HEADER.size + len(self.parts) * _PART.itemsize


@dataclass(frozen=True, slots=True, kw_only=True)
class SavedModel:
    """The facts about a model that another needs to use its rows.

    The scaler applies to windows in rows of version 1; later versions are in input units.
    """

    version: str
    features: tuple[str, ...]
    step_seconds: float
    mean: tuple[float, ...]
    std: tuple[float, ...]
    clip: float
    window_length: int = 0
    """T; 0 where version 1 did not say."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """The offset to resume a partition's input from: its series contain all earlier records."""

    offset: int
    clock_ns: int
    """Wall clock when that offset was processed, nanoseconds since 1970."""
    parts: Mapping[str, bytes] = field(default_factory=dict)
    """State of the partition as a whole at that offset, by name of the part."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SavedInput:
    """The input that a partition's state was made of."""

    topic: str
    id: str = ""
    """Of the topic; "" where the brokers know none."""
    is_anew: bool = False
    """Whether offsets begin anew here: those in earlier records are not to be compared."""
    began_with: int = 0
    """Partitions that it had when the group began to consume it; 0 where that is not told."""


def encode_rows(
    head: RowHead, offsets: NDArray[np.int64], states: Mapping[str, NDArray[np.void]]
) -> list[bytes]:
    """Return the record values of K saved series, in this release's schema version.

    Args:
        head: Shared by all.
        offsets: (K,) input offset before which each series' readings are in its row.
        states: (K,) of each part, by its name.
    """
    row = np.dtype([(part.name, states[part.name].dtype) for part in head.parts])
    directory = ("parts", _PART, (len(head.parts),))
    packed = np.empty(len(offsets), np.dtype([("header", _PACKED_HEADER), directory, ("row", row)]))
    header, parts = packed["header"], packed["parts"]
    header["magic"] = _MAGIC
    header["schema_version"] = SCHEMA_VERSION
    header["model"] = np.void(head.model)
    header["offset"] = offsets
    header["n_parts"] = len(head.parts)
    for i, part in enumerate(head.parts):
        parts["name"][:, i] = part.name.encode()
        parts["fingerprint"][:, i] = part.fingerprint
        parts["size"][:, i] = part.size
        packed["row"][part.name] = states[part.name]
    size = packed.dtype.itemsize
    raw = bytearray(packed.tobytes())
    values = []
    for begin in range(0, len(raw), size):
        checksum = zlib.crc32(memoryview(raw)[begin + _CHECKED_FROM : begin + size])
        raw[begin + 4 : begin + _CHECKED_FROM] = checksum.to_bytes(4, "little")
        values.append(bytes(raw[begin : begin + size]))
    return values


def head_of(value: bytes) -> RowHead:
    """Return the head of a saved series.

    Raises:
        StateError: If it is not one, is damaged, is not as long as its parts, or was written by a
            newer release.
    """
    if len(value) < min(_HEADER.size, snapshots_v1.HEADER.size) or value[:2] != _MAGIC:
        raise StateError("no saved series")
    version = int.from_bytes(value[2:4], "little")
    _check_version(version)
    if zlib.crc32(memoryview(value)[_CHECKED_FROM:]) != int.from_bytes(value[4:8], "little"):
        raise StateError("the checksum does not match")
    if version == 1:
        _, _, _, model, length, n_features, scores, _ = snapshots_v1.HEADER.unpack_from(value)
        head = RowHead(
            model=model,
            parts=snapshots_v1.parts(length, n_features, scores),
            schema_version=version,
        )
    else:
        *_, model, _, n_parts = _HEADER.unpack_from(value)
        directory = value[_HEADER.size : _HEADER.size + n_parts * _PART.itemsize]
        head = _head(model, directory[: len(directory) // _PART.itemsize * _PART.itemsize])
    size = head.row_at + sum(part.size for part in head.parts)
    if len(value) != size:
        raise StateError(f"the saved series has {len(value):,} bytes, its parts make {size:,}")
    return head


@lru_cache(maxsize=16)  # the rows of a topic share a few heads
def _head(model: bytes, directory: bytes) -> RowHead:
    parts = np.frombuffer(directory, _PART)
    names = [name.decode() for name in parts["name"].tolist()]
    if len(set(names)) < len(names):
        raise StateError(f"a part is there twice: {names}")
    return RowHead(
        model=model,
        parts=tuple(
            PartHead(name=name, fingerprint=fingerprint, size=size)
            for name, (_, fingerprint, size) in zip(names, parts.tolist(), strict=True)
        ),
    )


def decode_rows(
    head: RowHead, values: Sequence[bytes]
) -> tuple[NDArray[np.int64], NDArray[np.void]]:
    """Return offsets (K,) and rows (K,) of saved series, of all of which `head_of` gave this head.

    The rows have a field for each part: its bytes, untyped.
    """
    row = np.dtype([(part.name, f"V{part.size}") for part in head.parts])
    is_first = head.schema_version == 1
    packed = np.dtype(
        {
            "names": ["offset", "row"],
            "formats": [_OFFSET, row],
            "offsets": [head.row_at - _OFFSET.itemsize if is_first else _OFFSET_AT, head.row_at],
            "itemsize": head.row_at + row.itemsize,
        }
    )
    found = np.frombuffer(b"".join(values), packed)
    return found["offset"].astype(np.int64), found["row"]


def encode_value(value: object, **more: object) -> bytes:
    """Return the JSON of a frozen value, with the schema version and further members."""
    return msgspec.json.encode({"schema_version": SCHEMA_VERSION, **more, "value": value})


def decode_value(data: bytes, kind: type[_Value]) -> tuple[_Value, dict[str, Any]]:
    """Return the value that `encode_value` encoded.

    Raises:
        StateError: If it is damaged or was written by a newer release.
    """
    try:
        members = msgspec.json.decode(data, type=dict[str, Any])
        version = int(members.pop("schema_version"))
        _check_version(version)
        value = members.pop("value")
        if version == 1 and kind is SeriesIncidents:
            value = _incidents_of_version_1(value)
        return msgspec.convert(value, kind), members
    except (msgspec.DecodeError, msgspec.ValidationError, KeyError, ValueError, TypeError) as exc:
        raise StateError(f"it cannot be read: {exc}") from exc


def _incidents_of_version_1(value: dict[str, Any]) -> dict[str, Any]:
    """Return incidents with the member names of this release."""
    if value["anomaly"] is None:
        return value
    anomaly = dict(value["anomaly"])
    anomaly["normal_run"] = anomaly.pop("calm")
    return {**value, "anomaly": anomaly}


def _check_version(found: int) -> None:
    if found < 1:
        raise StateError(f"schema version {found} was never written")
    if found > SCHEMA_VERSION:
        raise StateError(
            f"schema version {found} was written by a newer release; this one reads "
            f"{SCHEMA_VERSION}: run that release again"
        )
