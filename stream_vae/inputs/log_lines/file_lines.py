"""The lines of a file as a shipper would send them: which belong together, and when each was."""

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from stream_vae.errors import DecodeError
from stream_vae.inputs.log_lines.cleaning import TextCounts, decode_text
from stream_vae.inputs.log_lines.line_builder import continuation_of
from stream_vae.inputs.log_lines.line_patterns import SEARCHED_CHARACTERS, compile_pattern
from stream_vae.inputs.log_lines.log_format import LogFormat
from stream_vae.inputs.log_lines.yearless_times import YEARLESS, YearlessTimes
from stream_vae.inputs.timestamps import TimestampParser

_MOST_BYTES = 4 * SEARCHED_CHARACTERS


class FileLines:
    """Turns lines of a file, in their order, into records.

    Args:
        fmt: The operator's choices.

    Raises:
        ConfigError: If a pattern cannot be used.
    """

    def __init__(self, fmt: LogFormat) -> None:
        self._splits, self._max_bytes = fmt.split_lines, fmt.max_record_bytes
        self._continues = continuation_of(fmt).matches
        self._find = self._yearless = None
        if fmt.timestamp_pattern is not None and fmt.timestamp_pattern in YEARLESS:
            self._yearless = YearlessTimes(fmt.timestamp_pattern)
        elif fmt.timestamp_pattern is not None:
            self._find = compile_pattern(fmt.timestamp_pattern, "input.timestamp_pattern").find
        self._parser = TimestampParser(fmt.timestamp_format, zone=fmt.timestamp_zone)
        self._last: str | int = 0

    def joined(self, lines: Iterable[tuple[int, bytes]]) -> Iterator[tuple[int, bytes]]:
        """Yield number and bytes of each record: a line, with those that belong to it.

        Only with `split_lines` a record holds more than one.

        Args:
            lines: With their numbers.
        """
        if not self._splits:
            yield from lines
            return
        first, record = 0, b""
        for number, line in lines:
            is_room = record and len(record) + len(line) < self._max_bytes
            if is_room and self._continues(_text(line)):
                record += b"\n" + line
                continue
            if record:
                yield first, record
            first, record = number, line
        if record:
            yield first, record

    def times(self, records: Sequence[bytes], written_ns: int) -> NDArray[np.int64]:
        """Return (N,) what Kafka's times of these records are, nanoseconds since 1970; 0: none.

        A line that tells no time is of the one before. Where lines tell no year, the others have
        the time at which the file was written.

        Args:
            records: N, that follow those before.
            written_ns: When the file was last written to, nanoseconds since 1970.
        """
        times = np.zeros(len(records), dtype=np.int64)
        if self._find is None and self._yearless is None:
            return times
        for position, record in enumerate(records):
            told = self._told(_text(record), written_ns)
            if told is None:
                times[position] = self._time_of_last()
            else:
                self._last = told
                times[position] = written_ns if self._yearless is not None else 0
        return times

    def _told(self, text: str, written_ns: int) -> str | None:
        """Return the time that a line tells."""
        if self._yearless is not None:
            return self._yearless.find([text], np.array([written_ns]))[0]
        groups = self._find(text) if self._find is not None else ()
        return groups[0] if groups else None

    def _time_of_last(self) -> int:
        """Return the time that was told last; 0 if none was, or it cannot be read."""
        if isinstance(self._last, str):
            try:
                self._last = self._parser.parse_one(self._last)
            except DecodeError:
                self._last = 0
        return self._last


def _text(line: bytes) -> str:
    return decode_text(line[:_MOST_BYTES], TextCounts())
