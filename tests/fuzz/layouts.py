"""Every way a record may be laid out, and clean records of each."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import msgspec

from stream_vae.core.model_spec import numeric_features
from stream_vae.inputs.reading_encoder import ReadingEncoder
from stream_vae.inputs.reading_format import ReadingFormat

NAMES = ("flow", "pressure", "speed")


@dataclass(frozen=True, kw_only=True)
class Layout:
    """One choice of the operator's."""

    name: str
    fmt: ReadingFormat
    shape: Callable[[str, int, Sequence[float]], object] | None = None
    """From series, seconds since 1970 and values to a record; None: as the product writes them."""

    @cached_property
    def _encoder(self) -> ReadingEncoder:
        return ReadingEncoder(numeric_features(NAMES), self.fmt)

    def encode(self, *, series: str, time_ns: int, values: Sequence[float]) -> bytes:
        """Return a clean record of one reading."""
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
)
