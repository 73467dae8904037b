r"""Input format `influx`: lines of InfluxDB's line protocol, one or several a record.

`cpu,host=a,cpu=cpu\ 0 idle=93.5,users=3i 1767225600000000000`: a name, tags, fields and a time. The
fields of a line are values of one series and time; those of several lines of the same series and
time are one reading.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stream_vae.core.excerpts import excerpt
from stream_vae.core.model_spec import Feature
from stream_vae.core.records import RecordBatch
from stream_vae.errors import ConfigError, DecodeError
from stream_vae.inputs.decode_errors import DecodeErrors
from stream_vae.inputs.feature_cells import FeatureCells
from stream_vae.inputs.points import Points, merge_points
from stream_vae.inputs.raw_readings import RawReadings
from stream_vae.inputs.reading_format import ReadingFormat, cell_format
from stream_vae.inputs.remembered import Remembered
from stream_vae.inputs.series_places import no_series
from stream_vae.inputs.templates import TextTemplate

FEATURE_NAME = "{name}.{field}"
"""`input.feature_name` of this format, unless one is given."""

_LINE = re.compile(
    r'((?:\\.|[^ \\])+) +((?:[^ "\\]|\\.|"(?:\\.|[^"\\])*")+)(?: +(-?[0-9]+))? *', re.DOTALL
)
_COMMA, _EQUALS = re.compile(r"(?<!\\),"), re.compile(r"(?<!\\)=")
_FIELD = re.compile(r'((?:\\.|[^=\\])+)=("(?:\\.|[^"\\])*"|[^",]+)(?:,|$)', re.DOTALL)
_ESCAPED = re.compile(r"\\([,= ])")
_ESCAPED_TEXT = re.compile(r'\\(["\\])')
_TRUTH = {
    **dict.fromkeys(("t", "T", "true", "True", "TRUE"), True),
    **dict.fromkeys(("f", "F", "false", "False", "FALSE"), False),
}
_UNIT_NS = {"s": 10**9, "ms": 10**6, "us": 10**3, "ns": 1}
_KNOWN = re.compile(r"name|field|tags\..+")
_EXPECTED = "a name, tags, a blank, fields and a time"
_LONGEST_FIELD, _MOST_FIELDS = 1000, 10_000  # remembered of a head
_MOST_NAMES = 50


@dataclass(frozen=True, slots=True)
class _Head:
    """What lines with this name and these tags have in common."""

    series: str | DecodeError | None
    """None: the record's key names it."""
    features: dict[str, int]
    """Field -> position in the model, as far as they have been seen; -1: none of the model's."""
    labels: dict[str, str]


