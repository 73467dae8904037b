"""Input format `otlp_logs_json`: a record is an `ExportLogsServiceRequest` in JSON."""

from typing import Any

import msgspec

from stream_vae.core.excerpts import excerpt
from stream_vae.errors import DecodeError
from stream_vae.inputs.log_lines.cleaning import TextCounts, repaired
from stream_vae.inputs.log_lines.otlp_logs import OtlpLog
from stream_vae.inputs.otlp.json_requests import RequestParser
from stream_vae.inputs.otlp.names import Labels, MetricNames


class _KeyValue(msgspec.Struct, gc=False):
    key: str = ""
    value: dict[str, Any] | None = None


class _Log(msgspec.Struct, rename="camel", gc=False):
    time_unix_nano: int | str = 0
    observed_time_unix_nano: int | str = 0
    severity_number: int | str = 0
    severity_text: str = ""
    body: dict[str, Any] | None = None
    attributes: list[_KeyValue] = []
    event_name: str = ""


class _Scope(msgspec.Struct, gc=False):
    name: str = ""


class _ScopeLogs(msgspec.Struct, rename="camel", gc=False):
    scope: _Scope | None = None
    log_records: list[_Log] = []


class _Resource(msgspec.Struct, gc=False):
    attributes: list[_KeyValue] = []


class _ResourceLogs(msgspec.Struct, rename="camel", gc=False):
    resource: _Resource | None = None
    scope_logs: list[_ScopeLogs] = []


class _Request(msgspec.Struct, rename="camel", gc=False):
    resource_logs: list[_ResourceLogs]


_SEVERITY = "SEVERITY_NUMBER_"
_NAMES = ("TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL")
_NUMBERS = {
    f"{_SEVERITY}{name}{'' if nth == 0 else nth + 1}": 4 * place + nth + 1
    for place, name in enumerate(_NAMES)
    for nth in range(4)
}


class OtlpJsonLogs:
    """Parses records as the collector's encoding `otlp_json` writes them.

    Args:
        max_bytes: Longer records are rejected.
    """

    def __init__(self, max_bytes: int) -> None:
        self._requests = RequestParser(_Request, max_bytes, "logs")

    def logs(self, raw: bytes | None, counts: TextCounts) -> list[OtlpLog]:
        """See `OtlpLogParser.logs`."""
        [raw] = repaired([raw], counts)
        found = []
        for group in self._requests.parse(raw).resource_logs:
            resource = _labels(group.resource.attributes if group.resource else [])
            for scoped in group.scope_logs:
                scope = scoped.scope.name if scoped.scope else ""
                found += [_log(one, resource, scope) for one in scoped.log_records]
        return found


def _log(one: _Log, resource: Labels, scope: str) -> OtlpLog:
    time = _integer(one.time_unix_nano, "timeUnixNano")
    observed = _integer(one.observed_time_unix_nano, "observedTimeUnixNano")
    severity = one.severity_number
    if isinstance(severity, str):
        severity = _NUMBERS.get(severity) or _integer(severity or 0, "severityNumber")
    return OtlpLog(
        origin=MetricNames(name=one.event_name, unit="", scope=scope, resource=resource),
        attributes=_labels(one.attributes),
        body=None if one.body is None else _value(one.body),
        severity=severity,
        severity_text=one.severity_text,
        time=time or observed,
    )


def _labels(attributes: list[_KeyValue]) -> Labels:
    labels = {}
    for one in attributes:
        value = None if one.value is None else _value(one.value)
        if value is not None and not isinstance(value, list | dict):
            labels[one.key] = value if isinstance(value, str) else str(value).lower()
    return labels


def _value(found: Any) -> Any:
    """Return what an `AnyValue` holds; None where it holds nothing that is known."""
    if not isinstance(found, dict):
        return None
    for name in ("stringValue", "boolValue", "doubleValue", "bytesValue"):
        if isinstance(found.get(name), str | bool | int | float):
            return found[name]
    if isinstance(found.get("intValue"), int | str):
        return _integer(found["intValue"], "intValue")
    return _several(found)


def _several(found: dict[str, Any]) -> Any:
    listed, named = found.get("arrayValue"), found.get("kvlistValue")
    if isinstance(listed, dict) and isinstance(listed.get("values", []), list):
        return [_value(one) for one in listed.get("values", [])]
    if isinstance(named, dict) and isinstance(named.get("values", []), list):
        return {
            str(one.get("key", "")): _value(one.get("value"))
            for one in named.get("values", [])
            if isinstance(one, dict)
        }
    return None


def _integer(found: int | str, name: str) -> int:
    try:
        value = int(found) if isinstance(found, int) or len(found) < 30 else 2**64
    except ValueError:
        value = 2**64
    if not -(2**63) <= value < 2**64:
        detail = f"{name}: found {excerpt(found)}; expected an integer of 64 bits"
        raise DecodeError("not_otlp", detail)
    return value
