"""Records of OpenTelemetry metrics, in protobuf or JSON."""

from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal

import msgspec

from stream_vae.core.excerpts import printable
from stream_vae.errors import DecodeError
from stream_vae.inputs.otlp.wire import BYTES, fields, text
from stream_vae.inspect.labelled_points import Point, name_points
from stream_vae.inspect.proposal import ONE_SERIES, WHY_ONE_SERIES, Proposal

_KINDS = {5: "gauge", 7: "sum", 9: "histogram", 10: "exponentialHistogram", 11: "summary"}
_ATTRIBUTES = {"gauge": 7, "sum": 7, "histogram": 9, "exponentialHistogram": 1, "summary": 7}
_TIME = 3
_CUMULATIVE = (2, "2", "AGGREGATION_TEMPORALITY_CUMULATIVE")
_MOST_POINTS = 200_000
_LONGEST_UNIT = 40


def looks_like_otlp_protobuf(raw: bytes) -> bool:
    """Return whether a record is of metrics in protobuf."""
    if raw[:1] != b"\x0a":
        return False
    try:
        return any(True for _ in _protobuf_points(0, raw))
    except (DecodeError, IndexError):
        return False


def propose_otlp(
    form: Literal["otlp_proto", "otlp_json"],
    records: Sequence[tuple[int, bytes]],
    keys: Sequence[Hashable],
    *,
    keys_name_series: bool,
    given: Mapping[str, Any],
) -> Proposal:
    """Return the settings that read metrics.

    Args:
        form: Of the records.
        records: Row and value of each.
        keys: Of all records of the sample, by row.
        keys_name_series: They could name the series.
        given: Settings that the operator has decided.
    """
    read = _protobuf_points if form == "otlp_proto" else _json_points
    points: list[Point] = []
    for row, raw in records:
        try:
            points += read(row, raw)
        except (DecodeError, msgspec.DecodeError, AttributeError, TypeError):
            continue
        if len(points) > _MOST_POINTS:
            break
    form_words = f"OpenTelemetry metrics in {'protobuf' if form == 'otlp_proto' else 'JSON'}"
    settings: dict[str, Any] = {"format": form}
    if not points:
        return Proposal(form=f"{form_words}, without points", settings=settings, features=())
    naming = name_points(
        points,
        "{name}",
        keys_name_series=keys_name_series,
        may_lack_labels=True,
        keys=keys,
        given=given,
    )
    if naming.series_field is not None:
        settings["series_field"] = naming.series_field
    elif naming.is_one_series:
        settings["series"] = ONE_SERIES
    if naming.feature_name != "{name}":
        settings["feature_name"] = naming.feature_name
    return Proposal(
        form=form_words,
        settings=settings,
        features=naming.features,
        why={"series": WHY_ONE_SERIES},
        notes=naming.notes,
        counters=naming.counters,
        units=naming.units,
    )


def _parts_of(kind: str) -> tuple[str, ...]:
    return ("",) if kind in ("gauge", "sum") else (".count", ".sum")


def _points(kind: str, point: Point) -> Iterator[Point]:
    for part in _parts_of(kind):
        yield replace(point, field=part, unit="" if part == ".count" else point.unit)


def _unit(told: str) -> str:
    """Return a unit as people read it; "" where it says that there is none.

    >>> _unit("By"), _unit("1"), _unit("{requests}")
    ('By', '', 'requests')
    """
    return "" if told == "1" else printable(told.removeprefix("{").removesuffix("}"), _LONGEST_UNIT)


def _json_points(row: int, raw: bytes) -> Iterator[Point]:
    document: Any = msgspec.json.decode(raw)
    for resource in document.get("resourceMetrics", ()):
        of_resource = _json_labels("resource.", resource.get("resource", {}))
        for scope in resource.get("scopeMetrics", ()):
            for metric in scope.get("metrics", ()):
                for kind in _KINDS.values():
                    data = metric.get(kind)
                    for point in (data or {}).get("dataPoints", ()):
                        one = Point(
                            row=row,
                            name=metric.get("name", ""),
                            labels=of_resource | _json_labels("attributes.", point),
                            time=point.get("timeUnixNano"),
                            unit=_unit(metric.get("unit", "")),
                            is_counter=data.get("aggregationTemporality") in _CUMULATIVE
                            and data.get("isMonotonic", kind != "sum"),
                        )
                        yield from _points(kind, one)


def _json_labels(prefix: str, holder: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for one in holder.get("attributes", ()):
        value = next(iter(one.get("value", {}).values()), None)
        if isinstance(value, str | int | float):
            found[f"{prefix}{one.get('key')}"] = value
    return found


def _protobuf_points(row: int, raw: bytes) -> Iterator[Point]:
    for resource in _inner(raw, (0, len(raw)), 1):
        of_resource: dict[str, Any] = {}
        for part in _inner(raw, resource, 1):
            of_resource |= _labels(raw, part, 1, "resource.")
        for scope in _inner(raw, resource, 2):
            for metric in _inner(raw, scope, 2):
                yield from _metric_points(row, raw, metric, of_resource)


def _metric_points(
    row: int, raw: bytes, metric: tuple[int, int], of_resource: dict[str, Any]
) -> Iterator[Point]:
    name = unit = ""
    for number, kind, begin, end in fields(raw, *metric):
        if number == 1 and kind == BYTES:
            name = text(raw, begin, end)
        elif number == 3 and kind == BYTES:
            unit = _unit(text(raw, begin, end))
    for number, kind, begin, end in fields(raw, *metric):
        shape = _KINDS.get(number)
        if shape is None or kind != BYTES:
            continue
        numbers = {each[0]: each[2] for each in fields(raw, begin, end) if each[1] == 0}
        is_counter = shape not in ("gauge", "summary") and numbers.get(2) == 2
        is_counter = is_counter and (shape != "sum" or bool(numbers.get(3)))
        for point in _inner(raw, (begin, end), 1):
            times = [raw[each[2] : each[3]] for each in fields(raw, *point) if each[0] == _TIME]
            labels = of_resource | _labels(raw, point, _ATTRIBUTES[shape], "attributes.")
            time = times[0] if times else None
            one = Point(
                row=row, name=name, labels=labels, time=time, is_counter=is_counter, unit=unit
            )
            yield from _points(shape, one)


def _inner(raw: bytes, place: tuple[int, int], number: int) -> Iterator[tuple[int, int]]:
    for found, kind, begin, end in fields(raw, *place):
        if found == number and kind == BYTES:
            yield begin, end


def _labels(raw: bytes, place: tuple[int, int], number: int, prefix: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    read: dict[int, Callable[[int, int], Any]] = {
        1: lambda begin, end: text(raw, begin, end),
        2: lambda begin, _: bool(begin),
        3: lambda begin, _: begin,
    }
    for pair in _inner(raw, place, number):
        key = value = None
        for part, kind, begin, end in fields(raw, *pair):
            if part == 1 and kind == BYTES:
                key = text(raw, begin, end)
            elif part == 2 and kind == BYTES:
                for what, _, first, last in fields(raw, begin, end):
                    value = read[what](first, last) if what in read else value
        if key is not None and value is not None:
            found[f"{prefix}{key}"] = value
    return found
