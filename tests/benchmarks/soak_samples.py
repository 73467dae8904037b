"""What a process holds over a long run, and whether that grows."""

import time
from dataclasses import dataclass, field

import numpy as np
import psutil
from scipy.stats import theilslopes

_MIB = 2**20
_HOUR_S = 3600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Growth:
    """A quantity after the warm-up: the median of its first and last tenth, and its slope."""

    first: float
    last: float
    slope: float
    """Per hour: the median of the slopes between all pairs of samples (Theil 1950, Sen 1968), which
    a few outliers do not move."""
    low: float
    high: float
    """95 % interval of `slope`."""

    def __str__(self) -> str:
        return (
            f"{self.first:,.1f} to {self.last:,.1f}, {self.slope:+,.2f} an hour "
            f"({self.low:+,.2f} to {self.high:+,.2f})"
        )


@dataclass(kw_only=True)
class ProcessSamples:
    """Memory, open file handles and threads of one process over time."""

    pid: int
    rows: list[tuple[float, float, float, float]] = field(default_factory=list)
    """Seconds (monotonic), resident MiB, handles, threads."""

    def sample(self) -> None:
        """Look once; a process that has ended adds nothing."""
        try:
            process = psutil.Process(self.pid)
            with process.oneshot():
                held = process.memory_info().rss / _MIB, process.num_fds(), process.num_threads()
        except psutil.NoSuchProcess:
            return
        self.rows.append((time.monotonic(), *held))

    def growth(self, *, warm_up_s: float) -> dict[str, Growth]:
        """Return the growth of each quantity since a time after the first sample."""
        rows = np.array(self.rows)
        rows = rows[rows[:, 0] >= rows[0, 0] + warm_up_s]
        hours = (rows[:, 0] - rows[0, 0]) / _HOUR_S
        tenth = max(1, len(rows) // 10)
        found = {}
        for column, name in enumerate(("resident MiB", "file handles", "threads"), start=1):
            values = rows[:, column]
            slope, _, low, high = theilslopes(values, hours)
            found[name] = Growth(
                first=float(np.median(values[:tenth])),
                last=float(np.median(values[-tenth:])),
                slope=float(slope),
                low=float(low),
                high=float(high),
            )
        return found
