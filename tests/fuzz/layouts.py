"""Every way a record may be laid out, and clean records of each."""

import json
import zlib
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta, timezone
from functools import cached_property
from io import BytesIO

import fastavro
import msgspec
import numpy as np
from numpy.typing import NDArray

from stream_vae.core.feature_rule import parse_rule
from stream_vae.core.log_templates import LogSpec
from stream_vae.core.model_spec import Feature, numeric_features
from stream_vae.inputs.reading_encoder import ReadingEncoder
from stream_vae.inputs.reading_format import RECORD_TIME, ReadingFormat
from stream_vae.inputs.registry.schemas import (
    RegisteredSchema,
    SchemaId,
    SchemaSource,
    UnknownSchema,
)
from tests.fuzz.literals import DATE_TIME
from tests.fuzz.log_model import lines_of
from tests.inputs.otlp_messages import CUMULATIVE, Point, as_json, as_protobuf

NAMES = ("flow", "pressure", "speed")
NUMERIC = numeric_features(NAMES)
GEARS = ("idle", "low", "high")
KINDS_OF_FEATURES = (
    Feature(name="flow", kind="count"),
    Feature(name="pressure", kind="binary"),
    Feature(name="speed", kind="categorical", categories=GEARS),
)
RULED = tuple(
    Feature(name=name, rule=parse_rule(rule))
    for name, rule in zip(NAMES, ("scale:-1e3,hold:300", "difference", "rate,hold:90"), strict=True)
)


