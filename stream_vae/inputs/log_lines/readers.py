"""The readers of logs by the name of their input format."""

from collections.abc import Callable, Mapping
from dataclasses import replace

from stream_vae.inputs.log_lines.json_reader import JsonLineReader
from stream_vae.inputs.log_lines.lines import LineReader
from stream_vae.inputs.log_lines.log_format import LogFormat
from stream_vae.inputs.log_lines.otlp_json import OtlpJsonLogs
from stream_vae.inputs.log_lines.otlp_logs import OtlpLineReader
from stream_vae.inputs.log_lines.otlp_proto import OtlpProtobufLogs
from stream_vae.inputs.log_lines.plain_reader import PlainLineReader
from stream_vae.inputs.reading_format import LogInputFormat, ReadingFormat


def _lines(fmt: LogFormat) -> LineReader:
    return PlainLineReader(fmt) if fmt.message_field is None else JsonLineReader(fmt)


def _events(fmt: LogFormat) -> LineReader:
    return JsonLineReader(fmt, of_events=True)


def _otlp_proto(fmt: LogFormat) -> LineReader:
    return OtlpLineReader(fmt, OtlpProtobufLogs(fmt.max_record_bytes))


def _otlp_json(fmt: LogFormat) -> LineReader:
    return OtlpLineReader(fmt, OtlpJsonLogs(fmt.max_record_bytes))


READERS: Mapping[LogInputFormat, Callable[[LogFormat], LineReader]] = {
    "log_lines": _lines,
    "log_events": _events,
    "otlp_logs_proto": _otlp_proto,
    "otlp_logs_json": _otlp_json,
}
"""Name in `input.format` -> reader."""


def log_format_name(fmt: ReadingFormat) -> LogInputFormat | None:
    """Return the name of a format of logs; None for one of readings."""
    return next((name for name in READERS if name == fmt.format), None)


def build_line_reader(name: LogInputFormat, fmt: LogFormat) -> LineReader:
    """Return the reader of a format.

    Args:
        name: Of the format.
        fmt: The operator's choices.

    Raises:
        ConfigError: If the settings are inconsistent, or a pattern cannot be used.
    """
    return READERS[name](fmt)


def as_read(name: LogInputFormat, fmt: LogFormat) -> LogFormat:
    """Return the settings that parse the times which a format's reader finds."""
    if name.startswith("otlp_") and fmt.timestamp_pattern is None:
        return replace(fmt, timestamp_format="ns", timestamp_zone=None)
    return fmt
