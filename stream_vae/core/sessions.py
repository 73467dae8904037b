"""Sessions assembled from their lines: what one request, block or job wrote is one reading.

A session is closed by a line that ends it, by quiet time, by its length, or because too many are
open. All is decided record by record, by the times of the partition's records, so that the same
records give the same sessions however they are polled, and after any restart.
"""

import hashlib
import zlib
from bisect import bisect_left
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import msgspec
import numpy as np
from numpy.typing import NDArray

from stream_vae.core.alerts import Closing
from stream_vae.core.partition_clocks import PartitionClocks
from stream_vae.core.readings import CLOSINGS, ReadingBatch, SessionColumns
from stream_vae.core.records import RecordBatch
from stream_vae.errors import StateError

LONGEST_KEY = 200
"""Bytes of a session's key; a longer one is none."""

_UNSEEN_CHARACTERS = 120
_TEXTS_BYTES, _STATE_BYTES = 24, 1024
"""What stands around the texts of a session, and around all."""
_NONE = -1
_LATER = int(np.iinfo(np.int64).max)
_TAG_BYTES = 8
_FIRST_ROWS = 64
_PLACE = np.dtype(
    [("first_time", "<i8"), ("last_time", "<i8"), ("first_offset", "<i8"), ("last_offset", "<i8")]
)
_SAVED = np.dtype([("n", "<i8"), ("clock", "<i8"), ("n_cells", "<u2"), ("place", _PLACE)])
_CELL = np.dtype([("feature", "<u2"), ("count", "<f4")])

_Pair = tuple[str, str]
"""Series and key."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionConfig:
    """When sessions are closed; see the settings `input.session_*`."""

    quiet_s: float = 300.0
    max_open: int = 5000
    max_lines: int = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class LineSessions:
    """To which sessions N lines belong."""

    keys: Sequence[str | None]
    """N; None: to none."""
    ends: NDArray[np.bool_]
    """(N,) the line ends its session."""

    def take(self, kept: NDArray[np.bool_]) -> "LineSessions":
        """Return those of some of the lines."""
        keys = [key for key, keep in zip(self.keys, kept.tolist(), strict=True) if keep]
        return LineSessions(keys=keys, ends=self.ends[kept])


@dataclass(slots=True)
class _Open:
    """A session that is open."""

    pair: _Pair
    row: int
    """Of the tables."""
    n: int = 0
    """Lines."""
    clock: int = 0
    """Of its partition, at its last line."""
    nth: int = _NONE
    """Among the sessions of the poll; -1: it has no line there."""
    unseen: str | None = None
    """The first of its lines that is of no template; bounded."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Closed:
    """A session that a poll closes."""

    session: _Open
    partition: int
    record: int
    """Position in the poll."""
    how: Closing


@dataclass(slots=True)
class _Partition:
    """The open sessions of a partition, those first whose last line is the longest ago."""

    opened: OrderedDict[_Pair, _Open] = field(default_factory=OrderedDict)
    arrival: int = 0
    """Of its newest line."""


class _State(msgspec.Struct, array_like=True, forbid_unknown_fields=True):
    tag: bytes
    arrival: int
    pairs: list[_Pair]
    sessions: bytes
    cells: bytes
    unseen: list[tuple[int, str]]


def largest_saved(config: SessionConfig, n_features: int, series_bytes: int) -> int:
    """Return the bytes that the open sessions of a partition take where they are saved, at most.

    They are compressed; texts that cannot be are counted, of ASCII.

    Args:
        config: How many may be open.
        n_features: F
        series_bytes: Of the keys of their series.
    """
    n_cells = min(n_features, config.max_lines)
    texts = series_bytes + LONGEST_KEY + _UNSEEN_CHARACTERS + _TEXTS_BYTES
    each = texts + _SAVED.itemsize + n_cells * _CELL.itemsize
    return (config.max_open + 1) * each + _STATE_BYTES


