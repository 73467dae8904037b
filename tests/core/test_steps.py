"""Steps assembled from their parts, against a plain implementation of one record at a time."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from stream_vae.core.event_time import END_NS
from stream_vae.core.partition_clocks import PartitionClocks
from stream_vae.core.readings import ReadingBatch
from stream_vae.core.records import RecordBatch
from stream_vae.core.series_index import SeriesIndex
from stream_vae.core.steps import StepAssembler
from stream_vae.core.windows import SeriesTable, WindowConfig

T, F = 3, 2
STEP = 10
NAN = float("nan")
CONFIG = WindowConfig(length=T, step_ns=STEP, max_gap=2, min_observed=0.0, lateness=1)
WAIT = 15


@dataclass(frozen=True)
class Part:
    """One record, with or without a reading."""

    series: str | None
    step: int
    values: tuple[float, ...]
    written: int


@dataclass(frozen=True)
class Judged:
    """A step that was judged: when, as what, and the window up to it."""

    decided_at: int
    series: str
    step: int
    revises: bool
    window: tuple[tuple[float, ...], ...] | None

    def __repr__(self) -> str:
        return f"{self.decided_at}:{self.series}{self.step}{'r' * self.revises}{self.window}"


class Line:
    """Index, windows and steps together, as the pipeline uses them."""

    def __init__(self, config: WindowConfig = CONFIG) -> None:
        self.index = SeriesIndex(100)
        self.windows = SeriesTable(config, F, 100)
        self.steps = StepAssembler(self.windows, self.index, config, WAIT)
        self.late: list[int] = []
        self.n_told = 0
        self.records: dict[str, list[list[list[int]]]] = {"a": [], "b": []}

    def take(self, parts: Sequence[Part], first_offset: int) -> list[Judged]:
        """Process a poll; return what was judged by series, in arrival order."""
        at = [i for i, part in enumerate(parts) if part.series is not None]
        given = [parts[i] for i in at]
        names = [(0, part.series or "") for part in given]
        rows, new = self.index.rows(names)
        self.windows.start(new)
        self.steps.state.begin(new)
        offsets = np.arange(first_offset, first_offset + len(parts))
        readings = ReadingBatch(
            topic="readings",
            partitions=np.zeros(len(given), np.int32),
            offsets=offsets[at],
            series=[key for _, key in names],
            times=np.array([part.step * STEP for part in given], np.int64),
            arrivals=np.array([part.written for part in given], np.int64),
            values=np.array([part.values for part in given]).reshape(len(given), F),
        )
        steps = self.steps.assemble(rows, readings, np.array(at, np.int64), poll_of(parts, offsets))
        batch = self.windows.push(
            steps.rows, steps.readings, steps.judged, steps.revises, steps.begun_at
        )
        assert batch.offsets is not None
        for at_step, places in zip(batch.ready.tolist(), batch.offsets.tolist(), strict=True):
            self.records[steps.readings.series[at_step]].append(places)
        self.n_told += len(steps.rows)
        windows = dict(zip(batch.ready.tolist(), range(len(batch.ready)), strict=True))
        self.late += steps.decided_at[batch.late].tolist()
        judged = np.ones(len(steps.rows), np.bool_) if steps.judged is None else steps.judged
        return [
            Judged(
                decided_at=int(steps.decided_at[e]),
                series=steps.readings.series[e],
                step=int(steps.readings.times[e]) // STEP,
                revises=e in windows and bool(batch.revises[windows[e]]),
                window=plain(batch.windows[windows[e]]) if e in windows else None,
            )
            for e in np.flatnonzero(judged & ~batch.late).tolist()
        ]


def plain(window: NDArray[np.float64]) -> tuple[tuple[float, ...], ...]:
    return tuple(tuple(-1.0 if np.isnan(v) else float(v) for v in row) for row in window)


def poll_of(parts: Sequence[Part], offsets: NDArray[np.int64]) -> RecordBatch:
    n = len(parts)
    return RecordBatch(
        topic="readings",
        partitions=np.zeros(n, np.int32),
        offsets=offsets,
        timestamps=np.array([part.written for part in parts], np.int64),
        timed_by_broker=False,
        keys=[None] * n,
        values=[b""] * n,
        headers=lambda _: (),
    )


@dataclass
class PlainSeries:
    """One series, as the README says it in words."""

    name: str
    adds_up: bool = False
    values: dict[int, list[float]] = field(default_factory=dict)
    seen: set[int] = field(default_factory=set)
    newest: int | None = None
    first: int = 0
    due: int | None = None

    def take(self, part: Part, offset: int, clock: int) -> list[Judged]:
        judged: list[Judged] = []
        if self.newest is not None and part.step < self.newest - CONFIG.lateness:
            return judged
        if self.newest is None or part.step > self.newest:
            if self.due is not None and self.newest is not None:
                judged += self.judge(self.newest, offset)
            if self.newest is None or part.step - self.newest > CONFIG.max_gap + 1:
                self.values, self.first = {}, part.step
            self.newest = part.step
            self.due = clock + WAIT
        held = self.values.setdefault(part.step, self.empty)
        if part.step < self.newest and held == self.empty:
            self.seen.discard(part.step)  # nothing of it could be scored, so nothing is revised
        pairs = list(zip(held, part.values, strict=True))
        if self.adds_up:
            held[:] = [old + new for old, new in pairs]
        else:
            held[:] = [old if np.isnan(new) else new for old, new in pairs]
        waits = part.step == self.newest and self.due is not None
        if not waits or not (self.adds_up or np.isnan(held).any()):
            judged += self.judge(part.step, offset)
        return judged

    @property
    def empty(self) -> list[float]:
        return [0.0 if self.adds_up else NAN] * F

    def judge(self, step: int, offset: int) -> list[Judged]:
        if step == self.newest:
            self.due = None
        window = None
        held = [self.values.get(s, self.empty) for s in range(step - T + 1, step + 1)]
        if step - self.first + 1 >= T and not np.isnan(held[-1]).all():
            window = plain(np.array(held))
        is_again = step in self.seen
        self.seen.add(step)
        return [Judged(offset, self.name, step, is_again and window is not None, window)]


def judged_plainly(parts: Sequence[Part], *, adds_up: bool) -> list[Judged]:
    known: dict[str, PlainSeries] = {}
    found: list[Judged] = []
    clock = 0
    for offset, part in enumerate(parts):
        clock = max(clock, part.written)
        if part.series is not None:
            series = known.setdefault(part.series, PlainSeries(part.series, adds_up))
            found += series.take(part, offset, clock)
        for series in known.values():
            if series.due is not None and series.due <= clock and series.newest is not None:
                found += series.judge(series.newest, offset)
    return found


def by_series(judged: Sequence[Judged]) -> dict[str, list[Judged]]:
    return {
        key: [one for one in judged if one.series == key] for key in {one.series for one in judged}
    }


streams = st.lists(
    st.builds(
        lambda series, moved, values, written: (series, moved, tuple(values), written),
        st.sampled_from(["a", "b", None]),
        st.sampled_from([0, 0, 0, 1, 1, -1, -2, 2, 6]),
        st.lists(st.sampled_from([NAN, 1.0, 2.0, 3.0]), min_size=F, max_size=F),
        st.integers(-5, 12),
    ),
    max_size=40,
)


@given(streams, st.lists(st.integers(1, 9), min_size=1, max_size=20), st.booleans())
def test_the_same_records_give_the_same_steps_however_they_are_polled(
    drawn: list[tuple[str | None, int, tuple[float, ...], int]], cuts: list[int], adds_up: bool
) -> None:
    """Merging, waiting, disorder and gaps: as one record at a time decides it."""
    at = {"a": 100, "b": 50}
    written = 1000
    parts: list[Part] = []
    for series, moved, values, later in drawn:
        if series is not None:
            at[series] += moved
        written += later
        told = tuple(np.nan_to_num(values).tolist()) if adds_up else values
        parts.append(Part(series, at[series] if series else 0, told, written))
    line = Line(replace(CONFIG, adds_up=adds_up))
    found: list[Judged] = []
    begin, cut = 0, 0
    while begin < len(parts):
        end = begin + cuts[cut % len(cuts)]
        found += line.take(parts[begin:end], begin)
        begin, cut = end, cut + 1
    assert by_series(found) == by_series(judged_plainly(parts, adds_up=adds_up))


def test_parts_make_a_step_whatever_their_order_and_a_later_value_replaces_its_cell_alone() -> None:
    """Complete, it is judged at once, and again when a value is corrected."""
    for first, second in (((1.0, NAN), (NAN, 2.0)), ((NAN, 2.0), (1.0, NAN))):
        line = Line()
        assert not line.take([Part("a", 5, first, 0)], 0)
        (whole,) = line.take([Part("a", 5, second, 1)], 1)
        assert (whole.decided_at, whole.revises) == (1, False)
        values = line.windows.values_at(np.zeros(1, np.int32), np.array([5]))
        assert values.tolist() == [[1.0, 2.0]]
        (again,) = line.take([Part("a", 5, (NAN, 9.0), 2)], 2)
        assert again.decided_at == 2
        values = line.windows.values_at(np.zeros(1, np.int32), np.array([5]))
        assert values.tolist() == [[1.0, 9.0]]


@pytest.mark.parametrize(
    ("then", "decided_at"),
    [
        (Part("a", 6, (NAN, 7.0), 1), 1),  # a later step begins
        (Part("b", 1, (1.0, 1.0), WAIT), 1),  # the partition's clock passes
        (Part(None, 0, (), WAIT), 1),  # by a record that is no reading
        (Part("b", 1, (1.0, 1.0), WAIT - 1), None),
    ],
)
def test_a_step_that_is_not_complete_waits_for_a_later_one_or_the_clock(
    then: Part, decided_at: int | None
) -> None:
    line = Line()
    assert not line.take([Part("a", 5, (1.0, NAN), 0)], 0)
    judged = [one for one in line.take([then], 1) if one.series == "a"]
    assert [one.decided_at for one in judged] == ([] if decided_at is None else [decided_at])


def test_a_backlog_of_late_readings_is_late_and_costs_no_rounds() -> None:
    """Control: one step back is put in its place."""
    line = Line()
    line.take([Part("a", 100, (1.0, 1.0), 0)], 0)
    found = line.take([Part("a", n, (1.0, 1.0), 0) for n in (99, *range(50, 98))], 1)
    assert [one.step for one in found] == [99]
    assert line.late == list(range(2, 50))


def test_what_many_counts_of_a_poll_add_to_a_step_is_told_once() -> None:
    """A second series and a later step have their own; control: parts are told one by one."""
    parts = [Part("a", 5, (1.0, 0.0), 0)] * 40 + [Part("b", 5, (1.0, 0.0), 0)] * 40
    parts += [Part("a", 6, (0.0, 1.0), 0)] * 40
    each = Line()
    each.take(parts, 0)
    assert each.n_told == len(parts)
    line = Line(replace(CONFIG, adds_up=True))
    (judged,) = line.take(parts, 0)
    assert (judged.series, judged.step, judged.decided_at) == ("a", 5, 80)
    assert line.n_told == 3 + 1  # and the one that is judged
    for row, step, sums in ((0, 5, [40.0, 0.0]), (0, 6, [0.0, 40.0]), (1, 5, [40.0, 0.0])):
        values = line.windows.values_at(np.array([row], np.int32), np.array([step]))
        assert values.tolist() == [sums]


@pytest.mark.parametrize("poll", [1, 2, 3, 9])
def test_each_step_of_counts_tells_its_first_and_last_record_however_polled(poll: int) -> None:
    """Also those of one poll, of which the last alone is told."""
    parts = [Part("a", step, (1.0, 0.0), 0) for step in (1, 2, 3, 3, 3, 3, 4)]
    line = Line(replace(CONFIG, adds_up=True))
    for begin in range(0, len(parts), poll):
        line.take(parts[begin : begin + poll], begin)
    assert line.records["a"] == [[[0, 0], [1, 1], [2, 5]]]


def test_events_are_never_merged() -> None:
    """Windows of one step have no order; two of one time are two."""
    line = Line(replace(CONFIG, length=1))
    found = line.take([Part("a", 5, (1.0, NAN), 0), Part("a", 5, (NAN, 2.0), 0)], 0)
    assert [one.window for one in found] == [((1.0, -1.0),), ((-1.0, 2.0),)]


def test_a_clock_that_a_producer_sets_stays_within_all_time() -> None:
    """A wait is added to it: beyond int64 every step would have waited long enough."""
    records = poll_of([], np.empty(0, np.int64))
    for time in (2**63 - 1, -(2**63)):
        hostile = dataclasses.replace(
            records,
            partitions=np.zeros(1, np.int32),
            offsets=np.zeros(1, np.int64),
            timestamps=np.array([time]),
            keys=[None],
            values=[None],
        )
        [clock] = PartitionClocks().advance(hostile).tolist()
        assert 0 <= clock <= END_NS
