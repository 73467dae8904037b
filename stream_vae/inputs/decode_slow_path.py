"""Slow path for records that the fast paths reject: repair them, or give the exact reason.

Python producers write `NaN` and `Infinity`, which are not JSON; some write `null` for a missing
object. Those are decoded here. Anything else gets a rejection reason.
"""

import json
from typing import Any

import msgspec

from stream_vae.core.excerpts import excerpt, printable
from stream_vae.errors import DecodeError
from stream_vae.inputs.record_layout import FieldPath, RecordLayout

# Integers longer than this are infinite as floats; Python refuses to read much longer ones.
_MAX_INTEGER_DIGITS = 400


def decode_slowly(raw: bytes, layout: RecordLayout) -> msgspec.Struct:
    """Return the record as the layout's loose type.

    A value whose path leads through something that is no object is a `DecodeError`, as a value.

    Args:
        raw: Valid UTF-8, not nested too deeply.
        layout: Where the record's parts are.

    Raises:
        DecodeError: The first error found in the record as a whole, its timestamp and its series.
    """
    document = parse_document(raw)
    if not isinstance(document, dict):
        detail = f"found {excerpt(document)}; expected one JSON object"
        raise DecodeError("not_an_object", detail)
    return convert_slowly(document, layout)


def parse_document(raw: bytes) -> Any:
    """Return any JSON value; NaN and infinities are NaN.

    Raises:
        DecodeError: `not_json`.
    """
    try:
        return json.loads(raw.decode(), parse_int=_parse_int, parse_constant=_not_a_number)
    except ValueError as exc:
        detail = f"{printable(str(exc), 80)} in {excerpt(raw)!r}; expected one JSON object"
        raise DecodeError("not_json", detail) from None


def convert_slowly(document: dict[str, Any], layout: RecordLayout) -> msgspec.Struct:
    """Return a parsed document as the layout's loose type.

    Raises:
        DecodeError: As `decode_slowly`.
    """
    cleaned: dict[str, Any] = {}
    names_feature = layout.names_feature(document)
    for path, kind in layout.head_fields:
        found = _find(document, path)
        # One that is no reading at all is not rejected for its time.
        if isinstance(found, DecodeError) and names_feature:
            raise found
        value = None if not names_feature else kind.check(found, printable(".".join(path)))
        _put(cleaned, path, value)
    for path in layout.value_paths:
        _put(cleaned, path, _find(document, path))
    return msgspec.convert(cleaned, layout.loose_type)


def _not_a_number(token: str) -> float:
    del token
    return float("nan")


def _parse_int(digits: str) -> int | float:
    return int(digits) if len(digits) <= _MAX_INTEGER_DIGITS else float(digits)


def _find(document: Any, path: FieldPath) -> Any:
    """Return the value at a path, None if there is none, or a `DecodeError`."""
    found = document
    for depth, name in enumerate(path):
        if found is None:
            return None
        if not isinstance(found, dict):
            above = printable(".".join(path[:depth]))
            detail = f"field {above}: found {excerpt(found)}; expected an object"
            return DecodeError("not_an_object", detail)
        found = found.get(name)
    return found


def _put(cleaned: dict[str, Any], path: FieldPath, value: object) -> None:
    for name in path[:-1]:
        cleaned = cleaned.setdefault(name, {})
    cleaned[path[-1]] = value
