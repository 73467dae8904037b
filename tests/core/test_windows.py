"""Windows, against a plain implementation that handles one reading at a time."""

from dataclasses import replace

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from stream_vae.core.readings import ReadingBatch
from stream_vae.core.series_index import SeriesIndex
from stream_vae.core.windows import SeriesTable, WindowBatch, WindowConfig

T, F = 4, 2
STEP = 1_000_000_000
CONFIG = WindowConfig(length=T, step_ns=STEP, max_gap=2, min_observed=0.5)


def make_batch(
    steps: list[int], series: list[str], values: NDArray[np.float64] | None = None
) -> ReadingBatch:
    n = len(steps)
    if values is None:
        values = np.arange(n * F, dtype=np.float64).reshape(n, F)
    return ReadingBatch(
        topic="readings",
        partitions=np.zeros(n, np.int32),
        offsets=np.arange(n, dtype=np.int64),
        series=series,
        times=np.array(steps, np.int64) * STEP + STEP // 3,
        arrivals=np.array(steps, np.int64) * STEP,
        values=values,
    )


class Table:
    """Index and windows together, as the pipeline uses them."""

    def __init__(self) -> None:
        self.index = SeriesIndex(1000)
        self.windows = SeriesTable(CONFIG, F, 1000)

    def push(self, readings: ReadingBatch) -> WindowBatch:
        names = list(zip(readings.partitions.tolist(), readings.series, strict=True))
        rows, new = self.index.rows(names)
        self.windows.start(new)
        return self.windows.push(rows, readings)


class PlainSeries:
    """One series, one reading at a time, the way the design says it in words."""

    def __init__(self) -> None:
        self.steps: dict[int, NDArray[np.float64]] = {}
        self.newest: int | None = None
        self.first = 0

    def push(self, step: int, value: NDArray[np.float64]) -> str | NDArray[np.float64]:
        if self.newest is not None and step < self.newest:
            return "late"
        if self.newest is None or step - self.newest > CONFIG.max_gap + 1:
            self.steps, self.first = {}, step
        self.newest = step
        self.steps[step] = value
        if step - self.first + 1 < T:
            return "warming_up"
        missing = np.full(F, np.nan)
        window = np.array([self.steps.get(s, missing) for s in range(step - T + 1, step + 1)])
        observed = ~np.isnan(window)
        if not observed[-1].any() or observed.mean() < CONFIG.min_observed:
            return "unscorable"
        return window


def outcomes(window_batch: WindowBatch) -> list[str | NDArray[np.float64]]:
    """Return what became of each reading, in arrival order."""
    found: list[str | NDArray[np.float64]] = []
    ready = {int(i): b for b, i in enumerate(window_batch.ready)}
    for i in range(len(window_batch.rows)):
        if window_batch.late[i]:
            found.append("late")
        elif window_batch.warming_up[i]:
            found.append("warming_up")
        elif i in ready:
            found.append(window_batch.windows[ready[i]])
        else:
            found.append("unscorable")
    return found


readings = st.lists(
    st.tuples(
        st.integers(-2, 6),  # steps forward (or back) from the series' last reading
        st.sampled_from(["a", "b", "c"]),
        st.lists(
            st.sampled_from([1.0, 2.5, -1.7e308, 1.7e308, float("nan")]), min_size=F, max_size=F
        ),
    ),
    max_size=60,
)


@given(readings=readings, cuts=st.lists(st.integers(1, 12), min_size=1, max_size=30))
def test_windows_equal_the_plain_ones_however_the_stream_is_cut(
    readings: list[tuple[int, str, list[float]]], cuts: list[int]
) -> None:
    """Gaps, late readings, revisions and poll sizes never change what a window holds."""
    at = {"a": 100, "b": 5_000, "c": 0}
    stream = []
    for moved, series, value in readings:
        at[series] += moved
        stream.append((at[series], series, value))
    plain = {series: PlainSeries() for series in at}
    expected = [plain[s].push(step, np.array(value)) for step, s, value in stream]
    table = Table()
    found: list[str | NDArray[np.float64]] = []
    begin, cut = 0, 0
    while begin < len(stream):
        part = stream[begin : begin + cuts[cut % len(cuts)]]
        found += outcomes(
            table.push(
                make_batch(
                    [p[0] for p in part], [p[1] for p in part], np.array([p[2] for p in part])
                )
            )
        )
        begin, cut = begin + len(part), cut + 1
    for have, want in zip(found, expected, strict=True):
        if isinstance(want, str):
            assert isinstance(have, str)
            assert have == want
        else:
            np.testing.assert_array_equal(have, want)


