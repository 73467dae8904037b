"""The step of a history is as long as it allows, and longer where series are quiet."""

import numpy as np
import pytest

from stream_vae.logs.line_times import LineTimes

SECOND = 10**9


def times_of(every_s: float, hours: float, series: int = 1) -> LineTimes:
    found = LineTimes(window_length=32, wanted=2000)
    for part in range(4):  # as it is read, in parts
        n = int(hours * 3600 / every_s / 4)
        at = (np.arange(part * n, (part + 1) * n) * every_s * SECOND).astype(np.int64)
        names = [f"web-{k}" for k in range(series) for _ in at]
        found.add(names, np.tile(at, series))
    return found


@pytest.mark.parametrize(
    ("every_s", "hours", "step_s"),
    [
        (1, 0.2, 1.0),
        (1, 3, 5.0),
        (1, 100, 60.0),
        (200, 3, 10.0),  # 32 steps of 5 s are shorter than the pause
        (1500, 3, 60.0),
        (7200, 300, 60.0),  # a longer one would delay alerts
    ],
)
def test_the_step_suits_length_and_pauses(every_s: float, hours: float, step_s: float) -> None:
    found = times_of(every_s, hours)
    assert found.step_s() == step_s
    assert times_of(every_s, hours, series=3).step_s() == step_s


def test_what_is_in_long_gaps_is_missing_and_a_wider_step_is_known() -> None:
    found = times_of(3600, 48)
    assert found.missing(60.0) == 1.0
    assert found.n_steps(60.0) == 0
    assert found.wider(60.0) == 120.0
    assert found.missing(120.0) == 0.0
    assert found.n_steps(120.0) == 47 * 30
    assert times_of(200_000, 1000).wider(60.0) is None


def test_lines_out_of_order_make_no_gap() -> None:
    """Control: in order, the same lines have one gap."""
    at = np.array([0, 100, 10_000, 10_100]) * SECOND
    for order, missing in (([0, 1, 2, 3], 9900 / 10_100), ([2, 3, 0, 1], 0.0)):
        found = LineTimes(window_length=32, wanted=2000)
        for position in order:
            found.add(["a"], at[position : position + 1])
        assert found.missing(10.0) == pytest.approx(missing)
    assert LineTimes(window_length=32, wanted=2000).span_s == 0.0


@pytest.mark.parametrize(
    ("outage_h", "step_s", "missing"), [(56 * 365 * 24, 2.0, 0.0), (30, 60.0, 30 / 32)]
)
def test_a_gap_that_no_window_reaches_over_is_no_time_of_the_history(
    outage_h: int, step_s: float, missing: float
) -> None:
    """As of one line with a wrong clock. Control: what a step of an hour bridges is missing."""
    at = np.arange(7200) * SECOND
    found = LineTimes(window_length=32, wanted=2286)
    for part in (np.zeros(1, np.int64), at + outage_h * 3600 * SECOND):
        found.add(["web-1"] * len(part), part)
    assert found.step_s() == step_s
    assert found.missing(60.0) == pytest.approx(missing, abs=1e-3)
    assert found.n_steps(60.0) == pytest.approx(120, abs=1)


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
@pytest.mark.parametrize("n_series", [1, 20])
def test_an_outage_of_all_series_is_left_out_once(n_series: int, order: tuple[int, int]) -> None:
    """Each series is read by itself, as files and partitions are."""
    weeks = [np.arange(5 * 24 * 60) * 60 * SECOND + k * 7 * 24 * 3600 * SECOND for k in (0, 1)]
    found = LineTimes(window_length=32, wanted=2000)
    for number in range(n_series):
        for part in order:
            found.add([f"web-{number}"] * len(weeks[part]), weeks[part])
    assert found.span_s == pytest.approx(10 * 24 * 3600, rel=1e-3)
    assert found.step_s() == 60.0
    assert found.n_steps(60.0) == pytest.approx(n_series * 10 * 24 * 60, rel=1e-3)


def test_a_clock_that_is_wrong_again_and_again_leaves_the_history_as_it_is() -> None:
    found = LineTimes(window_length=32, wanted=2000)
    began = 50 * 365 * 24 * 3600 * SECOND
    for part in np.split(began + np.arange(7200) * SECOND, 10):
        found.add(["web-1"] * (len(part) + 1), np.append(part, 0))
    assert (found.span_s, found.missing(2.0), found.n_steps(2.0)) == (7199.0, 0.0, 3600)


def test_an_outage_of_one_series_is_none_where_another_has_lines() -> None:
    hour = 3600 * SECOND
    found = LineTimes(window_length=32, wanted=2000)
    found.add(["a"] * 2, np.array([0, 100 * hour]))
    found.add(["b"] * 101, np.arange(101) * hour)
    assert found.span_s == 100 * 3600.0