class SessionAssembler:
    """Adds up the lines of each session, and decides when it is closed.

    Args:
        config: When sessions are closed.
        features: Names of the F counts. Sessions that were open under another model stay open, and
            are not judged: their counts are not known.
        clocks: By which quiet time is measured.
    """

    name = "sessions.1"

    def __init__(
        self, config: SessionConfig, features: Sequence[str], clocks: PartitionClocks
    ) -> None:
        self.quiet_ns = round(config.quiet_s * 1e9)
        self.max_open, self.max_lines = config.max_open, config.max_lines
        names = "\n".join(features).encode()
        self._tag = hashlib.blake2s(names, digest_size=_TAG_BYTES).digest()
        self._clocks = clocks
        self._partitions: dict[int, _Partition] = {}
        self._counts = np.zeros((_FIRST_ROWS, len(features)), np.float32)
        self._places = np.full(_FIRST_ROWS, _NONE, _PLACE)
        self._free = list(range(_FIRST_ROWS))

    @property
    def n_open(self) -> int:
        """Sessions that are open, in all partitions."""
        return sum(len(one.opened) for one in self._partitions.values())

    def assemble(
        self,
        lines: ReadingBatch,
        index: NDArray[np.int64],
        found: LineSessions,
        records: RecordBatch,
    ) -> tuple[ReadingBatch, NDArray[np.int64]]:
        """Return the sessions that a poll closes, each a reading, and the record that closes each.

        The offset of such a reading is that of the record that closes it, its time that of its last
        line.

        Args:
            lines: N of one count each, in the order of their records.
            index: (N,) position of each line's record.
            found: Of each line.
            records: The poll.
        """
        clock = self._clocks.advance(records)
        closed: list[_Closed] = []
        arrivals = np.zeros(len(records), np.int64)
        for number in np.unique(records.partitions).tolist():
            partition = self._partitions.setdefault(number, _Partition())
            at = np.flatnonzero(lines.partitions == number)
            of_partition = np.flatnonzero(records.partitions == number)
            poll = _Poll(
                number=number,
                records=of_partition,
                clock=clock,
                clocks=clock[of_partition].tolist(),
                at=at,
                index=index[at],
            )
            walk = _Walk(partition.opened, poll, self)
            walk.run(lines, found)
            self._add(walk.touched, walk.nth, lines, at)
            closed += walk.closed
            arrivals[poll.records] = self._arrivals(partition, poll, lines)
        closed.sort(key=lambda one: one.record)  # keeps the order of those that one record closes
        record = np.array([one.record for one in closed], np.int64)
        batch = self._readings(lines.topic, closed, records.offsets[record], arrivals[record])
        return batch, record

    def release_all(self, topic: str) -> ReadingBatch:
        """Return all sessions that are open: nothing more will come."""
        closed = [
            _Closed(session=one, partition=number, record=0, how="over")
            for number, partition in self._partitions.items()
            for one in partition.opened.values()
        ]
        rows = [one.session.row for one in closed]
        arrivals = [self._partitions[one.partition].arrival for one in closed]
        batch = self._readings(
            topic, closed, self._places["last_offset"][rows], np.array(arrivals, np.int64)
        )
        for partition in self._partitions.values():
            partition.opened.clear()
        return batch

    def save(self, partition: int) -> bytes | None:
        """See `PartitionPart.save`."""
        found = self._partitions.get(partition)
        if found is None:
            return None
        opened = list(found.opened.values())
        rows = [one.row for one in opened]
        counts = self._counts[rows]
        of, features = np.nonzero(counts)
        cells = np.empty(len(of), _CELL)
        cells["feature"], cells["count"] = features, counts[of, features]
        sessions = np.empty(len(opened), _SAVED)
        sessions["n"] = [one.n for one in opened]
        sessions["clock"] = [one.clock for one in opened]
        sessions["n_cells"] = np.bincount(of, minlength=len(opened))
        sessions["place"] = self._places[rows]
        state = _State(
            tag=self._tag,
            arrival=found.arrival,
            pairs=[one.pair for one in opened],
            sessions=sessions.tobytes(),
            cells=cells.tobytes(),
            unseen=[(n, one.unseen) for n, one in enumerate(opened) if one.unseen is not None],
        )
        return zlib.compress(msgspec.msgpack.encode(state), level=1)

    def load(self, partition: int, saved: bytes) -> None:
        """See `PartitionPart.load`.

        Raises:
            StateError: If it is damaged.
        """
        try:
            state = msgspec.msgpack.decode(zlib.decompress(saved), type=_State)
            sessions = np.frombuffer(state.sessions, _SAVED)
            cells = np.frombuffer(state.cells, _CELL)
            n = len(state.pairs)
            is_whole = len(sessions) == n and sessions["n_cells"].sum() == len(cells)
            is_whole &= all(0 <= nth < n for nth, _ in state.unseen)
        except (msgspec.DecodeError, msgspec.ValidationError, zlib.error, ValueError) as exc:
            raise StateError(f"open sessions: the saved state is damaged: {exc}") from None
        n_features = self._counts.shape[1]
        is_ours = state.tag == self._tag
        if not is_whole or (is_ours and (cells["feature"] >= n_features).any()):
            raise StateError("open sessions: the saved state is damaged")
        self.forget(partition)
        found = self._partitions[partition] = _Partition(arrival=state.arrival)
        rows = [self.new_row() for _ in state.pairs]
        self._places[rows] = sessions["place"]
        if is_ours:
            of = np.repeat(np.array(rows, np.int64), sessions["n_cells"])
            self._counts[of, cells["feature"]] = cells["count"]
        else:
            self._counts[rows] = np.nan
        facts = zip(
            state.pairs, rows, sessions["n"].tolist(), sessions["clock"].tolist(), strict=True
        )
        for pair, row, n, clock in facts:
            found.opened[pair] = _Open(pair, row, n, clock)
        for nth, text in state.unseen:
            found.opened[state.pairs[nth]].unseen = text

    def forget(self, partition: int) -> None:
        """See `PartitionPart.forget`."""
        found = self._partitions.pop(partition, None)
        if found is not None:
            self._release([one.row for one in found.opened.values()])

    def new_row(self) -> int:
        """Return a free row of the tables, which grow if there is none."""
        if not self._free:
            n = len(self._counts)
            self._counts = np.concatenate((self._counts, np.zeros_like(self._counts)))
            self._places = np.concatenate((self._places, np.full(n, _NONE, _PLACE)))
            self._free = list(range(n, 2 * n))
        return self._free.pop()

    def _add(
        self, touched: list[_Open], nth: list[int], lines: ReadingBatch, at: NDArray[np.int64]
    ) -> None:
        """Add the lines of a poll to their sessions.

        Args:
            touched: K sessions.
            nth: (n,) see `_Walk`.
            lines: Of all partitions.
            at: (n,) which of them these are.
        """
        if not touched:
            return
        of = np.array(nth, np.int64)
        at, of = at[of >= 0], of[of >= 0]
        n_features = self._counts.shape[1]
        values = lines.values[at]
        line, feature = np.nonzero(values)
        sums = np.bincount(
            of[line] * n_features + feature,
            values[line, feature],
            minlength=len(touched) * n_features,
        )
        rows = np.array([one.row for one in touched], np.int64)
        self._counts[rows] += sums.reshape(len(touched), n_features).astype(np.float32)
        if lines.unseen is not None:
            for session, text in zip(of.tolist(), lines.unseen[at].tolist(), strict=True):
                if text is not None and touched[session].unseen is None:
                    touched[session].unseen = text[:_UNSEEN_CHARACTERS]
        first, last = np.empty(len(touched), np.int64), np.empty(len(touched), np.int64)
        first[of[::-1]], last[of] = at[::-1], at  # of equal ones the last assigned stays
        new = self._places["last_offset"][rows] == _NONE
        for name, values_of in (("time", lines.times), ("offset", lines.offsets)):
            self._places[f"first_{name}"][rows[new]] = values_of[first[new]]
            self._places[f"last_{name}"][rows] = values_of[last]

    def _arrivals(
        self, partition: _Partition, poll: "_Poll", lines: ReadingBatch
    ) -> NDArray[np.int64]:
        """Return of each record of a partition when the newest line up to it arrived."""
        known = np.concatenate(([partition.arrival], lines.arrivals[poll.at]))
        newest = np.maximum.accumulate(known)
        partition.arrival = int(newest[-1])
        return newest[np.searchsorted(poll.index, poll.records, side="right")]

    def _readings(
        self,
        topic: str,
        closed: Sequence[_Closed],
        offsets: NDArray[np.int64],
        arrivals: NDArray[np.int64],
    ) -> ReadingBatch:
        """Return closed sessions as readings, and release their rows."""
        rows = [one.session.row for one in closed]
        places = self._places[rows]
        batch = ReadingBatch(
            topic=topic,
            partitions=np.array([one.partition for one in closed], np.int32),
            offsets=offsets,
            series=[one.session.pair[0] for one in closed],
            times=places["last_time"],
            arrivals=arrivals,
            values=self._counts[rows].astype(np.float64),
            unseen=np.array([one.session.unseen for one in closed], object),
            sessions=SessionColumns(
                keys=[one.session.pair[1] for one in closed],
                n_lines=np.array([one.session.n for one in closed], np.int64),
                first_times=places["first_time"],
                first_offsets=places["first_offset"],
                last_offsets=places["last_offset"],
                closings=np.array([CLOSINGS.index(one.how) for one in closed], np.int8),
            ),
        )
        self._release(rows)
        return batch

    def _release(self, rows: list[int]) -> None:
        self._counts[rows] = 0.0
        self._places[rows] = _NONE
        self._free += rows


