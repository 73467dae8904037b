"""The grid of event time: numbers of steps, and the grid points nearest to times."""

import numpy as np
from numpy.typing import NDArray

NEVER = int(np.iinfo(np.int64).min)
"""Number of the newest step of a series that has none."""


def nearest_steps(times: NDArray[np.int64], step_ns: int) -> NDArray[np.int64]:
    """Return (N,) number of the grid point nearest to each time; halves go up."""
    return np.asarray((times + step_ns // 2) // step_ns, np.int64)


def nearest_grid_point(time: int, step_ns: int) -> int:
    """Return the time of the grid point nearest to a time, nanoseconds since 1970; halves go up."""
    return (time + step_ns // 2) // step_ns * step_ns
