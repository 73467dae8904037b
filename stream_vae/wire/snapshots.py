"""What is remembered of series, to bytes and back: the records of the changelog.

Four kinds of records share one compacted partition, told apart by the first byte of the key:

* `s` + series key: windows and threshold of one series, a packed row behind a header with schema
  version, model, shape, input offset and checksum. Null: the series was forgotten; the header
  `offset` says where.
* `i` + series key: its incidents, JSON.
* `m` + model: what another model needs to make use of rows that this one wrote, JSON.
* `c`: the checkpoint of the partition, JSON.

Everything is little-endian; JSON carries `schema_version`.
"""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeVar

import msgspec
import numpy as np
from numpy.typing import NDArray

from stream_vae.core.incidents import SeriesIncidents
from stream_vae.errors import StateError

SCHEMA_VERSION: Final = 2
MODEL_BYTES = 8

SERIES, INCIDENTS, MODEL, CHECKPOINT = b"s", b"i", b"m", b"c"
OFFSET_HEADER = "offset"

_MAGIC = b"SV"
_HEADER = np.dtype(
    [
        ("magic", "S2"),
        ("schema_version", "<u2"),
        ("checksum", "<u4"),
        ("model", f"V{MODEL_BYTES}"),
        ("length", "<u4"),
        ("n_features", "<u4"),
        ("scores", "<u4"),
        ("offset", "<i8"),
    ]
)
_CHECKED_FROM = 8  # behind the checksum

_Value = TypeVar("_Value")


@dataclass(frozen=True, slots=True, kw_only=True)
class RowHead:
    """What the rows of a chunk have in common."""

    model: bytes
    """First bytes of the hash of the model that wrote them."""
    length: int
    """T, steps of a window."""
    n_features: int
    """F"""
    scores: int
    """N, scores of a threshold."""
    schema_version: int = SCHEMA_VERSION


@dataclass(frozen=True, slots=True, kw_only=True)
class SavedModel:
    """What a model must tell of itself for another to use its rows.

    The scaler is that of the windows in rows of version 1; later ones are in input units.
    """

    version: str
    features: tuple[str, ...]
    step_seconds: float
    mean: tuple[float, ...]
    std: tuple[float, ...]
    clip: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """From where a partition's input must be read again: its series hold all that came before."""

    offset: int
    clock_ns: int
    """Wall clock when that offset was taken in, nanoseconds since 1970."""


def encode_rows(head: RowHead, offsets: NDArray[np.int64], rows: NDArray[np.void]) -> list[bytes]:
    """Return the record values of K saved series.

    Args:
        head: Common to all.
        offsets: (K,) input offset before which each series' readings are in its row.
        rows: (K,) packed.
    """
    packed = np.empty(len(rows), np.dtype([("header", _HEADER), ("row", rows.dtype)]))
    header = packed["header"]
    header["magic"] = _MAGIC
    header["schema_version"] = head.schema_version
    header["model"] = np.void(head.model)
    header["length"] = head.length
    header["n_features"] = head.n_features
    header["scores"] = head.scores
    header["offset"] = offsets
    packed["row"] = rows
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
        StateError: If it is none, is damaged, or was written by a newer release.
    """
    if len(value) < _HEADER.itemsize or value[:2] != _MAGIC:
        raise StateError("no saved series")
    header = np.frombuffer(value, _HEADER, 1)[0]
    _check_version(int(header["schema_version"]))
    if zlib.crc32(memoryview(value)[_CHECKED_FROM:]) != int(header["checksum"]):
        raise StateError("the checksum does not match")
    return RowHead(
        model=header["model"].tobytes(),
        length=int(header["length"]),
        n_features=int(header["n_features"]),
        scores=int(header["scores"]),
        schema_version=int(header["schema_version"]),
    )


def decode_rows(
    values: Sequence[bytes], row: np.dtype[np.void]
) -> tuple[NDArray[np.int64], NDArray[np.void]]:
    """Return offsets (K,) and rows (K,) of saved series that have one head, already looked at.

    Raises:
        StateError: If a value is not as long as its head says.
    """
    packed = np.dtype([("header", _HEADER), ("row", row)])
    if any(len(value) != packed.itemsize for value in values):
        raise StateError(f"a saved series is not {packed.itemsize} bytes long")
    found = np.frombuffer(b"".join(values), packed)
    return found["header"]["offset"].astype(np.int64), found["row"]


def encode_value(value: object, **more: object) -> bytes:
    """Return the JSON of a frozen value, with the schema version and further members."""
    return msgspec.json.encode({"schema_version": SCHEMA_VERSION, **more, "value": value})


def decode_value(data: bytes, kind: type[_Value]) -> tuple[_Value, dict[str, Any]]:
    """Return what `encode_value` was given.

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
            f"{SCHEMA_VERSION}: run that release again, or start anew with another state.topic"
        )
