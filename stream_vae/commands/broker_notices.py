"""Tells a person at a terminal that the brokers are not there, without repeating itself."""

import time
from collections.abc import Callable

from rich.console import Console

_REPEAT_S = 5.0


class BrokerNotices:
    """Prints why a command waits, at most every 5 seconds.

    Args:
        console: Where to.
        clock: Seconds that never go back.
    """

    def __init__(self, console: Console, clock: Callable[[], float] = time.monotonic) -> None:
        self._console = console
        self._clock = clock
        self._told_at: float | None = None

    def __call__(self, reason: str) -> None:
        """Say it, unless something was said a moment ago."""
        now = self._clock()
        if self._told_at is None or now - self._told_at >= _REPEAT_S:
            self._told_at = now
            self._console.print(f"waiting: {reason}", markup=False, highlight=False)
