"""The second look at a record the fast way refused: mend it, or say exactly what is wrong.

Python producers write `NaN` and `Infinity`, which are no JSON; some write `null` for a missing
object. Those become readings here. Anything else gets its reason.
"""

import json
from collections.abc import Callable
from math import isfinite, isnan
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
        layout: Where the record's parts stand.

    Raises:
        DecodeError: With the first fault found, in the order timestamp, series, features.
    """
    document = _parse(raw)
    cleaned: dict[str, Any] = {}
    _copy(document, cleaned, layout.time_path, _check_time)
    if layout.series_path is not None:
        _copy(document, cleaned, layout.series_path, _check_series)
    if layout.is_vector:
        path = layout.value_paths[0]
        _copy(document, cleaned, path, lambda found, name: _check_array(found, name, layout))
    else:
        for path in layout.value_paths:
            _copy(document, cleaned, path, _check_value)
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
    """Check the value at `path` and put it at the same place in `cleaned`."""
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


def _check_time(found: Any, name: str) -> int | float | str | None:
    if found is None or (isinstance(found, str | int | float) and not isinstance(found, bool)):
        return found
    detail = f"field {name}: found {excerpt(found)}; expected text or a number"
    raise DecodeError("timestamp_unparsable", detail)


def _check_series(found: Any, name: str) -> str | int | None:
    if found is None or (isinstance(found, str | int) and not isinstance(found, bool)):
        return found
    detail = f"field {name}: found {excerpt(found)}; expected text or an integer"
    raise DecodeError("key_not_text", detail)


def _check_value(found: Any, name: str) -> float | None:
    if found is None:
        return None
    if isinstance(found, bool) or not isinstance(found, int | float):
        detail = f"field {name}: found {excerpt(found)}; expected a number or null"
        raise DecodeError("value_not_a_number", detail)
    try:
        value = float(found)
    except OverflowError:
        value = float("inf")
    if isnan(value):
        return None
    if not isfinite(value):
        detail = f"field {name}: found {excerpt(found)}; expected a finite number or null"
        raise DecodeError("value_out_of_range", detail)
    return value


def _check_array(found: Any, name: str, layout: RecordLayout) -> list[float | None]:
    expected = f"expected an array of {layout.n_features} numbers"
    if found is None:
        raise DecodeError("values_missing", f"field {name}: absent or null; {expected}")
    if not isinstance(found, list):
        detail = f"field {name}: found {excerpt(found)}; {expected}"
        raise DecodeError("values_not_an_array", detail)
    if len(found) != layout.n_features:
        raise DecodeError("wrong_length", f"field {name}: found {excerpt(found)}; {expected}")
    return [_check_value(value, f"{name}[{position}]") for position, value in enumerate(found)]
