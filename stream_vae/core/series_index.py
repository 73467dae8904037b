"""The row of each series in the tables, and the eviction order when they are full."""

from collections import Counter
from collections.abc import Collection, Sequence
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from stream_vae.core.columns import Columns
from stream_vae.core.usual_gaps import UsualGaps

SeriesName = tuple[int, str]
"""Input partition and key: the identity of a series."""

KEEP_TO_ONE_PARTITION = (
    "the state of a series is kept by partition: let its producer's key name it (Telegraf "
    "routing_tag, Fluent Bit message_key_field, Vector key_field, Filebeat key, rsyslog "
    "dynaKey, OpenTelemetry collector partition_metrics_by_resource_attributes)"
)
"""What to do about a series in several partitions."""

NAME_BYTES = 320
"""Estimated index memory of a key of about twenty characters: text, tuple, two slots."""

ROW = np.dtype(
    [
        ("arrived", "<i8"),
        ("offset", "<i8"),
        ("epoch", "<i8"),
        ("count", "<i8"),
        ("interval", "<f4"),
        ("warmed_up", "?"),
    ]
)
"""The index's state of a series.

arrived: arrival of its newest reading, nanoseconds since 1970; offset: of that reading;
epoch: time of the reading that began the current count of `EPOCH`; count: readings so far;
interval: mean seconds between two readings in the last full epoch, 0 = none yet; warmed_up:
whether it has ever filled a window.
"""

EPOCH = 16
"""Readings over which the usual interval is measured."""


