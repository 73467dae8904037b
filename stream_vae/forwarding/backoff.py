"""Pauses between attempts that fail."""

from collections.abc import Callable

_FIRST_S = 1.0
_LONGEST_S = 60.0
_LEAST_SHARE = 0.5


class Backoff:
    """Doubles the pause with each failure, up to a minute; half of it is chance.

    >>> backoff = Backoff(chance=lambda: 1.0)
    >>> [backoff.failed(now=0.0) for _ in range(8)]
    [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0]
    >>> Backoff(chance=lambda: 0.0).failed(now=0.0, asked_s=5.0)
    5.0

    Args:
        chance: Returns numbers between 0 and 1.
    """

    def __init__(self, chance: Callable[[], float]) -> None:
        self._chance = chance
        self._pause_s = _FIRST_S
        self._waits_until = float("-inf")
        self.failing_since: float | None = None
        """Monotonic seconds of the first failure since the last success."""

    def failed(self, *, now: float, asked_s: float | None = None) -> float:
        """Return the seconds to wait; no less than what the receiver asked for."""
        if self.failing_since is None:
            self.failing_since = now
        share = _LEAST_SHARE + (1 - _LEAST_SHARE) * self._chance()
        pause_s = max(self._pause_s * share, asked_s or 0.0)
        self._pause_s = min(2 * self._pause_s, _LONGEST_S)
        self._waits_until = now + pause_s
        return pause_s

    def succeeded(self) -> None:
        """Begin anew."""
        self._pause_s, self.failing_since = _FIRST_S, None

    def wait(self, until: float) -> None:
        """Wait until then, though nothing failed."""
        self._waits_until = max(self._waits_until, until)

    def is_over(self, now: float) -> bool:
        """Return whether to try now."""
        return now >= self._waits_until

    def failing_s(self, now: float) -> float:
        """Return the seconds since the first failure in a row; 0 of none."""
        return 0.0 if self.failing_since is None else now - self.failing_since
