import numpy as np
import pytest

from stream_vae.models.vae.calendar import calendar_inputs

HOUR_NS = 3600 * 10**9
WEEK_NS = 7 * 24 * HOUR_NS


def test_positions_on_the_circles_by_hand() -> None:
    """1970-01-01 was a Thursday, on which the week's circle begins here."""
    found = calendar_inputs(np.array([6 * HOUR_NS], np.int64), 3, 3 * HOUR_NS)
    half = np.sqrt(0.5)
    week = 2 * np.pi * np.array([0, 3, 6]) / 168
    expected = np.stack(([0, half, 1], [1, half, 0], np.sin(week), np.cos(week)), axis=-1)
    assert found.shape == (1, 3, 4)
    np.testing.assert_allclose(found[0], expected, atol=1e-7)


def test_newest_step_is_last() -> None:
    end = np.array([5 * HOUR_NS, 29 * HOUR_NS], np.int64)
    whole = calendar_inputs(end, 4, HOUR_NS)
    alone = calendar_inputs(end, 1, HOUR_NS)
    np.testing.assert_array_equal(whole[:, -1:], alone)
    assert not np.array_equal(whole[:, :1], alone)


def test_a_week_later_is_the_same_bit_for_bit() -> None:
    """Present-day nanoseconds exceed float64's integers, so the remainder must be taken before."""
    now = np.array([1_700_000_000 * 10**9 + 1], np.int64)
    again = calendar_inputs(now + 52 * WEEK_NS, 3, HOUR_NS)
    np.testing.assert_array_equal(calendar_inputs(now, 3, HOUR_NS), again)


@pytest.mark.parametrize("column", [0, 2])
def test_sine_and_cosine_lie_on_a_circle(column: int) -> None:
    found = calendar_inputs(np.arange(11, dtype=np.int64) * 7 * HOUR_NS, 3, HOUR_NS)
    radius = (found[..., column : column + 2] ** 2).sum(axis=-1)
    np.testing.assert_allclose(radius, 1.0, atol=1e-6)
