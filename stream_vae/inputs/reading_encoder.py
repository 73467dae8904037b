"""Readings to records: `stream-vae feed` publishes them and the decoders read them."""

from collections.abc import Sequence
from math import isfinite
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import numpy as np

from stream_vae.core.event_time import utc
from stream_vae.core.model_spec import Feature
from stream_vae.errors import ConfigError
from stream_vae.inputs.formats import json_layout
from stream_vae.inputs.reading_format import ReadingFormat
from stream_vae.inputs.record_layout import FieldPath
from stream_vae.inputs.timestamps import format_times

_UNIT_NS = {"s": 10**9, "ms": 10**6, "us": 10**3, "ns": 1}


class ReadingEncoder:
    """Encodes readings of one layout.

    Args:
        features: F.
        fmt: Where a record keeps its parts. Times are RFC 3339 text, text of a pattern (as fine as
            that is), or numbers in an epoch format; digits finer than its unit stay as a fraction,
            which float64 holds to about a microsecond in seconds. Kafka's own time is no part.

    Raises:
        ConfigError: If the format is inconsistent or does not fit the features.
    """

    def __init__(self, features: Sequence[Feature], fmt: ReadingFormat) -> None:
        for name, value in (("records_path", fmt.records_path), ("value_field", fmt.value_field)):
            if value:
                raise ConfigError(
                    f"input.{name} is {value!r}: readings can be read in this form, not written; "
                    "expected one without it"
                )
        if fmt.series_field is not None and "{" in fmt.series_field:
            raise ConfigError(
                f"input.series_field {fmt.series_field!r}: a series cannot be written to several "
                "fields; expected one, or none for the key"
            )
        self._n_features = len(features)
        self._categories = {
            position: feature.categories
            for position, feature in enumerate(features)
            if feature.kind == "categorical"
        }
        self._is_vector = fmt.format == "vector"
        self._layout = json_layout(features, fmt)
        self._unit_ns = _UNIT_NS.get(fmt.timestamp_format)
        self._pattern = fmt.timestamp_format if "%" in fmt.timestamp_format else None
        self._zone = ZoneInfo(fmt.timestamp_zone or "UTC")

    def encode(self, *, series: str, time_ns: int, values: Sequence[float]) -> bytes:
        """Return one reading as a record's value.

        Missing values are left out; they are null in an array, or if all are missing.

        Args:
            series: Written if the format names a series field; otherwise it is the Kafka key.
            time_ns: Event time, nanoseconds since 1970.
            values: F values in input units, of a categorical feature its code, which is written
                as its text; NaN = not observed.

        Raises:
            ValueError: If there are not F values, one is infinite, or a code has no text.
        """
        if len(values) != self._n_features or any(value in _INFINITE for value in values):
            raise ValueError(
                f"reading of {series!r} at {time_ns}: {list(values)}; expected "
                f"{self._n_features} values, none infinite"
            )
        record: dict[str, Any] = {}
        if self._layout.time is not None:
            _put(record, self._layout.time.path, self._time(time_ns))
        if self._layout.series_path is not None:
            _put(record, self._layout.series_path, series)
        observed: list[float | str | None] = [
            float(value) if isfinite(value) else None for value in values
        ]
        for position, categories in self._categories.items():
            if isfinite(values[position]):
                observed[position] = _text_of(values[position], categories)
        if self._is_vector:
            _put(record, self._layout.values[0].path, observed)
        else:
            # A record that names no feature is no reading at all.
            is_empty = all(value is None for value in observed)
            for field, value in zip(self._layout.values, observed, strict=True):
                if value is not None or is_empty:
                    _put(record, field.path, value)
        return msgspec.json.encode(record)

    def _time(self, time_ns: int) -> str | int | float:
        if self._pattern is not None:
            return utc(time_ns).astimezone(self._zone).strftime(self._pattern)
        if self._unit_ns is None:
            return format_times(np.array([time_ns], dtype=np.int64))[0]
        whole, rest = divmod(time_ns, self._unit_ns)
        return whole if rest == 0 else whole + rest / self._unit_ns


_INFINITE = (float("inf"), float("-inf"))


def encode_reading(
    *,
    series: str,
    time_ns: int,
    values: Sequence[float],
    feature_names: Sequence[str],
    fmt: ReadingFormat,
) -> bytes:
    """Return one reading of numbers as a record's value; for many, keep a `ReadingEncoder`.

    >>> encode_reading(
    ...     series="pump-7", time_ns=0, values=[1.5], feature_names=["flow"], fmt=ReadingFormat()
    ... )
    b'{"timestamp":"1970-01-01T00:00:00Z","flow":1.5}'
    """
    encoder = ReadingEncoder([Feature(name=name) for name in feature_names], fmt)
    return encoder.encode(series=series, time_ns=time_ns, values=values)


def _text_of(code: float, categories: Sequence[str]) -> str:
    if not (0 <= code < len(categories) and float(code).is_integer()):
        raise ValueError(f"category {code}; expected a position in {len(categories)} categories")
    return categories[int(code)]


def _put(record: dict[str, Any], path: FieldPath, value: object) -> None:
    for name in path[:-1]:
        record = record.setdefault(name, {})
    record[path[-1]] = value
