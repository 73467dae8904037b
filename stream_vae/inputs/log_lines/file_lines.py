"""The lines of a file as a shipper would send them: which belong together, and when each was."""

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from stream_vae.errors import DecodeError
from stream_vae.inputs.log_lines.cleaning import TextCounts, clean_texts, decode_text
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
        self._pattern = self._yearless = None
        if fmt.timestamp_pattern is not None and fmt.timestamp_pattern in YEARLESS:
            self._yearless = YearlessTimes(fmt.timestamp_pattern)
        elif fmt.timestamp_pattern is not None:
            self._pattern = compile_pattern(fmt.timestamp_pattern, "input.timestamp_pattern")
        self._parser = TimestampParser(fmt.timestamp_format, zone=fmt.timestamp_zone)
        self._last = 0

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

        They are those that the lines tell: sessions and steps then wait as long as the lines do. A
        line that tells none, or none that can be read, is of the one before; at the beginning it
        is of the first that tells one.

        Args:
            records: N, that follow those before.
            written_ns: When the file was last written to, nanoseconds since 1970. Lines that tell
                no year are of the last one that is not after it.
        """
        times = np.zeros(len(records), dtype=np.int64)
        if self._pattern is None and self._yearless is None:
            return times
        texts = clean_texts(
            [_text(record) for record in records], _MOST_BYTES, TextCounts(), first_only=True
        )
        told = self._told(texts, written_ns)
        is_told = np.array([text is not None for text in told], bool)
        times[is_told] = self._read([text for text in told if text is not None])
        known = np.flatnonzero(times)
        if not len(known):
            # Without any time of a record, a line of no year would seem to tell no time.
            return np.full(len(records), self._last or (written_ns if self._yearless else 0))
        before = np.searchsorted(known, np.arange(len(records)), side="right") - 1
        carried = times[known[np.maximum(before, 0)]]
        if self._last:
            carried[: known[0]] = self._last
        self._last = int(carried[-1])
        return carried

    def _told(self, texts: list[str], written_ns: int) -> list[str | None]:
        """Return N dates and times as lines tell them, None where one tells none."""
        if self._yearless is not None:
            return self._yearless.find(texts, np.full(len(texts), written_ns))
        return [None] * len(texts) if self._pattern is None else self._pattern.firsts(texts)

    def _read(self, texts: list[str]) -> NDArray[np.int64]:
        """Return (N,) times of texts, 0 where one cannot be read."""
        read = self._parser.read(texts)
        if read is not None:
            return read.times
        return np.array([self._read_one(text) for text in texts], np.int64)

    def _read_one(self, text: str) -> int:
        try:
            return self._parser.parse_one(text)
        except DecodeError:
            return 0


def _text(line: bytes) -> str:
    return decode_text(line[:_MOST_BYTES], TextCounts())
