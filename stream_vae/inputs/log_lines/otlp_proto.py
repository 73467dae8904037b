"""Input format `otlp_logs_proto`: a record is an `ExportLogsServiceRequest` in protobuf."""

from struct import unpack_from
from typing import Any

from stream_vae.errors import DecodeError
from stream_vae.inputs.log_lines.cleaning import TextCounts, decode_text
from stream_vae.inputs.log_lines.otlp_logs import OtlpLog
from stream_vae.inputs.otlp.names import Labels, MetricNames
from stream_vae.inputs.otlp.wire import BYTES, FIXED64, VARINT, Field, fields

_MAX_DEPTH = 100
# Numbers of fields in `LogRecord`.
_TIME, _SEVERITY, _SEVERITY_TEXT, _BODY, _ATTRIBUTES, _OBSERVED, _EVENT = 1, 2, 3, 5, 6, 11, 12


class OtlpProtobufLogs:
    """Parses records as the collector's encoding `otlp_proto` writes them.

    Args:
        max_bytes: Longer records are rejected.
    """

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes

    def logs(self, raw: bytes | None, counts: TextCounts) -> list[OtlpLog]:
        """See `OtlpLogParser.logs`."""
        if raw is None:
            raise DecodeError("null_value", "the record has no value; expected OTLP logs")
        if len(raw) > self._max_bytes:
            detail = f"{len(raw)} bytes; expected at most {self._max_bytes}"
            raise DecodeError("too_large", detail)
        walk = _Walk(raw, counts)
        for begin, end in walk.inner(fields(raw, 0, len(raw)), 1):
            walk.add_resource(begin, end)
        return walk.found


class _Walk:
    def __init__(self, raw: bytes, counts: TextCounts) -> None:
        self._raw = raw
        self._counts = counts
        self.found: list[OtlpLog] = []

    def inner(self, found: list[Field], number: int) -> list[tuple[int, int]]:
        """Return where the messages, or texts, of a field's number are."""
        return [(at, end) for n, kind, at, end in found if n == number and kind == BYTES]

    def add_resource(self, begin: int, end: int) -> None:
        """Add the log records of a `ResourceLogs`."""
        found = fields(self._raw, begin, end)
        resource: Labels = {}
        for at, stop in self.inner(found, 1):
            resource = self._labels(fields(self._raw, at, stop), 1)
        for at, stop in self.inner(found, 2):
            scoped = fields(self._raw, at, stop)
            scope = ""
            for here, there in self.inner(scoped, 1):
                scope = self._last_text(fields(self._raw, here, there), 1)
            for here, there in self.inner(scoped, 2):
                self.found.append(self._log(here, there, resource, scope))

    def _log(self, begin: int, end: int, resource: Labels, scope: str) -> OtlpLog:
        found = fields(self._raw, begin, end)
        name = self._last_text(found, _EVENT)
        body = None
        for at, stop in self.inner(found, _BODY):
            body = self._value(at, stop, 0)
        severity = next((at for n, k, at, _ in found if n == _SEVERITY and k == VARINT), 0)
        return OtlpLog(
            origin=MetricNames(name=name, unit="", scope=scope, resource=resource),
            attributes=self._labels(found, _ATTRIBUTES),
            body=body,
            severity=severity,
            severity_text=self._last_text(found, _SEVERITY_TEXT),
            time=self._time(found, _TIME) or self._time(found, _OBSERVED),
        )

    def _time(self, found: list[Field], number: int) -> int:
        for n, kind, at, _ in found:
            if n == number and kind == FIXED64:
                return int(unpack_from("<Q", self._raw, at)[0])
        return 0

    def _last_text(self, found: list[Field], number: int) -> str:
        text = ""
        for at, stop in self.inner(found, number):
            text = self._text(at, stop)
        return text

    def _text(self, begin: int, end: int) -> str:
        return decode_text(self._raw[begin:end], self._counts)

    def _labels(self, found: list[Field], number: int) -> Labels:
        labels = {}
        for at, stop in self.inner(found, number):
            key, value = self._pair(at, stop, 0)
            if value is not None and not isinstance(value, list | dict):
                labels[key] = value if isinstance(value, str) else str(value).lower()
        return labels

    def _pair(self, begin: int, end: int, depth: int) -> tuple[str, Any]:
        found = fields(self._raw, begin, end)
        value = None
        for at, stop in self.inner(found, 2):
            value = self._value(at, stop, depth)
        return self._last_text(found, 1), value

    def _value(self, begin: int, end: int, depth: int) -> Any:
        """Return what an `AnyValue` holds; None where it holds nothing that is known."""
        if depth > _MAX_DEPTH:
            raise DecodeError("too_deep", f"nested deeper than {_MAX_DEPTH} levels")
        value: Any = None
        for number, kind, at, stop in fields(self._raw, begin, end):
            if kind == BYTES and number in (1, 5, 6, 7):
                value = self._long_value(number, at, stop, depth)
            elif kind == VARINT and number == 2:
                value = bool(at)
            elif kind == VARINT and number == 3:
                value = at - 2**64 if at >= 2**63 else at
            elif kind == FIXED64 and number == 4:
                value = float(unpack_from("<d", self._raw, at)[0])
        return value

    def _long_value(self, number: int, begin: int, end: int, depth: int) -> Any:
        if number == 1:
            return self._text(begin, end)
        if number == 7:
            return self._raw[begin:end].hex()
        inner = self.inner(fields(self._raw, begin, end), 1)
        if number == 5:
            return [self._value(at, stop, depth + 1) for at, stop in inner]
        return dict(self._pair(at, stop, depth + 1) for at, stop in inner)
