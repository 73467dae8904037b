"""Input format `otlp_json`: a record is an `ExportMetricsServiceRequest` in JSON."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import islice
from math import nan
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from stream_vae.core.excerpts import excerpt
from stream_vae.core.model_spec import Feature
from stream_vae.core.records import RecordBatch
from stream_vae.errors import DecodeError
from stream_vae.inputs.decode_errors import DecodeErrors
from stream_vae.inputs.decoder import Decoded, Decoder
from stream_vae.inputs.otlp.columns import Columns, per_second
from stream_vae.inputs.otlp.entries import Entries
from stream_vae.inputs.otlp.json_requests import RequestParser
from stream_vae.inputs.otlp.names import MAX_UNUSED, Labels, MetricNames, PointNames
from stream_vae.inputs.otlp.number_checks import NumberChecks
from stream_vae.inputs.otlp.quantiles import of_buckets, of_exponential
from stream_vae.inputs.raw_readings import RawReadings, ReadingBuilder
from stream_vae.inputs.reading_format import ReadingFormat

_Integer = int | str
"""JSON of protobuf writes 64-bit integers as text."""
_Number = float | str
"""NaN and Infinity are text."""


class _Value(msgspec.Struct, rename="camel", gc=False):
    string_value: str | None = None
    bool_value: bool | None = None
    int_value: _Integer | None = None
    double_value: _Number | None = None


class _KeyValue(msgspec.Struct, gc=False):
    key: str = ""
    value: _Value = msgspec.field(default_factory=_Value)


class _Quantile(msgspec.Struct, gc=False):
    quantile: _Number = 0.0
    value: _Number = 0.0


class _Buckets(msgspec.Struct, rename="camel", gc=False):
    offset: int = 0
    bucket_counts: list[_Integer] = []


class _Point(msgspec.Struct, rename="camel", gc=False):
    """A point of any shape."""

    attributes: list[_KeyValue] = []
    start_time_unix_nano: _Integer = 0
    time_unix_nano: _Integer = 0
    flags: int = 0
    as_double: _Number | None = None
    as_int: _Integer | None = None
    count: _Integer | None = None
    sum: _Number | None = None
    bucket_counts: list[_Integer] = []
    explicit_bounds: list[_Number] = []
    scale: int = 0
    zero_count: _Integer = 0
    positive: _Buckets = msgspec.field(default_factory=_Buckets)
    negative: _Buckets = msgspec.field(default_factory=_Buckets)
    quantile_values: list[_Quantile] = []


class _Data(msgspec.Struct, rename="camel", gc=False):
    data_points: list[_Point] = []
    aggregation_temporality: int | str = 0


class _Metric(msgspec.Struct, rename="camel", gc=False):
    name: str = ""
    unit: str = ""
    gauge: _Data | None = None
    sum: _Data | None = None
    histogram: _Data | None = None
    exponential_histogram: _Data | None = None
    summary: _Data | None = None


class _Scope(msgspec.Struct, gc=False):
    name: str = ""


class _ScopeMetrics(msgspec.Struct, gc=False):
    scope: _Scope = msgspec.field(default_factory=_Scope)
    metrics: list[_Metric] = []


class _Resource(msgspec.Struct, gc=False):
    attributes: list[_KeyValue] = []


class _ResourceMetrics(msgspec.Struct, rename="camel", gc=False):
    resource: _Resource = msgspec.field(default_factory=_Resource)
    scope_metrics: list[_ScopeMetrics] = []


class _Request(msgspec.Struct, rename="camel", gc=False):
    resource_metrics: list[_ResourceMetrics]


_Part = tuple[int, Entries[float, int]]
"""Position of a record, and what it holds of one resource."""
_SHAPES = ("gauge", "sum", "histogram", "exponential_histogram", "summary")
_DELTA = (1, "AGGREGATION_TEMPORALITY_DELTA", "1")


class OtlpJsonDecoder(Decoder):
    """Decodes metrics as the OpenTelemetry collector's encoding `otlp_json` writes them.

    Args:
        features: F, in the model's order.
        fmt: The operator's choices.
        is_events: As in `build_decoder`.

    Raises:
        ConfigError: If a template names what a point does not have, or a feature is a category.
    """

    def __init__(
        self, features: Sequence[Feature], fmt: ReadingFormat, *, is_events: bool = False
    ) -> None:
        self._features = [feature.name for feature in features]
        self._checks = NumberChecks(features, fmt.format)
        self._names = PointNames(features, fmt)
        self._requests = RequestParser(_Request, fmt.max_record_bytes, "metrics")
        self._builder = ReadingBuilder(
            replace(fmt, timestamp_format="ns", timestamp_zone=None), is_events=is_events
        )

    def decode(self, batch: RecordBatch, now_ns: int, read_since_ns: int | None = None) -> Decoded:
        """See `Decoder.decode`."""
        errors = DecodeErrors()
        valid: set[int] = set()
        parts: list[_Part] = []
        for row, raw in enumerate(batch.values):
            try:
                parts += [(row, each) for each in self._entries(self._requests.parse(raw))]
                valid.add(row)
            except DecodeError as error:
                errors.reject(row, error)
        raw_readings = self._read(valid, parts)
        return self._builder.build(batch, raw_readings, errors, now_ns, read_since_ns)

    def _entries(self, request: _Request) -> list[Entries[float, int]]:
        """Return what a record holds of each resource."""
        found = []
        for group in request.resource_metrics:
            entries = Entries[float, int](self._names)
            found.append(entries)
            resource = _labels(group.resource.attributes)
            for scoped in group.scope_metrics:
                for each in scoped.metrics:
                    metric = MetricNames(
                        name=each.name, unit=each.unit, scope=scoped.scope.name, resource=resource
                    )
                    for shape in _SHAPES:
                        data: _Data | None = getattr(each, shape)
                        if data is not None:
                            self._add(entries, metric, shape, data)
        return found

    def _add(
        self, entries: Entries[float, int], metric: MetricNames, shape: str, data: _Data
    ) -> None:
        is_delta = data.aggregation_temporality in _DELTA
        for point in data.data_points:
            start = _uint64(point.start_time_unix_nano, "startTimeUnixNano")
            entries.add(
                metric,
                _labels(point.attributes),
                self._values(shape, point),
                time=_uint64(point.time_unix_nano, "timeUnixNano"),
                start=start if is_delta else None,
            )

    def _values(self, shape: str, point: _Point) -> Iterator[tuple[str, float]]:
        if point.flags & 1:
            return
        if shape in ("gauge", "sum"):
            yield "", _scalar(point)
            return
        if point.count is not None:
            yield ".count", float(_uint64(point.count, "count"))
        if point.sum is not None:
            yield ".sum", _double(point.sum, "sum")
        if shape == "summary":
            for each in point.quantile_values:
                q = _double(each.quantile, "quantile")
                yield f".p{100 * q:g}", _double(each.value, "value")
            return
        of = _of_explicit if shape == "histogram" else _of_exponential
        for suffix, q in self._names.quantiles:
            yield suffix, of(q, point)

    def _read(self, valid: set[int], parts: Sequence[_Part]) -> RawReadings:
        every = dict.fromkeys(name for _, each in parts for name in each.series)
        places = {name: place for place, name in enumerate(every)}
        flat = [
            (row, part, places[each.series[entry.series]], entry)
            for part, (row, each) in enumerate(parts)
            for entry in each.finished()
        ]
        entries = [entry for *_, entry in flat]
        starts = np.array([entry.start or 0 for entry in entries], dtype=np.uint64)
        is_delta = np.array([entry.start is not None for entry in entries], dtype=bool)
        columns = Columns(
            rows=_column([row for row, *_ in flat]),
            slots=_column([place for _, _, place, _ in flat]),
            features=_column([entry.feature for entry in entries]),
            times=np.array([entry.time for entry in entries], dtype=np.uint64),
            values=np.array([nan if e.error else e.value for e in entries], dtype=np.float64),
        )
        errors = [(at, entry.error) for at, entry in enumerate(entries) if entry.error is not None]
        errors += per_second(columns.values, columns.times, starts, is_delta)
        errors += columns.clashes(_column([part for _, part, *_ in flat]))
        errors += self._checks.check(columns.values, columns.features)
        ignored = sorted(valid - {row for row, *_ in flat})
        raw = columns.readings(
            list(places), sorted(errors, key=lambda error: error[0]), ignored, self._features
        )
        if not ignored:
            return raw
        unused = (name for row, each in parts if row == ignored[0] for name in each.unused)
        return replace(raw, ignored_fields=tuple(islice(unused, MAX_UNUSED)))


def _column(numbers: Sequence[int]) -> NDArray[np.int64]:
    return np.array(numbers, dtype=np.int64)


def _labels(attributes: Sequence[_KeyValue]) -> Labels:
    found = ((each.key, _text(each.value)) for each in attributes)
    return {key: text for key, text in found if text is not None}


def _text(value: _Value) -> str | None:
    if value.string_value is not None:
        return value.string_value
    if value.bool_value is not None:
        return "true" if value.bool_value else "false"
    if value.int_value is not None:
        return str(value.int_value)
    return None if value.double_value is None else str(_double(value.double_value, "doubleValue"))


def _scalar(point: _Point) -> float:
    if point.as_double is not None:
        return _double(point.as_double, "asDouble")
    return nan if point.as_int is None else float(_integer(point.as_int, "asInt"))


def _of_explicit(q: float, point: _Point) -> float:
    counts = [_uint64(count, "bucketCounts") for count in point.bucket_counts]
    return of_buckets(q, counts, [_double(end, "explicitBounds") for end in point.explicit_bounds])


def _of_exponential(q: float, point: _Point) -> float:
    return of_exponential(
        q,
        scale=max(min(point.scale, 64), -64),
        zero_count=_uint64(point.zero_count, "zeroCount"),
        positive=_counts(point.positive),
        negative=_counts(point.negative),
    )


def _counts(buckets: _Buckets) -> tuple[int, Sequence[int]]:
    return buckets.offset, [_uint64(count, "bucketCounts") for count in buckets.bucket_counts]


def _double(found: _Number, name: str) -> float:
    try:
        return float(found)
    except (ValueError, OverflowError):
        raise _unfit(found, name, "a number") from None


def _integer(found: _Integer, name: str) -> int:
    try:
        value = int(found) if isinstance(found, int) or len(found) < 30 else 2**64
    except ValueError:
        raise _unfit(found, name, "an integer") from None
    if not -(2**63) <= value < 2**64:
        raise _unfit(found, name, "an integer of 64 bits")
    return value


def _uint64(found: _Integer, name: str) -> int:
    value = _integer(found, name)
    if value < 0:
        raise _unfit(found, name, "an integer of 0 or more")
    return value


def _unfit(found: Any, name: str, expected: str) -> DecodeError:
    return DecodeError("not_otlp", f"{name}: found {excerpt(found)}; expected {expected}")
