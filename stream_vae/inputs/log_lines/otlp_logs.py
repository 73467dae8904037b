"""Log records of OpenTelemetry, from either encoding, and the reader of both."""

import json
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from stream_vae.core.records import RecordBatch
from stream_vae.errors import DecodeError
from stream_vae.inputs.decode_errors import DecodeErrors
from stream_vae.inputs.log_lines.cleaning import TextCounts
from stream_vae.inputs.log_lines.line_builder import FoundTexts, LineBuilder
from stream_vae.inputs.log_lines.lines import LineReader, LogLines
from stream_vae.inputs.log_lines.log_format import LogFormat
from stream_vae.inputs.otlp.names import Labels, MetricNames, PointNames, label_of, name_parts
from stream_vae.inputs.record_layout import split_path

DEFAULT_EVENT_LABEL = "attributes.log.record.template"
"""Where the collector's `drain` processor writes a line's template."""
_SEVERITIES = ("trace", "debug", "info", "warn", "error", "fatal")  # of four numbers each


@dataclass(frozen=True, slots=True, kw_only=True)
class OtlpLog:
    """One log record."""

    origin: MetricNames
    """Its resource and scope; the name is that of its event."""
    attributes: Labels
    body: Any
    """Text, a number, a truth value, a list, a dictionary, or None."""
    severity: int
    """1 to 24, 0 if it tells none."""
    severity_text: str
    time: int
    """When it happened, else when it was observed, nanoseconds since 1970; 0 if it tells none."""


class OtlpLogParser(Protocol):
    """Parses the records of one encoding."""

    def logs(self, raw: bytes | None, counts: TextCounts) -> list[OtlpLog]:
        """Return the log records of a Kafka record; what is changed in texts is added to `counts`.

        Raises:
            DecodeError: If it is none of the encoding.
        """
        ...


class OtlpLineReader(LineReader):
    """Reads log records of OpenTelemetry.

    Args:
        fmt: The operator's choices.
        parser: Of the encoding.

    Raises:
        ConfigError: If a setting names what a log record does not have, or a pattern cannot be
            used.
    """

    def __init__(self, fmt: LogFormat, parser: OtlpLogParser) -> None:
        self._parser = parser
        self._builder = LineBuilder(fmt)
        self._names = PointNames((), fmt)
        self._path = None if fmt.message_field is None else split_path(fmt.message_field)
        self._event = fmt.event_field or DEFAULT_EVENT_LABEL
        name_parts("input.event_field", f"{{{self._event}}}")
        self._level = fmt.level_field
        if self._level is not None:
            name_parts("input.level_field", f"{{{self._level}}}")
        self._sessions = fmt.session_field.split("|") if fmt.session_field else []
        for label in self._sessions:
            name_parts("input.session_field", f"{{{label}}}")

    def read(self, batch: RecordBatch, errors: DecodeErrors) -> LogLines:
        """See `LineReader.read`."""
        counts = TextCounts()
        found = _Found()
        for row, raw in enumerate(batch.values):
            own = TextCounts()
            try:
                logs = self._parser.logs(raw, own)
            except DecodeError as error:
                errors.reject(row, error)
                continue
            counts.n_replaced += own.n_replaced
            self._add(found, row, logs)
        return self._builder.build(batch, found.texts_of_poll(), counts, errors)

    def _add(self, found: "_Found", row: int, logs: list[OtlpLog]) -> None:
        if not logs:
            found.empty.append(row)
        for number, log in enumerate(logs, 1):
            found.rows.append(row)
            found.numbers.append(number)
            found.sizes.append(len(logs))
            found.texts.append(self._text(log))
            found.levels.append(self._level_of(log))
            found.times.append(log.time or None)
            found.series.append(self._names.series(log.origin, log.attributes))
            found.templates.append(label_of(self._event, log.origin, log.attributes) or "")
            if self._sessions:
                told = (label_of(name, log.origin, log.attributes) for name in self._sessions)
                found.sessions.append(next(filter(None, told), None))

    def _text(self, log: OtlpLog) -> str:
        body = log.body
        for name in self._path or ():
            body = body.get(name) if isinstance(body, dict) else None
        if body is None:
            return log.origin.name
        return body if isinstance(body, str) else json.dumps(body, ensure_ascii=False)

    def _level_of(self, log: OtlpLog) -> str | None:
        if self._level is not None:
            return label_of(self._level, log.origin, log.attributes)
        if 0 < log.severity <= 4 * len(_SEVERITIES):
            return _SEVERITIES[(log.severity - 1) // 4]
        return log.severity_text or None


@dataclass(slots=True)
class _Found:
    """Columns of a poll, in the making."""

    rows: list[int] = field(default_factory=list)
    numbers: list[int] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    levels: list[str | None] = field(default_factory=list)
    times: list[int | None] = field(default_factory=list)
    series: list[str | DecodeError | None] = field(default_factory=list)
    templates: list[str] = field(default_factory=list)
    sessions: list[str | None] = field(default_factory=list)
    empty: list[int] = field(default_factory=list)

    def texts_of_poll(self) -> FoundTexts:
        return FoundTexts(
            rows=np.array(self.rows, dtype=np.int64),
            texts=self.texts,
            series=None if None in self.series else self.series,
            times=self.times,
            levels=self.levels,
            templates=self.templates if any(self.templates) else None,
            sessions=self.sessions or None,
            numbers=self.numbers,
            sizes=self.sizes,
            empty=self.empty,
        )
