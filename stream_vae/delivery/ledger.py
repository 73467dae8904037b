"""Which input offsets may be committed."""

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass


@dataclass(slots=True)
class _Entry:
    ticket: int
    ends: dict[int, int]
    settled: bool = False


class OffsetLedger:
    """Keeps, per input partition, the offset up to which everything is settled.

    Work is tracked when it is polled and settled when its outputs are ready. A committable offset
    never passes an unsettled one; a revoked partition has none, however late
    its work is settled.

    >>> ledger = OffsetLedger()
    >>> first, second = ledger.track({0: 10}), ledger.track({0: 20, 1: 5})
    >>> ledger.settle(second)
    >>> ledger.committable()
    {}
    >>> ledger.settle(first)
    >>> ledger.committable()
    {0: 20, 1: 5}
    """

    def __init__(self) -> None:
        self._open: deque[_Entry] = deque()
        self._ready: dict[int, int] = {}
        self._next_ticket = 0

    def track(self, ends: Mapping[int, int]) -> int:
        """Track polled work.

        Args:
            ends: Input partition -> offset after its last record.

        Returns:
            A ticket for `settle`.
        """
        self._next_ticket += 1
        self._open.append(_Entry(ticket=self._next_ticket, ends=dict(ends)))
        return self._next_ticket

    def settle(self, ticket: int) -> None:
        """Mark the work's outputs as ready to be published."""
        for entry in self._open:
            if entry.ticket == ticket:
                entry.settled = True
        while self._open and self._open[0].settled:
            self._ready.update(self._open.popleft().ends)

    def committable(self) -> dict[int, int]:
        """Return input partition -> next offset, where it changed since the last commit."""
        return dict(self._ready)

    def committed(self, offsets: Mapping[int, int]) -> None:
        """Mark these offsets as committed."""
        for partition, offset in offsets.items():
            if self._ready.get(partition) == offset:
                del self._ready[partition]

    def revoke(self, partitions: Iterable[int]) -> None:
        """Drop revoked partitions."""
        for partition in partitions:
            self._ready.pop(partition, None)
            for entry in self._open:
                entry.ends.pop(partition, None)
