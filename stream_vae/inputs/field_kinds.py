"""Kinds of record fields: the type to decode, and the rejection reasons for other values.

The fast path uses the types, msgspec rejecting other values; the slow path uses the checks, which
read what they can and give the exact reason for the rest.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import isfinite, isnan
from typing import Annotated, Any

import msgspec

from stream_vae.core.excerpts import excerpt
from stream_vae.core.model_spec import FeatureKind
from stream_vae.errors import DecodeError


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FieldKind:
    """One kind of field."""

    type: Any
    """Type for msgspec; an absent field is None, unless it is required."""
    check: Callable[[Any, str], Any]
    """From any JSON value (None if absent) and the field's name, for messages, to a value of the
    type. Raises `DecodeError`."""
    is_required: bool = False
    """Whether a record without it is rejected."""


def check_time(found: Any, name: str) -> int | float | str | None:
    """Return a time, not yet parsed.

    Raises:
        DecodeError: `timestamp_unparsable`.
    """
    if found is None or (isinstance(found, str | int | float) and not isinstance(found, bool)):
        return found
    detail = f"field {name}: found {excerpt(found)}; expected text or a number"
    raise DecodeError("timestamp_unparsable", detail)


def check_series(found: Any, name: str) -> str | int | None:
    """Return a series key, not yet parsed.

    Raises:
        DecodeError: `key_not_text`.
    """
    if found is None or (isinstance(found, str | int) and not isinstance(found, bool)):
        return found
    detail = f"field {name}: found {excerpt(found)}; expected text or an integer"
    raise DecodeError("key_not_text", detail)


def check_number(found: Any, name: str) -> float | None:
    """Return a finite number, or None for what is not observed.

    Raises:
        DecodeError: `value_not_a_number` or `value_out_of_range`.
    """
    expected = "expected a number or null"
    value = _number(found, DecodeError("value_not_a_number", _detail(found, name, expected)))
    return value if value is None else _finite(value, found, name)


def check_count(found: Any, name: str) -> float | None:
    """Return a whole number of 0 or more, or None for what is not observed.

    Raises:
        DecodeError: `value_not_a_count` or `value_out_of_range`.
    """
    expected = "expected a whole number of 0 or more, or null"
    error = DecodeError("value_not_a_count", _detail(found, name, expected))
    value = _number(found, error)
    if value is None:
        return None
    value = _finite(value, found, name)
    if value is not None and (value < 0 or not value.is_integer()):
        raise error
    return value


def check_binary(found: Any, name: str) -> float | None:
    """Return 0.0 or 1.0, or None for what is not observed.

    Raises:
        DecodeError: `value_not_binary`.
    """
    expected = "expected true, false, 0, 1 or null"
    error = DecodeError("value_not_binary", _detail(found, name, expected))
    value = _number(found, error)
    if value is None or isnan(value):
        return None
    if value not in (0, 1):
        raise error
    return value


def check_category(found: Any, name: str) -> str | bool | float | None:
    """Return text, a truth value or a finite number, or None for null and NaN: not observed.

    Raises:
        DecodeError: `value_not_a_category` or `value_out_of_range`.
    """
    if found is None or isinstance(found, str | bool):
        return found
    if not isinstance(found, int | float):
        expected = "expected text, a number, true, false, null"
        raise DecodeError("value_not_a_category", _detail(found, name, expected))
    value = _finite(_float(found), found, name)
    return found if isinstance(found, int) and found.bit_length() < 64 else value


_NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_MISSING = frozenset({"", "nan", "na", "n/a", "null", "none"})
_TRUTH = {"true": 1.0, "false": 0.0}


def _number(found: Any, error: DecodeError) -> float | None:
    """Return a number, possibly infinite or NaN, or None for a word for missing."""
    if isinstance(found, str):
        text = found.strip().lower()
        if text in _MISSING:
            return None
        if text in _TRUTH:
            return _TRUTH[text]
        if _NUMBER.fullmatch(text):
            return float(text)
        raise error
    if found is None:
        return None
    if not isinstance(found, int | float):
        raise error
    return _float(found)


def _float(found: float) -> float:
    try:
        return float(found)
    except OverflowError:
        return float("inf")


def _finite(value: float, found: Any, name: str) -> float | None:
    """Return a finite number, or None for NaN."""
    if isnan(value):
        return None
    if not isfinite(value):
        detail = _detail(found, name, "expected a finite number or null")
        raise DecodeError("value_out_of_range", detail)
    return value


def _detail(found: Any, name: str, expected: str) -> str:
    return f"field {name}: found {excerpt(found)}; {expected}"


def _as_it_is(found: Any, name: str) -> Any:
    return found


TIME = FieldKind(type=int | float | str | None, check=check_time)
SERIES = FieldKind(type=str | int | None, check=check_series)
NUMBER = FieldKind(type=float | None, check=check_number)
ANY = FieldKind(type=Any, check=_as_it_is)
"""Any JSON value, looked at later; an absent field is None."""
_INT64 = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]

VALUES: Mapping[FeatureKind, FieldKind] = {
    "numeric": NUMBER,
    "count": FieldKind(
        type=Annotated[float, msgspec.Meta(ge=0, multiple_of=1)] | None, check=check_count
    ),
    "binary": FieldKind(
        type=bool | Annotated[float, msgspec.Meta(ge=0, le=1, multiple_of=1)] | None,
        check=check_binary,
    ),
    "categorical": FieldKind(type=str | bool | _INT64 | float | None, check=check_category),
}
"""Kind of a feature -> kind of its field."""
