"""One partition: records and transaction markers, each at an offset of its own."""

from bisect import bisect_left
from dataclasses import dataclass, field
from typing import Literal

from stream_vae.core.records import Headers


@dataclass(slots=True, eq=False)
class LogTransaction:
    """A transaction, as the records written in it refer to it."""

    state: Literal["open", "committed", "aborted"] = "open"


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """What stands at one offset."""

    offset: int
    timestamp_ns: int
    key: bytes | None = None
    value: bytes | None = None
    headers: Headers = field(default=())
    transaction: LogTransaction | None = None
    is_marker: bool = False

    @property
    def is_visible(self) -> bool:
        """Whether a reader of committed records sees it, once it is stable."""
        is_committed = self.transaction is None or self.transaction.state == "committed"
        return is_committed and not self.is_marker


class PartitionLog:
    """Grows at its end; its beginning is cut off by retention, its middle thinned by compaction."""

    def __init__(self) -> None:
        self._entries: list[Entry] = []
        self._open: dict[LogTransaction, int] = {}
        self.begin = 0
        """Oldest offset kept."""
        self.end = 0
        """Offset behind the newest entry."""

    @property
    def stable_end(self) -> int:
        """Offset before which no transaction is open: committed readers see no further."""
        return min(self._open.values(), default=self.end)

    def append(
        self,
        timestamp_ns: int,
        key: bytes | None,
        value: bytes | None,
        headers: Headers = (),
        transaction: LogTransaction | None = None,
    ) -> int:
        """Add a record; return its offset."""
        entry = Entry(
            offset=self.end,
            timestamp_ns=timestamp_ns,
            key=key,
            value=value,
            headers=tuple(headers),
            transaction=transaction,
        )
        if transaction is not None:
            self._open.setdefault(transaction, self.end)
        return self._add(entry)

    def end_transaction(self, transaction: LogTransaction, timestamp_ns: int) -> None:
        """Write the marker of a transaction that has ended."""
        self._open.pop(transaction, None)
        self._add(
            Entry(
                offset=self.end, timestamp_ns=timestamp_ns, transaction=transaction, is_marker=True
            )
        )

    def read(self, begin: int, max_records: int) -> tuple[list[Entry], int]:
        """Return committed records from an offset on, and where to read on."""
        found: list[Entry] = []
        for entry in self._entries[self._find(begin) : self._find(self.stable_end)]:
            if entry.is_visible:
                if len(found) == max_records:
                    return found, entry.offset
                found.append(entry)
        return found, max(begin, self.stable_end)

    def since(self, time_ns: int) -> int | None:
        """Return the offset of the first entry since a time, to the millisecond."""
        wanted_ms = time_ns // 10**6
        return next((e.offset for e in self._entries if e.timestamp_ns // 10**6 >= wanted_ms), None)

    def delete_before(self, offset: int) -> None:
        """Drop old entries, as retention does."""
        self._entries = self._entries[self._find(offset) :]
        self.begin = max(self.begin, offset)

    def compact(self) -> None:
        """Keep the newest record of each key alone, as far as it is stable; offsets stay."""
        stable = self.stable_end
        newest = {e.key: e.offset for e in self._entries if e.is_visible and e.offset < stable}
        self._entries = [
            e for e in self._entries if e.offset >= stable or newest.get(e.key) == e.offset
        ]

    def _add(self, entry: Entry) -> int:
        self._entries.append(entry)
        self.end += 1
        return entry.offset

    def _find(self, offset: int) -> int:
        return bisect_left(self._entries, offset, key=lambda entry: entry.offset)
