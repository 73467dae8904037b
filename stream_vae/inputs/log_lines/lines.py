"""The reader protocol of logs: a poll of records to lines, in columns."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from stream_vae.core.records import RecordBatch
from stream_vae.core.sessions import LineSessions
from stream_vae.errors import DecodeError
from stream_vae.inputs.decode_errors import DecodeErrors
from stream_vae.inputs.series_keys import RawKey
from stream_vae.inputs.timestamps import RawTime


@dataclass(frozen=True, slots=True, kw_only=True)
class LogLines:
    """N lines in the order of their records and, within one, in its own.

    Each record of a poll gives lines, or a rejection, or both, or neither: then it holds empty
    lines alone.
    """

    index: NDArray[np.int64]
    """(N,) position of each line's record in the batch, ascending; it repeats where a record gives
    several lines."""
    series: Sequence[RawKey | DecodeError] | None
    """N names, or why there is none; None where the records' keys name the series."""
    times: Sequence[RawTime] | None
    """N event times, None for a line that tells none; None where all are Kafka's of the records."""
    texts: list[str]
    """N messages: never empty, on one line, without control characters, bounded in length."""
    shapes: list[bytes] | None
    """N: of `texts`, see `digit_shapes`; None: they are not known."""
    levels: NDArray[np.int8]
    """(N,) positions in `levels.LEVELS`; 0 where a line tells none."""
    templates: list[str] | None = None
    """N ids or templates of events that are parsed already, "" where one is not; None: none is."""
    sessions: LineSessions | None = None
    """Of each line; None where lines make none."""
    elements: Callable[[int], tuple[Sequence[int], int]] | None = None
    """From a line's position to its number, from 1, in its record, and how many the record has.
    None: each record gives one line."""
    ignored: Sequence[int] = ()
    """Positions of the records that hold empty lines alone, ascending."""
    n_empty: int = 0
    """Lines without any text; they are not here."""
    n_cut: int = 0
    """Lines that were longer than `max_line_bytes`."""
    n_replaced: int = 0
    """Characters that stand for bytes which were not UTF-8."""
    n_continuation: int = 0
    """Lines that belong to the line before them in their record."""


class LineReader(Protocol):
    """Reads the records of one format of logs; `readers` lists them.

    The result of a record depends on that record alone. An invalid record is a rejection; `read`
    does not raise for it. Times and names of series are found, not parsed.
    """

    def read(self, batch: RecordBatch, errors: DecodeErrors) -> LogLines:
        """Return the lines of the valid records; add the errors of the others to `errors`.

        Args:
            batch: M records.
            errors: Of the poll.
        """
        ...
