"""The input formats by their name in `input.format`.

To add one of JSON: a module with its layout, a line in `LAYOUTS`, and its name and meaning in
`reading_format`. Another encoding needs a `Decoder` of its own, and a line in `DECODERS`;
`raw_readings` does what all share.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from stream_vae.core.log_templates import LogSpec
from stream_vae.core.model_spec import Feature
from stream_vae.errors import ConfigError
from stream_vae.inputs.collectd import CollectdParser, collectd_format
from stream_vae.inputs.decoder import Decoder
from stream_vae.inputs.json_decoder import JsonDecoder
from stream_vae.inputs.json_objects import object_layout
from stream_vae.inputs.json_points import JsonPointParser
from stream_vae.inputs.json_records import JsonRecordParser
from stream_vae.inputs.line_protocol import LineProtocolParser
from stream_vae.inputs.log_lines.line_parser import LineParser
from stream_vae.inputs.log_lines.log_format import LogFormat
from stream_vae.inputs.log_lines.readers import (
    READERS,
    as_read,
    build_line_reader,
    log_format_name,
)
from stream_vae.inputs.otlp.json_decoder import OtlpJsonDecoder
from stream_vae.inputs.otlp.protobuf_decoder import OtlpProtobufDecoder
from stream_vae.inputs.reading_format import InputFormat, LogInputFormat, ReadingFormat
from stream_vae.inputs.record_layout import RecordLayout
from stream_vae.inputs.registry.registry_decoder import RegistryDecoder
from stream_vae.inputs.registry.schemas import SchemaSource
from stream_vae.inputs.vectors import vector_layout
from stream_vae.logs.masks import example_mask
from stream_vae.logs.templates import Templates

_GROWTH = 32

LAYOUTS: Mapping[InputFormat, Callable[[Sequence[Feature], ReadingFormat], RecordLayout]] = {
    "json": object_layout,
    "vector": vector_layout,
}
"""Name -> layout of a JSON record that holds F features, in the model's order."""


def _influx(features: Sequence[Feature], fmt: ReadingFormat, *, is_events: bool) -> Decoder:
    unit = "auto" if fmt.timestamp_format == "auto" else "ns"
    as_read = replace(fmt, timestamp_format=unit, timestamp_zone=None)
    return JsonDecoder(LineProtocolParser(features, fmt), as_read, is_events=is_events)


def _collectd(features: Sequence[Feature], fmt: ReadingFormat, *, is_events: bool) -> Decoder:
    parser = CollectdParser(features, fmt)
    return JsonDecoder(parser, collectd_format(fmt), is_events=is_events)


def _lines(
    name: LogInputFormat, features: Sequence[Feature], fmt: LogFormat, logs: LogSpec | None
) -> Decoder:
    if logs is None:
        raise ConfigError(
            f"input.format: found {fmt.format}, but the bundle has no templates of lines; expected "
            "one that was trained on logs"
        )
    reader, match = build_line_reader(name, fmt), Templates(logs).match
    parser = LineParser(reader, features, logs.templates, match, example_mask(logs))
    return JsonDecoder(parser, as_read(name, fmt))


DECODERS: Mapping[InputFormat, Callable[..., Decoder]] = {
    "otlp_proto": OtlpProtobufDecoder,
    "otlp_json": OtlpJsonDecoder,
    "influx": _influx,
    "collectd": _collectd,
}
"""Name -> decoder of what is not JSON of a layout; arguments as of `build_decoder`."""


def json_layout(features: Sequence[Feature], fmt: ReadingFormat) -> RecordLayout:
    """Return the layout of a format whose records are JSON objects.

    Raises:
        ConfigError: If the format is none of these, inconsistent, or does not fit the features.
    """
    make = LAYOUTS.get(fmt.format)
    if make is None:
        raise ConfigError(
            f"input.format: found {fmt.format}, which is read only; expected {' or '.join(LAYOUTS)}"
        )
    return make(features, fmt)


def build_decoder(
    features: Sequence[Feature],
    fmt: ReadingFormat,
    *,
    is_events: bool = False,
    schemas: SchemaSource | None = None,
    logs: LogSpec | None = None,
) -> Decoder:
    """Return the decoder of a format.

    Args:
        features: F, in the model's order.
        fmt: The operator's choices.
        is_events: Records are events without order in time (window length 1): one without a
            timestamp has its record's, and one without a key belongs to the series `events`.
        schemas: Of the schema registry, for the format `registry`.
        logs: What the features count, if they count the lines of logs.

    Raises:
        ConfigError: If the format is inconsistent or does not fit the features.
    """
    name = log_format_name(fmt)
    if name is not None and isinstance(fmt, LogFormat):
        return _lines(name, features, fmt, logs)
    if logs is not None:
        raise ConfigError(
            f"input.format: found {fmt.format}, expected {' or '.join(READERS)}: the bundle counts "
            "lines of logs; expected the settings that it was trained with (--config FILE)"
        )
    if fmt.key_format == "registry" and fmt.format != "registry":
        raise ConfigError(
            f"input.key_format: found registry with input.format {fmt.format}; expected registry"
        )
    if fmt.format == "registry":
        if schemas is None:
            raise ConfigError(
                "input.format registry: expected registry.url, where schemas are; commands that "
                "read files ask no registry"
            )
        # Content grows when it becomes JSON; the record itself is bounded.
        as_json = replace(fmt, format="json", max_record_bytes=_GROWTH * fmt.max_record_bytes)
        reads_keys = (
            fmt.key_format == "registry" and fmt.series_field is None and fmt.series is None
        )
        if fmt.key_format == "registry":
            as_json = replace(as_json, key_format="text")
        inner = build_decoder(features, as_json, is_events=is_events)
        return RegistryDecoder(inner, schemas, fmt.max_record_bytes, reads_keys=reads_keys)
    decoder = DECODERS.get(fmt.format)
    if decoder is not None:
        return decoder(features, fmt, is_events=is_events)
    if fmt.value_field is not None:
        return JsonDecoder(JsonPointParser(features, fmt), fmt, is_events=is_events)
    if fmt.name_field is not None:
        raise ConfigError(
            "input.name_field is set without input.value_field: expected the field of the value "
            "that it names"
        )
    parser = JsonRecordParser(json_layout(features, fmt), features, fmt)
    return JsonDecoder(parser, fmt, is_events=is_events)