@dataclass(frozen=True, slots=True, kw_only=True)
class _Poll:
    """The records and lines of one partition in a poll."""

    number: int
    records: NDArray[np.int64]
    """(m,) positions in the poll."""
    clock: NDArray[np.int64]
    """(M,) at every record of the poll."""
    clocks: list[int]
    """m, at its records."""
    at: NDArray[np.int64]
    """(n,) positions of its lines among all."""
    index: NDArray[np.int64]
    """(n,) position of each line's record."""

    @property
    def newest(self) -> int:
        """The clock after the poll."""
        return self.clocks[-1]

    def first_at(self, due: int) -> int:
        """Return the first record at or after a time."""
        return int(self.records[bisect_left(self.clocks, due)])

    def lines(
        self, lines: ReadingBatch, found: LineSessions
    ) -> Iterator[tuple[int, int, str, str | None, bool]]:
        """Return record, clock, series, key and whether it ends, of each line."""
        is_all = len(self.at) == len(lines)
        which = self.at.tolist()
        series = lines.series if is_all else [lines.series[i] for i in which]
        keys = found.keys if is_all else [found.keys[i] for i in which]
        return zip(
            self.index.tolist(),
            self.clock[self.index].tolist(),
            series,
            keys,
            found.ends[self.at].tolist(),
            strict=True,
        )


