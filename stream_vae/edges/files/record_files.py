"""Files of records, one a line, to readings by the daemon's own decoder.

Three forms: `records` has a Kafka record a line, `{"key": ..., "value": ...}`, also as `kcat -J`
prints it; `jsonl` and `log` have the value alone. What the daemon would put on the dead-letter
topic is counted and told.
"""

import base64
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import chain
from pathlib import Path
from typing import Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from stream_vae.core.alerts import Closing
from stream_vae.core.excerpts import excerpt, printable
from stream_vae.core.model_spec import Feature
from stream_vae.core.readings import ReadingBatch
from stream_vae.core.records import RecordBatch, joined
from stream_vae.core.series_index import KEEP_TO_ONE_PARTITION
from stream_vae.edges.files.csv_header import ColumnChoice
from stream_vae.edges.files.csv_readings import (
    CHUNK_ROWS,
    MAX_CELLS,
    NO_LABEL,
    CsvReadings,
    series_of_file,
)
from stream_vae.edges.files.file_sessions import FileSessions
from stream_vae.edges.files.line_file import LineFile
from stream_vae.edges.files.record_features import field_at, find_features
from stream_vae.errors import InputFileError, StreamVaeError
from stream_vae.inputs.decoder import Decoded, Decoder, OddLine
from stream_vae.inputs.formats import build_decoder
from stream_vae.inputs.log_lines.file_lines import FileLines
from stream_vae.inputs.log_lines.log_format import LogFormat
from stream_vae.inputs.reading_format import ReadingFormat
from stream_vae.inputs.registry.schemas import SchemaSource

LineForm = Literal["records", "jsonl", "log"]

