"""What the settings of the input ask of a record, as JSON Schema."""

import re
from typing import Any

from stream_vae.inputs.log_lines.log_format import LogFormat
from stream_vae.inputs.reading_format import RECORD_TIME, InputFormat, ReadingFormat
from stream_vae.wire.asyncapi import InputRecords

_PATH = re.compile(r"[\w@-]+(\.[\w@-]+)*")
_JSON, _TEXT = "application/json", "text/plain"

_CONTENT_TYPES: dict[InputFormat, str] = {
    "json": _JSON,
    "vector": _JSON,
    "otlp_proto": "application/x-protobuf",
    "otlp_json": _JSON,
    "registry": "application/octet-stream",
    "influx": _TEXT,
    "collectd": _JSON,
    "log_lines": _TEXT,
    "log_events": _JSON,
    "otlp_logs_proto": "application/x-protobuf",
    "otlp_logs_json": _JSON,
}

_MEANING: dict[InputFormat, str] = {
    "json": "One JSON object per record, a field per feature of the model.",
    "vector": "A JSON object with an array of values, in the order of the model's features.",
    "otlp_proto": "ExportMetricsServiceRequest of OpenTelemetry, protobuf.",
    "otlp_json": "ExportMetricsServiceRequest of OpenTelemetry, JSON.",
    "registry": "Avro, or JSON, of a schema in the schema registry, whose id comes before it.",
    "influx": "InfluxDB's line protocol.",
    "collectd": "JSON of collectd's write_kafka.",
    "log_lines": "A line of a log.",
    "log_events": "An event of a log that is parsed already: its template, or the template's id.",
    "otlp_logs_proto": "ExportLogsServiceRequest of OpenTelemetry, protobuf.",
    "otlp_logs_json": "ExportLogsServiceRequest of OpenTelemetry, JSON.",
}


def record_schema(fmt: LogFormat) -> InputRecords:
    """Return what a record must be for these settings."""
    named = fmt.series_field is not None or fmt.series is not None
    is_json = _CONTENT_TYPES[fmt.format] == _JSON or fmt.message_field is not None
    fields = _fields(fmt) if fmt.format in {"json", "vector"} and not fmt.records_path else {}
    # What stands for several fields, or for one of two, is not said: `a|b`, `{date} {time}`.
    fields = {path: one for path, one in fields.items() if _PATH.fullmatch(path)}
    payload: dict[str, Any] = {}
    example: Any = None
    for path, (schema, value) in fields.items():
        example = {} if example is None else example
        _put(payload, example, path.split("."), schema, value)
    return InputRecords(
        content_type=_JSON if is_json else _CONTENT_TYPES[fmt.format],
        meaning=_MEANING[fmt.format],
        payload=payload,
        example=example,
        is_named_by_key=not named,
    )


def _fields(fmt: ReadingFormat) -> dict[str, tuple[dict[str, Any], Any]]:
    """Return path -> schema and an example, of the fields that a reading must have."""
    found: dict[str, tuple[dict[str, Any], Any]] = {}
    if fmt.timestamp_field != RECORD_TIME:
        found[fmt.timestamp_field] = (
            {
                "type": ["string", "number"],
                "description": f"Event time (input.timestamp_format: {fmt.timestamp_format}).",
            },
            "2026-04-27T12:00:00Z",
        )
    if fmt.series_field is not None:
        found[fmt.series_field] = (
            {"type": ["string", "integer"], "description": "Series that the reading is of."},
            "pump-7",
        )
    if fmt.format == "vector":
        found[fmt.values_field] = (
            {
                "type": "array",
                "items": {"type": ["number", "string", "boolean", "null"]},
                "description": "Values of the features, in the model's order.",
            },
            [24.3, 4.5],
        )
    return found


def _put(
    schema: dict[str, Any], example: dict[str, Any], path: list[str], leaf: Any, value: Any
) -> None:
    """Require a field and put it into the example."""
    for name in path[:-1]:
        schema.setdefault("type", "object")
        _require(schema, name)
        schema = schema.setdefault("properties", {}).setdefault(name, {})
        example = example.setdefault(name, {})
    schema.setdefault("type", "object")
    _require(schema, path[-1])
    schema.setdefault("properties", {})[path[-1]] = leaf
    example[path[-1]] = value


def _require(schema: dict[str, Any], name: str) -> None:
    required = schema.setdefault("required", [])
    if name not in required:
        required.append(name)
