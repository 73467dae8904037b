"""Series keys: record keys and fields to text of bounded length."""

from collections.abc import Sequence
from typing import Any

from stream_vae.core.excerpts import excerpt
from stream_vae.errors import DecodeError

RawKey = bytes | str | int | None

MAX_KEY_CHARACTERS = 1024
"""Keys appear in state, metrics and alerts, so their length is bounded."""


def parse_keys(found: Sequence[Any]) -> list[str] | None:
    """Return N keys at once, or None if any of them needs `parse_key`.

    Args:
        found: N of type `RawKey`.
    """
    try:
        kinds = set(map(type, found))
        if kinds == {bytes}:
            keys = [key.decode() for key in found]
        elif kinds == {str}:
            keys = list(found)
            "".join(keys).encode()
        else:
            return None
    except UnicodeError:
        return None
    return keys if all(keys) and max(map(len, keys)) <= MAX_KEY_CHARACTERS else None


def parse_key(found: RawKey) -> str:
    """Return one key.

    Raises:
        DecodeError: `key_missing`, `key_not_utf8` or `key_too_long`.
    """
    if found is None or found in (b"", ""):
        raise DecodeError("key_missing", "nothing names the series; expected 1-1024 characters")
    try:
        key = found.decode() if isinstance(found, bytes) else str(found)
        if not isinstance(found, bytes):
            key.encode()
    except UnicodeError:
        raise DecodeError("key_not_utf8", f"key {excerpt(found)}; expected UTF-8") from None
    if len(key) > MAX_KEY_CHARACTERS:
        detail = f"key of {len(key)} characters; expected at most {MAX_KEY_CHARACTERS}"
        raise DecodeError("key_too_long", detail)
    return key