class SeriesIndex:
    """Rows of the known series, at most `capacity` of them.

    Rows pinned by work in progress are not evicted. Work is unpinned in the order in which it was
    pinned.

    `changed` marks rows pinned since they were last saved, `recorded` rows ever saved.

    Args:
        capacity: Rows; memory is used only for those that were ever allocated.
        step_s: Width of a step, seconds.
    """

    def __init__(self, capacity: int, *, step_s: float = 1.0) -> None:
        self.capacity = capacity
        self.state = Columns(np.zeros((), ROW), capacity)
        self.gaps = UsualGaps(capacity, step_s)
        self.arrived: NDArray[np.int64] = self.state["arrived"]
        self.offset: NDArray[np.int64] = self.state["offset"]
        self.epoch: NDArray[np.int64] = self.state["epoch"]
        self.count: NDArray[np.int64] = self.state["count"]
        self.interval: NDArray[np.float32] = self.state["interval"]
        self.warmed_up: NDArray[np.bool_] = self.state["warmed_up"]
        self.recorded: NDArray[np.bool_] = np.zeros(capacity, np.bool_)
        self.changed: NDArray[np.bool_] = np.zeros(capacity, np.bool_)
        self.elsewhere: NDArray[np.int64] = np.zeros(capacity, np.int64)
        """When its key was last seen in a partition of another instance, nanoseconds since 1970; 0:
        never."""
        self.searched: NDArray[np.int64] = np.zeros(capacity, np.int64)
        """When its key was last searched for there; 0: never."""
        self.generation: NDArray[np.int32] = np.zeros(capacity, np.int32)
        """How often the row was given to a series, or freed: of a series it stays the same, and no
        other series of its row has the same."""
        self._partition: NDArray[np.int32] = np.zeros(capacity, np.int32)
        self._last_work: NDArray[np.int64] = np.zeros(capacity, np.int64)
        self._pinned = 0
        self._done = 0
        self._row_of: dict[SeriesName, int] = {}
        self._names: list[SeriesName | None] = []
        self._free: list[int] = []
        self._rows_in: Counter[int] = Counter()
        self._repeated: dict[str, None] = {}
        self.split: list[str] = []
        """Keys that have begun in a further partition since this was cleared."""

    def __len__(self) -> int:
        return len(self._row_of)

    @property
    def n_free(self) -> int:
        """Rows free for new series."""
        return self.capacity - len(self._row_of)

    @property
    def n_rows(self) -> int:
        """Rows that are or were in use: all others lie behind them."""
        return len(self._names)

    def partitions_of(self, rows: NDArray[np.int32]) -> NDArray[np.int32]:
        """Return (K,) input partition of rows in use."""
        return self._partition[rows]

    def name(self, row: int) -> SeriesName:
        """Return partition and key of a row.

        Raises:
            KeyError: If the row is free.
        """
        name = self._names[row] if row < len(self._names) else None
        if name is None:
            raise KeyError(row)
        return name

    def find(self, name: SeriesName) -> int | None:
        """Return the row of a series, or None if it is not known."""
        return self._row_of.get(name)

    def find_all(
        self, partitions: NDArray[np.int32], keys: Sequence[str]
    ) -> NDArray[np.int32] | None:
        """Return (N,) the row of each series; None if one of them is not known.

        Args:
            partitions: (N,)
            keys: N.
        """
        # Nothing is made for any of them: `zip` reuses its tuple.
        rows = list(map(self._row_of.get, zip(partitions.tolist(), keys, strict=True)))
        return None if None in rows else np.array(rows, np.int32)

    @property
    def has_repeated_keys(self) -> bool:
        """Whether a key may stand in several partitions."""
        return bool(self._repeated)

    @property
    def n_repeated_keys(self) -> int:
        """Keys that stand in several partitions: with each look at them, fewer that do not."""
        return len(self._repeated)

    def newest_elsewhere(self, row: int) -> int | None:
        """Return the row of the same key whose newest reading is the last of all; None if `row`.

        A key may stand in several partitions: its series moved, or its producer does not keep to
        one.
        """
        key = self.name(row)[1]
        if key not in self._repeated:
            return None
        newest = max(self._rows_of(key), key=lambda each: int(self.arrived[each]))
        return newest if self.arrived[newest] > self.arrived[row] else None

    def partitions_with(self, key: str) -> tuple[int, ...]:
        """Return the partitions in which a key is known."""
        return tuple(sorted(self.name(row)[0] for row in self._rows_of(key)))

    def overtaken(self, most: int) -> list[tuple[int, int]]:
        """Return rows whose key has sent in another partition since, each with that one's row.

        Args:
            most: Keys looked at, in turn from call to call.
        """
        found: list[tuple[int, int]] = []
        for key in list(islice(self._repeated, most)):
            del self._repeated[key]
            rows = self._rows_of(key)
            if len(rows) > 1:
                self._repeated[key] = None  # behind all others
                newest = max(rows, key=lambda each: int(self.arrived[each]))
                found += [(row, newest) for row in rows if self.arrived[row] < self.arrived[newest]]
        return found

    def names(self) -> list[SeriesName | None]:
        """Return the name of each row, None of a free one; any thread may ask."""
        return self._names.copy()

    def used(self) -> NDArray[np.int32]:
        """Return all rows in use."""
        return np.fromiter(self._row_of.values(), np.int32, len(self._row_of))

    def shift_arrivals(self, by_ns: int) -> None:
        """Shift arrival times after the clock has jumped."""
        rows = self.used()
        for times in (self.arrived, self.elsewhere, self.searched):
            times[rows] += np.where(times[rows] > 0, by_ns, 0)
        self.gaps.shift(rows, by_ns)

    def within(self, rows: NDArray[np.int32], partitions: Collection[int]) -> NDArray[np.int32]:
        """Return the rows, among these rows in use, that belong to these partitions."""
        return rows[np.isin(self._partition[rows], list(partitions))]

    def changed_rows(self, partitions: Collection[int]) -> NDArray[np.int32]:
        """Return the rows of these partitions that were pinned since they were last saved."""
        rows = self.used()
        return self.within(rows[self.changed[rows]], partitions)

    def shortfall(self, names: list[SeriesName]) -> int:
        """Pin the known ones, and return how many others must be evicted before all have rows.

        Evicting a known one would free no row.
        """
        if self.n_free >= len(names):
            return 0
        known = [row for name in names if (row := self._row_of.get(name)) is not None]
        self._last_work[known] = self._pinned + 1
        return max(len(set(names) - self._row_of.keys()) - self.n_free, 0)

    def rows(self, names: list[SeriesName]) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
        """Return the row of each series, and the rows that are new.

        Raises:
            IndexError: If there are too few free rows; see `shortfall`.
        """
        find = self._row_of.get
        rows = [find(name, -1) for name in names]
        new: list[int] = []
        if -1 in rows:
            for i, name in enumerate(names):
                if rows[i] < 0:
                    row = find(name, -1)
                    if row < 0:
                        row = self._add(name)
                        new.append(row)
                    rows[i] = row
        return np.array(rows, np.int32), np.array(new, np.int32)

    def pin(self, rows: NDArray[np.int32]) -> None:
        """Pin rows for new work."""
        self._pinned += 1
        self._last_work[rows] = self._pinned

    def unpin(self) -> None:
        """Unpin the rows of the oldest work in progress."""
        self._done += 1

    def see(
        self, rows: NDArray[np.int32], arrivals: NDArray[np.int64], offsets: NDArray[np.int64]
    ) -> None:
        """Record readings; those of one series in arrival order.

        Args:
            rows: (N,)
            arrivals: (N,) nanoseconds since 1970.
            offsets: (N,)
        """
        if not len(rows):
            return
        order = np.argsort(rows, kind="stable")
        starts = np.flatnonzero(np.diff(rows[order], prepend=-1))
        count = np.diff(starts, append=len(rows))
        series, times = rows[order[starts]], arrivals[order]
        ends = starts + count - 1
        self._see_gaps(rows[order], starts, times)
        self.arrived[series] = times[ends]
        self.offset[series] = offsets[order[ends]]
        # An epoch ends with reading 17, 33, ... regardless of poll boundaries.
        before = self.count[series]
        last = (before + count - 1) // EPOCH * EPOCH  # readings before the newest boundary
        crossed = last >= before
        boundary = times[np.where(crossed, starts + last - before, 0)]
        earlier = last - EPOCH >= before
        begun = np.where(
            earlier, times[np.where(earlier, starts + last - EPOCH - before, 0)], self.epoch[series]
        )
        measured = crossed & (last >= EPOCH)
        interval = np.maximum(boundary - begun, 1) / (EPOCH * 1e9)
        self.interval[series] = np.where(measured, interval, self.interval[series])
        self.epoch[series] = np.where(crossed, boundary, self.epoch[series])
        self.count[series] = before + count

    def _see_gaps(
        self, rows: NDArray[np.int32], starts: NDArray[np.int64], arrivals: NDArray[np.int64]
    ) -> None:
        """Record the gaps before readings, which are sorted by series."""
        before = np.empty_like(arrivals)
        before[1:] = arrivals[:-1]
        series, first = rows[starts], arrivals[starts]
        is_new = self.count[series] == 0
        before[starts] = np.where(is_new, first, self.arrived[series])
        self.gaps.begin(series[is_new], first[is_new])
        self.gaps.see(rows, before, arrivals)

    def idle_since(self, before_ns: int) -> NDArray[np.int32]:
        """Return the unpinned rows without a reading since then."""
        rows = self.at_rest()
        return rows[self.arrived[rows] < before_ns]

    def eviction_candidates(
        self,
        n: int,
        partitions: Collection[int],
        spared: Collection[int],
        *,
        unwarmed_only: bool = False,
        extra_unwarmed: int = 0,
    ) -> NDArray[np.int32]:
        """Return up to `n` rows to evict, the longest idle first.

        Series that never filled a window come before all others: a flood of new keys evicts
        itself, and warmed-up series stay.

        Args:
            n: Most rows to return.
            partitions: Of the candidates.
            spared: Rows to keep.
            unwarmed_only: Exclude series that ever filled a window.
            extra_unwarmed: Return up to this many more series that never filled a window.
        """
        rows = self.within(self.at_rest(), partitions)
        rows = rows[~np.isin(rows, list(spared))]
        warmed_up = self.warmed_up[rows]
        order = np.lexsort((self.arrived[rows], warmed_up))
        n_unwarmed = int(np.count_nonzero(~warmed_up))
        most = n_unwarmed if unwarmed_only else n
        return rows[order[: max(min(n, most), min(n + extra_unwarmed, n_unwarmed))]]

    def at_rest(self) -> NDArray[np.int32]:
        """Return the rows that no work in progress has pinned."""
        rows = self.used()
        return rows[self._last_work[rows] <= self._done]

    def release(self, rows: NDArray[np.int32]) -> list[SeriesName]:
        """Free rows; return the names they had."""
        names = [self.name(row) for row in rows.tolist()]
        for row, name in zip(rows.tolist(), names, strict=True):
            del self._row_of[name]
            self._rows_in[name[0]] -= 1
            self._names[row] = None
        self.changed[rows] = False
        self.elsewhere[rows] = 0
        self.generation[rows] += 1
        self._free.extend(rows.tolist())
        return names

    def of_partitions(self, partitions: Collection[int]) -> NDArray[np.int32]:
        """Return the rows of all series of these partitions."""
        return self.within(self.used(), partitions)

    def _rows_of(self, key: str) -> list[int]:
        found = (self._row_of.get((p, key)) for p, n in self._rows_in.items() if n)
        return [row for row in found if row is not None]

    def _add(self, name: SeriesName) -> int:
        if self._free:
            row = self._free.pop()
        else:
            row = len(self._names)
            if row == self.capacity:
                raise IndexError(f"all {self.capacity} rows are in use")
            self._names.append(None)
        if any((p, name[1]) in self._row_of for p, n in self._rows_in.items() if n):
            self._repeated[name[1]] = None
            self.split.append(name[1])
        self._rows_in[name[0]] += 1
        self._row_of[name] = row
        self._names[row] = name
        self.state.begin(np.array([row], np.int32))
        self.gaps.state.begin(np.array([row], np.int32))
        self._last_work[row] = 0
        self._partition[row] = name[0]
        self.changed[row] = self.recorded[row] = False
        self.elsewhere[row] = self.searched[row] = 0
        self.generation[row] += 1
        return row
