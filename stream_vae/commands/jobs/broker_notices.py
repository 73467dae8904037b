"""Prints broker outages on a terminal, each reason once, and how long it still waits."""

import re

from rich.console import Console

from stream_vae.events import BrokerReached, BrokerUnreachable, Event

_REPEAT_S = 30.0


class BrokerNotices:
    """An event sink that prints why a command waits: a new reason, and what is left of the time.

    Args:
        console: To print to.
        servers: The brokers' addresses, as given.
    """

    def __init__(self, console: Console, servers: str) -> None:
        self._console = console
        self._servers = servers
        self._told: set[str] = set()
        self._told_at_s = 0.0  # into the outage

    def record(self, event: Event) -> None:
        """Print a new reason, or the end of an outage."""
        if isinstance(event, BrokerReached) and self._told:
            self._told.clear()
            self._told_at_s = 0.0
            self._print("a broker answers again")
        if not isinstance(event, BrokerUnreachable):
            return
        reason = re.sub(r"\d+ ?ms", "", event.detail)  # how long an attempt took is no news
        if reason not in self._told or event.waited_s - self._told_at_s >= _REPEAT_S:
            self._told_at_s = event.waited_s
            left_s = max(event.deadline_s - event.waited_s, 0)
            self._print(
                f"waiting for a broker at {self._servers}, {left_s:.0f} s more: {event.detail}"
            )
            if not self._told:
                self._print("check the address if this lasts; Ctrl-C stops")
        self._told.add(reason)

    def _print(self, text: str) -> None:
        self._console.print(text, highlight=False)
