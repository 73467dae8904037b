from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from stream_vae.core.model_spec import numeric_features
from stream_vae.core.step_width import infer_step
from stream_vae.edges.files.csv_readings import CsvReadings
from stream_vae.edges.files.training_data import in_order, rows_by_series, to_training_series
from stream_vae.errors import InputFileError

S = 10**9
NAN = float("nan")


def make_readings(
    rows: Sequence[tuple[str, float, float, float]],
    infinite: Sequence[int] = (0, 0),
) -> CsvReadings:
    """Rows of (series, seconds, flow, speed)."""
    values = np.array([row[2:] for row in rows], dtype=np.float64).reshape(len(rows), 2)
    return CsvReadings(
        features=numeric_features(["flow", "speed"]),
        times=np.array([round(row[1] * S) for row in rows], dtype=np.int64),
        series=[row[0] for row in rows],
        values=values,
        labels=None,
        paths=(Path("water.csv"),),
        file_numbers=np.zeros(len(rows), dtype=np.int32),
        lines=np.arange(2, 2 + len(rows), dtype=np.int64),
        missing_cells=np.isnan(values).sum(axis=0),
        infinite_cells=np.array(infinite, dtype=np.int64),
        ignored_columns=(),
    )


def test_each_series_is_sorted_and_stands_on_the_grid_once_a_step() -> None:
    series, report = to_training_series(
        make_readings(
            [
                ("b", 20, 1, 9),
                ("a", 10, 2, 9),
                ("b", 0, 3, 9),  # unsorted
                ("a", 24, 4, 9),  # snaps to 20
                ("b", 10, 5, 9),  # unsorted
                ("a", 21, 6, 9),  # unsorted, snaps to 20: the later row wins
                ("a", 50, 7, 9),  # steps 30 and 40 are missing
            ]
        ),
        step_seconds=10,
    )
    assert [one.key for one in series] == ["b", "a"]
    assert (series[0].times // S).tolist() == [0, 10, 20]
    assert series[0].values[:, 0].tolist() == [3, 5, 1]
    assert (series[1].times // S).tolist() == [10, 20, 50]
    assert series[1].values[:, 0].tolist() == [2, 6, 7]
    assert report.rows == 7
    assert report.series == 2
    assert report.step_seconds == 10
    assert not report.step_is_inferred
    assert report.unsorted_rows == 3
    assert report.duplicate_rows == 1
    assert report.snapped_rows == 2
    assert report.missing_steps == 2
    assert report.constant_features == ("speed",)


def test_clean_data_has_nothing_to_report() -> None:
    """Control for the counts above."""
    _, report = to_training_series(make_readings([("a", 10 * n, n, -n) for n in range(5)]))
    assert report.step_seconds == 10
    assert report.step_is_inferred
    assert report.unsorted_rows == report.duplicate_rows == report.snapped_rows == 0
    assert report.missing_steps == 0
    assert report.missing_cells == report.infinite_cells == {}
    assert report.constant_features == report.mostly_missing_features == ()


@pytest.mark.parametrize(
    ("seconds", "step"),
    [
        ([0, 60, 120, 300, 360], 60),
        # Unsorted and repeated times are not steps.
        ([120, 0, 0, 60, 60], 60),
        # Of equally common ones the smaller: no reading is lost to a too coarse grid.
        ([0, 60, 90], 30),
        ([0, 0.25, 0.5], 0.25),
    ],
)
def test_the_most_common_time_between_rows_is_the_step(seconds: list[float], step: float) -> None:
    _, report = to_training_series(make_readings([("a", at, 1, 2) for at in seconds]))
    assert report.step_seconds == step


@pytest.mark.parametrize(("period", "step"), [(60.0, 60.0), (15.0, 15.0), (7.3, 7.3)])
def test_a_clock_that_jitters_and_repeats_itself_has_the_step_it_jitters_about(
    period: float, step: float
) -> None:
    """Each point is told to its nearest step, so none is lost."""
    rng = np.random.default_rng(3)
    at = np.arange(1, 200) * period + rng.uniform(-0.4, 0.4, 199)
    twice = [*at.tolist(), *(at[::20] + 0.011).tolist()]
    series, report = to_training_series(make_readings([("a", t, 1, t) for t in twice]))
    assert report.step_seconds == pytest.approx(step, rel=1e-3)
    assert report.step_agreement > 0.8
    if period == step == 60.0:
        assert len(series[0].times) == 199
        assert report.missing_steps == 0


def test_rows_of_one_step_are_merged_cell_by_cell() -> None:
    """An outer join of two sensors; a missing cell replaces nothing."""
    rows = [("a", 0, 1, NAN), ("a", 0, NAN, 2), ("a", 10, 3, 4), ("a", 10, 5, NAN), ("a", 20, 6, 7)]
    series, report = to_training_series(make_readings(rows), step_seconds=10)
    assert series[0].values.tolist() == [[1, 2], [5, 4], [6, 7]]
    assert report.duplicate_rows == 2


def test_steps_are_not_inferred_across_series() -> None:
    rows = [("a", 0.0, 1.0, 2.0), ("b", 1.0, 1.0, 2.0), ("a", 60.0, 1.0, 2.0)]
    _, report = to_training_series(make_readings(rows))
    assert report.step_seconds == 60


def test_missing_and_infinite_cells_are_counted_by_feature() -> None:
    rows = [("a", 10.0 * n, NAN if n < 3 else float(n), float(n)) for n in range(5)]
    _, report = to_training_series(make_readings(rows, infinite=[0, 2]))
    assert report.missing_cells == {"flow": 3}
    assert report.infinite_cells == {"speed": 2}
    assert report.mostly_missing_features == ("flow",)


def test_a_wholly_empty_feature_is_refused() -> None:
    with pytest.raises(InputFileError, match=r"water\.csv, column speed: wholly empty"):
        to_training_series(make_readings([("a", 0, 1, NAN), ("a", 1, 2, NAN)]))


def test_a_step_that_cannot_be_inferred_is_refused() -> None:
    readings = make_readings([("a", 5, 1, 2), ("b", 7, 1, 2)])
    with pytest.raises(InputFileError, match="no step can be inferred"):
        to_training_series(readings)
    series, _ = to_training_series(readings, step_seconds=1)
    assert [one.times.tolist() for one in series] == [[5 * S], [7 * S]]


def test_a_step_of_no_width_is_refused() -> None:
    with pytest.raises(InputFileError, match="expected more than 0"):
        to_training_series(make_readings([("a", 5, 1, 2)]), step_seconds=0)


@given(
    st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 50)), min_size=1, max_size=30),
    st.integers(min_value=1, max_value=7),
)
def test_every_step_holds_the_last_row_that_fell_into_it(
    rows: list[tuple[str, int]], step: int
) -> None:
    """Against a plain dictionary, row by row."""
    readings = make_readings([(key, at, number, 1) for number, (key, at) in enumerate(rows)])
    expected: dict[str, dict[int, float]] = {}
    for number, (key, at) in enumerate(rows):
        expected.setdefault(key, {})[(2 * at + step) // (2 * step) * step] = number
    series, report = to_training_series(readings, step_seconds=step)
    assert [one.key for one in series] == list(expected)
    for one in series:
        found = dict(zip((one.times // S).tolist(), one.values[:, 0].tolist(), strict=True))
        assert found == expected[one.key]
        assert (np.diff(one.times) > 0).all()
    assert report.duplicate_rows == len(rows) - sum(map(len, expected.values()))


def test_features_whose_level_differs_between_series_are_told() -> None:
    """Flow moves by 2 around 50 and 80; speed moves alike in both."""
    rows = [
        (name, i * 10.0, base + 2 * (i % 2), 5.0 * (i % 3))
        for name, base in (("a", 50.0), ("b", 80.0))
        for i in range(12)
    ]
    _, report = to_training_series(make_readings(rows))
    assert report.uneven_features == ("flow",)


def test_events_at_one_time_are_all_kept_in_order() -> None:
    """On a grid the last one of a step would replace the others."""
    rows = [("a", 5, 1, 2), ("a", 5, 3, 4), ("b", 5, 5, 6), ("a", 4, 7, 8)]
    series, report = to_training_series(in_order(make_readings(rows)), step_seconds=0.001)
    assert [one.values[:, 0].tolist() for one in series] == [[7, 1, 3], [5]]
    assert report.duplicate_rows == report.missing_steps == 0


def test_no_rows_are_of_no_series() -> None:
    """As of a history that is wholly evaluated."""
    assert rows_by_series([]) == ([], [])
    assert rows_by_series(["b", "a", "b"])[0] == ["b", "a"]


def test_a_step_whose_parts_come_apart_is_inferred_as_from_steps_that_come_whole() -> None:
    """Control: readings a minute apart in bursts of some minutes are no parts of one step."""
    rng = np.random.default_rng(0)
    steps = np.arange(0, 3000, 10)[:, None] + [0, 0.3, 0.9] + rng.uniform(0, 0.2, (300, 3))
    times: NDArray[np.int64] = np.rint(steps.reshape(-1) * 1e9).astype(np.int64)
    assert infer_step(np.diff(times)) == 10 * 10**9
    minutes = np.arange(0, 500, 10)[:, None] + np.arange(5) + rng.uniform(0, 0.1, (50, 5))
    times = np.rint(minutes.reshape(-1) * 60e9).astype(np.int64)
    assert infer_step(np.diff(times)) == 60 * 10**9


def test_what_parts_of_steps_leave_to_others_is_not_missing() -> None:
    """Control: a feature of one step in three is."""
    rows = [
        row
        for n in range(9)
        for row in (("a", 60.0 * n, float(n), NAN), ("a", 60.0 * n, NAN, NAN if n % 3 else 1.0))
    ]
    _, report = to_training_series(make_readings(rows))
    assert report.mostly_missing_features == ("speed",)
