"""Every way a record may be laid out, and clean records of each."""

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from io import BytesIO

import fastavro
import msgspec

from stream_vae.core.model_spec import numeric_features
from stream_vae.inputs.reading_encoder import ReadingEncoder
from stream_vae.inputs.reading_format import ReadingFormat
from stream_vae.inputs.registry.schemas import (
    RegisteredSchema,
    SchemaId,
    SchemaSource,
    UnknownSchema,
)
from tests.inputs.otlp_messages import Point, as_json, as_protobuf

NAMES = ("flow", "pressure", "speed")


@dataclass(frozen=True, kw_only=True)
class Layout:
    """One choice of the operator's."""

    name: str
    fmt: ReadingFormat
    shape: Callable[[str, int, Sequence[float]], object] | None = None
    """From series, seconds since 1970 and values to a record; None: as the product writes them."""

    write: Callable[[int, Sequence[float]], bytes] | None = None
    """From nanoseconds since 1970 and values to a record that is no JSON of a layout; its key names
    the series."""
    schemas: SchemaSource | None = None

    @cached_property
    def _encoder(self) -> ReadingEncoder:
        return ReadingEncoder(numeric_features(NAMES), self.fmt)

    def encode(self, *, series: str, time_ns: int, values: Sequence[float]) -> bytes:
        """Return a clean record of one reading."""
        if self.write is not None:
            return self.write(time_ns, values)
        if self.shape is None:
            return self._encoder.encode(series=series, time_ns=time_ns, values=values)
        return msgspec.json.encode(self.shape(series, time_ns // 10**9, values))

    @property
    def time_member(self) -> bytes:
        """Name of the innermost field that holds the time."""
        return self.fmt.timestamp_field.rpartition(".")[2].encode()

    @property
    def series_member(self) -> bytes | None:
        """Name of the innermost field that holds the series; None where the Kafka key does."""
        field = self.fmt.series_field
        return None if field is None else field.rstrip("}").rpartition(".")[2].encode()


def _points(series: str, at: int, values: Sequence[float]) -> object:
    """Points of one value each, as text, beside those of another producer."""
    named = {"other": "x", **dict(zip(NAMES, map(str, values), strict=True))}
    labels = {"unit": series, "job": "pumps"}
    return {
        "metrics": [
            {"name": name, "value": value, "labels": labels, "timestamp": at}
            for name, value in named.items()
        ]
    }


def _readings(series: str, at: int, values: Sequence[float]) -> object:
    """A reading and a heartbeat in an array."""
    heartbeat = {"at": at, "device": {"unit": series}, "status": "up"}
    return [heartbeat, {**heartbeat, **dict(zip(NAMES, values, strict=True))}]


def _fields(series: str, at: int, values: Sequence[float]) -> object:
    """A metric with its fields and tags."""
    fields = {**dict(zip(NAMES, values, strict=True)), "state": "on"}
    tags = {"host": "gw", "unit": series}
    return {"fields": fields, "name": "pump", "tags": tags, "timestamp": at}


def _points_of(time_ns: int, values: Sequence[float]) -> list[Point]:
    return [
        Point(metric=name, value=value, time_ns=time_ns)
        for name, value in zip(NAMES, values, strict=True)
    ]


def _otlp_proto(time_ns: int, values: Sequence[float]) -> bytes:
    return as_protobuf(({"host.name": "gw"}, _points_of(time_ns, values)))


def _otlp_json(time_ns: int, values: Sequence[float]) -> bytes:
    return as_json(({"host.name": "gw"}, _points_of(time_ns, values)))


def _lines(time_ns: int, values: Sequence[float]) -> bytes:
    fields = ",".join(f"{name}={value!r}" for name, value in zip(NAMES, values, strict=True))
    return f'pump,host=gw {fields},state="on" {time_ns}\nother x=1i {time_ns}'.encode()


_AVRO = {
    "type": "record",
    "name": "Reading",
    "fields": [
        {"name": "timestamp", "type": {"type": "long", "logicalType": "timestamp-micros"}},
        *({"name": name, "type": ["null", "double"]} for name in NAMES),
        {"name": "tags", "type": {"type": "map", "values": "string"}},
    ],
}


def _avro(time_ns: int, values: Sequence[float]) -> bytes:
    out = BytesIO()
    named = dict(zip(NAMES, values, strict=True))
    record = {"timestamp": time_ns // 1000, **named, "tags": {"host": "gw"}}
    fastavro.schemaless_writer(out, _PARSED, record)
    return b"\0\0\0\0\7" + out.getvalue()


_PARSED = fastavro.parse_schema(_AVRO)


class _Schemas:
    """A registry that knows one schema."""

    _known = RegisteredSchema(kind="AVRO", text=json.dumps(_AVRO))

    def find(
        self, ids: Collection[SchemaId]
    ) -> Mapping[SchemaId, RegisteredSchema | UnknownSchema]:
        return {one: self._known if one == 7 else UnknownSchema(detail="none") for one in ids}

    def waiting_for(self, schema_id: SchemaId) -> str:
        return str(schema_id)


LAYOUTS = (
    Layout(name="json", fmt=ReadingFormat()),
    Layout(name="vector", fmt=ReadingFormat(format="vector")),
    Layout(
        name="json, dotted paths, RFC 3339, series in a field",
        fmt=ReadingFormat(
            timestamp_field="meta.at",
            timestamp_format="rfc3339",
            series_field="meta.device.id",
            feature_fields={"flow": r"data.flow\.rate", "pressure": "data.deep.er.p"},
        ),
    ),
    Layout(
        name="vector, dotted paths, ms, series in a field",
        fmt=ReadingFormat(
            format="vector",
            timestamp_field="meta.at",
            timestamp_format="ms",
            series_field="id",
            values_field="body.values",
        ),
    ),
    Layout(name="json, s, any future", fmt=ReadingFormat(timestamp_format="s", max_future_s=1e11)),
    Layout(
        name="json, us, short records, no future",
        fmt=ReadingFormat(timestamp_format="us", max_record_bytes=2048, max_future_s=0.0),
    ),
    Layout(
        name="vector, ns, padded",
        fmt=ReadingFormat(format="vector", timestamp_format="ns", vector="padded"),
    ),
    Layout(
        name="long, several points a record",
        fmt=ReadingFormat(
            records_path="metrics",
            name_field="name",
            value_field="value",
            series_field="labels.unit",
        ),
        shape=_points,
    ),
    Layout(
        name="several readings a record",
        fmt=ReadingFormat(
            records_path="$", timestamp_field="at", series_field="device.unit", units=True
        ),
        shape=_readings,
    ),
    Layout(
        name="an object of fields, series of two tags",
        fmt=ReadingFormat(
            records_path="metrics",
            value_field="fields",
            feature_name="{field}",
            series_field="{tags.unit}@{tags.host}",
        ),
        shape=_fields,
    ),
    Layout(name="OTLP, protobuf", fmt=ReadingFormat(format="otlp_proto"), write=_otlp_proto),
    Layout(name="OTLP, JSON", fmt=ReadingFormat(format="otlp_json"), write=_otlp_json),
    Layout(
        name="line protocol",
        fmt=ReadingFormat(format="influx", feature_name="{field}"),
        write=_lines,
    ),
    Layout(
        name="Avro of a registry",
        fmt=ReadingFormat(format="registry"),
        write=_avro,
        schemas=_Schemas(),
    ),
)