def of_kinds(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return (N, 3) numbers as values of `KINDS_OF_FEATURES`."""
    count, truth, gear = values.T
    return np.stack(
        [np.floor(20 + 8 * count).clip(0), truth > 0, np.floor(1.5 + gear).clip(0, 2)], axis=1
    )


def _as_text(name: str) -> bytes:
    return name.encode()


@dataclass(frozen=True, kw_only=True)
class Layout:
    """One choice of the operator's."""

    name: str
    fmt: ReadingFormat
    shape: Callable[[str, int, Sequence[float]], object] | None = None
    """From series, seconds since 1970 and values to a record; None: as the product writes them."""

    write: Callable[[str, int, Sequence[float]], bytes] | None = None
    """From series, nanoseconds since 1970 and values to a record that is no JSON of a layout."""
    write_lines: Callable[[str, int, Sequence[str]], bytes] | None = None
    """Of logs: from series, nanoseconds since 1970 and lines to a record."""
    n_lines: int = 3
    """Of logs: lines of a record."""
    logs: LogSpec | None = None
    """What the features count, if they count lines of logs."""
    schemas: SchemaSource | None = None
    features: Sequence[Feature] = NUMERIC
    is_events: bool = False
    has_key: bool = True
    """Whether the Kafka key names the series."""
    key: Callable[[str], bytes] = _as_text
    """From the name of a series to the key of its records."""
    known_as: Callable[[str], str] = str
    """From the name of a series to what it is called once it is decoded."""
    time_at: bytes | None = None
    """What stands before a time, of a writer's own."""
    time_form: str = DATE_TIME
    """How times that are text are written; see `any_time`."""

    @cached_property
    def _encoder(self) -> ReadingEncoder:
        return ReadingEncoder(self.features, self.fmt)

    def encode(self, *, series: str, time_ns: int, values: Sequence[float]) -> bytes:
        """Return a clean record of one reading, or of the lines of a step."""
        if self.write_lines is not None:
            return self.write_lines(series, time_ns, lines_of(values)[: self.n_lines])
        if self.write is not None:
            return self.write(series, time_ns, values)
        if self.shape is None:
            return self._encoder.encode(series=series, time_ns=time_ns, values=values)
        return msgspec.json.encode(self.shape(series, time_ns // 10**9, values))

    @property
    def before_time(self) -> bytes | None:
        """What stands before a time in a clean record; None where no text does."""
        is_own = self.write is not None or self.write_lines is not None
        if self.fmt.timestamp_field == RECORD_TIME or is_own:
            return self.time_at
        return b'"%s":' % self.fmt.timestamp_field.rpartition(".")[2].encode()

    @property
    def series_member(self) -> bytes | None:
        """Name of the innermost field that holds the series; None where the Kafka key does."""
        field = self.fmt.series_field
        return None if field is None else field.rstrip("}").rpartition(".")[2].encode()


def _named(values: Sequence[float]) -> dict[str, float]:
    return dict(zip(NAMES, values, strict=True))


def _points(series: str, at: int, values: Sequence[float]) -> object:
    """Points of one value each, as text, beside those of another producer."""
    named = {"other": "x"} | {name: str(value) for name, value in _named(values).items()}
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
    return [heartbeat, {**heartbeat, **_named(values)}]


def _fields(series: str, at: int, values: Sequence[float]) -> object:
    """A metric with its fields and tags."""
    fields = {**_named(values), "state": "on"}
    tags = {"host": "gw", "unit": series}
    return {"fields": fields, "name": "pump", "tags": tags, "timestamp": at}


def _connect(series: str, at: int, values: Sequence[float]) -> object:
    """A reading within an envelope, of a time on the wall."""
    local = datetime.fromtimestamp(at, timezone(timedelta(hours=1)))
    reading = {"when": f"{local:%Y-%m-%d %H:%M:%S}", **_named(values)}
    return {"schema": {"type": "struct"}, "payload": {**reading, "unit": series}}


def _cloud_event(series: str, at: int, values: Sequence[float]) -> object:
    """Readings whose time and series stand beside them; the numbers are text with units."""
    texts = {
        name: f"{value:,.3f} kW".replace(",", "_").replace(".", ",")
        for name, value in _named(values).items()
    }
    data = [{"name": "x"}, texts]
    when = datetime.fromtimestamp(at, UTC)
    return {"time": f"{when:%d/%m/%Y %I:%M:%S %p %z}", "source": series, "data": data}


def _vector_metric(series: str, at: int, values: Sequence[float]) -> object:
    """Points in the one or the other place, in an array at the top."""
    when = f"{datetime.fromtimestamp(at, UTC):%j %y, %H:%M:%S}"
    places = ("gauge", "counter", "gauge")
    return [
        {"name": name, place: {"value": value}, "tags": {"unit": series}, "at": when}
        for name, place, value in zip(NAMES, places, values, strict=True)
    ]


def _without_time(series: str, at: int, values: Sequence[float]) -> object:
    """A reading that leaves its time to Kafka."""
    return {**_named(values), "id": series}


def _of_kinds(series: str, at: int, values: Sequence[float]) -> object:
    """A count, a truth value as a word and a category."""
    count, truth, gear = values
    words = {"flow": int(count), "pressure": "open" if truth else "shut", "speed": GEARS[int(gear)]}
    return {"timestamp": at, **words}


def _counters(series: str, at: int, values: Sequence[float]) -> object:
    """A gauge, and two counters that rise."""
    gauge, *counters = values
    risen = [at // 60 * 5 + value for value in counters]
    return {"timestamp": at, **_named([gauge, *risen])}


def _points_of_counters(series: str, at: int, values: Sequence[float]) -> object:
    told = _counters(series, at, values)
    assert isinstance(told, dict)
    return [{"name": name, "value": told[name], "timestamp": at} for name in NAMES]


def _points_of_kinds(series: str, at: int, values: Sequence[float]) -> object:
    count, truth, gear = values
    cells = {"flow": count, "pressure": bool(truth), "speed": GEARS[int(gear)]}
    return [{"name": name, "value": cell, "timestamp": at} for name, cell in cells.items()]


def _points_of(time_ns: int, values: Sequence[float]) -> list[Point]:
    return [
        Point(metric=name, value=value, time_ns=time_ns) for name, value in _named(values).items()
    ]


def _otlp_proto(series: str, time_ns: int, values: Sequence[float]) -> bytes:
    return as_protobuf(({"host.name": "gw"}, _points_of(time_ns, values)))


def _otlp_json(series: str, time_ns: int, values: Sequence[float]) -> bytes:
    return _compact(as_json(({"host.name": "gw"}, _points_of(time_ns, values))))


def _histogram(time_ns: int, values: Sequence[float]) -> list[Point]:
    """Points that attributes name, a counter, and a histogram of which quantiles are read."""
    minute = time_ns // (60 * 10**9)
    counts = [round(abs(10 * value)) for value in values]
    return [
        Point(metric="pump", value=values[0], time_ns=time_ns, attributes={"state": "flow"}),
        Point(metric="sum", value=minute, time_ns=time_ns, start_ns=1, temporality=CUMULATIVE),
        Point(
            metric="latency",
            value=float(sum(counts)),
            time_ns=time_ns,
            start_ns=1,
            temporality=1,
            counts=counts,
            bounds=(0.5, 2.5),
        ),
    ]


def _otlp_proto_histogram(series: str, time_ns: int, values: Sequence[float]) -> bytes:
    return as_protobuf(({"host.name": "gw"}, []), ({"id": series}, _histogram(time_ns, values)))


def _otlp_json_histogram(series: str, time_ns: int, values: Sequence[float]) -> bytes:
    return _compact(as_json(({"id": series}, _histogram(time_ns, values))))


def _compact(raw: bytes) -> bytes:
    """Return it without blanks, as mutators expect."""
    return msgspec.json.encode(msgspec.json.decode(raw))


def _lines(series: str, time_ns: int, values: Sequence[float]) -> bytes:
    fields = ",".join(f"{name}={value!r}" for name, value in _named(values).items())
    return f'pump,host=gw {fields},state="on" {time_ns}\nother x=1i {time_ns}'.encode()


def _tagged_lines(series: str, time_ns: int, values: Sequence[float]) -> bytes:
    """A line a value, series of two tags, times of seconds."""
    at = time_ns // 10**9
    named = {"other": 0, **_named(values)}
    return "".join(
        f"{name},host=g\\ w,id={series} value={value!r} {at}\r\n" for name, value in named.items()
    ).encode()


def _value_lists(series: str, time_ns: int, values: Sequence[float]) -> bytes:
    """A list of two values, one of one, and one that is no feature."""
    base = {"time": time_ns / 1e9, "interval": 60.0, "host": series, "plugin": "pump"}
    named: Sequence[tuple[list[float], list[str], str]] = (
        ([*values[:2]], ["flow", "pressure"], "gauge"),
        ([values[2]], ["value"], "speed"),
        ([1.0], ["value"], "load"),
    )
    return msgspec.json.encode(
        [
            {
                "values": numbers,
                "dstypes": ["gauge"] * len(numbers),
                "dsnames": names,
                **base,
                "plugin_instance": "a",
                "type": type_,
                "type_instance": "",
            }
            for numbers, names, type_ in named
        ]
    )


_AVRO = {
    "type": "record",
    "name": "Reading",
    "fields": [
        {"name": "timestamp", "type": {"type": "long", "logicalType": "timestamp-micros"}},
        *({"name": name, "type": ["null", "double"]} for name in NAMES),
        {"name": "tags", "type": {"type": "map", "values": "string"}},
    ],
}


def _avro(series: str, time_ns: int, values: Sequence[float]) -> bytes:
    out = BytesIO()
    named = _named(values)
    record = {"timestamp": time_ns // 1000, **named, "tags": {"host": "gw"}}
    fastavro.schemaless_writer(out, _PARSED, record)
    return b"\0\0\0\0\7" + out.getvalue()


_PARSED = fastavro.parse_schema(_AVRO)
_NESTED = {
    "type": "record",
    "name": "Batch",
    "fields": [
        {"name": "at", "type": {"type": "long", "logicalType": "timestamp-millis"}},
        {
            "name": "readings",
            "type": {
                "type": "array",
                "items": {
                    "type": "record",
                    "name": "Point",
                    "fields": [
                        {"name": "name", "type": "string"},
                        {"name": "value", "type": ["null", "double", "long", "string"]},
                        {"name": "next", "type": ["null", "Point"]},
                    ],
                },
            },
        },
        {"name": "raw", "type": ["null", "bytes", {"type": "map", "values": "float"}]},
    ],
}
_PARSED_NESTED = fastavro.parse_schema(_NESTED)


def _avro_points(series: str, time_ns: int, values: Sequence[float]) -> bytes:
    out = BytesIO()
    points = [
        {"name": name, "value": value, "next": None} for name, value in _named(values).items()
    ]
    record = {"at": time_ns // 10**6, "readings": points, "raw": {"x": 1.0}}
    fastavro.schemaless_writer(out, _PARSED_NESTED, record)
    return b"\0\0\0\0\5" + out.getvalue()


def _registered_json(series: str, time_ns: int, values: Sequence[float]) -> bytes:
    named = _named(values)
    return b"\0\0\0\0\6" + msgspec.json.encode({"timestamp": time_ns, **named})


def _json_key(name: str) -> bytes:
    """A key of a registered schema of JSON: an object of text."""
    return b"\0\0\0\0\6" + msgspec.json.encode({"id": name})


def _avro_key(name: str) -> bytes:
    out = BytesIO()
    fastavro.schemaless_writer(out, {"type": "string"}, name)
    return b"\0\0\0\0\4" + out.getvalue()


class _Schemas:
    """A registry that knows some schemas."""

    _known: Mapping[SchemaId, RegisteredSchema] = {
        4: RegisteredSchema(kind="AVRO", text='"string"'),
        5: RegisteredSchema(kind="AVRO", text=json.dumps(_NESTED)),
        6: RegisteredSchema(kind="JSON", text="{}"),
        7: RegisteredSchema(kind="AVRO", text=json.dumps(_AVRO)),
        8: RegisteredSchema(kind="PROTOBUF", text=""),
        9: RegisteredSchema(kind="AVRO", text='{"type": "record"}'),
    }

    def find(
        self, ids: Collection[SchemaId]
    ) -> Mapping[SchemaId, RegisteredSchema | UnknownSchema]:
        unknown = UnknownSchema(detail="none")
        return {one: self._known.get(one, unknown) for one in ids}

    def waiting_for(self, schema_id: SchemaId) -> str:
        return str(schema_id)


def _number(name: str, n_bytes: int) -> bytes:
    """A key that is a number."""
    return (zlib.crc32(name.encode()) >> 1).to_bytes(n_bytes, "big")


def _numbered(name: str) -> str:
    return str(zlib.crc32(name.encode()) >> 1)


_OF_HISTOGRAMS = ReadingFormat(
    format="otlp_proto",
    series_field="resource.id",
    max_record_bytes=65_536,
    feature_name="{name}{attributes.state}",
    feature_fields={"flow": "pumpflow", "pressure": "latency.p50", "speed": "latency.sum"},
)

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
        has_key=False,
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
        has_key=False,
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
        has_key=False,
    ),
    Layout(
        name="several readings a record",
        fmt=ReadingFormat(
            records_path="$", timestamp_field="at", series_field="device.unit", units=True
        ),
        shape=_readings,
        has_key=False,
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
        has_key=False,
        known_as=lambda name: f"{name}@gw",
    ),
    Layout(name="OTLP, protobuf", fmt=ReadingFormat(format="otlp_proto"), write=_otlp_proto),
    Layout(
        name="OTLP, JSON",
        fmt=ReadingFormat(format="otlp_json"),
        write=_otlp_json,
        time_at=b'"timeUnixNano":',
    ),
    Layout(
        name="line protocol",
        fmt=ReadingFormat(format="influx", feature_name="{field}"),
        write=_lines,
        time_at=b'state="on" ',
    ),
    Layout(
        name="Avro of a registry",
        fmt=ReadingFormat(format="registry"),
        write=_avro,
        schemas=_Schemas(),
    ),
    Layout(
        name="vector, exact, keys as hex",
        fmt=ReadingFormat(format="vector", vector="exact", key_format="hex"),
        known_as=lambda name: name.encode().hex(),
    ),
    Layout(
        name="json, int64 keys, words",
        fmt=ReadingFormat(
            key_format="int64",
            missing_words=("n.a.", "1.5"),
            value_words={"on": 1, "off": 0.0, "hot": -1e300},
            decimal=".",
        ),
        key=lambda name: _number(name, 8),
        known_as=_numbered,
    ),
    Layout(
        name="json, int32 keys, Kafka's time",
        fmt=ReadingFormat(key_format="int32", timestamp_field=RECORD_TIME),
        shape=_without_time,
        key=lambda name: _number(name, 4),
        known_as=_numbered,
    ),
    Layout(
        name="a reading in an envelope, times of a zone",
        fmt=ReadingFormat(
            records_path="payload",
            timestamp_field="when",
            timestamp_zone="Europe/Berlin",
            series_field="unit",
        ),
        shape=_connect,
        has_key=False,
        time_form="{Y:04}-{m:02}-{d:02} {H:02}:{M:02}:{S:02}{f}{z}",
    ),
    Layout(
        name="time and series outside the array, a pattern, decimal commas, units",
        fmt=ReadingFormat(
            records_path="data",
            timestamp_field="$.time",
            timestamp_format="%d/%m/%Y %I:%M:%S %p %z",
            series_field="$.source",
            decimal=",",
            units=True,
        ),
        shape=_cloud_event,
        has_key=False,
        time_form="{d:02}/{m:02}/{Y:04} {H:02}:{M:02}:{S:02} {p} {z}",
    ),
    Layout(
        name="points in either place, a rare pattern in a zone",
        fmt=ReadingFormat(
            records_path="$",
            name_field="name",
            value_field="gauge.value|counter.value",
            series_field="tags.unit",
            timestamp_field="at",
            timestamp_format="%j %y, %H:%M:%S",
            timestamp_zone="UTC",
        ),
        shape=_vector_metric,
        has_key=False,
        time_form="{m:03} {d:02}, {H:02}:{M:02}:{S:02}",
    ),
    Layout(
        name="kinds of features, times of common exports",
        fmt=ReadingFormat(
            timestamp_zone="America/New_York", value_words={"open": 1.0, "shut": 0.0}
        ),
        shape=_of_kinds,
        features=KINDS_OF_FEATURES,
        time_form="{d:02}-Mar-{Y:04} {H:02}:{M:02}{f}{z}",
    ),
    Layout(
        name="points of kinds of features",
        fmt=ReadingFormat(records_path="$", name_field="name", value_field="value"),
        shape=_points_of_kinds,
        features=KINDS_OF_FEATURES,
    ),
    Layout(
        name="vector of kinds of features, growing",
        fmt=ReadingFormat(format="vector"),
        features=KINDS_OF_FEATURES,
    ),
    Layout(name="events", fmt=ReadingFormat(), is_events=True),
    Layout(name="rules of features", fmt=ReadingFormat(), shape=_counters, features=RULED),
    Layout(
        name="points, rules of features",
        fmt=ReadingFormat(records_path="$", name_field="name", value_field="value"),
        shape=_points_of_counters,
        features=RULED,
    ),
    Layout(
        name="collectd",
        fmt=ReadingFormat(
            format="collectd",
            series_field="host",
            feature_fields={
                "flow": "pump-a/gauge/flow",
                "pressure": "pump-a/gauge/pressure",
                "speed": "pump-a/speed",
            },
        ),
        write=_value_lists,
        has_key=False,
        time_at=b'"time":',
    ),
    Layout(
        name="line protocol, series of two tags, s",
        fmt=ReadingFormat(
            format="influx",
            series_field="{tags.host}/{tags.id}",
            feature_fields={name: f"{name}.value" for name in NAMES},
            timestamp_format="s",
        ),
        write=_tagged_lines,
        has_key=False,
        known_as=lambda name: f"g w/{name}",
        time_at=b" value=0 ",
    ),
    Layout(
        name="OTLP, protobuf, histograms, short records",
        fmt=_OF_HISTOGRAMS,
        write=_otlp_proto_histogram,
        has_key=False,
    ),
    Layout(
        name="OTLP, JSON, histograms",
        fmt=replace(_OF_HISTOGRAMS, format="otlp_json"),
        write=_otlp_json_histogram,
        has_key=False,
        time_at=b'"timeUnixNano":',
    ),
    Layout(
        name="Avro points, Avro keys of a registry",
        fmt=ReadingFormat(
            format="registry",
            key_format="registry",
            records_path="readings",
            timestamp_field="$.at",
            name_field="name",
            value_field="value",
        ),
        write=_avro_points,
        schemas=_Schemas(),
        key=_avro_key,
    ),
    Layout(
        name="JSON, JSON keys of a registry",
        fmt=ReadingFormat(format="registry", key_format="registry"),
        write=_registered_json,
        schemas=_Schemas(),
        key=_json_key,
        time_at=b'"timestamp":',
    ),
)
