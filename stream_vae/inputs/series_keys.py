"""Series keys: record keys and fields to text of bounded length."""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np

from stream_vae.core.excerpts import excerpt
from stream_vae.errors import DecodeError

RawKey = bytes | str | int | None

MAX_KEY_CHARACTERS = 1024
"""Keys appear in state, metrics and alerts, so their length is bounded."""


KeyFormat = Literal["text", "int32", "int64", "hex", "registry"]
"""What the bytes of a record's key are; those of `registry` are text once they get here."""

_WIDTHS: Mapping[str, int] = {"int32": 4, "int64": 8}
# No name of a series has these, and a small number as bytes has them always.
_CONTROLS = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")


def parse_keys(found: Sequence[Any], key_format: KeyFormat = "text") -> list[str] | None:
    """Return N keys at once, or None if any of them needs `parse_key`.

    Args:
        found: N of type `RawKey`.
        key_format: Of those that are bytes.
    """
    try:
        kinds = set(map(type, found))
        if kinds not in ({bytes}, {str}):
            return None
        different = list(set(found))  # lines of a log name the same host again and again
        keys = _from_bytes(different, key_format) if kinds == {bytes} else different
        if keys is None:
            return None
        "".join(keys).encode()
    except UnicodeError:
        return None
    if not all(keys) or max(map(len, keys)) > MAX_KEY_CHARACTERS:
        return None
    return list(map(dict(zip(different, keys, strict=True)).__getitem__, found))


def parse_key(found: RawKey, key_format: KeyFormat = "text") -> str:
    """Return one key.

    Raises:
        DecodeError: `key_missing`, `key_not_utf8`, `key_not_text` or `key_too_long`.
    """
    if found is None or found in (b"", ""):
        detail = (
            "nothing names the series; expected 1-1024 characters in the record's key, or in "
            "fields that input.series_field names, or input.series for all"
        )
        raise DecodeError("key_missing", detail)
    try:
        key = _from_one(found, key_format) if isinstance(found, bytes) else str(found)
        if not isinstance(found, bytes):
            key.encode()
    except UnicodeError:
        raise DecodeError("key_not_utf8", f"key {excerpt(found)}; expected UTF-8") from None
    if len(key) > MAX_KEY_CHARACTERS:
        detail = f"key of {len(key)} characters; expected at most {MAX_KEY_CHARACTERS}"
        raise DecodeError("key_too_long", detail)
    return key


def _from_bytes(found: Sequence[bytes], key_format: KeyFormat) -> list[str] | None:
    """Return N keys, or None if one needs a closer look.

    Raises:
        UnicodeError: If one is not UTF-8.
    """
    if key_format == "hex":
        return [key.hex() for key in found]
    if key_format == "text":
        keys = [key.decode() for key in found]
        text = "".join(keys)
        return keys if text.isprintable() or not _CONTROLS.search(text) else None
    width = _WIDTHS[key_format]
    if set(map(len, found)) != {width}:
        return None
    return list(map(str, np.frombuffer(b"".join(found), dtype=f">i{width}").tolist()))


def _from_one(found: bytes, key_format: KeyFormat) -> str:
    if key_format == "hex":
        return found.hex()
    if key_format != "text":
        if len(found) != _WIDTHS[key_format]:
            detail = (
                f"key of {len(found)} bytes; expected {_WIDTHS[key_format]} (input.key_format "
                f"{key_format})"
            )
            raise DecodeError("key_not_text", detail)
        return str(int.from_bytes(found, "big", signed=True))
    try:
        key = found.decode()
    except UnicodeError:
        key = "\0"
    if _CONTROLS.search(key):
        detail = (
            f"key 0x{found[:16].hex()}{'...' if len(found) > 16 else ''} is binary; expected text, "
            "or input.key_format int32, int64 or hex, or the series in input.series_field"
        )
        raise DecodeError("key_not_utf8", detail)
    return key
