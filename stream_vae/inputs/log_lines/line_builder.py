"""What a format's reader found in records to lines; shared by all formats of logs."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stream_vae.core.excerpts import excerpt, printable
from stream_vae.core.records import RecordBatch
from stream_vae.errors import DecodeError
from stream_vae.inputs.decode_errors import DecodeErrors
from stream_vae.inputs.log_lines.cleaning import TextCounts, clean_texts
from stream_vae.inputs.log_lines.levels import LineLevels, levels_in, levels_of
from stream_vae.inputs.log_lines.line_block import are_plain
from stream_vae.inputs.log_lines.line_patterns import LinePattern, compile_pattern
from stream_vae.inputs.log_lines.lines import LogLines
from stream_vae.inputs.log_lines.log_format import LogFormat
from stream_vae.inputs.log_lines.session_keys import SessionKeys
from stream_vae.inputs.log_lines.yearless_times import YEARLESS, YearlessTimes
from stream_vae.inputs.series_keys import RawKey
from stream_vae.inputs.timestamps import RawTime
from stream_vae.logs.digit_shapes import digit_shapes

_CONTINUATION = re.compile(
    r"\s|at |\.\.\. [0-9]|Caused by:|Traceback \(most recent|\}|"
    r"[A-Za-z_.$]{1,200}(?:Error|Exception|Interrupt)(?::|$)"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundTexts:
    """E texts of records, as they stand there; each is a line or several."""

    rows: NDArray[np.int64]
    """(E,) position of each text's record in the batch, ascending."""
    texts: Sequence[str]
    """E."""
    series: Sequence[RawKey | DecodeError] | None = None
    """As in `LogLines`."""
    times: Sequence[RawTime] | None = None
    """As in `LogLines`."""
    levels: Sequence[Any] | None = None
    """E, as fields tell them; None: no field does."""
    templates: Sequence[str] | None = None
    """As in `LogLines`."""
    sessions: Sequence[Any] | None = None
    """E keys of sessions, as fields tell them; None: no field does."""
    numbers: Sequence[int] | None = None
    """E numbers, from 1, in their records; None: each record has one text."""
    sizes: Sequence[int] | None = None
    """E: how many the record has."""
    empty: Sequence[int] = ()
    """Positions of valid records without any text."""

    def take(self, kept: NDArray[np.int64]) -> "FoundTexts":
        """Return some texts, by position; one may be taken several times."""
        chosen = kept.tolist()
        return replace(
            self,
            rows=self.rows[kept],
            texts=[self.texts[i] for i in chosen],
            series=None if self.series is None else [self.series[i] for i in chosen],
            times=None if self.times is None else [self.times[i] for i in chosen],
            levels=None if self.levels is None else [self.levels[i] for i in chosen],
            templates=None if self.templates is None else [self.templates[i] for i in chosen],
            sessions=None if self.sessions is None else [self.sessions[i] for i in chosen],
            numbers=None if self.numbers is None else [self.numbers[i] for i in chosen],
            sizes=None if self.sizes is None else [self.sizes[i] for i in chosen],
        )


