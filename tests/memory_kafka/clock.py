"""A clock that moves only when it is told to, or when somebody waits by it."""

START_S = 1_700_000_000


class ManualClock:
    """Starts in November 2023."""

    def __init__(self) -> None:
        self._monotonic = 1000.0
        self._ahead_s = 0.0

    def monotonic(self) -> float:
        return self._monotonic

    def time_ns(self) -> int:
        return round((START_S + self._monotonic - 1000.0 + self._ahead_s) * 1e9)

    def sleep(self, seconds: float) -> None:
        self._monotonic += max(seconds, 0.0)

    def set_wall_clock(self, ahead_s: float) -> None:
        """Set the wall clock, which runs ahead of the monotonic one by that, anew."""
        self._ahead_s = ahead_s
