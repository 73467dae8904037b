"""Slow path for records that the fast paths reject: repair them, or give the exact reason.

Python producers write `NaN` and `Infinity`, which are not JSON; some write `null` for a missing
object. Those are decoded here. Anything else gets a rejection reason.
"""

import json
from typing import Any

import msgspec

from stream_vae.core.excerpts import excerpt, printable
from stream_vae.errors import DecodeError
from stream_vae.inputs.record_layout import Field, FieldPath, RecordLayout

# Integers longer than this are infinite as floats; Python refuses to read much longer ones.
_MAX_INTEGER_DIGITS = 400


def unframed(raw: bytes) -> bytes:
    """Return the JSON behind the five bytes that serialisers of a schema registry put before it.

    Raises:
        DecodeError: `not_json` if there are such bytes and no JSON follows.
    """
    if raw[:1] != b"\0":  # no JSON begins with it
        return raw
    if raw[5:].lstrip()[:1] in (b"{", b"["):
        return raw[5:]
    detail = (
        f"0x{raw[:5].hex()} at the beginning is how serialisers of a schema registry mark schema "
        f"{int.from_bytes(raw[1:5], 'big')}, and no JSON follows; expected one JSON object"
    )
    raise DecodeError("not_json", detail)


def parse_document(raw: bytes) -> Any:
    """Return any JSON value; NaN and infinities are NaN.

    Raises:
        DecodeError: `not_json`.
    """
    raw = unframed(raw)
    try:
        return json.loads(raw.decode(), parse_int=_parse_int, parse_constant=_not_a_number)
    except ValueError as exc:
        detail = f"{printable(str(exc), 80)} in {excerpt(raw)!r}; expected one JSON object"
        raise DecodeError("not_json", detail) from None


def convert_slowly(document: Any, layout: RecordLayout) -> msgspec.Struct:
    """Return a parsed element as the layout's loose type of one.

    A value whose path leads through something that is no object is a `DecodeError`, as a value.

    Raises:
        DecodeError: The first error found in the element as a whole, its timestamp and its series.
    """
    if not isinstance(document, dict):
        detail = f"found {excerpt(document)}; expected one JSON object"
        if isinstance(document, list) and layout.records_path is None:
            detail += ", or input.records_path $ for an array of readings"
        raise DecodeError("not_an_object", detail)
    cleaned: dict[str, Any] = {}
    # One that is no reading at all is not rejected for its time.
    names_feature = layout.names_feature(document)
    for field in layout.fields:
        if not field.is_outer and names_feature:
            _copy(document, cleaned, field)
    for value in layout.values:
        _put(cleaned, value.path, _find(document, value.path))
        if value.other is not None:
            _put(cleaned, value.other, _find(document, value.other))
    return msgspec.convert(cleaned, layout.loose_element)


def convert_outer(document: Any, layout: RecordLayout) -> msgspec.Struct | None:
    """Return a parsed record with what stands beside its array; None if nothing there is read.

    Raises:
        DecodeError: The first error found in timestamp and series.
    """
    outer = [field for field in layout.fields if field.is_outer]
    if not outer:
        return None
    cleaned: dict[str, Any] = {}
    for field in outer:
        _copy(document, cleaned, field)
    return msgspec.convert(cleaned, layout.loose_whole)


def _copy(document: Any, cleaned: dict[str, Any], field: Field) -> None:
    """Check a field and copy it to the same place in `cleaned`."""
    found = _find(document, field.path)
    path = field.path
    if field.other is not None and (found is None or isinstance(found, DecodeError)):
        other = _find(document, field.other)
        found, path = (found, path) if other is None else (other, field.other)
    if isinstance(found, DecodeError):
        raise found
    _put(cleaned, path, field.kind.check(found, printable(".".join(path))))


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
