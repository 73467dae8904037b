"""OTLP metrics messages, as protobuf and as JSON."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from struct import pack
from typing import Any

DELTA, CUMULATIVE = 1, 2


def varint(number: int) -> bytes:
    groups = []
    while number > 127:
        groups.append(number & 127 | 128)
        number >>= 7
    return bytes([*groups, number])


def message(*fields: tuple[int, bytes | str | int]) -> bytes:
    """Return a message of texts, inner messages and varints."""
    parts = []
    for number, value in fields:
        if isinstance(value, int):
            parts.append(varint(number << 3) + varint(value))
        else:
            data = value.encode() if isinstance(value, str) else value
            parts.append(varint(number << 3 | 2) + varint(len(data)) + data)
    return b"".join(parts)


def fixed64(number: int, value: float) -> bytes:
    """Return a field of eight bytes: of an int its integer."""
    return varint(number << 3 | 1) + pack("<q" if isinstance(value, int) else "<d", value)


@dataclass(frozen=True, kw_only=True)
class Point:
    """A point of a gauge or sum, or of a histogram where it has counts."""

    metric: str = "flow"
    unit: str = ""
    value: float = 0.0
    time_ns: int = 0
    start_ns: int = 0
    attributes: Mapping[str, str] = field(default_factory=dict)
    temporality: int = 0
    """Set, it is a sum or histogram."""
    is_monotonic: bool = False
    counts: Sequence[int] = ()
    bounds: Sequence[float] = ()
    flags: int = 0


def as_protobuf(*resources: tuple[Mapping[str, str], Sequence[Point]]) -> bytes:
    """Return a record of resources' attributes and points."""
    return message(
        *(
            (
                1,
                message(
                    (1, message(*((1, _label(item)) for item in labels.items()))),
                    (2, message(*((2, _metric(point)) for point in points))),
                ),
            )
            for labels, points in resources
        )
    )


def as_json(*resources: tuple[Mapping[str, str], Sequence[Point]]) -> bytes:
    """Return the same record in JSON."""
    document = {
        "resourceMetrics": [
            {
                "resource": {"attributes": _json_labels(labels)},
                "scopeMetrics": [{"metrics": [_json_metric(point) for point in points]}],
            }
            for labels, points in resources
        ]
    }
    return json.dumps(document).encode()


def _label(item: tuple[str, str]) -> bytes:
    return message((1, item[0]), (2, message((1, item[1]))))


def _metric(point: Point) -> bytes:
    head = fixed64(2, point.start_ns) + fixed64(3, point.time_ns)
    flags = [(10 if point.counts else 8, point.flags)] if point.flags else []
    if point.counts:
        body = (
            head
            + fixed64(4, sum(point.counts))
            + fixed64(5, point.value)
            + message((6, pack(f"<{len(point.counts)}Q", *point.counts)))
            + message((7, pack(f"<{len(point.bounds)}d", *point.bounds)))
            + message(*((9, _label(item)) for item in point.attributes.items()), *flags)
        )
        shape = 9
    else:
        number = 6 if isinstance(point.value, int) else 4
        body = (
            head
            + fixed64(number, point.value)
            + message(*((7, _label(item)) for item in point.attributes.items()), *flags)
        )
        shape = 7 if point.temporality else 5
    rises = [(3, 1)] if point.is_monotonic else []
    data = message((1, body), *([(2, point.temporality)] if point.temporality else []), *rises)
    return message((1, point.metric), *([(3, point.unit)] if point.unit else []), (shape, data))


def _json_labels(labels: Mapping[str, str]) -> list[dict[str, Any]]:
    return [{"key": key, "value": {"stringValue": value}} for key, value in labels.items()]


def _json_metric(point: Point) -> dict[str, Any]:
    body: dict[str, Any] = {
        "startTimeUnixNano": str(point.start_ns),
        "timeUnixNano": str(point.time_ns),
        "attributes": _json_labels(point.attributes),
        "flags": point.flags,
    }
    if point.counts:
        shape = "histogram"
        body |= {
            "count": str(sum(point.counts)),
            "sum": point.value,
            "bucketCounts": [str(count) for count in point.counts],
            "explicitBounds": list(point.bounds),
        }
    else:
        shape = "sum" if point.temporality else "gauge"
        is_int = isinstance(point.value, int)
        body |= {"asInt": str(point.value)} if is_int else {"asDouble": point.value}
    data: dict[str, Any] = {"dataPoints": [body]}
    if point.temporality:
        data["aggregationTemporality"] = point.temporality
    if point.is_monotonic:
        data["isMonotonic"] = True
    return {"name": point.metric, "unit": point.unit, shape: data}
