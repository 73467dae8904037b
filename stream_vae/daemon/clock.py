"""The machine's clock."""

import time
from datetime import UTC, datetime

from stream_vae.core.ports import Clock


class SystemClock:
    """The operating system's clock."""

    def monotonic(self) -> float:
        """Return seconds from an arbitrary start."""
        return time.monotonic()

    def time_ns(self) -> int:
        """Return the wall clock, nanoseconds since 1970."""
        return time.time_ns()

    def sleep(self, seconds: float) -> None:
        """Wait."""
        time.sleep(seconds)


def utc_now(clock: Clock) -> datetime:
    """Return the wall clock as a date."""
    return datetime.fromtimestamp(clock.time_ns() / 1e9, UTC)