class LineBuilder:
    """Splits, cleans and reads texts by the operator's choices.

    Args:
        fmt: The operator's choices.

    Raises:
        ConfigError: If a pattern is none, has no group, or could take long.
    """

    def __init__(self, fmt: LogFormat) -> None:
        self._max_bytes = fmt.max_line_bytes
        self._split_lines = fmt.split_lines
        self._is_first_only = fmt.join == "first"
        self._continues = continuation_of(fmt)
        self._time = self._yearless = None
        if fmt.timestamp_pattern is not None and fmt.timestamp_pattern in YEARLESS:
            self._yearless = YearlessTimes(fmt.timestamp_pattern)
        else:
            self._time = _pattern(fmt.timestamp_pattern, "input.timestamp_pattern")
        self._series = _pattern(fmt.series_pattern, "input.series_pattern")
        self._series_pattern = printable(fmt.series_pattern or "")
        self._message = _pattern(fmt.message_pattern, "input.message_pattern")
        self._sessions = None if fmt.sessions is None else SessionKeys(fmt)
        self._levels = LineLevels()

    def build(
        self, batch: RecordBatch, found: FoundTexts, counts: TextCounts, errors: DecodeErrors
    ) -> LogLines:
        """Return the lines of a poll.

        Args:
            batch: Its records.
            found: What they hold.
            counts: What was changed there so far.
            errors: Of what the reader rejected.
        """
        is_lost = np.zeros(len(batch), dtype=bool)
        is_lost[found.rows] = is_lost[list(found.empty)] = True
        n_found = len(found.texts)
        if not are_plain(found.texts, self._max_bytes):
            found, n_found = self._cleaned(found, counts)
        texts = list(found.texts)
        looks_for_levels = found.levels is None and self._levels.wants_shapes
        shapes = digit_shapes(texts) if looks_for_levels else None
        is_lost[found.rows] = False
        messages = texts if self._message is None else _messages(texts, self._message)
        return LogLines(
            index=found.rows,
            series=self._series_of(found),
            times=self._times_of(found, batch.timestamps),
            texts=messages,
            shapes=shapes if self._message is None else None,
            levels=self._levels_of(found, shapes),
            templates=None if found.templates is None else list(found.templates),
            sessions=None
            if self._sessions is None
            else self._sessions.of(texts, messages, told=found.sessions, templates=found.templates),
            elements=_elements(found),
            ignored=[row for row in np.flatnonzero(is_lost).tolist() if row not in errors],
            n_empty=n_found - len(texts),
            n_cut=counts.n_cut,
            n_replaced=counts.n_replaced,
            n_continuation=counts.n_continuation,
        )

    def _cleaned(self, found: FoundTexts, counts: TextCounts) -> tuple[FoundTexts, int]:
        """Return the lines of texts, made plain, and how many there were with the empty ones."""
        if self._split_lines:
            found = self._split(found, counts)
        n_found = len(found.texts)
        texts = clean_texts(found.texts, self._max_bytes, counts, first_only=self._is_first_only)
        found = replace(found, texts=texts)
        if "" in texts:
            found = found.take(np.flatnonzero([text != "" for text in texts]))
        return found, n_found

    def _split(self, found: FoundTexts, counts: TextCounts) -> FoundTexts:
        """Return a text for each line and those that belong to it."""
        if not any("\n" in text for text in found.texts):
            return found
        origins: list[int] = []
        texts: list[str] = []
        for origin, text in enumerate(found.texts):
            own = self._lines_of(text, counts)
            texts += own
            origins += [origin] * len(own)
        return replace(found.take(np.array(origins, dtype=np.int64)), texts=texts)

    def _lines_of(self, text: str, counts: TextCounts) -> list[str]:
        """Return the lines of a text; those that belong to one before are joined or left out."""
        lines: list[str] = []
        for line in text.removesuffix("\n").split("\n"):
            if not line.strip():
                lines.append("")
            elif lines and lines[-1] and self._continues.matches(line):
                counts.n_continuation += 1
                if not self._is_first_only:
                    lines[-1] += f" {line.strip()}"
            else:
                lines.append(line)
        return lines

    def _times_of(self, found: FoundTexts, stamps: NDArray[np.int64]) -> Sequence[RawTime] | None:
        times: list[str | None]
        if self._yearless is not None:
            times = self._yearless.find(found.texts, stamps[found.rows])
        elif self._time is not None:
            times = self._time.firsts(found.texts)
        else:
            return found.times
        return _carried_on(times, found.rows) if self._split_lines else times

    def _series_of(self, found: FoundTexts) -> Sequence[RawKey | DecodeError] | None:
        if self._series is None:
            return found.series
        names = self._series.joined(found.texts)
        if self._split_lines:
            names = _carried_on(names, found.rows)
        if None not in names:
            return names
        return [
            self._unmatched(text) if name is None else name
            for name, text in zip(names, found.texts, strict=True)
        ]

    def _unmatched(self, text: str) -> DecodeError:
        """Return the error of a line that is not of the form that names its series."""
        detail = (
            f"input.series_pattern {self._series_pattern} finds nothing in {excerpt(text, 100)}; "
            "expected a group that names the series; does the log have another format now?"
        )
        return DecodeError("line_unmatched", detail)

    def _levels_of(self, found: FoundTexts, shapes: Sequence[bytes] | None) -> NDArray[np.int8]:
        if found.levels is None:
            return self._levels.find(found.texts, shapes)
        levels = levels_of(found.levels)
        untold = np.flatnonzero(levels == 0)
        if len(untold):
            levels[untold] = levels_in([found.texts[i] for i in untold.tolist()])
        return levels


def continuation_of(fmt: LogFormat) -> LinePattern:
    """Return how lines begin that belong to the one before.

    Raises:
        ConfigError: If the operator's pattern cannot be used.
    """
    if fmt.continuation_pattern is None:
        return LinePattern(_CONTINUATION)
    return compile_pattern(fmt.continuation_pattern, "input.continuation_pattern", n_groups=0)


def _pattern(pattern: str | None, setting: str) -> LinePattern | None:
    return None if pattern is None else compile_pattern(pattern, setting)


def _messages(texts: Sequence[str], pattern: LinePattern) -> list[str]:
    """Return what a pattern finds in each text, or else the text."""
    found = map(pattern.message, texts)
    return [message or text for message, text in zip(found, texts, strict=True)]


def _carried_on(column: list[str | None], rows: NDArray[np.int64]) -> list[str | None]:
    """Return what each line tells, or else the line before it in its record."""
    if None not in column:
        return column
    carried, before = [], -1
    last: str | None = None
    for row, value in zip(rows.tolist(), column, strict=True):
        last = value if value is not None or row != before else last
        before = row
        carried.append(last)
    return carried


def _elements(found: FoundTexts) -> Any:
    """Return what `LogLines.elements` is."""
    numbers, sizes, rows = found.numbers, found.sizes, found.rows
    if numbers is not None and sizes is not None:
        return lambda position: ([numbers[position]], sizes[position])
    if not (rows[1:] == rows[:-1]).any():
        return None

    def of_record(position: int) -> tuple[list[int], int]:
        first, end = np.searchsorted(rows, [rows[position], rows[position] + 1]).tolist()
        return [position - first + 1], end - first

    return of_record