class _Walk:
    """Goes through the lines of one partition in a poll.

    Args:
        opened: Its open sessions, those first whose last line is the longest ago.
        poll: Its records and lines.
        owner: With the limits; has rows for new sessions.
    """

    def __init__(
        self, opened: OrderedDict[_Pair, _Open], poll: _Poll, owner: SessionAssembler
    ) -> None:
        self._opened = opened
        self._poll = poll
        self._owner = owner
        self._quiet_ns = owner.quiet_ns
        self.touched: list[_Open] = []
        """The sessions with lines there."""
        self.nth: list[int] = []
        """Of each line the position of its session in these; -1: it has none."""
        self.closed: list[_Closed] = []
        """Those that are closed, in order."""

    def run(self, lines: ReadingBatch, found: LineSessions) -> None:
        """Go through them; one dictionary is looked at a line, and nothing is made for it."""
        opened, touched, nth = self._opened, self.touched, self.nth
        quiet_ns, max_open, max_lines = self._quiet_ns, self._owner.max_open, self._owner.max_lines
        due = self._close_quiet(_NONE)
        for record, clock, series, key, is_end in self._poll.lines(lines, found):
            if clock >= due:
                due = self._close_quiet(clock)
            if key is None:
                nth.append(_NONE)
                continue
            session = opened.get((series, key)) or self._begin((series, key))
            opened.move_to_end(session.pair)
            if due == _LATER:  # none was open
                due = clock + quiet_ns
            if session.nth < 0:
                session.nth = len(touched)
                touched.append(session)
            nth.append(session.nth)
            session.n += 1
            session.clock = clock
            if is_end:
                self._close(session, record, "ended")
            elif session.n >= max_lines:
                self._close(session, record, "full")
            elif len(opened) > max_open:
                self._close(next(iter(opened.values())), record, "early")
        self._close_quiet(self._poll.newest)
        for session in touched:
            session.nth = _NONE

    def _begin(self, pair: _Pair) -> _Open:
        session = self._opened[pair] = _Open(pair, self._owner.new_row())
        return session

    def _close(self, session: _Open, record: int, how: Closing) -> None:
        del self._opened[session.pair]
        partition = self._poll.number
        self.closed.append(_Closed(session=session, partition=partition, record=record, how=how))

    def _close_quiet(self, clock: int) -> int:
        """Close the sessions that are due; return when the next one is, or before that."""
        while self._opened:
            first = next(iter(self._opened.values()))
            due = first.clock + self._quiet_ns
            if due > clock:
                return due
            self._close(first, self._poll.first_at(due), "quiet")
        return _LATER
