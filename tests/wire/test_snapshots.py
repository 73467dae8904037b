import zlib
from collections.abc import Callable

import msgspec
import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from numpy.typing import NDArray

from stream_vae.core.incidents import SeriesIncidents
from stream_vae.core.state_layout import PartHead
from stream_vae.errors import StateError
from stream_vae.wire.snapshots import (
    SCHEMA_VERSION,
    Checkpoint,
    RowHead,
    decode_rows,
    decode_value,
    encode_rows,
    encode_value,
    head_of,
)

DIRECTORY = 28
"""Where the names and sizes of the parts begin, 24 bytes a part."""
WINDOWS = np.dtype([("values", "<f4", (3, 2)), ("step", "<i8")])
FLAGS = np.dtype([("known", "?")])
HEAD = RowHead(
    model=b"12345678", parts=(PartHead.of("windows", WINDOWS), PartHead.of("flags", FLAGS))
)


def make_states(n: int) -> dict[str, NDArray[np.void]]:
    windows, flags = np.zeros(n, WINDOWS), np.zeros(n, FLAGS)
    windows["values"] = np.random.default_rng(3).normal(size=(n, 3, 2))
    windows["values"][:1, 1, 1] = np.nan
    windows["step"] = np.arange(n) - 2**62
    flags["known"] = np.arange(n) % 2 == 0
    return {"windows": windows, "flags": flags}


def encode(n: int = 4) -> list[bytes]:
    return encode_rows(HEAD, np.arange(n) * 10, make_states(n))


def test_rows_come_back_bit_for_bit() -> None:
    values = encode()
    assert {head_of(value) for value in values} == {HEAD}
    offsets, rows = decode_rows(HEAD, values)
    assert offsets.tolist() == [0, 10, 20, 30]
    for name, part in make_states(4).items():
        assert rows[name].tobytes() == part.tobytes()


def test_no_rows_are_no_records() -> None:
    assert encode(0) == []


@example(at=2, flip=1, keep=0)  # the schema version, which stands before what is summed
@given(at=st.integers(0, 10_000), flip=st.integers(1, 255), keep=st.integers(0, 10_000))
def test_a_damaged_row_is_refused(at: int, flip: int, keep: int) -> None:
    value = bytearray(encode()[1])
    value[at % len(value)] ^= flip
    with pytest.raises(StateError):
        head_of(bytes(value))
    with pytest.raises(StateError):
        head_of(encode()[1][: keep % len(value)])


def test_rows_of_a_newer_release_are_refused_and_say_so() -> None:
    value = bytearray(encode()[0])
    value[2:4] = (SCHEMA_VERSION + 1).to_bytes(2, "little")
    with pytest.raises(StateError, match="newer release"):
        head_of(bytes(value))


def with_checksum(value: bytes) -> bytes:
    return value[:4] + zlib.crc32(value[8:]).to_bytes(4, "little") + value[8:]


@pytest.mark.parametrize(
    ("impossible", "says"),
    [
        (lambda value: value[:-1], "its parts make"),
        (lambda value: value + b"x", "its parts make"),
        (lambda value: value[: DIRECTORY + 5], "its parts make"),
        (lambda value: value[:48] + b"\xff" * 4 + value[52:], "its parts make"),
        (lambda value: value[:DIRECTORY] + value[DIRECTORY:][:24] * 2 + value[76:], "twice"),
    ],
    ids=["shorter", "longer", "directory cut", "huge part", "a part twice"],
)
def test_an_impossible_shape_with_the_right_checksum_is_refused(
    impossible: Callable[[bytes], bytes], says: str
) -> None:
    """Control: the row itself is taken."""
    value = encode()[0]
    assert head_of(with_checksum(value)) == HEAD
    with pytest.raises(StateError, match=says):
        head_of(with_checksum(impossible(value)))


def test_values_come_back_with_what_stands_beside_them() -> None:
    checkpoint = Checkpoint(offset=7, clock_ns=2**62)
    assert decode_value(encode_value(checkpoint, at=3), Checkpoint) == (checkpoint, {"at": 3})


def test_incidents_of_version_1_are_read_under_their_old_names() -> None:
    """`calm` is `normal_run` since version 2, and only since then."""
    anomaly: dict[str, object] = {"recent": [], "incident": None, "calm": 3, "resolved": None}
    saved = {"schema_version": 1, "offset": 5, "value": {"anomaly": anomaly, "silence": None}}
    found, members = decode_value(msgspec.json.encode(saved), SeriesIncidents)
    assert found.anomaly is not None
    assert (found.anomaly.normal_run, members) == (3, {"offset": 5})
    with pytest.raises(StateError, match="normal_run"):
        decode_value(msgspec.json.encode({**saved, "schema_version": 2}), SeriesIncidents)


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "cannot be read"),
        (b"[]", "cannot be read"),
        (b'{"schema_version":1}', "cannot be read"),
        (b'{"schema_version":1,"value":{"offset":"x"}}', "cannot be read"),
        (b'{"schema_version":99,"value":{}}', "newer release"),
    ],
)
def test_damaged_or_newer_values_are_refused(data: bytes, why: str) -> None:
    with pytest.raises(StateError, match=why):
        decode_value(data, Checkpoint)
