"""The decoder protocol: a poll of records to readings, in columns."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from stream_vae.core.readings import ReadingBatch
from stream_vae.core.records import RecordBatch, Rejection


@dataclass(frozen=True, slots=True, kw_only=True)
class Decoded:
    """The decoding result of one poll of M records.

    Each record gives its readings or one rejection, never both.
    """

    readings: ReadingBatch
    """N readings, in the order of their records and, within a record, in its own order. Readings
    of one record have its partition, offset and arrival."""
    index: NDArray[np.int64]
    """(N,) position of each reading's record in the batch, ascending; it repeats where a record
    gives several readings."""
    rejections: Sequence[Rejection]
    """At most one per record, in the order of the records."""
    unknown_fields: tuple[str, ...]
    """Unused fields seen for the first time; bounded and printable."""


class Decoder(Protocol):
    """Decodes the records of one input format; `formats` lists them.

    A record may give several readings but is one unit: if one of them is invalid, the whole record
    is rejected, the detail names the reading, and the others are not used. So the dead letter
    contains everything that is missing, and a redrive repeats nothing. Lateness is detected later,
    when other readings of the record are already used; the record then also goes to the late topic,
    once.

    The result of a record depends on that record (and `now_ns`) alone, not on others in the poll:
    reading the input again in other polls gives the same result. An invalid record is a rejection;
    `decode` does not raise for it.
    """

    def decode(self, batch: RecordBatch, now_ns: int, read_since_ns: int | None = None) -> Decoded:
        """Return the readings of a batch and the rejections of its other records.

        Args:
            batch: M records.
            now_ns: Wall clock, nanoseconds since 1970.
            read_since_ns: If the records are replayed: a lower bound of when they were first read.
                Record timestamps between this and `now_ns` are then used as arrival times.
        """
        ...
