"""Position of each step of a window in the day and in the week."""

import numpy as np
from numpy.typing import NDArray

CALENDAR_INPUTS = 4
"""Sine and cosine of the time of day, sine and cosine of the time of week (UTC)."""

_DAY_NS = 86_400 * 10**9
_WEEK_NS = 7 * _DAY_NS


def calendar_inputs(
    end_times: NDArray[np.int64], window_length: int, step_ns: int
) -> NDArray[np.float32]:
    """Return (B, T, 4) positions on the circles of the day and the week.

    Args:
        end_times: (B,) start of each window's newest step, nanoseconds since 1970.
        window_length: T.
        step_ns: Width of a step in nanoseconds.
    """
    back = np.arange(window_length - 1, -1, -1, dtype=np.int64) * step_ns
    times = end_times[:, None] - back[None, :]
    # The remainder is taken in integers: nanoseconds since 1970 do not fit a float64 exactly.
    day = (times % _DAY_NS) * (2 * np.pi / _DAY_NS)
    week = (times % _WEEK_NS) * (2 * np.pi / _WEEK_NS)
    return np.stack((np.sin(day), np.cos(day), np.sin(week), np.cos(week)), axis=-1).astype(
        np.float32
    )
