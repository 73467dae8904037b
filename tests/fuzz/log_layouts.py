"""Every way the records of a log may be laid out."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import cache

from stream_vae.inputs.log_lines.log_format import LogFormat
from stream_vae.inputs.presets import PRESETS, Preset
from stream_vae.inputs.reading_format import RECORD_TIME
from tests.fuzz.layouts import Layout
from tests.fuzz.log_model import LOG_FEATURES, LOGS, MATCHER
from tests.inputs.otlp_messages import fixed64, message


def _time(time_ns: int, form: str = "%Y-%m-%dT%H:%M:%S.%fZ") -> str:
    return f"{datetime.fromtimestamp(time_ns / 1e9, UTC):{form}}"


def _json(content: object) -> bytes:
    """Return it without blanks, as mutators expect; half of a pair of surrogates stays escaped."""
    return json.dumps(content, separators=(",", ":")).encode()


def _text(series: str, time_ns: int, lines: Sequence[str]) -> bytes:
    return "\n".join(lines).encode(errors="surrogatepass")


def _rsyslog(series: str, time_ns: int, lines: Sequence[str]) -> bytes:
    head = f"{_time(time_ns, '%Y-%m-%dT%H:%M:%S.%f+00:00')} {series} db[7]: "
    return f"{head}{lines[0]}".encode(errors="surrogatepass")


def _syslog(series: str, time_ns: int, lines: Sequence[str]) -> bytes:
    """Several lines with a time that tells no year, each with more that belongs to it."""
    head = f"<13>{_time(time_ns, '%b %d %H:%M:%S')} {series} db[7]: "
    return "".join(f"{head}{line}\n  at x.y(Z.java:7)\n" for line in lines).encode(
        errors="surrogatepass"
    )


def _klog(series: str, time_ns: int, lines: Sequence[str]) -> bytes:
    head = f"I{_time(time_ns, '%m%d %H:%M:%S.%f')}       1 {series}.go:12] "
    return f"{head}{lines[0]}".encode(errors="surrogatepass")


def _filebeat(series: str, time_ns: int, lines: Sequence[str]) -> bytes:
    return _json(
        {
            "@timestamp": _time(time_ns),
            "host": {"name": series},
            "log": {"level": "warn", "file": {"path": "/var/log/x"}},
            "message": lines[0],
        }
    )


def _fluent_bit(series: str, time_ns: int, lines: Sequence[str]) -> bytes:
    return _json({"@timestamp": time_ns / 1e9, "log": f"{lines[0]}\n", "stream": "stdout"})


def _docker(series: str, time_ns: int, lines: Sequence[str]) -> bytes:
    return _json({"log": f"{lines[0]}\n", "stream": "stderr", "time": _time(time_ns)})


def _vector(series: str, time_ns: int, lines: Sequence[str]) -> bytes:
    return _json({"timestamp": _time(time_ns), "host": series, "message": lines[0]})


def _several(series: str, time_ns: int, lines: Sequence[str]) -> bytes:
    """Objects in an array, one of which holds several lines, and one is an event."""
    tags = {"unit": series}
    each = [{"at": time_ns // 10**6, "tags": tags, "body": {"text": line}} for line in lines]
    several = {**each[0], "sev": 4, "body": {"text": "\n".join(lines)}}
    return _json([several, {**each[-1], "event": _event_of(lines[-1])}])


def _event(series: str, time_ns: int, lines: Sequence[str]) -> bytes:
    """An event that is parsed already: its template stands there."""
    event = _event_of(lines[0]) or lines[0]
    return _json({"timestamp": time_ns // 10**9, "template": event, "text": lines[0], "level": 3})


def _event_of(line: str) -> str:
    number = int(MATCHER.match([line])[0])
    return LOGS.templates[number].pattern if number >= 0 else ""


def _text_value(text: str) -> bytes:
    return message((1, text.encode(errors="surrogatepass")))


def _pair(key: str, text: str) -> bytes:
    return message((1, key), (2, _text_value(text)))


def _otlp_proto(series: str, time_ns: int, lines: Sequence[str]) -> bytes:
    records = [
        (2, fixed64(1, time_ns) + message((2, 9 + k), (5, _text_value(line)), (6, _pair("k", "v"))))
        for k, line in enumerate(lines)
    ]
    resource = (1, message((1, _pair("host.name", series))))
    scope = (1, message((1, "app")))
    return message((1, message(resource, (2, message(scope, *records)))))


def _otlp_json(series: str, time_ns: int, lines: Sequence[str]) -> bytes:
    records = [
        {
            "timeUnixNano": str(time_ns),
            "severityText": "Warning",
            "body": {"kvlistValue": {"values": [{"key": "m", "value": {"stringValue": line}}]}},
            "attributes": [{"key": "kind", "value": {"stringValue": "x"}}],
        }
        for line in lines
    ]
    host = {"key": "host.name", "value": {"stringValue": series}}
    scoped = {"scope": {"name": "app"}, "logRecords": records}
    return _json({"resourceLogs": [{"resource": {"attributes": [host]}, "scopeLogs": [scoped]}]})


@cache
def _preset(name: Preset) -> LogFormat:
    given: dict[str, object] = {"format": "log_lines", **PRESETS[name]}
    return LogFormat(preset=name, **given)  # type: ignore[arg-type]  # these are settings


def _of_logs(name: str, fmt: LogFormat, **others: object) -> Layout:
    return Layout(name=name, fmt=fmt, features=LOG_FEATURES, logs=LOGS, **others)  # type: ignore[arg-type]


LOG_LAYOUTS = (
    _of_logs(
        "lines of text",
        LogFormat(format="log_lines", timestamp_field=RECORD_TIME),
        write_lines=_text,
        n_lines=1,
    ),
    _of_logs(
        "several lines of text, cut short, joined",
        LogFormat(
            format="log_lines",
            timestamp_field=RECORD_TIME,
            split_lines=True,
            join="all",
            continuation_pattern="^(?:\\t|-> )",
            max_line_bytes=64,
        ),
        write_lines=_text,
    ),
    _of_logs(
        "lines with syslog's times, several with what belongs to them",
        LogFormat(
            format="log_lines",
            split_lines=True,
            timestamp_pattern="syslog",
            timestamp_zone="UTC",
            series_pattern=r"^<13>\S+ +\S+ \S+ (\S+) ",
            message_pattern=r"^<13>\S+ +\S+ \S+ \S+ [^:]*: (.*)",
        ),
        write_lines=_syslog,
        has_key=False,
    ),
    _of_logs(
        "lines of klog, short records",
        LogFormat(
            format="log_lines",
            timestamp_pattern="klog",
            timestamp_zone="Europe/Berlin",
            series_pattern=r" ([a-z0-9-]+)\.go:[0-9]+\]",
            message_pattern=r"\] (.*)",
            max_record_bytes=2048,
        ),
        write_lines=_klog,
        has_key=False,
        n_lines=1,
    ),
    _of_logs("rsyslog", _preset("rsyslog"), write_lines=_rsyslog, has_key=False, n_lines=1),
    _of_logs(
        "filebeat",
        _preset("filebeat"),
        write_lines=_filebeat,
        has_key=False,
        n_lines=1,
        time_at=b'"@timestamp":',
    ),
    _of_logs(
        "fluent_bit_logs",
        _preset("fluent_bit_logs"),
        write_lines=_fluent_bit,
        n_lines=1,
        time_at=b'"@timestamp":',
    ),
    _of_logs(
        "docker_logs", _preset("docker_logs"), write_lines=_docker, n_lines=1, time_at=b'"time":'
    ),
    _of_logs(
        "vector_logs",
        _preset("vector_logs"),
        write_lines=_vector,
        has_key=False,
        n_lines=1,
        time_at=b'"timestamp":',
    ),
    _of_logs(
        "objects of several lines in an array, short lines",
        LogFormat(
            format="log_lines",
            records_path="$",
            timestamp_field="at",
            timestamp_format="ms",
            series_field="tags.unit",
            message_field="body.text|msg",
            level_field="sev",
            event_field="event",
            split_lines=True,
            max_line_bytes=100,
        ),
        write_lines=_several,
        has_key=False,
        time_at=b'"at":',
    ),
    _of_logs(
        "events that are parsed",
        LogFormat(format="log_events", message_field="text", level_field="level"),
        write_lines=_event,
        n_lines=1,
        time_at=b'"timestamp":',
    ),
    _of_logs("OTLP logs, protobuf", LogFormat(format="otlp_logs_proto"), write_lines=_otlp_proto),
    _of_logs(
        "OTLP logs, JSON, the line within the body",
        LogFormat(
            format="otlp_logs_json",
            series_field="{resource.host.name}/{scope.name}",
            message_field="m",
            event_field="attributes.event",
        ),
        write_lines=_otlp_json,
        has_key=False,
        known_as=lambda name: f"{name}/app",
        time_at=b'"timeUnixNano":',
    ),
)
