"""Tells a person at a terminal that the brokers are not there, without repeating itself."""

import time
from collections.abc import Callable

from rich.console import Console

from stream_vae.events import BrokerUnreachable, Event

_REPEAT_S = 5.0


class BrokerNotices:
    """An event sink that prints why a command waits, at most every 5 seconds.

    Args:
        console: Where to.
        clock: Seconds that never go back.
    """

    def __init__(self, console: Console, clock: Callable[[], float] = time.monotonic) -> None:
        self._console = console
        self._clock = clock
        self._told_at: float | None = None

    def record(self, event: Event) -> None:
        """Print why a broker is waited for, unless something was printed a moment ago."""
        if not isinstance(event, BrokerUnreachable):
            return
        now = self._clock()
        if self._told_at is None or now - self._told_at >= _REPEAT_S:
            self._told_at = now
            self._console.print(f"waiting: {event.detail}", markup=False, highlight=False)