@given(
    readings=readings,
    cuts=st.lists(st.integers(1, 12), min_size=1, max_size=30),
    lateness=st.integers(0, 2),
)
def test_each_step_of_a_window_tells_its_first_and_last_record(
    readings: list[tuple[int, str, list[float]]], cuts: list[int], lateness: int
) -> None:
    """However the stream is cut: those that had come with the window's own; none is -1."""
    table = Table()
    table.windows = SeriesTable(replace(CONFIG, lateness=lateness), F, 1000)
    at = {"a": 100, "b": 5_000, "c": 0}
    stream = []
    for moved, series, _ in readings:
        at[series] += moved
        stream.append((at[series], series))
    known: dict[str, dict[int, tuple[int, int]]] = {name: {} for name in at}
    expected: list[list[tuple[int, int]] | None] = []
    for offset, (step, name) in enumerate(stream):
        newest = max(known[name], default=step)
        if newest - step > lateness:
            expected.append(None)
            continue
        if step - newest > CONFIG.max_gap + 1:
            known[name] = {}
        first, last = known[name].get(step, (offset, offset))
        known[name][step] = (min(first, offset), max(last, offset))
        steps = range(step - T + 1, step + 1)
        expected.append([known[name].get(one, (-1, -1)) for one in steps])
    found: list[list[tuple[int, int]] | None] = []
    begin, cut = 0, 0
    while begin < len(stream):
        part = stream[begin : begin + cuts[cut % len(cuts)]]
        given = make_batch([step for step, _ in part], [name for _, name in part])
        batch = table.push(
            replace(given, offsets=np.arange(begin, begin + len(part), dtype=np.int64))
        )
        assert batch.offsets is not None
        ready = dict(zip(batch.ready.tolist(), batch.offsets.tolist(), strict=True))
        found += [ready.get(i) and [tuple(pair) for pair in ready[i]] for i in range(len(part))]
        begin, cut = begin + len(part), cut + 1
    judged = [(have, want) for have, want in zip(found, expected, strict=True) if have is not None]
    for have, want in judged:
        assert have == want


def test_a_window_sees_the_reading_that_made_it_not_the_one_that_replaced_it() -> None:
    """Two readings of one step in one poll: each window ends with its own reading."""
    table = Table()
    table.push(make_batch([0, 1, 2], ["a"] * 3))
    values = np.array([[10.0, 10.0], [20.0, 20.0], [30.0, 30.0]])
    window_batch = table.push(make_batch([3, 3, 4], ["a"] * 3, values))
    assert window_batch.windows[:, -1, 0].tolist() == [10.0, 20.0, 30.0]
    assert window_batch.windows[2, -2, 0] == 20.0, "the later reading of the step stays"
    assert window_batch.revises.tolist() == [False, True, False]


def test_readings_of_one_series_come_out_together_and_in_order() -> None:
    table = Table()
    for step in range(T):
        table.push(make_batch([step, step], ["a", "b"]))
    window_batch = table.push(make_batch([4, 4, 5, 5], ["b", "a", "b", "a"]))
    rows = window_batch.rows[window_batch.ready]
    assert (np.diff(rows) != 0).sum() == 1
    assert sorted(window_batch.ready.tolist()) == [0, 1, 2, 3]
    assert window_batch.end_times.tolist() == [4 * STEP, 5 * STEP, 4 * STEP, 5 * STEP]


def test_an_empty_poll_gives_no_windows() -> None:
    table = Table()
    window_batch = table.push(make_batch([], [], np.empty((0, F))))
    assert window_batch.windows.shape == (0, T, F)


def test_windows_of_one_step_have_no_order_so_nothing_is_late() -> None:
    """Control: the same readings are late where windows have several steps."""
    batch = make_batch([5, 3, 9, 9], ["a"] * 4)
    for length, late in ((1, [False] * 4), (T, [False, True, False, False])):
        table = Table()
        table.windows = SeriesTable(replace(CONFIG, length=length), F, 1000)
        pushed = table.push(batch)
        assert pushed.late.tolist() == late
        if length == 1:
            assert pushed.ready.tolist() == [0, 1, 2, 3]
            assert (pushed.end_times // STEP).tolist() == [5, 3, 9, 9]
            assert not pushed.revises.any(), "two of one time are two"
            np.testing.assert_array_equal(pushed.windows[:, 0], batch.values)
