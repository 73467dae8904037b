"""Input format `log_lines` of text: a record is a line, or several."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from stream_vae.core.excerpts import printable
from stream_vae.core.records import RecordBatch
from stream_vae.errors import ConfigError, DecodeError
from stream_vae.inputs.decode_errors import DecodeErrors
from stream_vae.inputs.log_lines.cleaning import TextCounts, decode_text
from stream_vae.inputs.log_lines.line_builder import FoundTexts, LineBuilder
from stream_vae.inputs.log_lines.lines import LineReader, LogLines
from stream_vae.inputs.log_lines.log_format import LogFormat


class PlainLineReader(LineReader):
    """Reads records that are text.

    Args:
        fmt: The operator's choices.

    Raises:
        ConfigError: If a pattern is none, has no group, or could take long, or a field is told.
    """

    def __init__(self, fmt: LogFormat) -> None:
        if fmt.session_field is not None:
            raise ConfigError(
                f"input.session_field: found {printable(fmt.session_field)} for lines of text, "
                "which have no fields; expected input.session_pattern, or input.message_field "
                "where they are JSON"
            )
        self._builder = LineBuilder(fmt)
        self._splits = fmt.split_lines
        self._is_first_only = fmt.join == "first"
        self._longest = fmt.max_record_bytes if fmt.split_lines else fmt.max_line_bytes

    def read(self, batch: RecordBatch, errors: DecodeErrors) -> LogLines:
        """See `LineReader.read`."""
        counts = TextCounts()
        rows = np.arange(len(batch))
        raws = [raw for raw in batch.values if raw is not None]
        if len(raws) < len(batch) or max(map(len, raws), default=0) > self._longest:
            rows, raws = self._each_bounded(batch, counts, errors)
        found = FoundTexts(rows=rows, texts=_texts(raws, counts))
        return self._builder.build(batch, found, counts, errors)

    def _each_bounded(
        self, batch: RecordBatch, counts: TextCounts, errors: DecodeErrors
    ) -> tuple[NDArray[np.int64], list[bytes]]:
        """Return positions of the records that can be read, and what is read of each."""
        rows: list[int] = []
        raws: list[bytes] = []
        for row, raw in enumerate(batch.values):
            try:
                raws.append(self._bounded(raw, counts))
                rows.append(row)
            except DecodeError as error:
                errors.reject(row, error)
        return np.array(rows, dtype=np.int64), raws

    def _bounded(self, raw: bytes | None, counts: TextCounts) -> bytes:
        """Return what is read of a record.

        Raises:
            DecodeError: `null_value`, or `too_large` where it holds several lines.
        """
        if raw is None:
            raise DecodeError("null_value", "the record has no value; expected a line of a log")
        if len(raw) <= self._longest:
            return raw
        if self._splits:
            detail = f"{len(raw)} bytes; expected at most {self._longest}"
            raise DecodeError("too_large", detail)
        raw = raw.strip()
        if self._is_first_only:
            raw, line_break, rest = raw.partition(b"\n")
            counts.n_continuation += rest.count(b"\n") + len(line_break)
        if len(raw) <= self._longest:
            return raw
        counts.n_cut += 1
        end = self._longest
        while end > self._longest - 3 and raw[end] & 0xC0 == 0x80:  # within a character
            end -= 1
        return raw[:end]


def _texts(raws: Sequence[bytes], counts: TextCounts) -> list[str]:
    """Return the text of each record."""
    try:
        texts = b"\n".join(raws).decode().split("\n")
    except UnicodeDecodeError:
        texts = []
    return texts if len(texts) == len(raws) else [decode_text(raw, counts) for raw in raws]
