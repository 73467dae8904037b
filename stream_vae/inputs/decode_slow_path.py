"""Slow path for records that the fast path rejects: repair them, or give the exact reason.

Python producers write `NaN` and `Infinity`, which are not JSON; some write `null` for a missing
object. Those are decoded here. Anything else gets a rejection reason.
"""

import json
from collections.abc import Callable
from typing import Any

import msgspec

from stream_vae.core.excerpts import excerpt, printable
from stream_vae.errors import DecodeError
from stream_vae.inputs.record_layout import FieldPath, RecordLayout

# Integers longer than this are infinite as floats; Python refuses to read much longer ones.
_MAX_INTEGER_DIGITS = 400


def decode_slowly(raw: bytes, layout: RecordLayout) -> msgspec.Struct:
    """Return the record as the layout's type.

    Args:
        raw: Valid UTF-8, not nested too deeply.
        layout: Where the record's parts are.

    Raises:
        DecodeError: The first error found, in the order timestamp, series, features.
    """
    document = _parse(raw)
    cleaned: dict[str, Any] = {}
    for path, kind in layout.fields:
        _copy(document, cleaned, path, kind.check)
    return msgspec.convert(cleaned, layout.record_type)


def _parse(raw: bytes) -> dict[str, Any]:
    try:
        document = json.loads(raw.decode(), parse_int=_parse_int)
    except ValueError as exc:
        detail = f"{printable(str(exc), 80)} in {excerpt(raw)!r}; expected one JSON object"
        raise DecodeError("not_json", detail) from None
    if not isinstance(document, dict):
        detail = f"found {excerpt(document)}; expected one JSON object"
        raise DecodeError("not_an_object", detail)
    return document


def _parse_int(digits: str) -> int | float:
    return int(digits) if len(digits) <= _MAX_INTEGER_DIGITS else float(digits)


def _copy(
    document: dict[str, Any],
    cleaned: dict[str, Any],
    path: FieldPath,
    check: Callable[[Any, str], Any],
) -> None:
    """Check the value at `path` and copy it to the same place in `cleaned`."""
    found: Any = document
    for depth, name in enumerate(path):
        if found is not None and not isinstance(found, dict):
            above = ".".join(path[:depth])
            detail = f"field {printable(above)}: found {excerpt(found)}; expected an object"
            raise DecodeError("not_an_object", detail)
        found = None if found is None else found.get(name)
    value = check(found, printable(".".join(path)))
    for name in path[:-1]:
        cleaned = cleaned.setdefault(name, {})
    cleaned[path[-1]] = value