class LineProtocolParser:
    """Parses records of lines.

    Args:
        features: F, in the model's order.
        fmt: The operator's choices.

    Raises:
        ConfigError: If a template names what a line does not have.
    """

    def __init__(self, features: Sequence[Feature], fmt: ReadingFormat) -> None:
        names = [feature.name for feature in features]
        sent = {name: fmt.feature_fields.get(name, name) for name in names}
        self._names = names
        self._feature_of = {sent[name]: at for at, name in enumerate(names)}
        is_default = fmt.feature_name == "{name}"
        self._feature = _template(
            FEATURE_NAME if is_default else fmt.feature_name, "input.feature_name"
        )
        field = fmt.series_field
        if field is not None and "{" not in field:
            field = f"{{{field}}}"
        self._series = None if field is None else _template(field, "input.series_field")
        self._series_field = fmt.series_field or ""
        self._cells = FeatureCells(features, list(sent.values()), cell_format(fmt))
        self._unit_ns = _UNIT_NS.get(fmt.timestamp_format)
        if self._unit_ns is None and fmt.timestamp_format != "auto":
            raise ConfigError(
                f"input.timestamp_format: found {fmt.timestamp_format}; of influx expected auto, "
                "s, ms, us or ns, the precision of its times"
            )
        self._max_bytes = fmt.max_record_bytes
        self._heads = Remembered[str, _Head]()

    def parse(self, batch: RecordBatch, errors: DecodeErrors) -> RawReadings:
        """Return the readings of the valid lines; add the errors of the others to `errors`."""
        points = _Points()
        empty: list[int] = []
        for row, raw in enumerate(batch.values):
            try:
                lines = self._lines(raw)
            except DecodeError as error:
                errors.reject(row, error)
                continue
            if not lines:
                empty.append(row)
            kafka_ns = int(batch.timestamps[row])
            for number, line in enumerate(lines, start=1):
                try:
                    self._add(points, row, line, kafka_ns)
                except DecodeError as error:
                    errors.reject_elements(row, [number], len(lines), error)
                points.numbers += [number] * (len(points.rows) - len(points.numbers))
                points.sizes += [len(lines)] * (len(points.rows) - len(points.sizes))
        raw_readings = merge_points(self._columns(points, empty), self._names)
        ignored = [row for row in raw_readings.ignored if row not in errors]
        unused = self._unused(batch.values[ignored[0]]) if ignored else ()
        return replace(raw_readings, ignored=ignored, ignored_fields=unused)

    def _lines(self, raw: bytes | None) -> list[str]:
        if raw is None:
            raise DecodeError("null_value", f"the record has no value; expected {_EXPECTED}")
        if len(raw) > self._max_bytes:
            detail = f"{len(raw)} bytes; expected at most {self._max_bytes}"
            raise DecodeError("too_large", detail)
        try:
            text = raw.decode()
        except UnicodeDecodeError as exc:
            detail = f"byte 0x{raw[exc.start]:02x} at position {exc.start}; expected UTF-8"
            raise DecodeError("not_utf8", detail) from None
        return _content(text)

    def _add(self, points: "_Points", row: int, line: str, kafka_ns: int) -> None:
        """Add the values of a line.

        Raises:
            DecodeError: `not_line_protocol`.
        """
        head_text, fields, time_text = _split(line)
        head = self._heads.get(head_text) or self._head(head_text)
        if '"' in fields or "\\" in fields:
            pairs = _quoted(fields, line)
        else:
            pairs = [_pair(pair, line) for pair in fields.split(",")]
        cells = [_cell(text, line) for _, text in pairs]
        time = _time(time_text, line)
        if time is None:
            time = kafka_ns if kafka_ns > 0 else None
        elif self._unit_ns is not None:
            time *= self._unit_ns
        known = head.features
        for name, _ in pairs:
            feature = known.get(name)
            points.features.append(self._place(head, name) if feature is None else feature)
        points.cells += cells
        points.rows += [row] * len(cells)
        points.series += [head.series] * len(cells)
        points.times += [time] * len(cells)

    def _head(self, text: str) -> _Head:
        labels = _labels(text)
        series: str | DecodeError | None = None
        if self._series is not None:
            series = self._series.fill(tuple(labels.get(part) for part in self._series.fields))
            series = series or no_series(self._series_field, [*labels])
        head = _Head(series, {}, labels)
        self._heads.keep(text, head, n_characters=len(text))
        return head

    def _place(self, head: _Head, field: str) -> int:
        name = self._name(head, field)
        feature = -1 if name is None else self._feature_of.get(name, -1)
        if len(field) <= _LONGEST_FIELD and len(head.features) < _MOST_FIELDS:
            head.features[field] = feature
            self._heads.add(len(field))
        return feature

    def _name(self, head: _Head, field: str) -> str | None:
        labels = {**head.labels, "field": _plain(field)}
        return self._feature.fill(tuple(labels.get(part) for part in self._feature.fields))

    def _columns(self, points: "_Points", empty: Sequence[int]) -> Points:
        features = np.array(points.features, dtype=np.int64)
        values, errors = self._values(features, points.cells)
        return Points(
            index=np.array(points.rows, dtype=np.int64),
            series=None if self._series is None else points.series,
            times=points.times,
            features=features,
            values=values,
            errors=errors,
            empty=empty,
            numbers=points.numbers,
            sizes=points.sizes,
        )

    def _values(
        self, features: NDArray[np.int64], cells: Sequence[Any]
    ) -> tuple[NDArray[np.float64], list[tuple[int, DecodeError]]]:
        values = np.full(len(cells), np.nan)
        errors: list[tuple[int, DecodeError]] = []
        for feature in np.unique(features[features >= 0]).tolist():
            which = np.flatnonzero(features == feature)
            chosen = which.tolist()
            values[which], wrong = self._cells.column(feature, [cells[at] for at in chosen])
            errors += [(chosen[at], error) for at, error in wrong]
        return values, sorted(errors, key=lambda error: error[0])

    def _unused(self, raw: bytes | None) -> tuple[str, ...]:
        """Return what the values of a valid record would be called as features."""
        names: dict[str, None] = {}
        for line in self._lines(raw)[:_MOST_NAMES]:
            head_text, fields, _ = _split(line)
            head = self._heads.get(head_text) or self._head(head_text)
            pairs = _FIELD.findall(fields)[:_MOST_NAMES]
            found = (self._name(head, field) for field, _ in pairs)
            names.update((name, None) for name in found if name is not None)
        return tuple(names)[:_MOST_NAMES]