_SAMPLE_LINES = 1000
_CHUNK_BYTES = 32 * 2**20
_ODD_LINES: Mapping[OddLine, str] = {
    "cut": "lines are longer than input.max_line_bytes, and cut there",
    "no_session": "lines tell no key of a session, and count nowhere",
    "not_utf8": "characters stand for bytes that are not UTF-8",
}
_SCHEMAS_WAIT_S = 30.0
_BYTES_OF: Mapping[str, Callable[[str], bytes]] = {
    "text": str.encode,
    "hex": bytes.fromhex,
    "base64": lambda text: base64.b64decode(text, validate=True),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Lines:
    """Some lines of one file."""

    file_number: int
    numbers: list[int]
    batch: RecordBatch


class RecordFiles:
    """Files of records, one after the other, as one history.

    Args:
        paths: One or more; gzip is unpacked, UTF-16 decoded.
        choice: Features and their kinds, label, what to leave out. Without features, those are
            taken that the first records show: fields of numbers and truth values.
        fmt: The daemon's settings of the input.
        form: Of a line.
        now_ns: Clock of the decoder, nanoseconds since 1970.

    Raises:
        InputFileError: If there is no file; on reading, with file and line.
    """

    def __init__(
        self,
        paths: Sequence[Path],
        choice: ColumnChoice,
        fmt: ReadingFormat,
        form: LineForm,
        *,
        now_ns: int,
    ) -> None:
        if not paths:
            raise InputFileError("no input file; expected one or more files of records")
        self._paths = tuple(paths)
        self._choice = choice
        self._fmt = fmt
        self._form = form
        self._now_ns = now_ns
        self._schemas: SchemaSource | None = None
        self._place = "line"
        self._features: tuple[Feature, ...] = ()
        self._has_label = False
        self._n_records = 0
        self._rejected: Counter[str] = Counter()
        self._unreadable: Counter[tuple[str, str]] = Counter()
        self._n_ignored = 0
        self._sessions: FileSessions | None = None
        self._odd_lines: Counter[OddLine] = Counter()
        self._examples: dict[object, str] = {}
        self._other_fields: dict[str, None] = {}
        self._read: tuple[int, float] = (0, 0.0)
        """Files that were read, and the share of the next one."""

    @property
    def paths(self) -> tuple[Path, ...]:
        """The files."""
        return self._paths

    @property
    def share_read(self) -> float:
        """Share of the bytes of all files that were read in this pass."""
        number, share = self._read
        sizes = [path.stat().st_size for path in self._paths]
        read = sum(sizes[:number]) + share * sum(sizes[number : number + 1])
        return read / sum(sizes) if any(sizes) else 0.0

    @property
    def ignored_columns(self) -> tuple[str, ...]:
        """Fields that are not features, of a sample of what was read so far."""
        return tuple(self._other_fields)

    @property
    def has_seam(self) -> bool:
        """Whether an hour seems to stand twice: the record's own times tell which."""
        return False

    @property
    def closed_sessions(self) -> Mapping[Closing, int] | None:
        """How -> sessions of what was read so far that were closed so; None: lines make none."""
        return None if self._sessions is None else self._sessions.closed

    @property
    def notes(self) -> tuple[str, ...]:
        """Dead letters and values that could not be read, by reason."""
        n = f"of {self._n_records:,} records"
        notes = [
            f"{count:,} {n} are dead letters, {reason}: {self._examples[reason]}"
            for reason, count in self._rejected.most_common()
        ]
        if self._n_ignored and self._choice.logs is not None:
            notes.append(f"{self._n_ignored:,} {n} hold no line but empty ones")
        elif self._n_ignored:
            notes.append(
                f"{self._n_ignored:,} {n} name none of the features: {self._examples[None]}"
            )
        if self._sessions is not None:
            notes.append(self._sessions.note)
        notes += [
            f"{count:,} {_ODD_LINES[what]}: {self._examples[what]}"
            for what, count in self._odd_lines.items()
        ]
        notes += [
            f"{count:,} values of {printable(feature)} are missing, {reason}: "
            f"{self._examples[feature, reason]}"
            for (feature, reason), count in self._unreadable.most_common()
        ]
        return tuple(notes)

    def iter_batches(self) -> Iterator[ReadingBatch]:
        """Yield all readings in file order; offsets are numbers of records from 0."""
        for _, readings, _, _ in self._readings():
            yield replace(readings, arrivals=readings.times)

    def iter_decoded(self) -> Iterator[Decoded]:
        """Yield all that the decoder makes of the records, in file order."""
        for _, decoded, _ in self._decoded():
            yield decoded

    def read(self, observe: Callable[[Decoded], None] | None = None) -> CsvReadings:
        """Return all readings.

        Args:
            observe: Is given all that the decoder makes of the records, too.

        Raises:
            InputFileError: Also if there is none, or there are more than `MAX_CELLS`.
        """
        parts: list[tuple[_Lines, ReadingBatch, NDArray[np.int8]]] = []
        indexes: list[NDArray[np.int64]] = []
        n_cells = 0
        for lines, found, index, labels in self._readings(observe):
            parts.append((lines, found, labels))
            indexes.append(index)
            n_cells += found.values.size + 4 * len(found)
            if n_cells > MAX_CELLS:
                raise InputFileError(
                    f"{self._paths[lines.file_number]}, line {lines.numbers[-1]}: more than "
                    f"{MAX_CELLS:,} values so far; expected fewer records or features"
                )
        files = ", ".join(map(str, self._paths))
        if not sum(len(readings) for _, readings, _ in parts):
            raise InputFileError(f"{files}: no reading; {'; '.join(self.notes) or 'no record'}")
        values = np.concatenate([readings.values for _, readings, _ in parts])
        placed = list(zip(parts, indexes, strict=True))
        return CsvReadings(
            features=self._features,
            times=np.concatenate([readings.times for _, readings, _ in parts]),
            series=[key for _, readings, _ in parts for key in readings.series],
            values=values,
            labels=np.concatenate([labels for *_, labels in parts]) if self._has_label else None,
            paths=self._paths,
            file_numbers=np.concatenate(
                [np.full(len(index), part[0].file_number, np.int32) for part, index in placed]
            ),
            lines=np.concatenate(
                [np.array(part[0].numbers, dtype=np.int64)[index] for part, index in placed]
            ),
            missing_cells=np.isnan(values).sum(axis=0),
            infinite_cells=np.zeros(values.shape[1], dtype=np.int64),
            ignored_columns=self.ignored_columns,
            notes=self.notes,
        )

    def iter_records(self) -> Iterator[RecordBatch]:
        """Yield all records in file order, undecoded."""
        for lines in self._chunks():
            yield lines.batch

    def first_records(self, n: int) -> RecordBatch | None:
        """Return the first records, undecoded; None if there is none."""
        batches: list[RecordBatch] = []
        for lines in self._chunks(min(n, CHUNK_ROWS)):
            batches.append(lines.batch)
            if sum(map(len, batches)) >= n:
                break
        return joined(batches).take(range(min(n, sum(map(len, batches))))) if batches else None

    def _readings(
        self, observe: Callable[[Decoded], None] | None = None
    ) -> Iterator[tuple[_Lines, ReadingBatch, NDArray[np.int64], NDArray[np.int8]]]:
        """Yield readings, each with its record and label; of lines that make sessions, these."""
        config = self._fmt.sessions if isinstance(self._fmt, LogFormat) else None
        makes = lines = self._sessions = None
        for lines, decoded, labels in self._decoded():
            if observe is not None:
                observe(decoded)
            if config is None:
                yield lines, decoded.readings, decoded.index, labels
                continue
            names = [feature.name for feature in self._features]
            makes = self._sessions = makes or FileSessions(config, names)
            for found, index in makes.take(lines.file_number, lines.batch, decoded):
                yield lines, found, index, np.full(len(found), NO_LABEL, np.int8)
        if makes is not None and lines is not None:
            rest = makes.rest(lines.batch.topic)
            index = np.full(len(rest), len(lines.batch) - 1)
            yield lines, rest, index, np.full(len(rest), NO_LABEL, np.int8)

    def _decoded(self) -> Iterator[tuple[_Lines, Decoded, NDArray[np.int8]]]:
        """Yield decoded lines, and the labels of their readings."""
        chunks = self._chunks()
        first = next(chunks, None)
        if first is None:
            raise InputFileError(f"{', '.join(map(str, self._paths))}: empty; expected records")
        self._settle(first)
        features = list(self._features)
        if self._has_label:
            features.append(Feature(name=self._choice.label))
        decoder = build_decoder(
            features,
            self._fmt,
            is_events=self._choice.is_events,
            schemas=self._schemas,
            logs=self._choice.logs,
        )
        for lines in chain([first], chunks):
            self._await(decoder, lines.batch)
            decoded = decoder.decode(lines.batch, self._now_ns)
            self._count(lines, decoded)
            labels = np.full(len(decoded.readings), NO_LABEL, dtype=np.int8)
            if self._has_label:
                values = decoded.readings.values
                labels = self._labels(lines, decoded, values[:, -1])
                readings = replace(decoded.readings, values=values[:, :-1])
                decoded = replace(decoded, readings=readings)
            yield lines, decoded, labels

    def _await(self, decoder: Decoder, batch: RecordBatch) -> None:
        """Wait for the schemas that a batch needs."""
        until = time.monotonic() + _SCHEMAS_WAIT_S
        while lacking := decoder.lacks(batch):  # a look itself takes a quarter of a second
            if time.monotonic() > until:
                raise StreamVaeError(f"no answer in {_SCHEMAS_WAIT_S:g} s: {lacking}")

    def _settle(self, first: _Lines) -> None:
        """Settle on the features, by the first records unless they are told."""
        choice, fmt = self._choice, self._fmt
        sample = [value for value in first.batch.values[:_SAMPLE_LINES] if value is not None]
        names = choice.features
        if names is None:
            place = f"{self._paths[0]}, line {first.numbers[0]}"
            names = find_features(place, sample, fmt, leave_out={choice.label, *choice.drop})
        both = next((name for name in names if name in choice.drop), None)
        if both is not None:
            raise InputFileError(
                f"--ignore {printable(both)}: found it among the features that are asked for "
                "(--features, or those of the model); expected it in one of the two"
            )
        self._features = tuple(choice.declared.get(name, Feature(name=name)) for name in names)
        self._has_label = (
            fmt.format == "json"
            and fmt.value_field is None
            and choice.label not in names
            and any(field_at(value, fmt, choice.label) for value in sample)
        )

    def _labels(
        self, lines: _Lines, decoded: Decoded, found: NDArray[np.float64]
    ) -> NDArray[np.int8]:
        wrong = np.flatnonzero(~(np.isnan(found) | (found == 0) | (found == 1)))
        if len(wrong):
            line = lines.numbers[int(decoded.index[wrong[0]])]
            raise InputFileError(
                f"{self._paths[lines.file_number]}, line {line}, field {self._choice.label}: found "
                f"{found[wrong[0]]:g}; expected 0 or 1"
            )
        return np.where(np.isnan(found), NO_LABEL, found).astype(np.int8)

    def _count(self, lines: _Lines, decoded: Decoded) -> None:
        def example(key: object, index: int, text: str) -> None:
            self._examples.setdefault(
                key, f"{self._place} {lines.numbers[index]}, {printable(text, 160)}"
            )

        self._n_records += len(lines.batch)
        for one in decoded.rejections:
            self._rejected[one.reason] += 1
            example(one.reason, one.index, one.detail)
        for place, cells in decoded.unreadable.items():
            self._unreadable[place] += cells.count
            example(place, cells.index, cells.detail)
        if len(decoded.ignored):
            self._n_ignored += len(decoded.ignored)
            fields = ", ".join(decoded.ignored_fields) or "no field"
            example(None, decoded.ignored[0], f"has {fields}")
        self._other_fields.update(dict.fromkeys(decoded.unknown_fields))
        of_logs = decoded.lines
        if of_logs is not None:
            counts: dict[OddLine, int] = {
                "cut": of_logs.n_cut,
                "no_session": of_logs.n_keyless,
                "not_utf8": of_logs.n_replaced,
            }
            for what, count in counts.items():
                if count and what in of_logs.examples:
                    self._odd_lines[what] += count
                    example(what, *of_logs.examples[what])

    def _chunks(self, n_lines: int = CHUNK_ROWS) -> Iterator[_Lines]:
        n_records = 0
        for number, path in enumerate(self._paths):
            key = series_of_file(path).encode()
            file = LineFile(path, is_log=self._form == "log")
            lines: Iterator[tuple[int, bytes]] = iter(file)
            as_sent = None
            if self._form == "log" and isinstance(self._fmt, LogFormat):
                as_sent = FileLines(self._fmt)
                lines = as_sent.joined(lines)
            while block := _next_lines(lines, n_lines):
                if as_sent is None:
                    records = [self._record(path, line, raw, key) for line, raw in block]
                else:
                    raws = [raw for _, raw in block]
                    told = as_sent.times(raws, path.stat().st_mtime_ns).tolist()
                    records = [(key, raw, time) for raw, time in zip(raws, told, strict=True)]
                n = len(records)
                self._read = number, file.share_read
                yield _Lines(
                    file_number=number,
                    numbers=[line for line, _ in block],
                    batch=RecordBatch(
                        topic=self._paths[0].name,
                        partitions=np.zeros(n, dtype=np.int32),
                        offsets=np.arange(n_records, n_records + n, dtype=np.int64),
                        timestamps=np.array([record[2] for record in records], dtype=np.int64),
                        timed_by_broker=False,
                        keys=[record[0] for record in records],
                        values=[record[1] for record in records],
                        headers=lambda _: [],
                    ),
                )
                n_records += n
            self._read = number + 1, 0.0

    def _record(
        self, path: Path, line: int, raw: bytes, key: bytes
    ) -> tuple[bytes | None, bytes | None, int]:
        """Return key, value and Kafka's time (ns, 0 if there is none) of a line."""
        if self._form == "jsonl":
            return key, raw, 0
        place = f"{path}, line {line}"
        try:
            record = msgspec.json.decode(raw)
        except (msgspec.DecodeError, UnicodeDecodeError):
            record = None
        value_name = "payload" if isinstance(record, dict) and "payload" in record else "value"
        if not isinstance(record, dict) or value_name not in record:
            raise InputFileError(
                f"{place}: found {excerpt(raw)}; expected an object with the key and the value of "
                '{"key": {"text": "pump-7"}, "value": {"text": "{...}"}}, or --format jsonl for '
                "values alone"
            )
        stamp = record.get("timestamp", record.get("ts"))
        return (
            _bytes(place, "key", record.get("key")),
            _bytes(place, value_name, record[value_name]),
            0 if stamp is None else _stamp(place, stamp),
        )


class TopicRecords(RecordFiles):
    """Records that a topic has, as one history.

    Args:
        topic: Its name, for messages.
        batches: Its records; those of a partition in order.
        choice: As of files.
        fmt: The daemon's settings of the input.
        now_ns: Clock of the decoder, nanoseconds since 1970.
        schemas: Of a registry, where one is known.
    """

    def __init__(  # noqa: PLR0913 -- what files need, and where schemas are
        self,
        topic: str,
        batches: Iterator[RecordBatch],
        choice: ColumnChoice,
        fmt: ReadingFormat,
        *,
        now_ns: int,
        schemas: SchemaSource | None = None,
    ) -> None:
        super().__init__([Path(f"topic {topic}")], choice, fmt, "records", now_ns=now_ns)
        self._batches = batches
        self._schemas = schemas
        self._place = "offset"
        self._partition: dict[str, int] = {}
        self._split: dict[str, tuple[int, int]] = {}

    @property
    def notes(self) -> tuple[str, ...]:
        """As of files, and the series that are in several partitions."""
        notes = super().notes
        if self._split:
            key, (one, other) = next(iter(self._split.items()))
            notes = (
                *notes,
                f"{len(self._split):,} series are in several partitions, such as "
                f"{printable(key, 60)} in {one} and {other}: {KEEP_TO_ONE_PARTITION}",
            )
        return notes

    def _count(self, lines: _Lines, decoded: Decoded) -> None:
        super()._count(lines, decoded)
        readings = decoded.readings
        for key, at in set(zip(readings.series, readings.partitions.tolist(), strict=True)):
            first = self._partition.setdefault(key, at)
            if at != first:
                self._split.setdefault(key, (min(first, at), max(first, at)))

    def _chunks(self, n_lines: int = CHUNK_ROWS) -> Iterator[_Lines]:
        for batch in self._batches:
            yield _Lines(file_number=0, numbers=batch.offsets.tolist(), batch=batch)


def _next_lines(lines: Iterator[tuple[int, bytes]], n: int) -> list[tuple[int, bytes]]:
    """Return the next n lines, or fewer that hold `_CHUNK_BYTES` together."""
    block: list[tuple[int, bytes]] = []
    n_bytes = 0
    for line in lines:
        block.append(line)
        n_bytes += len(line[1])
        if len(block) == n or n_bytes >= _CHUNK_BYTES:
            break
    return block


def open_lines(path: Path, form: LineForm, fmt: ReadingFormat | None = None) -> RecordFiles:
    """Return a file of which the records alone are asked for, not yet read.

    Args:
        path: The file.
        form: Of a line.
        fmt: Of lines of logs: what tells which belong together, and when each was.
    """
    return RecordFiles([path], ColumnChoice(), fmt or ReadingFormat(), form, now_ns=0)


def first_records(files: RecordFiles, n_records: int) -> RecordBatch:
    """Return the first records of files.

    Raises:
        InputFileError: If they cannot be read, have no record, or a line is none.
    """
    batch = files.first_records(n_records)
    if batch is None:
        raise InputFileError(f"{', '.join(map(str, files.paths))}: empty; expected records")
    return batch


def _bytes(place: str, name: str, found: object) -> bytes | None:
    """Return the bytes of a key or a value."""
    if found is None:
        return None
    if isinstance(found, str):
        return found.encode()
    if isinstance(found, Mapping) and len(found) == 1:
        [(how, text)] = found.items()
        if how == "null":
            return None
        if how in _BYTES_OF and isinstance(text, str):
            try:
                return _BYTES_OF[how](text)
            except ValueError as exc:
                raise InputFileError(f"{place}: {name} is no {how}: {exc}") from None
    return msgspec.json.encode(found)


def _stamp(place: str, found: object) -> int:
    """Return Kafka's time of a record, nanoseconds since 1970: milliseconds, or a date."""
    if isinstance(found, Mapping):  # of the record's type: {"CreateTime": 1741050000000}
        found = next(iter(found.values()), None)
    if isinstance(found, int | float) and not isinstance(found, bool) and 0 <= found < 2**43:
        return round(found * 10**6)
    try:
        return round(datetime.fromisoformat(str(found)).timestamp() * 1000) * 10**6
    except ValueError:
        raise InputFileError(
            f"{place}: timestamp {excerpt(found)}; expected Kafka's milliseconds since 1970"
        ) from None
