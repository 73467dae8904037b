"""Leaps of a producer's clock."""

import numpy as np
import pytest

from stream_vae.core.leaps import LeapGuard
from stream_vae.core.readings import ReadingBatch
from stream_vae.core.records import RecordBatch
from stream_vae.core.windows import SeriesTable, WindowConfig

STEP = 60 * 10**9
CONFIG = WindowConfig(length=4, step_ns=STEP, max_gap=2, min_observed=0.5)
LONGEST = 20
START = 1_000_000


class Series:
    """One series, a poll at a time; what is used reaches the windows."""

    def __init__(self) -> None:
        self.windows = SeriesTable(CONFIG, 1, 1)
        self.guard = LeapGuard(self.windows, CONFIG, 1, LONGEST)
        row = np.zeros(1, np.int32)
        self.windows.start(row)
        self.guard.state.begin(row)

    def take(self, steps: list[int], written: list[int | None] | None = None) -> list[int]:
        """Return the steps that are used.

        Args:
            steps: Of one poll.
            written: Steps at which the records were written, None: they tell no time; not given,
                the readings are of a file.
        """
        n = len(steps)
        readings = ReadingBatch(
            topic="readings",
            partitions=np.zeros(n, np.int32),
            offsets=np.arange(n),
            series=["a"] * n,
            times=(START + np.array(steps, np.int64)) * STEP,
            arrivals=np.zeros(n, np.int64),
            values=np.ones((n, 1)),
        )
        records = None
        if written is not None:
            stamps = [0 if at is None else (START + at) * STEP for at in written]
            records = RecordBatch(
                topic="readings",
                partitions=readings.partitions,
                offsets=readings.offsets,
                timestamps=np.array(stamps, np.int64),
                timed_by_broker=False,
                keys=[None] * n,
                values=[b""] * n,
                headers=lambda _: (),
            )
        rows = np.zeros(n, np.int32)
        left = np.delete(np.arange(n), self.guard.find(rows, readings, records=records))
        self.windows.push(rows[left], readings.take(left))
        return [steps[i] for i in left.tolist()]


@pytest.mark.parametrize("cut", [1, 2, 3, 6])
@pytest.mark.parametrize(
    ("steps", "used"),
    [
        ([0, 1, 50, 2, 3, 4], [0, 1, 2, 3, 4]),  # one wrong time
        ([0, 1, 50, 51, 52, 53], [0, 1, 51, 52, 53]),  # confirmed by the next
        ([0, 1, 50, 2, 50, 3], [0, 1, 2, 3]),  # twice, but not in a row
        ([0, 1, 50, 100, 2, 3], [0, 1, 2, 3]),  # two that do not agree
        ([0, 20, 40, 41, 42, 43], [0, 20, 40, 41, 42, 43]),  # control: no leaps
    ],
)
def test_a_leap_is_used_once_the_next_reading_confirms_it(
    steps: list[int], used: list[int], cut: int
) -> None:
    """However the readings are polled, if their records tell no time."""
    series = Series()
    found: list[int] = []
    for begin in range(0, len(steps), cut):
        part = steps[begin : begin + cut]
        found += series.take(part, [None] * len(part))
    assert found == used


def test_a_pause_that_the_records_own_times_explain_is_no_leap() -> None:
    """Control: a record written before its reading's time explains nothing."""
    assert Series().take([0, 1, 500, 501], [0, 1, 500, 501]) == [0, 1, 500, 501]
    assert Series().take([0, 1, 500, 2], [0, 1, 2, 3]) == [0, 1, 2]


def test_in_a_file_the_next_row_confirms_a_pause() -> None:
    assert Series().take([0, 1, 500, 501, 502]) == [0, 1, 500, 501, 502]
    assert Series().take([0, 1, 500, 2, 3]) == [0, 1, 2, 3]
    assert Series().take([0, 1, 500]) == [0, 1, 500]
    assert Series().take([0, 1, 500, 540, 541]) == [0, 1, 500, 540, 541]
