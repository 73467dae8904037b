"""Deadlines."""

import time


class Deadline:
    """A time budget that starts at construction.

    Args:
        limit_s: Seconds after which it has passed.
    """

    def __init__(self, limit_s: float) -> None:
        self._limit_s = limit_s
        self._began_at = time.monotonic()

    @property
    def limit_s(self) -> float:
        """Seconds in all."""
        return self._limit_s

    @property
    def waited_s(self) -> float:
        """Seconds since it began."""
        return time.monotonic() - self._began_at

    @property
    def has_passed(self) -> bool:
        """Whether the time is over."""
        return self.waited_s >= self._limit_s

    def pause(self, seconds: float) -> None:
        """Sleep before the next attempt, but not past the deadline."""
        time.sleep(max(0.0, min(seconds, self._limit_s - self.waited_s)))
