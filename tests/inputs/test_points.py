"""Points of one value each, merged into readings."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from stream_vae.errors import DecodeError
from stream_vae.inputs.points import Points, merge_points

NAMES = ("flow", "pressure", "speed")
NAN = float("nan")

Point = tuple[int, str, int, int, float]
"""Record, series, time, feature, value."""


def points_of(found: list[Point], errors: dict[int, DecodeError] | None = None) -> Points:
    return Points(
        index=np.array([point[0] for point in found], np.int64),
        series=[point[1] for point in found],
        times=[point[2] for point in found],
        features=np.array([point[3] for point in found], np.int64),
        values=np.array([point[4] for point in found], np.float64),
        errors=sorted((errors or {}).items()),
    )


def test_points_of_one_series_and_time_are_one_reading_in_the_order_of_the_first() -> None:
    raw = merge_points(
        points_of(
            [
                (0, "a", 1, 0, 1.0),
                (0, "b", 1, 0, 2.0),
                (0, "a", 1, 2, 3.0),
                (0, "a", 2, 0, 4.0),
                (2, "a", 1, 1, 5.0),
            ]
        ),
        NAMES,
    )
    assert raw.index.tolist() == [0, 0, 0, 2]
    assert raw.series == ["a", "b", "a", "a"]
    assert raw.times == [1, 1, 2, 1]
    expected = [[1, NAN, 3], [2, NAN, NAN], [4, NAN, NAN], [NAN, 5, NAN]]
    np.testing.assert_array_equal(raw.values, expected)
    assert raw.elements is not None
    assert [raw.elements(i) for i in range(4)] == [([1, 3], 4), ([2], 4), ([4], 4), ([1], 1)]


def test_a_value_that_another_of_its_record_replaces_is_told() -> None:
    """Control: the same feature of another record, series or time replaces nothing."""
    points = [(0, "a", 1, 0, 1.0), (0, "b", 1, 0, 2.0), (0, "a", 2, 0, 3.0), (1, "a", 1, 0, 4.0)]
    assert not merge_points(points_of(points), NAMES).replaced
    twice = [*points, (1, "a", 1, 0, 5.0), (2, "a", 1, 2, 1.0), (2, "a", 1, 2, 1.0)]
    raw = merge_points(points_of(twice), NAMES)
    assert [(one.feature, one.count, one.index) for one in raw.replaced] == [
        ("flow", 1, 1),
        ("speed", 1, 2),
    ]
    assert raw.values[3, 0] == 5.0


def test_points_of_no_feature_are_left_out_and_records_of_no_other_are_ignored() -> None:
    raw = merge_points(
        points_of([(0, "a", 1, -1, 1.0), (1, "a", 1, -1, 1.0), (1, "b", 1, 1, 2.0)]), NAMES
    )
    assert raw.index.tolist() == [1]
    assert raw.series == ["b"]
    assert raw.ignored == [0]
    assert raw.elements is not None
    assert raw.elements(0) == ([2], 2)


def test_a_value_that_cannot_be_read_is_that_of_its_reading() -> None:
    error = DecodeError("value_not_a_number", "found x")
    found: list[Point] = [(0, "a", 1, -1, 1.0), (0, "a", 1, 1, NAN), (0, "a", 1, 0, 1.0)]
    raw = merge_points(points_of(found, {0: error, 1: error}), NAMES)
    [cell] = raw.cell_errors
    assert (cell.position, cell.feature, cell.error) == (0, "pressure", error)


@given(
    st.lists(
        st.tuples(
            st.integers(0, 3),
            st.sampled_from(["a", "b"]),
            st.integers(0, 1),
            st.integers(-1, 2),
            st.sampled_from([1.0, 2.0, NAN]),
        ),
        max_size=12,
    )
)
def test_each_cell_holds_the_last_value_observed_of_it(found: list[Point]) -> None:
    found.sort(key=lambda point: point[0])
    expected: dict[tuple[int, str, int], list[float]] = {}
    for row, series, time, feature, value in found:
        if feature < 0:
            continue
        cells = expected.setdefault((row, series, time), [NAN] * 3)
        if not np.isnan(value):
            cells[feature] = value
    raw = merge_points(points_of(found), NAMES)
    assert raw.series is not None
    assert raw.times is not None
    assert list(zip(raw.index.tolist(), raw.series, raw.times, strict=True)) == list(expected)
    np.testing.assert_array_equal(raw.values, np.reshape([*expected.values()], (-1, 3)))
    without = {point[0] for point in found} - {key[0] for key in expected}
    assert raw.ignored == sorted(without)
