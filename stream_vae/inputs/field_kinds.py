"""Kinds of record fields: the type to decode, and the rejection reasons for other values.

The fast path uses the types, msgspec rejecting other values; the slow path uses the checks for time
and series, and `feature_cells` for values.
"""

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
    is_value: bool = False
    """Whether it holds values of features, which are looked at later where they are unusual."""


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
ANY = FieldKind(type=Any, check=_as_it_is)
"""Any JSON value, looked at later; an absent field is None."""
_INT64 = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]

VALUE_TYPES: Mapping[FeatureKind, Any] = {
    "numeric": float | None,
    "count": Annotated[float, msgspec.Meta(ge=0, multiple_of=1)] | None,
    "binary": bool | Annotated[float, msgspec.Meta(ge=0, le=1, multiple_of=1)] | None,
    "categorical": str | bool | _INT64 | float | None,
}
"""Kind of a feature -> type of its field that needs no second look."""
