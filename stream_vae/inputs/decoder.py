"""The decoder protocol: a poll of records to readings, in columns."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from stream_vae.core.readings import ReadingBatch
from stream_vae.core.records import RecordBatch, Rejection
from stream_vae.core.sessions import LineSessions


@dataclass(frozen=True, slots=True, kw_only=True)
class Unreadable:
    """Values of one feature that could not be read for one reason, in readings that count."""

    count: int
    index: int
    """Position in the batch of the first record with one."""
    detail: str
    """What was found there and expected."""


OddLine = Literal["unseen", "cut", "not_utf8", "empty", "no_session"]
"""What is odd about a line: it is of no template that training saw; it was longer than
`max_line_bytes`; it has bytes that are not UTF-8; it holds nothing; it tells no key of a session,
where sessions are asked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LineCounts:
    """What the records of a poll hold as lines of a log."""

    n_known: int
    """Lines of the model's templates."""
    n_unseen: int
    n_empty: int
    n_cut: int
    n_replaced: int
    """Characters that stand for bytes which were not UTF-8."""
    n_continuation: int
    """Lines that belong to the one before them."""
    n_keyless: int
    """Lines of no session, where sessions are asked for."""
    examples: Mapping[OddLine, tuple[int, str]]
    """What is odd -> position in the batch of the first record with such a line, and its text;
    bounded, printable."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Decoded:
    """The decoding result of one poll of M records.

    Each record gives readings, or one rejection, or both (some of its readings are valid), or
    neither: then it names none of the model's features and is in `ignored`.
    """

    readings: ReadingBatch
    """N readings, in the order of their records and, within a record, in its own order. Readings
    of one record have its partition, offset and arrival."""
    index: NDArray[np.int64]
    """(N,) position of each reading's record in the batch, ascending; it repeats where a record
    gives several readings."""
    rejections: Sequence[Rejection]
    """At most one per record, in the order of the records. One of a record that also gives readings
    names the elements that do not count."""
    unreadable: Mapping[tuple[str, str], Unreadable] = field(default_factory=dict)
    """(feature, reason) -> values that are missing in readings because they could not be read."""
    n_repeated_hour: int = 0
    """Times without an offset of an hour that stands there twice in their zone."""
    n_skipped_hour: int = 0
    """Times without an offset of an hour that never was in their zone."""
    ignored: Sequence[int] = ()
    """Positions of the records that name none of the model's features, ascending. They change
    nothing."""
    ignored_fields: tuple[str, ...] = ()
    """What the first of them names instead; bounded and printable."""
    unknown_fields: tuple[str, ...] = ()
    """Unused fields seen for the first time; bounded and printable."""
    templates: NDArray[np.int32] | None = None
    """(N,) of formats of logs: number of the template of each reading, which is a line; -1: none of
    the model's."""
    sessions: LineSessions | None = None
    """(N,) of readings that are lines: the session of each; None where lines make none."""
    lines: LineCounts | None = None
    """Of formats of logs; those in `ignored` then hold empty lines alone."""


class Decoder(Protocol):
    """Decodes the records of one input format; `formats` lists them.

    A value that cannot be read is missing, counted by feature and reason; a reading is rejected
    only if none of its values is left. A record may give several readings: those that are invalid
    are rejected, once for the record and named by their numbers in it, and the others count. The
    dead letter then carries these numbers, so that a redrive repeats none that counted. Lateness is
    detected later; the record then also goes to the late topic, once.

    The result of a record depends on that record (and `now_ns`) alone, not on others in the poll:
    reading the input again in other polls gives the same result. An invalid record is a rejection;
    `decode` does not raise for it.
    """

    def lacks(self, batch: RecordBatch) -> str:
        """Return what from outside is still needed to decode a batch; "" if nothing is.

        It is asked for in the background, so this does not wait; whoever polls holds the batch
        back and asks again. `decode` may be called once nothing is lacking. Most formats lack
        nothing: their records say all by themselves.
        """
        return ""

    def decode(self, batch: RecordBatch, now_ns: int, read_since_ns: int | None = None) -> Decoded:
        """Return the readings of a batch and the rejections of its other records.

        Args:
            batch: M records.
            now_ns: Wall clock, nanoseconds since 1970.
            read_since_ns: If the records are replayed: a lower bound of when they were first read.
                Record timestamps between this and `now_ns` are then used as arrival times.
        """
        ...
