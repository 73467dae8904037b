"""Polled Kafka records: bytes, in columns."""

import re
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Headers = Sequence[tuple[str, bytes | None]]

LARGEST_RECORD_BYTES = 16 * 1024 * 1024
"""A dead letter carries its record's bytes untouched, so 10 MB in must be possible as 10 MB out
(the topics' `max.message.bytes` permitting)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordBatch:
    """One poll of N records, possibly of several partitions of one topic.

    Records of one partition are in offset order.
    """

    topic: str
    partitions: NDArray[np.int32]
    """(N,)"""
    offsets: NDArray[np.int64]
    """(N,)"""
    timestamps: NDArray[np.int64]
    """(N,) Kafka's time of each record, nanoseconds since 1970; 0 where it has none."""
    timed_by_broker: bool
    """Whether `timestamps` are the broker's append times rather than the producer's."""
    keys: list[bytes | None]
    values: list[bytes | None]
    headers: Callable[[int], Headers]
    """Returns the headers of record i; called only for records that are rejected, may have been
    sent again for some of their readings, or name their schema there, to save its cost."""

    def __len__(self) -> int:
        return len(self.values)

    def first_offsets(self) -> dict[int, int]:
        """Return input partition -> offset of its first record."""
        backwards = slice(None, None, -1)
        partitions, offsets = self.partitions[backwards], self.offsets[backwards]
        return dict(zip(partitions.tolist(), offsets.tolist(), strict=True))

    def without(self, partitions: Collection[int]) -> "RecordBatch":
        """Return the records of other partitions."""
        return self.take(np.flatnonzero(~np.isin(self.partitions, list(partitions))).tolist())

    def take(self, rows: Sequence[int]) -> "RecordBatch":
        """Return some of the records, by position."""
        kept = np.array(rows, dtype=np.int64)
        return RecordBatch(
            topic=self.topic,
            partitions=self.partitions[kept],
            offsets=self.offsets[kept],
            timestamps=self.timestamps[kept],
            timed_by_broker=self.timed_by_broker,
            keys=[self.keys[row] for row in rows],
            values=[self.values[row] for row in rows],
            headers=lambda index: self.headers(rows[index]),
        )

    def next_offsets(self) -> dict[int, int]:
        """Return input partition -> offset after its last record."""
        partitions, last = np.unique(self.partitions[::-1], return_index=True)
        offsets = self.offsets[::-1][last] + 1
        return dict(zip(partitions.tolist(), offsets.tolist(), strict=True))


def joined(batches: Sequence[RecordBatch]) -> RecordBatch:
    """Return the records of batches of one topic, at least one, as one batch."""
    places = [(batch, row) for batch in batches for row in range(len(batch))]

    def headers(index: int) -> Headers:
        batch, row = places[index]
        return batch.headers(row)

    return RecordBatch(
        topic=batches[0].topic,
        partitions=np.concatenate([batch.partitions for batch in batches]),
        offsets=np.concatenate([batch.offsets for batch in batches]),
        timestamps=np.concatenate([batch.timestamps for batch in batches]),
        timed_by_broker=batches[0].timed_by_broker,
        keys=[key for batch in batches for key in batch.keys],
        values=[value for batch in batches for value in batch.values],
        headers=headers,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputRecord:
    """One record to be published, in the transaction that commits its input."""

    topic: str
    key: bytes | None
    value: bytes | None
    headers: Headers
    partition: int
    """Input partition it was derived from; dropped if that is lost before the commit."""
    to_partition: int | None = None
    """Target partition; unset, the key decides."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejection:
    """Why a record of a `RecordBatch` gives no readings, or not all; it is forwarded unchanged."""

    index: int
    """Position in the batch."""
    reason: str
    """A stable code, see `stream_vae.wire.rejections.REASONS`."""
    detail: str
    elements: tuple[int, ...] = ()
    """Numbers, from 1, of what was rejected in a record whose other readings were accepted; empty:
    all of the record."""


REDRIVEN_READINGS_HEADER = "dlq.redriven.readings"
"""Of a record sent again for some of its readings: their numbers, such as `2,5-7`. The others
counted before."""


def redriven_readings(headers: Headers, n_readings: int) -> bytes | None:
    r"""Return, for each reading of a record sent again for some, 1 if it is one of these, else 0.

    None: the record is sent for all that it holds.

    >>> redriven_readings([("dlq.redriven.readings", b"2,4-9")], 5)
    b'\x00\x01\x00\x01\x01'
    """
    for name, value in headers:
        if name == REDRIVEN_READINGS_HEADER and value and _RANGES.fullmatch(value):
            chosen = bytearray(n_readings)
            for part in value.split(b","):
                first, _, last = part.partition(b"-")
                begin, end = max(int(first), 1) - 1, min(int(last or first), n_readings)
                chosen[begin:end] = b"\x01" * (end - begin)
            return bytes(chosen)
    return None


_RANGES = re.compile(rb"[0-9]{1,8}(?:-[0-9]{1,8})?(?:,[0-9]{1,8}(?:-[0-9]{1,8})?){0,2000}")
_NUMBERS_TOLD = 8


def name_elements(numbers: Sequence[int], n_elements: int) -> str:
    """Return a prefix for a detail that names elements of a record; "" if it has only one.

    Args:
        numbers: From 1, ascending; at least one.
        n_elements: Of the record.

    >>> name_elements([1], 1), name_elements([2], 3), name_elements([1, 3], 3)
    ('', 'reading 2 of 3: ', 'readings 1, 3 of 3: ')
    """
    if n_elements == 1:
        return ""
    which = ", ".join(map(str, numbers[:_NUMBERS_TOLD]))
    more = ", ..." if len(numbers) > _NUMBERS_TOLD else ""
    return f"{'reading' if len(numbers) == 1 else 'readings'} {which}{more} of {n_elements}: "


def name_readings(index: NDArray[np.int64], positions: Sequence[int]) -> str:
    """Return a prefix for a detail that names readings of a record; "" if it has only one.

    Args:
        index: (N,) record of each of N readings, ascending.
        positions: Of readings of one record, ascending.

    >>> index = np.array([0, 1, 1, 1])
    >>> name_readings(index, [0]), name_readings(index, [2]), name_readings(index, [1, 3])
    ('', 'reading 2 of 3: ', 'readings 1, 3 of 3: ')
    """
    record = index[positions[0]]
    first, end = np.searchsorted(index, [record, record + 1]).tolist()
    return name_elements([position - first + 1 for position in positions], end - first)
