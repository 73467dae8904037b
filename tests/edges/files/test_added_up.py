"""A history of lines as counts of whole steps."""

from pathlib import Path

import numpy as np

from stream_vae.core.model_spec import Feature
from stream_vae.core.readings import ReadingBatch
from stream_vae.edges.files.added_up import add_up
from stream_vae.edges.files.csv_readings import CsvReadings

SECOND_NS = 10**9


def added_up(lines: dict[str, list[int]], *, bridged: int = 3) -> CsvReadings:
    """Return the counts in steps of ten seconds, of a line in each of these seconds of a series."""
    series = [key for key, seconds in lines.items() for _ in seconds]
    seconds = [second for found in lines.values() for second in found]
    n = len(seconds)
    times = np.array(seconds, np.int64) * SECOND_NS
    batch = ReadingBatch(
        topic="log",
        partitions=np.zeros(n, np.int32),
        offsets=np.arange(n),
        series=series,
        times=times,
        arrivals=times,
        values=np.ones((n, 1)),
    )
    features = [Feature(name="lines", kind="count")]
    return add_up([batch], features, step_ns=10 * SECOND_NS, bridged=bridged, paths=[Path("log")])


def counts(readings: CsvReadings, key: str) -> dict[int, int]:
    """Return second of a step -> lines in it, of a series."""
    found = zip(readings.series, readings.times.tolist(), readings.values[:, 0], strict=True)
    return {time // SECOND_NS: int(n) for series, time, n in found if series == key}


def test_steps_in_which_the_lines_of_a_series_begin_and_end_are_left_out() -> None:
    """A beat each two seconds is five lines a step; the series begin and end where they like."""
    beats = {"a": list(range(3, 61, 2)), "b": list(range(20, 90, 2))}
    readings = added_up(beats)
    assert counts(readings, "a") == {10: 5, 20: 5, 30: 5, 40: 5, 50: 5}
    assert counts(readings, "b") == {30: 5, 40: 5, 50: 5, 60: 5, 70: 5, 80: 5}


def test_of_a_series_without_others_the_steps_at_its_ends_are_kept() -> None:
    readings = added_up({"a": [10, 11], "b": [10, 21], "c": [10, 20, 30]})
    assert counts(readings, "a") == {10: 2}
    assert counts(readings, "b") == {10: 1, 20: 1}
    assert counts(readings, "c") == {20: 1}


def test_steps_without_lines_are_zero_unless_there_are_many() -> None:
    readings = added_up({"a": [10, 20, 50, 100, 110]})
    assert counts(readings, "a") == {20: 1, 30: 0, 40: 0, 50: 1, 100: 1}