class _Points:
    """Columns that grow."""

    def __init__(self) -> None:
        self.rows: list[int] = []
        self.series: list[str | DecodeError | None] = []
        self.times: list[int | None] = []
        self.features: list[int] = []
        self.cells: list[Any] = []
        self.numbers: list[int] = []
        self.sizes: list[int] = []


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One line, read."""

    labels: dict[str, str]
    """Its name and tags, by what templates call them: `name`, `tags.KEY`."""
    fields: dict[str, float | str | bool]
    time: int | None
    """In the precision of its writer."""


def read_lines(raw: bytes) -> list[Line]:
    """Return the lines of a record, one by one; for those who look rather than decode.

    Raises:
        DecodeError: If a line is none of line protocol.
    """
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        raise _broken("", "bytes that are not UTF-8") from None
    found: list[Line] = []
    for line in _content(text):
        head, fields, time_text = _split(line)
        pairs = {_plain(name): _cell(value, line) for name, value in _quoted(fields, line)}
        found.append(Line(labels=_labels(head), fields=pairs, time=_time(time_text, line)))
    return found


def _content(text: str) -> list[str]:
    lines = (line.strip(" \r\t") for line in text.split("\n"))
    return [line for line in lines if line and line[0] != "#"]


def _labels(head: str) -> dict[str, str]:
    name, *pairs = _COMMA.split(head)
    labels = {"name": _plain(name)}
    for pair in pairs:
        parts = _EQUALS.split(pair, maxsplit=1)
        if len(parts) != 2 or not all(parts):
            raise _broken(head, "a tag without a name or value")
        labels[f"tags.{_plain(parts[0])}"] = _plain(parts[1])
    return labels


def _template(text: str, setting: str) -> TextTemplate:
    template = TextTemplate(text, setting)
    for part in template.fields:
        if not _KNOWN.fullmatch(part):
            raise ConfigError(
                f"{setting}: found {{{part}}}; of influx expected name, field or tags.KEY"
            )
    return template


def _split(line: str) -> tuple[str, str, str | None]:
    """Return name and tags, fields, and the time."""
    if not ('"' in line or "\\" in line):
        parts = line.split(" ")
        if len(parts) == 2:
            return parts[0], parts[1], None
        if len(parts) == 3 and parts[2].lstrip("-").isdecimal() and parts[2].isascii():
            return parts[0], parts[1], parts[2]
    match = _LINE.fullmatch(line)
    if match is None:
        raise _broken(line, "a line of another form")
    return match[1], match[2], match[3]


def _quoted(fields: str, line: str) -> list[tuple[str, str]]:
    """Return names and values of fields, some of which are text or have escapes."""
    found, end = [], 0
    for match in _FIELD.finditer(fields):
        if match.start() != end:
            break
        found.append((match[1], match[2]))
        end = match.end()
    if end != len(fields) or fields.endswith(","):
        raise _broken(line, "a field of another form")
    return found


def _pair(pair: str, line: str) -> tuple[str, str]:
    name, _, text = pair.partition("=")
    if not name or not text:
        raise _broken(line, "a field without a name or value")
    return name, text


def _time(text: str | None, line: str) -> int | None:
    if text is not None and len(text) > 20:
        raise _broken(line, f"a time of {len(text)} digits")
    return None if text is None else int(text)


def _cell(text: str, line: str) -> float | str | bool:
    last = text[-1:]
    try:
        if last in "0123456789." and text:
            if "_" not in text:
                return float(text)
        elif last in "iu" and "_" not in text and len(text) < 30:
            return int(text[:-1])
        elif last == '"' and len(text) > 1:
            return _ESCAPED_TEXT.sub(r"\1", text[1:-1])
        else:
            return _TRUTH[text]
    except (ValueError, KeyError):
        pass
    raise _broken(line, f"the value {excerpt(text)}")


def _plain(text: str) -> str:
    return _ESCAPED.sub(r"\1", text) if "\\" in text else text


def _broken(line: str, found: str) -> DecodeError:
    detail = f"{found} in {excerpt(line)}; expected {_EXPECTED}"
    return DecodeError("not_line_protocol", detail)
