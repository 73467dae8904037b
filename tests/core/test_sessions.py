"""Sessions assembled from lines, against a plain implementation of one record at a time."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream_vae.core.partition_clocks import PartitionClocks
from stream_vae.core.readings import CLOSINGS, ReadingBatch
from stream_vae.core.records import RecordBatch
from stream_vae.core.sessions import LineSessions, SessionAssembler, SessionConfig
from stream_vae.errors import StateError

F = 3
CONFIG = SessionConfig(quiet_s=10e-9, max_open=3, max_lines=4)
FEATURES = ("a", "b", "c")
UNSEEN = 2


@dataclass(frozen=True)
class Line:
    """One line of a record."""

    series: str
    key: str | None
    feature: int
    is_end: bool


@dataclass(frozen=True)
class Record:
    """One record, of any number of lines."""

    partition: int
    written: int
    lines: tuple[Line, ...]


@dataclass
class Session:
    """One session: what is known of it while it is open, and how it ended."""

    series: str
    key: str
    partition: int
    offsets: list[int] = field(default_factory=list)
    counts: list[float] = field(default_factory=lambda: [0.0] * F)
    unseen: str | None = None
    clock: int = 0
    closed_by: int = -1
    how: str = ""

    def add(self, line: Line, offset: int, clock: int) -> None:
        self.offsets.append(offset)
        self.counts[line.feature] += 1
        if line.feature == UNSEEN and self.unseen is None:
            self.unseen = f"line of {offset}"
        self.clock = clock


def closed_plainly(records: Sequence[Record]) -> tuple[list[Session], list[Session]]:
    """Return the sessions that are closed, in order, and those that are open at the end."""
    opened: dict[tuple[int, str, str], Session] = {}
    closed: list[Session] = []
    clocks: dict[int, int] = {}
    for offset, record in enumerate(records):
        p = record.partition
        clock = clocks[p] = max(clocks.get(p, 0), record.written)

        def close(one: Session, how: str, offset: int = offset) -> None:
            del opened[one.partition, one.series, one.key]
            one.closed_by, one.how = offset, how
            closed.append(one)

        mine = [one for one in opened.values() if one.partition == p]
        for one in sorted(mine, key=lambda one: one.clock):
            if clock - one.clock >= 10:
                close(one, "quiet")
        for line in record.lines:
            if line.key is None:
                continue
            place = (p, line.series, line.key)
            is_open = place in opened
            one = opened.pop(place) if is_open else Session(line.series, line.key, p)
            opened[place] = one  # behind all others
            one.add(line, offset, clock)
            n_open = sum(other.partition == p for other in opened.values())
            if line.is_end:
                close(one, "ended")
            elif len(one.offsets) == CONFIG.max_lines:
                close(one, "full")
            elif n_open > CONFIG.max_open:
                close(next(other for other in opened.values() if other.partition == p), "early")
    return closed, list(opened.values())


class Stream:
    """Polls of records through an assembler whose state can be saved and restored."""

    def __init__(self) -> None:
        self.clocks = PartitionClocks()
        self.sessions = SessionAssembler(CONFIG, FEATURES, self.clocks)

    def take(self, records: Sequence[Record], first: int) -> list[Session]:
        n = len(records)
        lines = [(at, line) for at, record in enumerate(records) for line in record.lines]
        index = np.array([at for at, _ in lines], np.int64)
        offsets = np.arange(first, first + n)
        partitions = np.array([record.partition for record in records], np.int32)
        values = np.zeros((len(lines), F))
        values[np.arange(len(lines)), [line.feature for _, line in lines]] = 1.0
        batch = ReadingBatch(
            topic="lines",
            partitions=partitions[index],
            offsets=offsets[index],
            series=[line.series for _, line in lines],
            times=1000 + offsets[index],
            arrivals=2000 + offsets[index],
            values=values,
            unseen=np.array(
                [
                    f"line of {offset}" if line.feature == UNSEEN else None
                    for offset, (_, line) in zip(offsets[index].tolist(), lines, strict=True)
                ],
                object,
            ),
        )
        found = LineSessions(
            keys=[line.key for _, line in lines],
            ends=np.array([line.is_end for _, line in lines], np.bool_),
        )
        polled = RecordBatch(
            topic="lines",
            partitions=partitions,
            offsets=offsets,
            timestamps=np.array([record.written for record in records], np.int64),
            timed_by_broker=False,
            keys=[None] * n,
            values=[b""] * n,
            headers=lambda _: (),
        )
        closed, record = self.sessions.assemble(batch, index, found, polled)
        assert (np.diff(record) >= 0).all()
        assert closed.offsets.tolist() == offsets[record].tolist()
        assert closed.partitions.tolist() == partitions[record].tolist()
        return told(closed)

    def restored(self) -> "Stream":
        """Return a stream that goes on with the saved state of this one."""
        other = Stream()
        for partition in (0, 1):
            for one, its in ((self.clocks, other.clocks), (self.sessions, other.sessions)):
                saved = one.save(partition)
                if saved is not None:
                    its.load(partition, saved)
        return other


def told(batch: ReadingBatch) -> list[Session]:
    facts = batch.sessions
    assert facts is not None
    assert (batch.times - 1000).tolist() == facts.last_offsets.tolist()
    assert (facts.first_times - 1000).tolist() == facts.first_offsets.tolist()
    assert (batch.arrivals - 2000 >= facts.last_offsets).all()
    return [
        Session(
            series=batch.series[i],
            key=facts.keys[i],
            partition=int(batch.partitions[i]),
            offsets=[
                int(facts.first_offsets[i]),
                int(facts.last_offsets[i]),
                int(facts.n_lines[i]),
            ],
            counts=batch.values[i].tolist(),
            unseen=None if batch.unseen is None else batch.unseen[i],
            closed_by=int(batch.offsets[i]),
            how=CLOSINGS[facts.closings[i]],
        )
        for i in range(len(batch))
    ]


def shown(one: Session) -> tuple[Any, ...]:
    counts = tuple(one.counts)
    return one.partition, one.series, one.key, counts, one.unseen, one.closed_by, one.how


lines_drawn = st.builds(
    Line,
    series=st.sampled_from(["s", "t"]),
    key=st.sampled_from(["1", "2", "3", None]),
    feature=st.integers(0, F - 1),
    is_end=st.sampled_from([False, False, False, True]),
)
streams = st.lists(
    st.tuples(st.integers(0, 1), st.integers(-4, 7), st.lists(lines_drawn, max_size=3).map(tuple)),
    max_size=40,
)


@given(streams, st.lists(st.integers(1, 9), min_size=1, max_size=20), st.booleans())
def test_the_same_records_give_the_same_sessions_however_they_are_polled_and_restored(
    drawn: list[tuple[int, int, tuple[Line, ...]]], cuts: list[int], restores: bool
) -> None:
    """Also: each line with a key is in one session; those are closed in the order of records."""
    written, records = 100, []
    for partition, later, lines in drawn:
        written += later
        records.append(Record(partition, written, lines))
    stream, found = Stream(), []
    begin, cut = 0, 0
    while begin < len(records):
        end = begin + cuts[cut % len(cuts)]
        found += stream.take(records[begin:end], begin)
        stream = stream.restored() if restores else stream
        begin, cut = end, cut + 1
    closed, opened = closed_plainly(records)
    assert [shown(one) for one in found] == [shown(one) for one in closed]
    assert [one.offsets for one in found] == [
        [one.offsets[0], one.offsets[-1], len(one.offsets)] for one in closed
    ]
    assert stream.sessions.n_open == len(opened)
    over = told(stream.sessions.release_all("lines"))
    assert {one.how for one in over} <= {"over"}
    assert sorted(
        (one.partition, one.series, one.key, tuple(one.counts)) for one in over
    ) == sorted((one.partition, one.series, one.key, tuple(one.counts)) for one in opened)
    n_lines = sum(line.key is not None for record in records for line in record.lines)
    assert sum(sum(one.counts) for one in [*found, *over]) == n_lines
    assert stream.sessions.n_open == 0


def test_sessions_that_were_open_under_another_model_stay_open_and_are_not_judged() -> None:
    """Control: under the same one they are; what is damaged is refused."""
    stream = Stream()
    stream.take([Record(0, 100, (Line("s", "1", 0, False),))], 0)
    saved = stream.sessions.save(0)
    assert saved is not None
    for features, counts in ((FEATURES, [1.0, 1.0, 0.0]), (("a", "b", "d"), [np.nan] * F)):
        other = Stream()
        other.sessions = SessionAssembler(CONFIG, features, other.clocks)
        other.sessions.load(0, saved)
        [one] = other.take([Record(0, 101, (Line("s", "1", 1, True),))], 1)
        np.testing.assert_equal(one.counts, counts)
        assert one.offsets == [0, 1, 2]
    for damaged in (saved[:-1], b"", b"x" * 40):
        with pytest.raises(StateError, match="open sessions"):
            Stream().sessions.load(0, damaged)
    stream.sessions.forget(0)
    assert (stream.sessions.n_open, stream.sessions.save(0)) == (0, None)
