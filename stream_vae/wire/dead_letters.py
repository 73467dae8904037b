"""Dead letters and late readings, decoded: the original record and why it was rejected."""

from collections.abc import Sequence
from dataclasses import dataclass

from stream_vae.core.records import REDRIVEN_READINGS_HEADER, Headers

REDRIVEN_HEADER = "dlq.redriven"
"""Counts redrives of a record, so that one that fails each time is noticed."""

_LAST_PARTITION = 2**31 - 1
_COUNT_DIGITS = 10

_ADDED = {
    "dlq.omitted",
    "dlq.headers",
    "dlq.readings",
    "dlq.reason",
    "dlq.detail",
    "dlq.source.topic",
    "dlq.source.partition",
    "dlq.source.offset",
    "dlq.detector",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLetter:
    """The headers of a dead letter or a late reading."""

    reason: str
    detail: str
    source_topic: str
    source_partition: int
    is_omitted: bool
    """The record was too large: only its headers were published."""
    n_redriven: int
    """Number of earlier redrives."""
    readings: bytes
    """Numbers of the readings of the record that it stands for, where the others counted; empty:
    all of them."""
    original_headers: Headers
    """The original headers in order, without those of redrives."""

    def redriven_headers(self) -> list[tuple[str, bytes | None]]:
        """Return the headers of the redriven record."""
        added: list[tuple[str, bytes | None]] = [
            (REDRIVEN_HEADER, str(self.n_redriven + 1).encode())
        ]
        if self.readings:
            added.append((REDRIVEN_READINGS_HEADER, self.readings))
        return [*self.original_headers, *added]


def read_dead_letter(headers: Headers) -> DeadLetter | None:
    """Return the parsed headers, or None if this record was not written by `stream-vae`.

    >>> letter = read_dead_letter([
    ...     ("trace", b"7"),
    ...     ("dlq.reason", b"late"),
    ...     ("dlq.source.topic", b"readings"),
    ...     ("dlq.source.partition", b"3"),
    ... ])
    >>> letter.reason, letter.source_partition, letter.redriven_headers()
    ('late', 3, [('trace', b'7'), ('dlq.redriven', b'1')])
    """
    added, original = _split(headers)
    try:
        of_redrives = (REDRIVEN_HEADER, REDRIVEN_READINGS_HEADER)
        before = [value or b"" for name, value in original if name == REDRIVEN_READINGS_HEADER]
        counts = [_count(value or b"") for name, value in original if name == REDRIVEN_HEADER]
        partition = int(added["dlq.source.partition"])
        if not 0 <= partition <= _LAST_PARTITION:
            return None
        return DeadLetter(
            reason=added["dlq.reason"].decode(),
            detail=added.get("dlq.detail", b"").decode(errors="replace"),
            source_topic=added["dlq.source.topic"].decode(),
            source_partition=partition,
            is_omitted="dlq.omitted" in added,
            n_redriven=max(counts, default=0),
            # Rejected again as a whole, it still stands for what it was redriven for.
            readings=added.get("dlq.readings", before[-1] if before else b""),
            original_headers=[(n, value) for n, value in original if n not in of_redrives],
        )
    except (KeyError, ValueError):
        return None


def _count(value: bytes) -> int:
    """Return a count of redrives; 0 of what no redrive wrote: a producer may set the header too."""
    return int(value) if value.isdigit() and len(value) < _COUNT_DIGITS else 0


def _split(headers: Headers) -> tuple[dict[str, bytes], Sequence[tuple[str, bytes | None]]]:
    """Return the added headers, which come last, and the original ones.

    A producer may set headers of the same names, or those of another dead-letter queue: they come
    before ours and count as original.
    """
    added: dict[str, bytes] = {}
    n_original = len(headers)
    while n_original:
        name, value = headers[n_original - 1]
        if name not in _ADDED or name in added:
            break
        if name == "dlq.readings" and added:  # ours comes last
            break
        added[name] = value or b""
        n_original -= 1
    return added, headers[:n_original]
