"""What every input format does: a poll of records to readings, in columns."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from stream_vae.core.readings import ReadingBatch
from stream_vae.core.records import RecordBatch, Rejection


@dataclass(frozen=True, slots=True, kw_only=True)
class Decoded:
    """What one poll of M records holds.

    Each record gives its readings or one rejection, never both.
    """

    readings: ReadingBatch
    """N readings, in the order of their records and, within a record, in its own order. Readings
    of one record have its partition, offset and arrival."""
    index: NDArray[np.int64]
    """(N,) position of each reading's record in the batch, ascending; it repeats where a record
    gives several readings."""
    rejections: Sequence[Rejection]
    """One a record, in the order of the records."""
    unknown_fields: tuple[str, ...]
    """Fields seen for the first time that nothing is made of; bounded and printable."""


class Decoder(Protocol):
    """Reads the records of one input format; see `formats` for those there are.

    A record may give several readings. It is one unit all the same: where one of them cannot be
    understood, the record is rejected whole, the detail names the reading, and none of the others
    is used. So the dead letter holds all that is missing, and a redrive repeats nothing. Whether a
    reading is late turns out later, when others are used already: its record goes to the late topic
    too, once.

    A record's outcome depends on that record (and `now_ns`) alone, never on its neighbours: when
    the input is read again, in other polls, the outcome is the same. What is wrong with a record is
    a rejection; `decode` raises for no record.
    """

    def decode(self, batch: RecordBatch, now_ns: int, read_since_ns: int | None = None) -> Decoded:
        """Return the readings of a batch and why its other records are none.

        Args:
            batch: M records.
            now_ns: Wall clock, nanoseconds since 1970.
            read_since_ns: If the records are read again: a time before which none of them was read
                first. Their own times then tell when, as far as they lie between the two.
        """
        ...
